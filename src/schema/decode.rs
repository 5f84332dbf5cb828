//! Decoding a valid value to the caller's type, and saying what went wrong without saying the value.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::traverse::join;
use super::violation::{readable, shortened};

/// Why a value that satisfies the schema does not decode to the type the schema was made for: the `serde` and
/// `schemars` attributes of that type disagree.
///
/// Never holds the value. What the type expects is told only where `serde` says so by itself: messages of a
/// type's own making may quote the value, and are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeFault {
    /// Where in the value, as a JSON pointer. Of a part that is flattened, untagged or checked by the type's own
    /// code, the object around it.
    pub path: String,
    /// What the type wants there, if that can be told: `u32`, or "the field `name`".
    pub expected: Option<String>,
}

/// As it is displayed.
impl Serialize for DecodeFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("the record")?;
        } else {
            write!(f, "`{}`", readable(&self.path))?;
        }
        f.write_str(" satisfies the schema and does not decode")?;
        if let Some(expected) = &self.expected {
            write!(f, ": the type expects {expected}")?;
        }
        f.write_str("; the type's serde and schemars attributes disagree")
    }
}

impl std::error::Error for DecodeFault {}

/// Decodes a value that [validates](super::RecordSchema::validate).
///
/// ```
/// use serde_json::json;
/// use topicloom::schema::decode;
///
/// let fault = decode::<Vec<u8>>(&json!([1, "two"])).unwrap_err();
/// assert_eq!(fault.path, "/1");
/// assert_eq!(fault.expected.as_deref(), Some("u8"));
/// ```
///
/// # Errors
///
/// Fails with the place and what the type expects there.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeFault> {
    // Most values decode; the text that tells the place of a fault is made only for those that do not.
    match T::deserialize(value) {
        Ok(decoded) => Ok(decoded),
        Err(error) => Err(fault::<T>(value, &error.to_string())),
    }
}

fn fault<T: DeserializeOwned>(value: &Value, message: &str) -> DecodeFault {
    let text = value.to_string();
    let path = match serde_json::from_str::<T>(&text) {
        Err(error) if error.line() == 1 => place(&text, error.column()),
        _ => String::new(),
    };
    DecodeFault {
        path: shortened(&path),
        expected: expected(message).filter(|words| !quotes(words, value)),
    }
}

/// Longest expectation that is told; a list of all variants of a large enum is not.
const MAX_EXPECTED_CHARS: usize = 300;

/// Takes from serde's own messages what the type expects, and leaves what it got.
fn expected(message: &str) -> Option<String> {
    let words = if let Some(name) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        format!("the field `{name}`")
    } else {
        let is_serdes = [
            "invalid type: ",
            "invalid value: ",
            "invalid length ",
            "unknown variant `",
            "unknown field `",
        ]
        .iter()
        .any(|start| message.starts_with(start));
        let (_, words) = message.rsplit_once(", expected ").filter(|_| is_serdes)?;
        words.to_owned()
    };
    (words.chars().count() <= MAX_EXPECTED_CHARS).then_some(words)
}

/// Returns whether `words` hold a text of the value. Words of one or two letters are in every sentence.
fn quotes(words: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().count() > 2 && words.contains(text.as_str()),
        Value::Array(items) => items.iter().any(|item| quotes(words, item)),
        Value::Object(map) => map.values().any(|item| quotes(words, item)),
        _ => false,
    }
}

/// Returns the pointer to the innermost value that spans the byte at `column` of compact JSON.
fn place(text: &str, column: usize) -> String {
    // Containers still open, each with the pointer to itself and how many items it has had.
    let mut open: Vec<(String, usize, bool)> = Vec::new();
    let mut key: Option<String> = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let here = |open: &[(String, usize, bool)], key: &Option<String>| match (open.last(), key) {
            (Some((parent, _, true)), Some(key)) => join(parent, &[key]),
            (Some((parent, count, false)), _) => join(parent, &[&count.to_string()]),
            _ => String::new(),
        };
        match bytes[at] {
            byte @ (b'{' | b'[') => {
                let path = here(&open, &key);
                at += 1;
                if at >= column {
                    return path;
                }
                open.push((path, 0, byte == b'{'));
                key = None;
            }
            b'}' | b']' => {
                at += 1;
                if let Some((path, ..)) = open.pop()
                    && at >= column
                {
                    return path;
                }
            }
            b',' => {
                at += 1;
                key = None;
                if let Some((_, count, _)) = open.last_mut() {
                    *count += 1;
                }
            }
            b':' => at += 1,
            first => {
                let end = if first == b'"' {
                    end_of_string(bytes, at)
                } else {
                    let length = bytes[at..]
                        .iter()
                        .position(|byte| matches!(byte, b',' | b'}' | b']'));
                    length.map_or(bytes.len(), |length| at + length)
                };
                let is_key = matches!(open.last(), Some((_, _, true))) && key.is_none();
                if is_key {
                    key = serde_json::from_str(&text[at..end]).ok();
                }
                if end >= column {
                    return here(&open, &key);
                }
                at = end;
            }
        }
    }
    String::new()
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        rows: Vec<Row>,
        #[serde(default)]
        level: Option<Level>,
        #[serde(default)]
        checked: Option<Checked>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Row {
        count: u8,
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Easy,
        Hard,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Checked;

    impl TryFrom<String> for Checked {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!(
                "invalid value: {text}, expected anything but {text}"
            ))
        }
    }

    fn faults(value: &Value) -> (String, Option<String>) {
        let fault = decode::<Outer>(value).unwrap_err();
        assert!(!fault.to_string().contains("SECRET"), "{fault}");
        (fault.path, fault.expected)
    }

    #[test]
    fn a_fault_names_place_and_expectation_and_never_the_value() {
        let row = json!({"count": 1});
        for (value, path, expected) in [
            (
                json!({"name": "a\"b{[", "rows": [row, {"note": "x", "count": "SECRET"}]}),
                "/rows/1/count",
                Some("u8"),
            ),
            (
                json!({"name": "é, SECRET", "rows": [{"count": 300}]}),
                "/rows/0/count",
                Some("u8"),
            ),
            (
                json!({"name": "a", "rows": [{"note": "SECRET"}]}),
                "/rows/0",
                Some("the field `count`"),
            ),
            (
                json!({"name": "a", "rows": [], "SECRET": 1}),
                "/SECRET",
                None,
            ),
            (
                json!({"name": ["SECRET"], "rows": []}),
                "/name",
                Some("a string"),
            ),
            (
                json!({"name": "a", "rows": {"SECRET": 1}}),
                "/rows",
                Some("a sequence"),
            ),
            (
                json!({"name": "a", "rows": [], "level": "SECRET"}),
                "/level",
                Some("`easy` or `hard`"),
            ),
            (
                json!({"name": "a", "rows": [], "checked": "SECRET"}),
                "",
                None,
            ),
            (json!([]), "", None),
        ] {
            if path == "/SECRET" {
                // The key is the place.
                let fault = decode::<Outer>(&value).unwrap_err();
                assert_eq!(fault.path, path);
                continue;
            }
            let found = faults(&value);
            if let Some(expected) = expected {
                assert_eq!(found, (path.to_owned(), Some(expected.to_owned())));
            } else {
                assert_eq!(found.0, path);
            }
        }
    }

    #[test]
    fn what_decodes_decodes() {
        let value = json!({"name": "a", "rows": [{"count": 3}], "level": "hard"});
        assert!(matches!(
            decode::<Outer>(&value).unwrap().level,
            Some(Level::Hard)
        ));
        assert_eq!(
            decode::<Value>(&json!({"any": [1]})),
            Ok(json!({"any": [1]}))
        );
    }
}
