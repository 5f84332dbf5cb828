//! What of a record is compared with which others: the settings that all deduplicators here share.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::fields::{follows_by_description, follows_by_name};
use super::{Fields, Scope};
use crate::candidate::{Candidate, at_path};
use crate::schema::RecordSchema;

/// Fields and scope.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) fields: Fields,
    pub(super) scope: Scope,
    /// The fields that the schema knows, and whether each follows from the others.
    schema: Vec<(String, bool)>,
}

impl Compared {
    /// Compares these fields over the whole run.
    pub(super) fn new(fields: Fields) -> Self {
        Self {
            fields,
            scope: Scope::Run,
            schema: Vec::new(),
        }
    }

    /// Looks at what a schema says of its fields.
    pub(super) fn read_schema(&mut self, schema: &RecordSchema) {
        let described = |name: &str| {
            let property = schema.as_json().get("properties")?.get(name)?;
            property.get("description")?.as_str()
        };
        self.schema = schema
            .property_names()
            .iter()
            .map(|name| {
                let follows =
                    follows_by_name(name) || described(name).is_some_and(follows_by_description);
                (name.clone(), follows)
            })
            .collect();
    }

    fn follows(&self, name: &str) -> bool {
        let known = self.schema.iter().find(|(known, _)| known == name);
        known.map_or_else(|| follows_by_name(name), |(_, follows)| *follows)
    }

    /// Returns the values that decide, with their names or paths, sorted by name: their order in a record is the model's
    /// choice and says nothing.
    pub(super) fn values<'a>(&'a self, candidate: &Candidate<'a>) -> Vec<(&'a str, &'a Value)> {
        let data = candidate.data();
        let mut fields: Vec<(&str, &Value)> = match &self.fields {
            Fields::Named(paths) => paths
                .iter()
                .filter_map(|path| Some((path.as_str(), at_path(data, path)?)))
                .collect(),
            Fields::All => Vec::new(),
            Fields::Deciding => data
                .iter()
                .filter(|(name, _)| !self.follows(name))
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
        };
        fields.retain(|(_, value)| !says_nothing(value));
        if fields.is_empty() {
            let all = data.iter().map(|(name, value)| (name.as_str(), value));
            fields.extend(all.filter(|(_, value)| !value.is_null()));
        }
        fields.sort_unstable_by_key(|(name, _)| *name);
        fields
    }

    /// Returns a number for those a candidate is compared with: 0 for the whole run.
    pub(super) fn scope_of(&self, candidate: &Candidate<'_>) -> u64 {
        match self.scope {
            Scope::Run => 0,
            Scope::Topic => xxh3_64(candidate.topic().as_bytes()) | 1,
        }
    }

    /// Says what is compared by a method: `near: question, context`.
    pub(super) fn describe(&self, method: &str) -> String {
        let names: Vec<&str> = match &self.fields {
            Fields::Named(paths) => paths.iter().map(String::as_str).collect(),
            Fields::All => Vec::new(),
            Fields::Deciding => {
                let deciding = self.schema.iter().filter(|(_, follows)| !follows);
                deciding.map(|(name, _)| name.as_str()).collect()
            }
        };
        let fields = match &*names {
            [] if self.fields == Fields::Deciding && self.schema.is_empty() => {
                "every field but those that follow from the others".to_owned()
            }
            [] => "every field".to_owned(),
            names => names.join(", "),
        };
        let scope = match self.scope {
            Scope::Run => "",
            Scope::Topic => ", within a topic",
        };
        format!("{method}: {fields}{scope}")
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Writes the texts and numbers in a value, one per line, for an embedding model.
pub(super) fn flatten(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| flatten(field, out)),
        Value::Bool(_) | Value::Number(_) => {
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

/// The settings of a type that has them in `compared`, with the default in words.
macro_rules! compared_settings {
    ($default:literal) => {
        /// Sets the fields that decide by their names.
        #[doc = concat!("\n\nDefault: ", $default, ".")]
        #[must_use]
        pub fn fields(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.compare($crate::dedup::Fields::named(names))
        }

        /// Sets the fields that decide by a rule.
        #[doc = concat!("\n\nDefault: ", $default, ".")]
        #[must_use]
        pub fn compare(mut self, fields: $crate::dedup::Fields) -> Self {
            self.compared.fields = fields;
            self
        }

        /// Takes what a schema says of its fields into account, and names those that decide in
        /// [`describe`](crate::dedup::Deduplicator::describe).
        #[must_use]
        pub fn schema(mut self, schema: &$crate::schema::RecordSchema) -> Self {
            self.compared.read_schema(schema);
            self
        }

        /// Sets with which records a record is compared. Default: [`Scope::Run`](crate::dedup::Scope::Run).
        #[must_use]
        pub fn scope(mut self, scope: $crate::dedup::Scope) -> Self {
            self.compared.scope = scope;
            self
        }
    };
}

pub(super) use compared_settings;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(fields: Fields, data: &Value) -> Vec<String> {
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        let compared = Compared::new(fields);
        let values = compared.values(&candidate);
        values.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn everything_decides_but_what_follows() {
        let data = json!({"question": "q", "context": "c", "level": 3, "answer": "a", "difficulty": "easy"});
        assert_eq!(
            names(Fields::default(), &data),
            ["context", "level", "question"]
        );
        let only = json!({"answer": "a", "label": "x"});
        assert_eq!(names(Fields::default(), &only), ["answer", "label"]);
        let blank = json!({"question": " ", "answer": "a"});
        assert_eq!(names(Fields::default(), &blank), ["answer", "question"]);
    }

    #[test]
    fn fields_are_named_by_paths_and_a_wrong_name_does_not_make_all_records_equal() {
        let data = json!({"b": {"c": 1, "d": 2}, "a": 2, "e": null});
        assert_eq!(names(Fields::named(["nope"]), &data), ["a", "b"]);
        assert_eq!(names(Fields::named(["b.c", "a"]), &data), ["a", "b.c"]);
    }

    #[test]
    fn a_schema_says_which_fields_follow() {
        let schema = RecordSchema::from_json(json!([
            {"name": "q", "type": "str", "description": "The question"},
            {"name": "a", "type": "str", "description": "The answer to the question"}
        ]));
        let mut compared = Compared::new(Fields::Deciding);
        compared.read_schema(&schema.expect("a field list"));
        assert_eq!(compared.describe("near"), "near: q");
    }
}
