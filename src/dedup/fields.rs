//! Which part of a record decides whether it repeats another, and which records it is compared with.

/// Which fields decide whether two records are the same.
///
/// A record that has none of the fields in question is compared as a whole, so that a wrong name does not make all records
/// equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fields {
    /// Every field but those that follow from the others; all of them where nothing else is there.
    ///
    /// A field follows if it is named or described as one: `answer`, `output`, `response`, `completion`, `solution`,
    /// `label`, `sentiment`, `score`, `confidence`, `explanation`, `reasoning`, `rationale`, `justification`, `difficulty`.
    /// The last word of the name counts (`correct_answer`), and so does the first noun of what the schema says of the
    /// field ("The answer to the question"). In doubt a field decides.
    #[default]
    Deciding,
    /// Every field, at any depth.
    All,
    /// The fields with these names, or at these paths: `question`, `meta.source`.
    Named(Vec<String>),
}

/// Names of fields that follow from the others.
const FOLLOWING: [&str; 14] = [
    "answer",
    "output",
    "response",
    "completion",
    "solution",
    "label",
    "sentiment",
    "score",
    "confidence",
    "explanation",
    "reasoning",
    "rationale",
    "justification",
    "difficulty",
];

impl Fields {
    /// Names the fields that decide.
    pub fn named(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Named(names.into_iter().map(Into::into).collect())
    }
}

/// Returns whether a field follows from the others, by its name.
pub(super) fn follows_by_name(name: &str) -> bool {
    // `answers`, `correct_answer`, `Correct Answer`, `correctAnswer`.
    let start = name
        .char_indices()
        .rev()
        .find(|(at, c)| *at > 0 && c.is_uppercase() && name[..*at].ends_with(char::is_lowercase))
        .map_or(0, |(at, _)| at);
    let last = name[start..]
        .rsplit(['_', '-', ' ', '.'])
        .next()
        .unwrap_or(name);
    let last = last.strip_suffix(['s', 'S']).unwrap_or(last);
    FOLLOWING
        .iter()
        .any(|following| following.eq_ignore_ascii_case(last))
}

/// Returns whether a field follows from the others, by what the schema says of it: "the answer", "Correct label of ...".
pub(super) fn follows_by_description(description: &str) -> bool {
    // What comes behind "of" or "to" is what it belongs to, not what it is.
    let words = description
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let head = words
        .take(4)
        .take_while(|word| !matches!(*word, "of" | "to" | "from" | "for" | "in" | "with" | "that"));
    head.last().is_some_and(follows_by_name)
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
    use super::*;

    #[test]
    fn a_field_follows_by_the_last_word_of_its_name() {
        for name in [
            "answer",
            "Answers",
            "correct_answer",
            "correctAnswer",
            "expected-output",
            "Final Label",
        ] {
            assert!(follows_by_name(name), "{name}");
        }
        for name in [
            "question",
            "answer_choices",
            "output_language",
            "input",
            "context",
            "category",
            "s",
            "",
        ] {
            assert!(!follows_by_name(name), "{name}");
        }
    }

    #[test]
    fn a_field_follows_by_the_first_noun_of_its_description() {
        for text in [
            "The answer to the question",
            "Correct answer",
            "sentiment label of the text",
            "Score from 1 to 5",
        ] {
            assert!(follows_by_description(text), "{text}");
        }
        for text in [
            "The question that has an answer",
            "Language of the answer",
            "",
            "What the text is about",
        ] {
            assert!(!follows_by_description(text), "{text}");
        }
    }
}
