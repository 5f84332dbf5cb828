//! What the input says of duplicates: `"deduplication"`.

use std::fmt;

use super::{
    AcceptAll, AnyDeduplicator, DeduplicatorExt, ExactDuplicates, Fields, NearDuplicates, Scope,
    SemanticDuplicates,
};
use crate::embedding::{self, Embedder};
use crate::llm::ModelName;
use crate::schema::RecordSchema;

/// How repeats are found; `deduplication` in the input.
///
/// In JSON a word, `"near"`, `"exact"` or `"off"`, or an object with any of these keys:
///
/// | key | default | meaning |
/// |---|---|---|
/// | `method` | `"near"` | `near`: the same in slightly other words; `exact`: equal but for case, spaces and marks at the ends; `off`: repeats are accepted |
/// | `fields` | those that do not follow from others | the fields that decide, as names or paths: `["question", "meta.source"]` |
/// | `scope` | `"run"` | `run`: no record of the run is repeated; `topic`: none of the same topic |
/// | `embedding_model` | none | a model, as `provider/model` or `static/DIRECTORY`, that is asked as well, and finds free rewordings |
/// | `threshold` | 0.9 | the cosine from which on two embeddings are the same, from 0 to 1 |
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Deduplication {
    /// How records are compared.
    pub method: Method,
    /// The fields that decide, as names or paths; `None` for all that do not follow from others.
    pub fields: Option<Vec<String>>,
    /// With which records a record is compared.
    pub scope: Scope,
    /// The cosine from which on two embeddings are the same; `None` for 0.9.
    pub threshold: Option<f32>,
    /// The model that is asked for embeddings.
    pub embedding_model: Option<ModelName>,
}

impl Deduplication {
    /// Compares by a method, with everything else as it is by default.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self {
            method,
            ..Self::default()
        }
    }

    /// Sets the fields that decide, as names or paths.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fields = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// Sets with which records a record is compared. Default: all of the run.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Asks a model for embeddings as well. Default: none.
    #[must_use]
    pub fn embedding_model(mut self, model: ModelName) -> Self {
        self.embedding_model = Some(model);
        self
    }

    /// Sets the cosine from which on two embeddings are the same. Default: 0.9.
    #[must_use]
    pub fn threshold(mut self, cosine: f32) -> Self {
        self.threshold = Some(cosine);
        self
    }

    /// Says what is compared, before anything is: `near: question, context`.
    #[must_use]
    pub fn describe(&self, schema: &RecordSchema) -> String {
        let unasked = self
            .embedding_model
            .as_ref()
            .map(|model| embedding::from_fn(model.as_str().to_owned(), |_: &str| Ok(Vec::new())));
        self.deduplicator(schema, unasked).describe()
    }

    /// Creates what compares records as this says, with an embedder for the model that it names.
    ///
    /// Without an embedder, a model that is named is not asked.
    pub fn deduplicator(
        &self,
        schema: &RecordSchema,
        embedder: Option<impl Embedder>,
    ) -> AnyDeduplicator {
        let fields = match &self.fields {
            Some(names) => Fields::named(names),
            None if self.method == Method::Exact => Fields::All,
            None => Fields::Deciding,
        };
        let near = NearDuplicates::default()
            .compare(fields.clone())
            .schema(schema)
            .scope(self.scope);
        let exact = ExactDuplicates::default()
            .compare(fields.clone())
            .schema(schema)
            .scope(self.scope);
        let semantic = embedder.map(|embedder| {
            let semantic = SemanticDuplicates::new(embedder)
                .compare(fields)
                .schema(schema)
                .scope(self.scope);
            match self.threshold {
                Some(cosine) => semantic.threshold(cosine),
                None => semantic,
            }
        });
        match (self.method, semantic) {
            (Method::Near, None) => near.into(),
            (Method::Near, Some(semantic)) => near.then(semantic).into(),
            (Method::Exact, None) => exact.into(),
            (Method::Exact, Some(semantic)) => exact.then(semantic).into(),
            (Method::Off, None) => AcceptAll.into(),
            (Method::Off, Some(semantic)) => semantic.into(),
        }
    }
}

impl From<Method> for Deduplication {
    fn from(method: Method) -> Self {
        Self::new(method)
    }
}

/// How records are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Method {
    /// The same in slightly other words; see [`NearDuplicates`](super::NearDuplicates).
    #[default]
    Near,
    /// Equal after normalisation; see [`ExactDuplicates`](super::ExactDuplicates).
    Exact,
    /// Not at all.
    Off,
}

impl Method {
    /// Returns its name in the input.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Exact => "exact",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
