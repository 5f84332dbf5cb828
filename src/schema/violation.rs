//! What is wrong with a value, in words that a model can act on.

use std::fmt;

/// One way in which a value breaks its schema: where, which keyword, and what was expected.
///
/// Never holds the value found there, so it may be logged. The path does hold the keys that lead to the
/// place, shortened where they are long.
///
/// ```
/// use serde_json::json;
/// use topicloom::schema::RecordSchema;
///
/// let violations = RecordSchema::default()
///     .validate(&json!({"question": 7, "answer": "42"}))
///     .unwrap_err();
/// assert_eq!(violations[0].path, "/question");
/// assert_eq!(violations[0].keyword, "type");
/// assert_eq!(violations[0].to_string(), "`question` must be a string");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where in the value, as a JSON pointer; empty for the value itself.
    pub path: String,
    /// The schema keyword that is broken, such as `required`.
    pub keyword: String,
    /// What the schema expects there: a phrase that begins with "must".
    pub expected: String,
}

impl Violation {
    pub(super) fn new(
        path: impl Into<String>,
        keyword: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            path: shortened(&path.into()),
            keyword: keyword.into(),
            expected: expected.into(),
        }
    }
}

impl Violation {
    /// Returns the place and the keyword for counting: `/tags/* maxLength`. Places in a list count together.
    #[must_use]
    pub fn reason(&self) -> String {
        let segments = self.path.split('/').skip(1).map(|segment| {
            let is_index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
            if is_index { "*" } else { segment }
        });
        format!(
            "/{} {}",
            segments.collect::<Vec<_>>().join("/"),
            self.keyword
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "the record {}", self.expected)
        } else {
            write!(f, "`{}` {}", readable(&self.path), self.expected)
        }
    }
}

/// Longest part of a path that is shown. Keys of a free-form map are the model's own words, and may be
/// whole paragraphs.
const MAX_SEGMENT_CHARS: usize = 60;
/// Most parts of a path that are shown, counted from the outside.
const MAX_SEGMENTS: usize = 40;

pub(super) fn shortened(path: &str) -> String {
    let mut short = String::with_capacity(path.len().min(MAX_SEGMENT_CHARS));
    for (index, segment) in path.split('/').skip(1).enumerate() {
        short.push('/');
        if index == MAX_SEGMENTS {
            short.push('…');
            break;
        }
        match segment.char_indices().nth(MAX_SEGMENT_CHARS) {
            Some((end, _)) => {
                short.push_str(&segment[..end]);
                short.push('…');
            }
            None => short.push_str(segment),
        }
    }
    short
}

/// Turns the pointer `/steps/0/title` into `steps[0].title`.
pub(super) fn readable(path: &str) -> String {
    let mut words = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            words.push('[');
            words.push_str(segment);
            words.push(']');
        } else {
            if !words.is_empty() {
                words.push('.');
            }
            words.push_str(&segment.replace("~1", "/").replace("~0", "~"));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_code() {
        let violation = Violation::new("/steps/0/title~1en", "type", "must be a string");
        assert_eq!(
            violation.to_string(),
            "`steps[0].title/en` must be a string"
        );
    }

    #[test]
    fn a_key_that_is_a_paragraph_is_cut() {
        let violation = Violation::new(format!("/{}/0", "é".repeat(5_000)), "type", "must be x");
        assert!(violation.path.chars().count() < 70);
        let deep = Violation::new("/a".repeat(5_000), "type", "must be x");
        assert!(deep.path.len() < 100);
    }
}
