//! What of a record is compared with which others: the settings that all deduplicators here share.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::{Fields, Scope};
use crate::candidate::Candidate;

/// Fields and scope.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) fields: Fields,
    pub(super) scope: Scope,
}

impl Compared {
    /// Compares these fields over the whole run.
    pub(super) fn new(fields: Fields) -> Self {
        Self {
            fields,
            scope: Scope::Run,
        }
    }

    /// Returns the values that decide. A number or a flag decides only where the caller named it, or no text does.
    pub(super) fn values<'a>(
        &self,
        candidate: &Candidate<'a>,
    ) -> impl Iterator<Item = &'a Value> + use<'a> {
        let fields = self.fields.of(candidate);
        let text_only =
            self.fields == Fields::Deciding && fields.iter().any(|(_, value)| holds_text(value));
        let values = fields.into_iter().map(|(_, value)| value);
        values.filter(move |value| !text_only || holds_text(value))
    }

    /// Returns a number for those a candidate is compared with: 0 for the whole run.
    pub(super) fn scope_of(&self, candidate: &Candidate<'_>) -> u64 {
        match self.scope {
            Scope::Run => 0,
            Scope::Topic => xxh3_64(candidate.topic().as_bytes()) | 1,
        }
    }

    /// Names both, for the format of fingerprints.
    pub(super) fn format(&self) -> String {
        format!("{:?} {:?}", self.fields, self.scope)
    }
}

fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().any(holds_text),
        Value::Object(fields) => fields.values().any(holds_text),
        _ => false,
    }
}

/// Writes the texts and numbers in a value, one per line.
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

        /// Sets with which records a record is compared. Default: [`Scope::Run`](crate::dedup::Scope::Run).
        #[must_use]
        pub fn scope(mut self, scope: $crate::dedup::Scope) -> Self {
            self.compared.scope = scope;
            self
        }
    };
}

pub(super) use compared_settings;
