//! The answers in `tests/cases/parse`, and laws that hold for all of them.
//!
//! How a case is written is said in `tests/cases/parse/corpus.rs`.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use topicloom::parse::{Fault, Limits, Repair, Shape, records, strings};

use crate::corpus::Case;

fn cases() -> Vec<Case> {
    crate::corpus::cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/parse"))
}

#[test]
fn every_answer_gives_what_it_means() {
    let mut complaints = String::new();
    let cases = cases();
    for case in &cases {
        let answer = case.run(&case.input);
        let fault = answer.fault.map(Fault::as_str);
        let mut wrong = answer.values != case.expected
            || fault != case.headers.get("fault").map(String::as_str);
        let repairs: Vec<&str> = answer
            .repairs
            .iter()
            .map(|(repair, _)| repair.as_str())
            .collect();
        if let Some(mut expected) = case.list("repairs") {
            let mut actual = repairs.clone();
            expected.sort_unstable();
            actual.sort_unstable();
            wrong |= actual != expected;
        }
        if wrong {
            let _ = writeln!(complaints, "\n{}\n{}", case.name, case.input);
            for value in &answer.values {
                let _ = writeln!(complaints, "  got {value}");
            }
            for value in &case.expected {
                let _ = writeln!(complaints, "  not {value}");
            }
            let _ = writeln!(complaints, "  fault {fault:?}, repairs {repairs:?}");
        }
    }
    let failed = complaints.matches("\n  fault ").count();
    assert!(
        complaints.is_empty(),
        "{failed} of {} cases\n{complaints}",
        cases.len()
    );
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(cases().len() >= 300, "{}", cases().len());
}

#[test]
fn no_prefix_gives_a_record_that_the_whole_does_not() {
    let mut tried = 0;
    let mut complaints = String::new();
    for case in cases() {
        if case
            .headers
            .get("prefix")
            .is_some_and(|prefix| prefix == "no")
        {
            continue;
        }
        tried += 1;
        for (end, _) in case.input.char_indices() {
            let prefix = &case.input[..end];
            let wrong: Vec<Value> = case
                .run(prefix)
                .values
                .into_iter()
                .filter(|value| !case.expected.contains(value))
                .collect();
            if !wrong.is_empty() {
                let _ = writeln!(
                    complaints,
                    "\n{}\n{prefix}\n  gave {}",
                    case.name,
                    json!(wrong)
                );
                break;
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
    assert!(tried >= 200, "only {tried} cases were cut");
}

#[test]
fn repairing_the_repaired_changes_nothing() {
    for case in cases() {
        let first = case.run(&case.input).values;
        if first.is_empty() {
            continue;
        }
        let second = case.run(&json!(first).to_string());
        assert_eq!(second.values, first, "{}", case.name);
        assert!(
            second.repairs.is_empty(),
            "{}: {:?}",
            case.name,
            second.repairs
        );
        assert_eq!(second.fault, None, "{}", case.name);
    }
}

#[test]
fn every_repair_has_a_case() {
    let mut seen = topicloom::parse::Repairs::default();
    for case in cases() {
        seen.merge(&case.run(&case.input).repairs);
    }
    let unseen: Vec<_> = Repair::ALL
        .into_iter()
        .filter(|repair| seen[*repair] == 0)
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

fn of_questions() -> Shape {
    Shape::new(["q"]).required(["q"])
}

#[test]
fn each_limit_has_its_fault_and_keeps_what_came_whole() {
    let limits = Limits::default();
    let deep = format!(r#"[{{"q": 1}}, {{"q": {}}}]"#, "[".repeat(200));
    let answer = records(&deep, &of_questions(), &limits);
    assert_eq!(
        (answer.values, answer.fault),
        (vec![json!({"q": 1})], Some(Fault::TooDeep))
    );

    let many = r#"[{"q": 1}, {"q": [1, 2, 3, 4, 5, 6, 7, 8, 9]}]"#;
    let answer = records(many, &of_questions(), &limits.max_values(8));
    assert_eq!(
        (answer.values, answer.fault),
        (vec![json!({"q": 1})], Some(Fault::TooMany))
    );

    let answer = records(many, &of_questions(), &limits.max_bytes(many.len() - 1));
    assert_eq!(answer.fault, Some(Fault::TooLong));
    let answer = records(many, &of_questions(), &limits.max_bytes(many.len()));
    assert_eq!((answer.values.len(), answer.fault), (2, None));
}

#[test]
fn what_stands_before_a_missing_quote_is_not_looked_at_behind_it() {
    let text = "{\"question\": \"What is it?,\u{c}\n \"answer\": \"b\"}";
    let shape = Shape::new(["question", "answer"]);
    let read = records(text, &shape, &Limits::default());
    assert_eq!(
        read.values,
        [json!({"question": "What is it?", "answer": "b"})]
    );
    // Its escape makes the key shorter than it stands there.
    let shape = Shape::new(["réponse"]).required(["réponse"]);
    for text in [
        r#"{"r\u00e9ponse: "a"}"#,
        r#"{"\u0072éponse: "a"}"#,
        r#"{"\u0072épons\u0065:\n "a"}"#,
    ] {
        let read = records(text, &shape, &Limits::default());
        let is_meant = |value: &Value| *value == json!({"réponse": "a"});
        assert!(
            read.values.iter().all(is_meant),
            "{text}: {:?}",
            read.values
        );
    }
}

#[test]
fn a_record_that_was_not_closed_is_left_out_while_a_property_is_missing() {
    let shape = Shape::new(["question", "answer", "hint"]).required(["question", "answer"]);
    for start in ["", r#"{"question": "x", "answer": "y"}, "#] {
        for end in ["", "\n", ",", ",\n", " \n ", r#", "hi"#, r#", "hint": "#] {
            let text = format!(r#"{{"records": [{start}{{"question": "a", "answer": "b"{end}"#);
            let answer = records(&text, &shape, &Limits::default());
            let whole = usize::from(!start.is_empty());
            assert_eq!(answer.values.len(), whole, "{text}");
            assert_eq!(answer.fault, Some(Fault::Truncated), "{text}");
        }
    }
}

#[test]
fn nesting_up_to_the_limit_is_read_by_either_reader() {
    for depth in [100, 126, 300, 510] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let limits = Limits::default().max_depth(depth + 2);
        for text in [
            format!(r#"[{{"q": {nested}}}]"#),
            format!(r#"[{{"q": {nested}}},]"#),
        ] {
            let answer = records(&text, &of_questions(), &limits);
            assert_eq!((answer.values.len(), answer.fault), (1, None), "{depth}");
        }
    }
}

#[test]
fn long_runs_of_brackets_overflow_nothing() {
    for unit in ["[", "{", "[{", "{\"q\":", "[[{\"q\":"] {
        let text = unit.repeat(20_000);
        let answer = records(
            &text,
            &of_questions(),
            &Limits::default().max_depth(usize::MAX),
        );
        assert!(answer.values.is_empty());
        assert!(answer.fault.is_some());
    }
}

#[test]
fn errors_and_advice_never_hold_what_the_answer_said() {
    let answer = records("my secret answer", &of_questions(), &Limits::default());
    let fault = answer.fault.unwrap();
    assert!(!format!("{fault} {fault:?} {}", fault.advice()).contains("secret"));
}

#[test]
fn names_are_the_serialised_ones_and_in_order() {
    for (index, repair) in Repair::ALL.into_iter().enumerate() {
        assert_eq!(repair as usize, index);
        assert_eq!(serde_json::to_value(repair).unwrap(), repair.as_str());
    }
    for fault in [Fault::NoJson, Fault::OnlyThinking, Fault::NotRecords] {
        assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
    }
}

/// Any JSON value without the characters that JSON escapes and LaTeX share.
fn any_value() -> impl Strategy<Value = Value> {
    let text = "[^\\x08\\x0c\\t\\n\\r]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Records of two properties, whose values are anything.
fn any_records() -> impl Strategy<Value = Vec<Value>> {
    let record = (any_value(), any_value())
        .prop_map(|(question, answer)| json!({"question": question, "answer": answer, "id": 1}));
    prop::collection::vec(record, 1..5)
}

/// Text made of what JSON, prose and models consist of.
fn any_soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "'",
            "\\",
            "\\\"",
            "\n",
            " ",
            "`",
            "```",
            "```json\n",
            "\"question\"",
            "\"answer\"",
            "question",
            "\"a\"",
            "1",
            "-",
            "1,000",
            ".5",
            "true",
            "None",
            "NaN",
            "//",
            "/*",
            "*/",
            "#",
            "...",
            "“",
            "”",
            "‘",
            "«",
            "：",
            "，",
            "｛",
            "｝",
            "\u{200b}",
            "\u{feff}",
            "<think>",
            "</think>",
            "[THINK]",
            "&quot;",
            "+",
            "\\frac",
            "\\u00e9",
            "\\ud83d",
            "$",
            "\\(",
            "é",
            "字",
            "\"question\": \"x\"",
            "{\"question\":",
            "},",
            "}]",
            "=>",
            ";",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    // A failing case is printed whole; it belongs into the corpus, not into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn valid_records_come_back_identical(expected in any_records()) {
        let shape = Shape::new(["question", "answer"]).required(["question", "answer"]);
        for text in [json!(expected).to_string(), serde_json::to_string_pretty(&expected).unwrap()] {
            // Reading is compared, not writing: both sides read the text.
            let expected: Vec<Value> = serde_json::from_str(&text).unwrap();
            let answer = records(&text, &shape, &Limits::default());
            prop_assert_eq!(&answer.values, &expected);
            prop_assert!(answer.repairs.is_empty());
            prop_assert_eq!(answer.fault, None);
        }
    }

    #[test]
    fn valid_records_come_back_identical_from_the_tolerant_reader(expected in any_records()) {
        let shape = Shape::new(["question", "answer"]).required(["question", "answer"]);
        let text = json!(expected).to_string();
        let expected: Vec<Value> = serde_json::from_str(&text).unwrap();
        // The comma makes the whole invalid and so keeps the fast path out.
        let text = format!("{},]", &text[..text.len() - 1]);
        let answer = records(&text, &shape, &Limits::default());
        prop_assert_eq!(&answer.values, &expected);
        prop_assert_eq!(answer.fault, None);
    }

    #[test]
    fn a_prefix_of_valid_records_gives_only_whole_ones(expected in any_records(), cut in any::<prop::sample::Index>()) {
        let shape = Shape::new(["question", "answer"]).required(["question", "answer"]);
        let text = json!(expected).to_string();
        let expected: Vec<Value> = serde_json::from_str(&text).unwrap();
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let prefix = &text[..ends[cut.index(ends.len())]];
        let answer = records(prefix, &shape, &Limits::default());
        prop_assert!(expected.starts_with(&answer.values), "{:?}", answer.values);
    }

    #[test]
    fn no_text_panics_and_repairing_is_idempotent(text in any_soup()) {
        let shape = Shape::new(["question", "answer"]).required(["question"]);
        let first = records(&text, &shape, &Limits::default());
        if !first.values.is_empty() {
            let second = records(&json!(first.values).to_string(), &shape, &Limits::default());
            prop_assert_eq!(second.values, first.values);
            prop_assert!(second.repairs.is_empty(), "{:?}", second.repairs);
        }
        let names = strings(&text, &Limits::default());
        prop_assert!(names.values.iter().all(Value::is_string));
        let open = Shape::new(Vec::<String>::new());
        let _ = records(&text, &open, &Limits::default().max_depth(3).max_values(20));
    }
}
