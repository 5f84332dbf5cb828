//! Takes values out of a JSON object, and notes every fault on the way.

use serde_json::{Map, Value};

use super::form::Form;
use super::place::{Place, presentable};
use crate::closest::closest;

/// What is known of a key of the input: for tools that offer it, such as flags of a command line.
#[derive(Debug)]
#[non_exhaustive]
pub struct InputKey {
    /// Its name, and another one that is read.
    pub names: &'static [&'static str],
    /// Whether it says how a run is driven and not what comes of it: a resumed run may change it.
    pub runtime_only: bool,
    /// What may stand under it, in JSON.
    pub examples: &'static [&'static str],
    pub(super) schema: fn() -> Value,
}

impl InputKey {
    /// Returns the JSON Schema of what stands under it, with what it is for, its default and examples.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// An object that is read key by key. A key that is missing and one that is `null` are the same to it.
pub(super) struct Reader<'a> {
    object: Map<String, Value>,
    place: Place<'a>,
    faulty: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(object: Map<String, Value>, place: Place<'a>) -> Self {
        Self {
            object,
            place,
            faulty: Vec::new(),
        }
    }

    /// Notes every key that is neither known nor among `more`, which are not advertised.
    pub(super) fn refuse_unknown_keys(&mut self, keys: &[InputKey], more: &[&'static str]) {
        let first = keys.iter().map(|key| key.names[0]);
        let known = first.collect::<Vec<_>>().join("`, `");
        let names = keys.iter().flat_map(|key| key.names).chain(more);
        for key in self.object.keys() {
            if names.clone().any(|name| name == key) {
                continue;
            }
            let advice = match closest(key, names.clone().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known keys are `{known}`"),
            };
            let mut place = self.place.at(&presentable(key));
            place.fault::<()>("is not a known key", advice);
        }
    }

    /// Takes a value, unless it is `null`.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.object
            .shift_remove(key)
            .filter(|value| !value.is_null())
    }

    /// Reads the value of a key that has one or more names.
    pub(super) fn read<T>(&mut self, names: &[&'static str], form: &impl Form<T>) -> Option<T> {
        let mut written = names
            .iter()
            .filter_map(|name| Some((name, self.take(name)?)));
        let (name, value) = written.next()?;
        let again = written.next();
        let before = self.place.faults();
        let read = form.read(value, &mut self.place.at(name));
        if let Some((other, _)) = again {
            let problem = format!("is said twice, as `{name}` too");
            self.at(other).fault::<()>(problem, "leave one of them out");
        }
        if self.place.faults() > before {
            self.faulty.push(names[0]);
        }
        read
    }

    /// Returns whether something was wrong with what was read of these keys.
    pub(super) fn found_fault_with(&self, keys: &[&str]) -> bool {
        self.faulty.iter().any(|key| keys.contains(key))
    }

    pub(super) fn at(&mut self, key: &str) -> Place<'_> {
        self.place.at(key)
    }

    /// Returns what is left.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.object
    }
}
