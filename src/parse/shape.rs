//! What is known of a record before it is found.

use serde_json::{Map, Value};

/// What a record looks like, as far as finding one in an answer needs to know.
///
/// The keys are what tells a record from an object around it, and the end of a string from a quote inside
/// it, so give every property the schema knows. Validation against the schema comes later and is not the
/// matter here.
///
/// ```
/// use topicloom::parse::Shape;
///
/// let shape = Shape::new(["question", "answer", "hint"]).required(["question", "answer"]);
/// # let _ = shape;
/// ```
#[derive(Debug, Clone)]
pub struct Shape {
    /// In order, so that a key is found by halving: a schema may have thousands.
    properties: Vec<String>,
    /// The letters and digits of each name that no other shares, with the place of the property; in order.
    plain: Vec<(String, usize)>,
    required: Vec<String>,
    wrapper: String,
}

impl Shape {
    /// Creates a shape from the names of a record's properties.
    ///
    /// Without any, every object counts as a record, and wrappers are told by their structure alone.
    pub fn new(properties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut properties: Vec<String> = properties.into_iter().map(Into::into).collect();
        properties.sort_unstable();
        properties.dedup();
        let plain = properties.iter().enumerate();
        let mut plain: Vec<_> = plain.map(|(at, name)| (plain_name(name), at)).collect();
        plain.sort_unstable();
        let shared: Vec<bool> = (0..plain.len())
            .map(|at| {
                let is = |other: Option<&(String, usize)>| {
                    other.is_some_and(|other| other.0 == plain[at].0)
                };
                is(plain.get(at + 1)) || at.checked_sub(1).is_some_and(|at| is(plain.get(at)))
            })
            .collect();
        let mut shared = shared.into_iter();
        plain.retain(|(name, _)| !shared.next().unwrap_or(true) && !name.is_empty());
        Self {
            properties,
            plain,
            required: Vec::new(),
            wrapper: "records".to_owned(),
        }
    }

    /// Sets which properties every record has. None by default.
    #[must_use]
    pub fn required(mut self, required: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.required = required.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the key under which the prompt asks for the list of records: `records` by default.
    ///
    /// Other keys are recognised too; this one is preferred where there is a choice.
    #[must_use]
    pub fn wrapper(mut self, wrapper: impl Into<String>) -> Self {
        self.wrapper = wrapper.into();
        self
    }

    pub(super) fn wrapper_key(&self) -> &str {
        &self.wrapper
    }

    /// Whether nothing is known of the keys.
    pub(super) fn is_open(&self) -> bool {
        self.properties.is_empty()
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        // Few names are told apart by their lengths alone, most of the time.
        if self.properties.len() <= 16 {
            return self.properties.iter().any(|known| known == key);
        }
        let found = self
            .properties
            .binary_search_by(|known| known.as_str().cmp(key));
        found.is_ok()
    }

    /// Whether a key is, or means, one of the properties.
    pub(super) fn recognises(&self, key: &str) -> bool {
        self.knows(key) || self.meant(key).is_some()
    }

    /// Returns the one property that a key means, be it written in another case, with other signs or with marks.
    pub(super) fn meant(&self, key: &str) -> Option<&str> {
        if key.len() > 128 || self.knows(key) {
            return self
                .properties
                .iter()
                .find(|known| *known == key)
                .map(String::as_str);
        }
        let plain = plain_name(key);
        let found = self
            .plain
            .binary_search_by(|(name, _)| name.cmp(&plain))
            .ok()?;
        Some(&self.properties[self.plain[found].1])
    }

    /// Gives the keys of an object the names of the properties they mean, and returns how many had another.
    pub(super) fn rename(&self, object: &mut Map<String, Value>) -> usize {
        // Every other key of a large object could mean the same.
        if object.len() > 512 {
            return 0;
        }
        let renamed: Vec<Option<String>> = object
            .keys()
            .map(|key| {
                let meant = self.meant(key).filter(|name| !object.contains_key(*name))?;
                let alone = object
                    .keys()
                    .filter(|other| self.meant(other) == Some(meant))
                    .count()
                    == 1;
                alone.then(|| meant.to_owned())
            })
            .collect();
        let count = renamed.iter().flatten().count();
        if count > 0 {
            let members = std::mem::take(object).into_iter().zip(renamed);
            *object = members
                .map(|((key, value), name)| (name.unwrap_or(key), value))
                .collect();
        }
        count
    }

    /// Whether it is known which properties every record has.
    pub(super) fn has_required(&self) -> bool {
        !self.required.is_empty()
    }

    /// How many of the record's properties an object has.
    pub(super) fn overlap(&self, object: &Map<String, Value>) -> usize {
        self.properties
            .iter()
            .filter(|property| object.contains_key(property.as_str()))
            .count()
    }

    /// Whether an object has every property that every record has, and at least one at all.
    pub(super) fn fits(&self, object: &Map<String, Value>) -> bool {
        if self.is_open() {
            return true;
        }
        self.required.iter().all(|key| object.contains_key(key)) && self.overlap(object) > 0
    }

    /// Whether an object has all that a record must have, and so may be taken for whole where its end is
    /// missing: every required property, or every property if none is known to be required.
    pub(super) fn is_filled(&self, object: &Map<String, Value>) -> bool {
        if self.required.is_empty() {
            self.has_all(object)
        } else {
            self.fits(object)
        }
    }

    /// Whether an object has the properties of a record, all of them, and no others. The quick way to tell one.
    pub(super) fn is_plainly(&self, object: &Map<String, Value>) -> bool {
        object.len() == self.properties.len()
            && !object.is_empty()
            && object.keys().all(|key| self.knows(key))
    }

    /// Whether a value is an object that is filled.
    pub(super) fn is_filled_by(&self, value: &Value) -> bool {
        self.is_open()
            || value
                .as_object()
                .is_some_and(|object| self.is_filled(object))
    }

    fn has_all(&self, object: &Map<String, Value>) -> bool {
        !self.is_open() && self.overlap(object) == self.properties.len()
    }
}

/// What tells a name from others however it is written.
fn plain_name(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
