//! What is known of a record before it is found.

use serde_json::{Map, Value};

/// What a record looks like, as far as finding one in an answer needs to know.
///
/// The keys are what tells a record from an object around it, and the end of a string from a quote inside
/// it, so give every property the schema knows. Validation against the schema comes later and is not the
/// matter here.
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
        let names = properties.iter().enumerate();
        let mut names: Vec<_> = names.map(|(at, name)| (plain_name(name), at)).collect();
        names.sort_unstable();
        let groups = names.chunk_by(|one, other| one.0 == other.0);
        let alone = groups.filter(|group| group.len() == 1 && !group[0].0.is_empty());
        let plain = alone.map(|group| group[0].clone()).collect();
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

    /// How many properties a record can have.
    pub(super) fn len(&self) -> usize {
        self.properties.len()
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    fn position(&self, key: &str) -> Option<usize> {
        // Few names are told apart by their lengths alone, most of the time.
        if self.properties.len() <= 16 {
            return self.properties.iter().position(|known| known == key);
        }
        let found = self
            .properties
            .binary_search_by(|known| known.as_str().cmp(key));
        found.ok()
    }

    /// Whether a key is, or means, one of the properties.
    pub(super) fn recognises(&self, key: &str) -> bool {
        self.meant(key).is_some()
    }

    /// Returns the one property that a key means, be it written in another case, with other signs or with marks.
    pub(super) fn meant(&self, key: &str) -> Option<&str> {
        let other = || {
            let plain = plain_name(key);
            let found = self
                .plain
                .binary_search_by(|(name, _)| name.cmp(&plain))
                .ok()?;
            Some(self.plain[found].1)
        };
        let short = key.len() <= 128;
        let at = self.position(key).or_else(|| short.then(other).flatten())?;
        Some(&self.properties[at])
    }

    /// Gives the keys of an object the names of the properties they mean, and returns how many had another.
    pub(super) fn rename(&self, object: &mut Map<String, Value>) -> usize {
        // Every other key of a large object could mean the same.
        if object.len() > 512 {
            return 0;
        }
        let new_name = |key: &String| {
            let meant = self.meant(key).filter(|name| !object.contains_key(*name))?;
            let alike = object
                .keys()
                .filter(|other| self.meant(other) == Some(meant));
            (alike.count() == 1).then(|| meant.to_owned())
        };
        let names: Vec<Option<String>> = object.keys().map(new_name).collect();
        let count = names.iter().flatten().count();
        if count > 0 {
            let members = std::mem::take(object).into_iter().zip(names);
            object.extend(members.map(|((key, value), name)| (name.unwrap_or(key), value)));
        }
        count
    }

    /// Whether it is known which properties every record has.
    pub(super) fn has_required(&self) -> bool {
        !self.required.is_empty()
    }

    /// How many of the record's properties an object has.
    pub(super) fn overlap(&self, object: &Map<String, Value>) -> usize {
        let has = |property: &&String| object.contains_key(property.as_str());
        self.properties.iter().filter(has).count()
    }

    /// Whether an object has every property that every record has, and at least one at all.
    pub(super) fn fits(&self, object: &Map<String, Value>) -> bool {
        let has_required = || self.required.iter().all(|key| object.contains_key(key));
        self.is_open() || (has_required() && self.overlap(object) > 0)
    }

    /// Whether an object has all that a record must have, and so may be taken for whole where its end is
    /// missing: every required property, or every property if none is known to be required.
    pub(super) fn is_filled(&self, object: &Map<String, Value>) -> bool {
        if self.has_required() {
            return self.fits(object);
        }
        !self.is_open() && self.overlap(object) == self.properties.len()
    }

    /// Whether an object has the properties of a record, all of them, and no others. The quick way to tell one.
    pub(super) fn is_plainly(&self, object: &Map<String, Value>) -> bool {
        object.len() == self.properties.len()
            && !object.is_empty()
            && object.keys().all(|key| self.knows(key))
    }

    /// Whether a value is an object that is filled.
    pub(super) fn is_filled_by(&self, value: &Value) -> bool {
        let object = value.as_object();
        self.is_open() || object.is_some_and(|object| self.is_filled(object))
    }
}

/// What tells a name from others however it is written.
fn plain_name(name: &str) -> String {
    let signs = name.chars().filter(|c| c.is_alphanumeric());
    signs.flat_map(char::to_lowercase).collect()
}
