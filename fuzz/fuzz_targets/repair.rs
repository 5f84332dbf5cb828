//! Valid records, cut and damaged in ways whose outcome is known.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use topicloom::parse::{Fault, Limits, Repair, Shape, records};

/// Question and answers of a record, each as what its characters stand for below.
type Draft = (String, Vec<String>);

fuzz_target!(|input: (Vec<Draft>, usize, bool)| {
    let (drafts, cut, plain) = input;
    if drafts.is_empty() {
        return;
    }
    let shape = Shape::new(["question", "answer", "n"]).required(["question", "answer", "n"]);
    let limits = Limits::default();
    let read = |text: &str| records(text, &shape, &limits);
    let write = if plain { words } else { any };
    let expected: Vec<Value> = drafts
        .iter()
        .map(|(question, answer)| {
            let answer: Vec<String> = answer.iter().map(|text| write(text)).collect();
            json!({"question": write(question), "answer": answer, "n": 1})
        })
        .collect();
    let text = Value::from(expected.clone()).to_string();
    let inner = &text[1..text.len() - 1];

    // Damage that leaves no doubt gives every record back.
    for damaged in [
        text.clone(),
        format!("{},]", &text[..text.len() - 1]),
        format!("[{inner},,]"),
        format!("Here you are:\n```json\n{text}\n```\nEnjoy."),
        format!("<think>[{{\"question\": 1}}]</think>\n{text}"),
        format!("{{\"records\": {text}}}"),
        format!("{{\"records\": {text}"),
        format!("\u{feff}{text} // done"),
        json!(text).to_string(),
    ] {
        let answer = read(&damaged);
        // Where a cut text speaks of thinking tags, all up to them may have been thinking.
        if answer.repairs[Repair::Thinking] > 0 && !damaged.starts_with('<') {
            continue;
        }
        if damaged.starts_with("{\"records\"") && !damaged.ends_with('}') {
            assert_eq!(answer.fault, Some(Fault::Truncated), "{damaged}");
        } else {
            assert_eq!(answer.fault, None, "{damaged}");
        }
        assert_eq!(answer.values, expected, "{damaged}");
    }

    // A cut gives what was whole before it.
    let mut end = cut % text.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let answer = read(&text[..end]);
    if answer.repairs[Repair::Thinking] > 0 {
        // Text behind a closing tag may look like a value; one without a record's keys is refused when it is validated.
        let is_record = |value: &Value| {
            ["question", "answer", "n"]
                .iter()
                .all(|key| value.get(key).is_some())
        };
        for value in answer.values.iter().filter(|value| is_record(value)) {
            assert!(expected.contains(value), "{value} out of {}", &text[..end]);
        }
    } else {
        assert!(expected.starts_with(&answer.values));
        // A text that happens to end with all the brackets looks as if its quote were forgotten.
        let brackets = text[..end].trim_end().ends_with([']', '}']);
        assert!(end == 0 || answer.fault == Some(Fault::Truncated) || (brackets && answer.fault == Some(Fault::Malformed)));
    }

    // Quotes that are not escaped may cost a record, and never make another of it.
    if plain {
        let answer = read(&text.replace("\\\"", "\""));
        for value in &answer.values {
            assert!(expected.contains(value), "{value} out of {text}");
        }
        assert!(answer.values.len() == expected.len() || answer.fault.is_some());
    }
});

/// Any text. Control characters that are escaped as LaTeX is are the one thing that does not come back as it was.
fn any(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_control(), " ")
}

/// Words with a few quoted among them: text whose quotes no punctuation makes look like the record's own.
fn words(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for c in text.chars() {
        words.push(match u32::from(c) % 11 {
            0 => "\"so called\"",
            1 => "\"yes\"",
            2 => "6\"",
            3 => "what",
            4 => "字",
            5 => "is",
            6 => "it's",
            7 => "(\"x\")",
            8 => "print(\"hi\")",
            9 => "end.",
            _ => "model",
        });
    }
    words.join(" ")
}
