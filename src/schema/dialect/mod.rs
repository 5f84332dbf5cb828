//! What each provider accepts of a schema, and the way back from its answer.
//!
//! Providers that enforce a schema each accept their own part of JSON Schema. [`compile`] turns one schema
//! into what a dialect accepts. What the dialect cannot say moves into the `description`, where the model
//! reads it, and is listed in [`Compiled::checked_locally`]. An answer goes back through
//! [`Compiled::restore`] before it is validated against the caller's own schema:
//!
//! - where a dialect wants every key, an optional property becomes nullable, and its null is taken away again;
//! - where it knows no maps, one becomes a list of `{"key", "value"}`, and is made a map again.
//!
//! Nothing else in a value is ever changed. An answer that can be read in two ways is refused.

mod compiler;
mod limits;
pub(crate) mod merge;
mod nulls;
mod plan;
mod rules;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use super::violation::{Violation, readable};
use super::{RECORDS_KEY, RecordSchema, bounds};
use crate::error::{Error, ErrorKind};
use plan::Plan;
use rules::Rules;

/// The part of JSON Schema that a backend understands and keeps to.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// All of it: the schema is sent as it is written. For backends that read a schema without being bound by
    /// it (OpenAI's `json_schema` without `strict`, a forced tool call), and for those that know everything.
    #[default]
    Full,
    /// OpenAI's strict mode: every key required, no free-form maps, few keywords. xAI takes the same.
    OpenAiStrict,
    /// Azure's deployment of the same, within the limits of old API versions.
    Azure,
    /// Anthropic's structured output and strict tools: no recursion, no limits on numbers, lengths or items.
    Anthropic,
    /// Gemini's `responseJsonSchema`.
    Gemini,
    /// The grammar subset of llama.cpp and Ollama.
    LlamaCpp,
    /// vLLM with the xgrammar backend.
    Vllm,
    /// Mistral, near OpenAI's strict mode.
    Mistral,
    /// Groq: OpenAI's strict rules on the models that enforce them.
    Groq,
}

impl Dialect {
    /// All dialects, strictest first.
    pub const ALL: [Self; 9] = [
        Self::Azure,
        Self::OpenAiStrict,
        Self::Groq,
        Self::Mistral,
        Self::Anthropic,
        Self::Gemini,
        Self::Vllm,
        Self::LlamaCpp,
        Self::Full,
    ];

    /// Returns the name used in reports and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::OpenAiStrict => "open_ai_strict",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::LlamaCpp => "llama_cpp",
            Self::Vllm => "vllm",
            Self::Mistral => "mistral",
            Self::Groq => "groq",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A constraint that the provider does not enforce, so that only local validation does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[non_exhaustive]
pub struct LocalCheck {
    /// Where in the answer, as a JSON pointer in which `*` stands for any item or key.
    pub path: String,
    /// The keyword, such as `minLength`.
    pub keyword: String,
}

/// Why a dialect cannot say a schema. The schema can still stand in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialectRefusal {
    /// The dialect that refuses.
    pub dialect: Dialect,
    /// Where in the answer, as a JSON pointer in which `*` stands for any item or key.
    pub path: String,
    /// What kind of obstacle it is.
    pub reason: RefusalReason,
    message: String,
}

/// The kinds of obstacle between a schema and a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The schema refers to itself, and the dialect cannot.
    Recursion,
    /// The schema is larger than the dialect accepts.
    Limit,
    /// The root is not one object, and must be.
    Root,
    /// No value satisfies the schema at this place.
    Unsatisfiable,
    /// The dialect has no way to say it.
    Unsayable,
}

impl DialectRefusal {
    fn new(
        dialect: Dialect,
        path: impl Into<String>,
        reason: RefusalReason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            dialect,
            path: path.into(),
            reason,
            message: message.into(),
        }
    }
}

impl fmt::Display for DialectRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the schema cannot be said in {}: ", self.dialect)?;
        if self.path.is_empty() {
            write!(f, "the root {}", self.message)
        } else {
            write!(f, "`{}` {}", readable(&self.path), self.message)
        }
    }
}

impl std::error::Error for DialectRefusal {}

impl From<DialectRefusal> for Error {
    fn from(refusal: DialectRefusal) -> Self {
        Self::new(ErrorKind::SchemaRefused, refusal.to_string())
    }
}

/// A schema in one dialect, with the way back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compiled {
    /// The dialect it is in.
    pub dialect: Dialect,
    /// What to send.
    pub schema: Value,
    /// What only local validation checks, in the order met. Empty for [`Dialect::Full`], which leaves nothing
    /// out, though a backend that is not bound by a schema checks none of it.
    pub checked_locally: Vec<LocalCheck>,
    plan: Plan,
}

impl Compiled {
    /// Turns an answer in this dialect into what the caller's schema describes.
    ///
    /// Takes away nulls of optional properties whose schema knows none, and makes maps of key and value
    /// lists. Changes nothing else, and does not validate.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::schema::dialect::{Dialect, compile};
    ///
    /// let compiled = compile(
    ///     &json!({"type": "object", "properties": {
    ///         "note": {"type": "string"},
    ///         "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    ///     }}),
    ///     Dialect::OpenAiStrict,
    /// )?;
    /// let answer = json!({"note": null, "counts": [{"key": "a", "value": 1}]});
    /// assert_eq!(compiled.restore(answer).unwrap(), json!({"counts": {"a": 1}}));
    /// # Ok::<(), topicloom::schema::dialect::DialectRefusal>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the answer cannot be read in exactly one way: a key stands twice in a map, or a list could be
    /// a map as well as a list. That is a rejection like any other.
    pub fn restore(&self, value: Value) -> Result<Value, Violation> {
        self.plan.restore(value)
    }

    /// Does the same for one record out of an answer to a [wrapped](RecordSchema::wrapped) schema.
    ///
    /// For a schema that is not wrapped, the record is the answer.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_record(&self, record: Value) -> Result<Value, Violation> {
        self.plan.restore_inside(record, RECORDS_KEY)
    }
}

impl RecordSchema {
    /// Compiles the [wrapped](Self::wrapped) schema for a dialect.
    ///
    /// # Errors
    ///
    /// As [`compile`].
    pub fn compile(&self, dialect: Dialect) -> Result<Compiled, DialectRefusal> {
        compile(&self.wrapped(), dialect)
    }
}

/// Turns a JSON Schema into what a dialect accepts.
///
/// Every value that the result allows, once restored, satisfies the schema in all but what
/// [`Compiled::checked_locally`] lists. The other way round, the result may allow less: an object that may
/// have further keys beside its properties has none in most dialects, and "anything" becomes a text, a
/// number or a boolean.
///
/// # Errors
///
/// Fails if the dialect cannot say the schema: it refers to itself, is larger than the provider documents, has a
/// root that is not one object, or allows no value. The schema can then stand in the prompt only.
pub fn compile(schema: &Value, dialect: Dialect) -> Result<Compiled, DialectRefusal> {
    if let Some(fault) = bounds::fault(schema) {
        return Err(DialectRefusal::new(
            dialect,
            "",
            RefusalReason::Limit,
            fault,
        ));
    }
    let rules = Rules::of(dialect);
    let built = compiler::Compiler::new(schema, dialect, rules).finish();
    if rules.verbatim {
        return Ok(Compiled {
            dialect,
            schema: super::compilable(schema),
            checked_locally: Vec::new(),
            // Only nulls are undone here, and what cannot be compiled is judged by validation.
            plan: built.map(|built| built.plan).unwrap_or_default(),
        });
    }
    let built = built?;
    limits::check(&built.schema, &rules.limits).map_err(|(path, message)| {
        DialectRefusal::new(dialect, path, RefusalReason::Limit, message)
    })?;
    Ok(Compiled {
        dialect,
        schema: built.schema,
        checked_locally: built.checked_locally,
        plan: built.plan,
    })
}
