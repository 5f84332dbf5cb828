//! A topic, and when two names mean the same one.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::variables::{Row, Variables, value_text};

/// A subject records are asked under. Cheap to clone.
///
/// Topics of one name may differ in the row of source data and the values of attributes that their records are asked for with.
///
/// Its JSON form is the name alone, or an object that has the `path` of a topic out of a tree, and `row` and `attributes`
/// where there are any.
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
    variables: Option<Arc<Variables>>,
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
        Self {
            name,
            path: None,
            variables: None,
        }
    }

    /// Creates the topic that a row of source data is.
    pub(crate) fn of_row(row: &Arc<Row>) -> Self {
        let mut topic = Self::new(row.name());
        topic.variables = Some(Arc::new(Variables::new(Some(Arc::clone(row)), Map::new())));
        topic
    }

    /// Sets the values of attributes that its records are asked for with.
    ///
    /// ```
    /// use serde_json::{Map, json};
    /// use topicloom::topic::Topic;
    ///
    /// let hard = Map::from_iter([("difficulty".to_owned(), json!("hard"))]);
    /// let topic = Topic::new("tides").with_attributes(hard);
    /// assert_eq!(topic.to_string(), "tides (difficulty: hard)");
    /// assert_eq!(topic.without_attributes(), Topic::new("tides"));
    /// ```
    #[must_use]
    pub fn with_attributes(mut self, attributes: Map<String, Value>) -> Self {
        let row = self.full_row().cloned();
        let is_plain = row.is_none() && attributes.is_empty();
        self.variables = (!is_plain).then(|| Arc::new(Variables::new(row, attributes)));
        self
    }

    /// Returns the topic that it is a part of, with all values of attributes.
    #[must_use]
    pub fn without_attributes(&self) -> Self {
        self.clone().with_attributes(Map::new())
    }

    /// Takes the content of its row, of which a journal has the number.
    pub(crate) fn with_content_of(mut self, row: &Arc<Row>) -> Self {
        let filled = self
            .variables
            .as_ref()
            .and_then(|variables| variables.with_content_of(row));
        if let Some(filled) = filled {
            self.variables = Some(Arc::new(filled));
        }
        self
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

    /// Returns the number of the row of source data that it is, counting from 1.
    #[must_use]
    pub fn row(&self) -> Option<u64> {
        self.full_row().map(|row| row.number())
    }

    pub(crate) fn full_row(&self) -> Option<&Arc<Row>> {
        self.variables.as_ref()?.row.as_ref()
    }

    /// Returns the values of attributes that its records are asked for with.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Value)> {
        let attributes = self.variables.iter();
        let attributes = attributes.flat_map(|variables| &variables.attributes);
        attributes.map(|(name, value)| (name.as_str(), value))
    }

    /// Returns what a prompt is told beside the name: what is shown of its row, and the values of attributes.
    pub(crate) fn variables(&self) -> Map<String, Value> {
        let row = self.full_row().map(|row| row.shown().clone());
        let mut all = row.unwrap_or_default();
        let attributes = self.attributes();
        all.extend(attributes.map(|(name, value)| (name.to_owned(), value.clone())));
        all
    }

    /// Returns what is written with each of its records beside the name: the values of attributes, and what is kept of its row.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &Value)> {
        let kept = self.full_row().into_iter().flat_map(|row| row.kept());
        self.attributes()
            .chain(kept.map(|(name, value)| (name.as_str(), value)))
    }

    /// Returns what tells topics apart: the [normalised name](normalised_name), the row and the values of attributes.
    pub(crate) fn identity(&self) -> String {
        let key = self.variables.as_ref().map(|variables| &*variables.key);
        normalised_name(&self.name) + key.unwrap_or_default()
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

/// Shows the name, and the values of attributes where there are any.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut before = " (";
        for (name, value) in self.attributes() {
            write!(f, "{before}{name}: {}", value_text(value))?;
            before = ", ";
        }
        f.write_str(if before == ", " { ")" } else { "" })
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
#[allow(clippy::large_enum_variant)] // There is one for a moment.
enum Form {
    Name(String),
    Placed {
        name: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        path: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<Row>,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        attributes: Map<String, Value>,
    },
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.path.is_none() && self.variables.is_none() {
            return serializer.serialize_str(&self.name);
        }
        Form::Placed {
            name: self.name.to_string(),
            path: self.path().map(str::to_owned).collect(),
            row: self.full_row().map(|row| Row::clone(row)),
            attributes: self
                .attributes()
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::Name(name) => Self::new(name),
            Form::Placed {
                name,
                path,
                row,
                attributes,
            } => {
                let mut topic = Self::new(name).with_path(path);
                if let Some(row) = row {
                    let row = Some(Arc::new(row));
                    topic.variables = Some(Arc::new(Variables::new(row, Map::new())));
                }
                topic.with_attributes(attributes)
            }
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
    fn topics_of_one_name_differ_in_row_and_attributes() {
        let value = |level: &str| Map::from_iter([("level".to_owned(), Value::from(level))]);
        let row = |number, text: &str| {
            let shown = Map::from_iter([("text".to_owned(), Value::from(text))]);
            Arc::new(Row::new(number, shown, Map::new()))
        };
        let topics = [
            Topic::new("row 1"),
            Topic::new("row 1").with_attributes(value("easy")),
            Topic::new("row 1").with_attributes(value("hard")),
            Topic::of_row(&row(1, "secret")),
            Topic::of_row(&row(1, "other")),
            Topic::of_row(&row(1, "secret")).with_attributes(value("easy")),
        ];
        for (place, topic) in topics.iter().enumerate() {
            let text = serde_json::to_string(topic).unwrap();
            assert!(!text.contains("secret") && !format!("{topic:?}").contains("secret"));
            let read: Topic = serde_json::from_str(&text).unwrap();
            assert_eq!(
                topics.iter().position(|topic| *topic == read),
                Some(place),
                "{text}"
            );
            assert_eq!(read.identity(), topic.identity());
            let filled = read.with_content_of(&row(1, "secret"));
            let is_it = place == 3 || place == 5;
            assert_eq!(filled.variables().contains_key("text"), is_it);
        }
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
