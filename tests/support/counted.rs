//! Records that depend on the request alone, so that whatever order calls end in, a topic of quota `n` ends with the
//! same `n` records.

use crate::server::Question;
use serde_json::{Value, json};

/// Answers with the first record of the topic that the request does not show.
pub(crate) fn answer(question: &Question<'_>) -> String {
    let prompt = question.prompt();
    let topic = prompt
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Topic: "))
        .expect("every request names its topic");
    let record = (0..u64::MAX)
        .map(|number| text(topic, number))
        .find(|text| !prompt.contains(text))
        .expect("numbers do not end");
    json!({"records": [{"text": record}]}).to_string()
}

/// Returns the record of a topic with this number: made-up words that no other has.
pub(crate) fn text(topic: &str, number: u64) -> String {
    let mut state = topic.bytes().fold(number + 1, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut words = Vec::new();
    for _ in 0..8 {
        let mut word = String::new();
        for _ in 0..4 {
            state = random(state);
            let (consonant, vowel) = ((state >> 40) % 10, (state >> 50) % 5);
            word.push(char::from(
                b"bdfgklmprt"[usize::try_from(consonant).expect("below 10")],
            ));
            word.push(char::from(
                b"aeiou"[usize::try_from(vowel).expect("below 5")],
            ));
        }
        words.push(word);
    }
    words.join(" ")
}

/// Knuth's linear congruential generator: its high bits are random enough for moments and words.
pub(crate) fn random(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

/// Returns the texts of the records in an output, sorted; every line must be whole.
pub(crate) fn texts(output: &[u8]) -> Vec<String> {
    let output = std::str::from_utf8(output).expect("records are text");
    let mut texts: Vec<String> = output
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("a line is a record");
            let text = record["text"].as_str().or(record["data"]["text"].as_str());
            text.expect("a record has its text").to_owned()
        })
        .collect();
    texts.sort();
    texts
}
