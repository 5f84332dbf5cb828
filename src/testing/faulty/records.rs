//! A faulty model's own records, and taking answers apart and putting them together.

use serde_json::{Map, Value, json};

use crate::random::Random;

const ONSETS: [&str; 16] = [
    "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st", "tr",
];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
const CODAS: [&str; 4] = ["", "n", "r", "l"];
const SYLLABLES: u64 = 16 * 5 * 4;

/// The `number`-th record. Nearly all of its words are its own, so that two records are not even alike.
pub(super) fn question_and_answer(number: u64) -> Value {
    let mut random = Random::new(number);
    let mut question = String::with_capacity(64);
    let mut answer = String::with_capacity(64);
    // The spelled number is in both fields, so that either alone tells records apart.
    spell(number, &mut question);
    spell(number, &mut answer);
    for _ in 0..4 {
        question.push(' ');
        spell(
            SYLLABLES + random.below(SYLLABLES * SYLLABLES),
            &mut question,
        );
        answer.push(' ');
        spell(SYLLABLES + random.below(SYLLABLES * SYLLABLES), &mut answer);
    }
    question.push('?');
    answer.push('.');
    let mut record = Map::new();
    record.insert("question".to_owned(), Value::String(question));
    record.insert("answer".to_owned(), Value::String(answer));
    Value::Object(record)
}

/// The `number`-th topic.
pub(super) fn topic(number: u64) -> Value {
    let mut name = String::from("topic of ");
    spell(number, &mut name);
    Value::String(name)
}

/// Spells a number as a made-up word; different numbers give different words.
fn spell(mut number: u64, out: &mut String) {
    loop {
        let syllable = usize::try_from(number % SYLLABLES).expect("a syllable's number is small");
        out.push_str(ONSETS[syllable % 16]);
        out.push_str(VOWELS[syllable / 16 % 5]);
        out.push_str(CODAS[syllable / 80]);
        number /= SYLLABLES;
        if number == 0 {
            return;
        }
        // Without a mark between syllables, `bal` + `a` and `ba` + `la` could meet.
        out.push('-');
    }
}

/// An object without any of the given record's fields.
pub(super) fn invalid(record: &Value) -> Value {
    let hint = record.as_object().and_then(|fields| fields.values().next());
    json!({ "not_a_field": hint })
}

/// A copy of a record, to the letter or with another letter case or spacing in its longer texts.
///
/// A text without a space is left alone, since it may have to be one of a list of words.
pub(super) fn disguised(record: &Value, random: &mut Random) -> Value {
    let disguise: fn(&str) -> String = match random.below(4) {
        0 => |text| text.to_ascii_uppercase(),
        1 => |text| text.replacen(' ', "  ", 1),
        2 => |text| format!(" {text}\n"),
        _ => return record.clone(),
    };
    let mut copy = record.clone();
    let texts = copy.as_object_mut().into_iter().flat_map(Map::values_mut);
    for value in texts {
        if let Value::String(text) = value
            && text.contains(' ')
        {
            *text = disguise(text);
        }
    }
    copy
}

/// Finds the list in an answer that is plain JSON, and the key it stands under.
pub(super) fn take_apart(text: &str) -> Option<(Option<String>, Vec<Value>)> {
    match serde_json::from_str(text).ok()? {
        Value::Array(items) => Some((None, items)),
        Value::Object(fields) if fields.len() == 1 => match fields.into_iter().next()? {
            (key, Value::Array(items)) => Some((Some(key), items)),
            _ => None,
        },
        _ => None,
    }
}

/// Writes the list under its key, and says where in the text each item ends.
pub(super) fn put_together(key: Option<&str>, items: &[Value]) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(16 + items.len() * 128);
    if let Some(key) = key {
        text.push('{');
        text.push_str(&Value::from(key).to_string());
        text.push(':');
    }
    text.push('[');
    let mut ends = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&item.to_string());
        ends.push(text.len());
    }
    text.push(']');
    if key.is_some() {
        text.push('}');
    }
    (text, ends)
}
