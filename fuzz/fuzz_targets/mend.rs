//! Valid records, cut and damaged in ways whose outcome is known.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use topicloom::parse::{Fault, Limits, Shape, records};

fuzz_target!(|input: (Vec<(String, Vec<String>)>, usize)| {
    let (texts, cut) = input;
    if texts.is_empty() {
        return;
    }
    let shape = Shape::new(["question", "answer", "n"]).required(["question", "answer", "n"]);
    let limits = Limits::default();
    // Control characters that are escaped as LaTeX is are the one thing that does not come back as it was.
    let plain = |text: &String| text.replace(|c: char| c.is_ascii_control(), " ");
    let expected: Vec<Value> = texts
        .iter()
        .map(|(question, answer)| {
            let answer: Vec<String> = answer.iter().map(plain).collect();
            json!({"question": plain(question), "answer": answer, "n": 1})
        })
        .collect();
    let text = Value::from(expected.clone()).to_string();

    assert_eq!(records(&text, &shape, &limits).values, expected);

    let comma = format!("{},]", &text[..text.len() - 1]);
    assert_eq!(records(&comma, &shape, &limits).values, expected);

    let fenced = format!("Here you are:\n```json\n{text}\n```\nEnjoy.");
    assert_eq!(records(&fenced, &shape, &limits).values, expected);

    let mut end = cut % text.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let answer = records(&text[..end], &shape, &limits);
    assert!(expected.starts_with(&answer.values));
    assert!(end == 0 || answer.fault == Some(Fault::Truncated));
});
