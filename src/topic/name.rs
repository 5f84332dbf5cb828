//! A topic, and when two names mean the same one.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

/// A subject records are asked under. Cheap to clone.
///
/// Its JSON form is the name alone, or `{"name": ..., "path": [...]}` for a topic out of a tree.
///
/// ```
/// use topicloom::topic::Topic;
///
/// let topic = Topic::new("  neural networks ");
/// assert_eq!(topic.name(), "neural networks");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    name: Arc<str>,
    path: Option<Arc<[Arc<str>]>>,
}

impl Topic {
    /// Creates a topic; white space around the name is dropped.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let trimmed = name.trim();
        let name = if trimmed.len() == name.len() {
            name
        } else {
            trimmed.into()
        };
        Self { name, path: None }
    }

    /// Says where in a tree of topics this one is: the names above it, from the root down.
    #[must_use]
    pub fn with_path<N: Into<Arc<str>>>(mut self, path: impl IntoIterator<Item = N>) -> Self {
        let path: Arc<[Arc<str>]> = path.into_iter().map(Into::into).collect();
        self.path = (!path.is_empty()).then_some(path);
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name, shared.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Returns the names above this topic, from the root down; none outside of a tree.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.path
            .iter()
            .flat_map(|path| path.iter().map(|name| &**name))
    }

    /// Returns the name with those above it before it, for prompts: `sea > life > corals`.
    ///
    /// ```
    /// use topicloom::topic::Topic;
    ///
    /// let topic = Topic::new("corals").with_path(["sea", "life"]);
    /// assert_eq!(topic.placed_name(), "sea > life > corals");
    /// ```
    #[must_use]
    pub fn placed_name(&self) -> String {
        let names: Vec<&str> = self.path().chain([self.name()]).collect();
        names.join(" > ")
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<&str> for Topic {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Topic {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Name(String),
    Placed { name: String, path: Vec<String> },
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.path.is_none() {
            return serializer.serialize_str(&self.name);
        }
        Form::Placed {
            name: self.name.to_string(),
            path: self.path().map(str::to_owned).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Name(name) => Self::new(name),
            Form::Placed { name, path } => Self::new(name).with_path(path),
        })
    }
}

/// Returns the form in which two names of the same topic are equal: compatibility-normalised (NFKC), without
/// case, invisible characters and superfluous white space.
///
/// ```
/// use topicloom::topic::normalised_name;
///
/// assert_eq!(normalised_name(" Neural\n Networks"), "neural networks");
/// assert_eq!(normalised_name("STRASSE"), normalised_name("straße"));
/// assert_eq!(normalised_name("ẞ"), "ss");
/// assert_eq!(normalised_name("ｆｕｌｌ width"), "full width");
/// ```
#[must_use]
pub fn normalised_name(name: &str) -> String {
    if name.is_ascii() {
        return collapse(&name.to_ascii_lowercase());
    }
    // Lower case alone keeps `ß` apart from `ss` and `ς` apart from `σ`, and upper case alone keeps `ẞ` apart
    // from both. Changing case can undo the normal form, so it is restored at the end.
    let folded: String = name
        .nfkc()
        .filter(|character| !is_invisible(*character))
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    collapse(&folded)
}

fn collapse(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut collapsed = String::with_capacity(text.len());
    collapsed.push_str(words.next().unwrap_or_default());
    for word in words {
        collapsed.push(' ');
        collapsed.push_str(word);
    }
    collapsed
}

/// Characters that take no room and change no meaning: soft hyphen, joiners and marks of direction, byte
/// order mark, variation selectors.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_look_alike_are_alike() {
        for (one, other) in [
            ("Neural networks", "neural  NETWORKS\t"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ﬁnance", "finance"),
            ("zero\u{200b}width", "zerowidth"),
        ] {
            assert_eq!(
                normalised_name(one),
                normalised_name(other),
                "{one} / {other}"
            );
        }
        assert_ne!(normalised_name("C"), normalised_name("C++"));
    }

    #[test]
    fn the_json_form_is_the_name_unless_there_is_a_path() {
        let plain = Topic::new("loops");
        let placed = Topic::new("loops").with_path(["programming", "control flow"]);
        for (topic, text) in [
            (plain, r#""loops""#),
            (
                placed,
                r#"{"name":"loops","path":["programming","control flow"]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&topic).unwrap(), text);
            assert_eq!(serde_json::from_str::<Topic>(text).unwrap(), topic);
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(name in "\\PC{0,20}") {
            let once = normalised_name(&name);
            prop_assert_eq!(normalised_name(&once), once);
        }
    }
}
