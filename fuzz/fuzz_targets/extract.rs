//! Any text through every entry point of the parser.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use topicloom::parse::{Answer, Limits, Repair, Shape, records, strings};

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    let known = Shape::new(["question", "answer"]).required(["question"]);
    let open = Shape::new(Vec::<String>::new());
    for shape in [&known, &open] {
        let first = records(text, shape, &limits);
        assert!(first.values.iter().all(Value::is_object));
        check(text, &first);
        assert_eq!(records(text, shape, &limits), first, "the same twice");
        check(
            text,
            &records(text, shape, &limits.max_depth(3).max_values(16)),
        );
    }
    let mut first = records(text, &known, &limits);
    if !first.values.is_empty() {
        let write = |answer: &Answer| Value::from(answer.values.clone()).to_string();
        let mut again = records(&write(&first), &known, &limits);
        // A raw control character, once escaped, may look like a LaTeX command; that is undone once and for all. It may
        // have come out of an answer that was escaped as a whole.
        let had_control = text.contains(|c: char| c.is_ascii_control())
            || first.repairs[Repair::RawControl] > 0;
        if again.repairs[Repair::LatexEscape] > 0 && had_control {
            first = again;
            again = records(&write(&first), &known, &limits);
        }
        let same = again.values.len() == first.values.len()
            && again
                .values
                .iter()
                .zip(&first.values)
                .all(|(one, other)| alike(one, other));
        assert!(same, "{:?} became {:?}", first.values, again.values);
        assert!(again.repairs.is_empty(), "{:?}", again.repairs);
    }
    let names = strings(text, &limits);
    assert!(names.values.iter().all(Value::is_string));
    check(text, &names);
});

/// Whether two values are the same but for the last digit of a float, which `serde_json` does not read exactly.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (
                one.as_f64().unwrap_or_default(),
                other.as_f64().unwrap_or_default(),
            );
            (one - other).abs() <= 1e-14 * one.abs()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, one), (name, other))| key == name && alike(one, other))
        }
        (one, other) => one == other,
    }
}

/// What holds for every answer: it says why it is empty, makes nothing up, and grows nothing.
fn check(text: &str, answer: &Answer) {
    assert!(!answer.values.is_empty() || answer.fault.is_some());
    let mut texts = Vec::new();
    let mut values = 0;
    for value in &answer.values {
        collect(value, &mut texts, &mut values);
    }
    assert!(values <= text.len(), "{values} values out of {text:?}");
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    // A backspace or a form feed is the rest of a backslash and a letter. Names stand once for each column of a table.
    let is_rest = |byte: &u8| matches!(byte, 8 | 12);
    let rests = text.bytes().filter(is_rest).count();
    let repaired = |repair| answer.repairs[repair] > 0;
    let plain = repaired(Repair::PlainForm);
    assert!(plain || bytes <= text.len() + rests, "{bytes} bytes out of {text:?}");
    // Without escapes and entities, what is in a string stands in the answer as it is.
    let verbatim = !text.contains(['\\', '&']) && rests == 0;
    let joined = [Repair::JoinedStrings, Repair::PlainForm, Repair::Quotation, Repair::DoubledQuote];
    let joined = joined.into_iter().any(repaired);
    let renamed = |found: &str| (plain || repaired(Repair::RenamedKey)) && ["question", "answer"].contains(&found);
    for found in texts.iter().filter(|found| verbatim && !renamed(found)) {
        let stands = if joined {
            follows(text, found)
        } else {
            text.contains(*found)
        };
        assert!(stands, "{found:?} out of {text:?}");
    }
}

fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>, values: &mut usize) {
    *values += 1;
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts, values)),
        Value::Object(map) => map.iter().for_each(|(key, item)| {
            texts.push(key);
            collect(item, texts, values);
        }),
        _ => {}
    }
}

/// Whether the characters of `found` stand in `text` in their order. YAML folds a line feed into a space.
fn follows(text: &str, found: &str) -> bool {
    let mut rest = text.chars();
    let is = |c: char, wanted: char| c == wanted || (c, wanted) == ('\n', ' ');
    found.chars().all(|wanted| rest.any(|c| is(c, wanted)))
}
