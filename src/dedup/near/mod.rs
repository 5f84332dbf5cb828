//! Finds records that say the same in slightly other words.

mod detail;
mod details;
mod function_words;
mod hashed;
mod memory;
mod mood;
mod phrase;
mod reader;
mod reading;
mod sentences;
mod stem;
mod template;
mod text;
mod tokens;

use std::cell::RefCell;
use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use super::compared::{Compared, compared_settings};
use super::{Deduplicator, Fields};
use crate::candidate::Candidate;
use crate::error::Result;
use hashed::{hash, mix};
use reader::Reader;
use reading::Reading;

pub(super) use details::{Details, Difference};
pub use memory::NearMemory;

/// Refuses records that say what another record says, in slightly other words.
///
/// A record repeats another if all fields that decide hold the same words that carry meaning. Words of grammar, inflection,
/// greetings, markup, case and the order of phrases carry none where something is asked; what is stated, and code and
/// formulas, count word by word and sign by sign. Whatever adds, takes away or exchanges something that informs makes a new
/// record: a number, a unit, a name, an operator, a negation, a condition, who does what to whom. Synonyms and free
/// rewordings are left to embeddings, see `SemanticDuplicates`.
///
/// By default every field decides but those that follow from the others, such as an answer; see [`Fields::Deciding`]. Words
/// of grammar are known for seven languages (see the guide); texts in others are compared word by word, and so are scripts
/// without spaces.
///
/// The guide *Deduplication* explains the method and gives measured quality, speed and size.
///
/// ```
/// use serde_json::json;
/// use topicloom::Candidate;
/// use topicloom::dedup::{AnyDeduplicator, NearDuplicates};
///
/// # async fn run() -> topicloom::Result<()> {
/// let deduplicator = AnyDeduplicator::new(NearDuplicates::default());
/// let mut memory = deduplicator.memory();
/// for (question, is_new) in [
///     ("How do I sort a list of numbers in Python?", true),
///     ("Please tell me how to sort lists of numbers in Python.", false),
///     ("In Python, how do I sort a list of numbers?", false),
///     ("How do I sort a list of numbers in Python without a copy?", true),
/// ] {
///     let data = json!({ "question": question, "answer": "…" });
///     let candidate = Candidate::new("python", data.as_object().expect("it is an object"));
///     let verdict = memory.admit(deduplicator.fingerprint(&candidate).await?);
///     assert_eq!(verdict.is_unique(), is_new, "{question}");
/// }
/// # Ok(())
/// # }
/// # futures::FutureExt::now_or_never(run()).expect("it never waits").expect("it does not fail");
/// ```
#[derive(Debug, Clone)]
pub struct NearDuplicates {
    compared: Compared,
}

impl Default for NearDuplicates {
    fn default() -> Self {
        Self {
            compared: Compared::new(Fields::Deciding),
        }
    }
}

impl NearDuplicates {
    compared_settings!("[`Fields::Deciding`](crate::dedup::Fields::Deciding)");

    /// Returns the fields of a record that decide.
    pub(super) fn deciding<'a>(&'a self, candidate: &Candidate<'a>) -> Vec<(&'a str, &'a Value)> {
        self.compared.values(candidate)
    }

    /// Reads what a record says.
    pub(crate) fn read(&self, candidate: &Candidate<'_>) -> NearFingerprint {
        NearFingerprint(read(&self.compared, candidate, Reading::default()))
    }
}

/// What a record says, in a few hashes; made by [`NearDuplicates`].
#[derive(Clone, PartialEq, Eq)]
pub struct NearFingerprint(Reading);

impl fmt::Debug for NearFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearFingerprint")
            .field("sentences", &self.0.sentences.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Deduplicator for NearDuplicates {
    type Fingerprint = NearFingerprint;
    type Memory = NearMemory;

    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<NearFingerprint> {
        Ok(self.read(candidate))
    }

    fn memory(&self) -> NearMemory {
        NearMemory::default()
    }

    fn describe(&self) -> String {
        self.compared.describe("near")
    }
}

/// Returns what the words of a record tell, for [`Difference::between`].
pub(super) fn details(compared: &Compared, candidate: &Candidate<'_>) -> Details {
    let reading = Reading {
        words: Some(Vec::new()),
        ..Reading::default()
    };
    Details::new(read(compared, candidate, reading))
}

/// Adds what a record says.
fn read(compared: &Compared, candidate: &Candidate<'_>, mut reading: Reading) -> Reading {
    thread_local! {
        /// Its buffers serve one record after the other.
        static READER: RefCell<Reader> = RefCell::default();
    }
    let scope = compared.scope_of(candidate);
    READER.with_borrow_mut(|reader| {
        for (name, value) in compared.values(candidate) {
            read_value(
                value,
                mix(scope, hash(name.as_bytes())),
                reader,
                &mut reading,
            );
        }
    });
    reading
}

fn read_value(value: &Value, place: u64, reader: &mut Reader, reading: &mut Reading) {
    match value {
        Value::Null => {}
        Value::String(text) => reader.read(text, place, reading),
        Value::Bool(flag) => reading.add_exact(place, 1 + u64::from(*flag)),
        Value::Number(number) => {
            let text = number.to_string();
            // A model writes 1 or 1.0 as it likes.
            reading.add_exact(
                place,
                hash(text.strip_suffix(".0").unwrap_or(&text).as_bytes()),
            );
        }
        Value::Array(items) => {
            for (number, item) in (1..).zip(items) {
                read_value(item, mix(place, number), reader, reading);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                read_value(field, mix(place, hash(name.as_bytes())), reader, reading);
            }
        }
    }
}
