//! Which part of a record is compared, and with which other records.

use serde_json::Value;

use crate::candidate::Candidate;

/// Which fields decide whether two records are the same.
///
/// A record that has none of the fields in question is compared as a whole, so that a wrong name does not make
/// all records equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fields {
    /// What is asked, where a record asks something; else every field.
    ///
    /// A record asks something when it has a field with one of these names: `question`, `query`, `prompt`,
    /// `instruction`, `problem`, `task`. Then they decide, with what belongs to the question (`input`, `context`,
    /// `passage`, `choices`, `options`): the same question with another answer, difficulty or explanation is a
    /// repeat, and the same answer to another question is not.
    #[default]
    Deciding,
    /// Every field, at any depth.
    All,
    /// The fields with these names.
    Named(Vec<String>),
}

/// Names of fields that ask. Taken from the record shapes of common instruction and question sets.
const ASKING: [&str; 6] = [
    "question",
    "query",
    "prompt",
    "instruction",
    "problem",
    "task",
];

/// Names of fields that are part of what is asked, where something is.
const ASKED_ABOUT: [&str; 5] = ["input", "context", "passage", "choices", "options"];

impl Fields {
    /// Names the fields that decide.
    pub fn named(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Named(names.into_iter().map(Into::into).collect())
    }

    /// Returns the deciding fields of a candidate that are not null, sorted by name: their order is the model's
    /// choice and says nothing.
    #[must_use]
    pub fn of<'a>(&self, candidate: &Candidate<'a>) -> Vec<(&'a str, &'a Value)> {
        let data = candidate.data();
        let decides = |name: &str| match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|n| n == name),
            Self::Deciding => is_one_of(&ASKING, name) || is_one_of(&ASKED_ABOUT, name),
        };
        let applies = match self {
            Self::All => true,
            Self::Named(_) => data.keys().any(|name| decides(name)),
            Self::Deciding => data
                .iter()
                .any(|(name, value)| is_one_of(&ASKING, name) && has_text(value)),
        };
        let mut fields: Vec<(&str, &Value)> = data
            .iter()
            .filter(|(name, value)| (!applies || decides(name)) && !value.is_null())
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        fields
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

fn has_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// With which other records a record is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scope {
    /// With all records of the run.
    #[default]
    Run,
    /// With the records of its topic: the same text under two topics is two records.
    Topic,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(fields: &Fields, data: &Value) -> Vec<String> {
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        let fields = fields.of(&candidate);
        fields.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn the_question_decides_where_there_is_one() {
        let qa = json!({"question": "q", "answer": "a", "difficulty": "easy"});
        assert_eq!(names(&Fields::default(), &qa), ["question"]);
        let alpaca = json!({"output": "o", "instruction": "i", "input": "x"});
        assert_eq!(names(&Fields::default(), &alpaca), ["input", "instruction"]);
    }

    #[test]
    fn a_record_that_asks_nothing_is_compared_as_a_whole() {
        let article = json!({"title": "t", "body": "b", "context": "c"});
        assert_eq!(
            names(&Fields::default(), &article),
            ["body", "context", "title"]
        );
        let blank = json!({"question": " ", "answer": "a"});
        assert_eq!(names(&Fields::default(), &blank), ["answer", "question"]);
    }

    #[test]
    fn a_name_no_record_has_does_not_make_all_records_equal() {
        let data = json!({"b": 1, "a": 2, "c": null});
        assert_eq!(names(&Fields::named(["nope"]), &data), ["a", "b"]);
        assert_eq!(names(&Fields::named(["b"]), &data), ["b"]);
    }
}
