//! Texts that stand where the real ones should: `TODO`, `Example question`, the schema's own words.
//!
//! They fit the schema, so only their being no content tells them. The whole text must be one, since a record may speak of
//! them; and a text from a list of allowed values is never one.

use serde_json::{Map, Value};

use super::traverse::join;
use super::{RecordSchema, Violation};

/// Finds the first required text of a valid record that is a placeholder, or says that all its texts are the same.
pub(crate) fn find(record: &Map<String, Value>, schema: &RecordSchema) -> Option<Violation> {
    let properties = schema.as_json().get("properties")?;
    let texts: Vec<(&str, &str)> = schema
        .required_names()
        .iter()
        .filter_map(|name| {
            let said = properties.get(name)?;
            let free = !["enum", "const", "pattern"]
                .iter()
                .any(|keyword| said.get(keyword).is_some());
            Some((name.as_str(), record.get(name)?.as_str()?.trim())).filter(|_| free)
        })
        .collect();
    for (name, text) in &texts {
        let violation = |keyword, wanted| Some(Violation::new(join("", &[name]), keyword, wanted));
        let description = properties[name].get("description").and_then(Value::as_str);
        if description.is_some_and(|description| description.trim() == *text) {
            let wanted = "must be a text of its own, not what the schema says of it";
            return violation("schema_echo", wanted);
        }
        if is_placeholder(text, name) {
            return violation("placeholder", "must be a real text, not a placeholder");
        }
    }
    let same = texts.len() > 1 && texts.iter().all(|(_, text)| *text == texts[0].1);
    same.then(|| {
        Violation::new(
            "",
            "same_texts",
            "must have texts that differ from one another",
        )
    })
}

/// Finds the first field in which a character was lost on its way: U+FFFD stands in its place.
pub(crate) fn lost_character(record: &Map<String, Value>) -> Option<Violation> {
    let lost = |value: &Value| value.to_string().contains(char::REPLACEMENT_CHARACTER);
    let (name, _) = record.iter().find(|(_, value)| lost(value))?;
    Some(Violation::new(
        join("", &[name]),
        "lost_character",
        "must have every character whole: there is U+FFFD",
    ))
}

/// Whether a text says no more than that something belongs here.
fn is_placeholder(text: &str, name: &str) -> bool {
    // Longer ones exist, and say something.
    const LONGEST: usize = 60;
    const ALONE: [&str; 12] = [
        "todo",
        "tbd",
        "tba",
        "fixme",
        "n/a",
        "string",
        "str",
        "placeholder",
        "xxx",
        "text",
        "lorem ipsum",
        "...",
    ];
    const FILLERS: [&str; 13] = [
        "example",
        "sample",
        "test",
        "dummy",
        "placeholder",
        "your",
        "my",
        "the",
        "a",
        "insert",
        "goes",
        "here",
        "some",
    ];
    let lower = text.to_lowercase();
    if lower.starts_with("lorem ipsum dolor") {
        return true;
    }
    if text.len() > LONGEST {
        return false;
    }
    let bare = lower.trim_matches(|c: char| c.is_whitespace() || "<>[](){}.…!:\"'*_".contains(c));
    if bare.is_empty() && is_blank(text)
        || ALONE.contains(&bare)
        || (text.starts_with('<') && text.ends_with('>') && !text.contains("</"))
    {
        return !text.is_empty();
    }
    // `Example question 3`: fillers, the name of the property, a number, and nothing else.
    let name = name.to_lowercase();
    let own = |word: &str| {
        name.split(|c: char| !c.is_alphanumeric())
            .any(|part| part == word)
    };
    let words = || {
        bare.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
    };
    let number = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    words().any(own) && words().all(|word| own(word) || FILLERS.contains(&word) || number(word))
}

/// Whether a text is dots or lines where something belongs, and not a pattern such as `".*"`.
fn is_blank(text: &str) -> bool {
    let marks = text.trim_matches(|c: char| c.is_whitespace() || "<>[](){}\"'".contains(c));
    let of_dots = |c: char| if c == '…' { '.' } else { c };
    let mut marks = marks.chars().filter(|c| !c.is_whitespace()).map(of_dots);
    let first = marks.next();
    marks.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Field;

    fn keyword(record: &Value, schema: &RecordSchema) -> Option<String> {
        find(record.as_object().expect("a record"), schema).map(|found| found.keyword)
    }

    #[test]
    fn a_character_that_was_lost_is_found_however_deep() {
        let find = |record: Value| lost_character(record.as_object().expect("a record"));
        let found = find(json!({"a": "whole", "b": {"c": ["可以\u{fffd}\u{fffd}助"]}}));
        assert_eq!(found.expect("it is lost").keyword, "lost_character");
        assert!(find(json!({"a": "可以帮助", "b": 1})).is_none());
    }

    #[test]
    fn only_a_whole_text_is_a_placeholder() {
        let schema = RecordSchema::default();
        for text in [
            "TODO",
            "N/A",
            "tbd.",
            "...",
            "…...",
            "string",
            "Lorem ipsum",
            "Lorem ipsum dolor sit amet, consectetur",
            "Example question",
            "Question 1",
            "[question]",
            "<the question>",
            "Your question here",
            "test question #2",
            "question",
        ] {
            let record = json!({"question": text, "answer": "A real one."});
            assert_eq!(
                keyword(&record, &schema).as_deref(),
                Some("placeholder"),
                "{text}"
            );
        }
        for text in [
            "What does TODO mean in code?",
            "What is lorem ipsum?",
            "An example question asks what?",
            "Why?",
            "7",
            "<b>bold</b>",
            "Is this question hard?",
            "Na",
        ] {
            let record = json!({"question": text, "answer": "A real one."});
            assert_eq!(keyword(&record, &schema), None, "{text}");
        }
    }

    #[test]
    fn equal_texts_and_the_schema_s_own_words_are_named() {
        let schema = RecordSchema::from_fields(&[
            Field::str("question").description("What a student would ask"),
            Field::str("answer"),
            Field::str("level").one_of(["test", "string"]),
            Field::str("note").optional(),
        ])
        .unwrap();
        let record = |question: &str, answer: &str| json!({"question": question, "answer": answer, "level": "string", "note": "TODO"});
        assert_eq!(keyword(&record("Why?", "So."), &schema), None);
        assert_eq!(
            keyword(&record("Yes", "Yes "), &schema).as_deref(),
            Some("same_texts")
        );
        assert_eq!(
            keyword(&record("What a student would ask", "x"), &schema).as_deref(),
            Some("schema_echo")
        );
        let one = RecordSchema::from_fields(&[Field::str("haiku")]).unwrap();
        assert_eq!(keyword(&json!({"haiku": "old pond"}), &one), None);
    }
}
