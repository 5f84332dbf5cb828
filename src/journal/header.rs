//! The first entry of a journal: which run it is of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::input::GenerateByTopicInput;

/// The version of the entries' form. Readers refuse a later one and read every earlier one.
///
/// In version 1, an answer or failure told how its calls failed and what they may have cost all together, and not when.
pub const FORMAT: u32 = 2;

/// What a run started from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// The version of the entries' form.
    pub format: u32,
    /// The version of the library that wrote it.
    pub library: String,
    /// The seed of the run.
    pub seed: u64,
    /// The input in its canonical form.
    pub input: Value,
    /// Hash of what the input says of the records, as hexadecimal digits. How the run is driven is not in it:
    /// that may differ when the run is resumed.
    pub fingerprint: String,
}

impl Header {
    /// Creates the header of a run that this version of the library starts.
    #[must_use]
    pub fn new(seed: u64, input: Value, fingerprint: u128) -> Self {
        Self {
            format: FORMAT,
            library: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            input,
            fingerprint: format!("{fingerprint:032x}"),
        }
    }

    /// Creates the header of a run of this input.
    pub(crate) fn of<T>(seed: u64, input: &GenerateByTopicInput<T>) -> Self {
        Self::new(seed, input.to_json(), input.fingerprint())
    }

    /// Returns whether the run is one of this input, however it is driven.
    pub(crate) fn is_of<T>(&self, input: &GenerateByTopicInput<T>) -> bool {
        self.fingerprint == format!("{:032x}", input.fingerprint())
    }

    /// Checks that this version can read what is behind it.
    ///
    /// # Errors
    ///
    /// Where a later version wrote it.
    pub(crate) fn check_format(&self) -> Result<()> {
        if self.format <= FORMAT {
            return Ok(());
        }
        let message = format!(
            "the journal has format {}, and this version reads up to {FORMAT}",
            self.format
        );
        Err(Error::new(ErrorKind::Journal, message)
            .with_context("written by", self.library.clone()))
    }

    /// Says that this input is not the one of the run.
    pub(crate) fn refuse<T>(&self, input: &GenerateByTopicInput<T>) -> Error {
        let message = format!(
            "the journal belongs to another input, which differs in {}; use a new journal, or the input it was \
             started with, or say that the input may have changed",
            differences(&self.input, &input.to_json())
        );
        Error::new(ErrorKind::Journal, message)
    }
}

/// Names the keys in which two inputs differ.
fn differences(one: &Value, other: &Value) -> String {
    let objects = [one, other].into_iter().filter_map(Value::as_object);
    let keys: BTreeSet<&String> = objects.flat_map(Map::keys).collect();
    let differ = keys
        .into_iter()
        .filter(|key| one.get(key) != other.get(key));
    differ
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Shows everything but the input.
impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("format", &self.format)
            .field("library", &self.library)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
