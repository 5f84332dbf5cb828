//! From an answer to candidates that are ready to be admitted. Stateless: it looks at one answer alone.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use super::recollection::gist;
use crate::candidate::Candidate;
use crate::dedup::{AnyDeduplicator, AnyFingerprint};
use crate::error::Result;
use crate::filter::{FilterVerdict, RecordFilter};
use crate::llm::{ChatResponse, FinishReason};
use crate::outcome::{AnswerFault, Rejection};
use crate::parse::{self, Fault, Limits, Mends, Shape};
use crate::schema::dialect::Compiled;
use crate::schema::{Dialect, RECORDS_KEY, RecordSchema, Violation, decode};

/// The most violations of one record that are told to the model.
const MOST_VIOLATIONS: usize = 3;

/// Judges answers against a schema, the caller's type and filters.
pub(super) struct Judge<T> {
    schema: RecordSchema,
    shape: Shape,
    limits: Limits,
    filters: Vec<Arc<dyn RecordFilter>>,
    deduplicator: AnyDeduplicator,
    /// The way back from each dialect that an answer came in.
    dialects: Mutex<HashMap<Dialect, Arc<Compiled>>>,
    decodes_to: PhantomData<fn() -> T>,
}

/// What an answer holds.
pub(super) struct Judged<T> {
    /// What is wrong with the answer as a whole.
    pub(super) fault: Option<AnswerFault>,
    /// The same in words that a model can use.
    pub(super) advice: Option<String>,
    pub(super) candidates: Vec<Result<Ready<T>, Refused>>,
    pub(super) mends: Mends,
}

/// A valid, decoded, wanted record, which is accepted if it is new and there is room.
pub(super) struct Ready<T> {
    pub(super) data: T,
    pub(super) gist: String,
    pub(super) fingerprint: AnyFingerprint,
}

/// A candidate that stopped on its way.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    /// What was wrong, in words that a model can use.
    pub(super) advice: Option<String>,
}

impl<T: DeserializeOwned> Judge<T> {
    pub(super) fn new(
        schema: RecordSchema,
        filters: Vec<Arc<dyn RecordFilter>>,
        deduplicator: AnyDeduplicator,
    ) -> Self {
        let shape = Shape::new(schema.property_names().iter().cloned())
            .required(schema.required_names().iter().cloned())
            .wrapper(RECORDS_KEY);
        Self {
            schema,
            shape,
            limits: Limits::default(),
            filters,
            deduplicator,
            dialects: Mutex::default(),
            decodes_to: PhantomData,
        }
    }

    /// Judges one answer.
    ///
    /// # Errors
    ///
    /// Where a filter or the deduplicator fails.
    pub(super) async fn judge(&self, topic: &str, response: &ChatResponse) -> Result<Judged<T>> {
        let mut judged = Judged {
            fault: None,
            advice: None,
            candidates: Vec::new(),
            mends: Mends::default(),
        };
        judged.fault = match response.finish_reason {
            FinishReason::Refusal => Some(AnswerFault::Refused),
            FinishReason::ContentFilter => Some(AnswerFault::ContentFiltered),
            _ if response.text.trim().is_empty() => Some(AnswerFault::Empty),
            _ => None,
        };
        if judged.fault.is_some() {
            return Ok(judged);
        }
        let answer = parse::records(&response.text, &self.shape, &self.limits);
        judged.fault = match answer.fault {
            _ if response.finish_reason == FinishReason::Length => Some(AnswerFault::Truncated),
            Some(fault) => {
                judged.advice = Some(fault.to_string());
                Some(answer_fault(&fault))
            }
            None if answer.values.is_empty() => Some(AnswerFault::NoRecords),
            None => None,
        };
        judged.mends = answer.mends;
        let compiled = self.way_back(response)?;
        for value in answer.values {
            let candidate = match compiled.restore_record(value) {
                Ok(value) => self.candidate(topic, value).await?,
                Err(violation) => Err(Refused::new(
                    Rejection::Invalid,
                    Some(violation.to_string()),
                )),
            };
            judged.candidates.push(candidate);
        }
        Ok(judged)
    }

    /// Returns how an answer gets back into the caller's shape.
    fn way_back(&self, response: &ChatResponse) -> Result<Arc<Compiled>> {
        let dialect = response.asked.map_or(Dialect::Full, |(_, dialect)| dialect);
        let mut dialects = self
            .dialects
            .lock()
            .expect("compiling a schema does not panic");
        if let Some(compiled) = dialects.get(&dialect) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(self.schema.compile(dialect)?);
        dialects.insert(dialect, Arc::clone(&compiled));
        Ok(compiled)
    }

    async fn candidate(&self, topic: &str, value: Value) -> Result<Result<Ready<T>, Refused>> {
        let (value, _) = self.schema.drop_unknown_keys(value);
        if let Err(violations) = self.schema.validate(&value) {
            return Ok(Err(Refused::new(
                Rejection::Invalid,
                Some(in_words(&violations)),
            )));
        }
        let data = match decode(&value) {
            Ok(data) => data,
            // The model cannot mend that: the attributes of the caller's type disagree with one another.
            Err(fault) => {
                warn!(%fault, "a record fits the schema but not the type: serde and schemars disagree");
                return Ok(Err(Refused::new(Rejection::Undecodable, None)));
            }
        };
        let Value::Object(fields) = &value else {
            return Ok(Err(Refused::new(Rejection::Invalid, None)));
        };
        let candidate = Candidate::new(topic, fields);
        for filter in &self.filters {
            if let FilterVerdict::Reject(reason) = filter.check(&candidate).await? {
                return Ok(Err(Refused::new(
                    Rejection::Filtered,
                    Some(reason.to_owned()),
                )));
            }
        }
        let fingerprint = self.deduplicator.fingerprint(&candidate).await?;
        Ok(Ok(Ready {
            data,
            gist: gist(fields),
            fingerprint,
        }))
    }
}

impl Refused {
    fn new(rejection: Rejection, advice: Option<String>) -> Self {
        Self { rejection, advice }
    }
}

fn in_words(violations: &[Violation]) -> String {
    let words: Vec<String> = violations
        .iter()
        .take(MOST_VIOLATIONS)
        .map(ToString::to_string)
        .collect();
    words.join("; ")
}

fn answer_fault(fault: &Fault) -> AnswerFault {
    match fault {
        Fault::Truncated => AnswerFault::Truncated,
        Fault::NotRecords => AnswerFault::NoRecords,
        _ => AnswerFault::Unreadable,
    }
}
