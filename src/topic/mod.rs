//! Topics: what they are, and where they come from.

mod angles;
mod chained;
mod collected;
mod fixed;
mod function;
mod generated;
mod listed;
mod name;
mod refused;
#[cfg(test)]
mod test_request;
mod tree;
mod variables;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub(crate) use angles::AngleSource;
pub use angles::{AngleSet, Angles};
pub use chained::ChainedTopics;
pub use fixed::FixedTopics;
pub use function::{TopicsFn, topics_fn};
pub use generated::GeneratedTopics;
pub use name::{Topic, normalised_name};
pub(crate) use refused::RefusedNames;
pub use tree::TopicTree;
pub(crate) use variables::{Row, SOURCE, TEXT, value_text};

use crate::error::Result;
use crate::llm::{LlmClient, Parameters};
use crate::prompt::Prompts;

/// Supplies the topics that a plan still needs.
///
/// # For implementors
///
/// - Return at most [`count`](TopicRequest::count) topics, none blank, none that repeats another or one of
///   [`existing`](TopicRequest::existing) by its [`normalised_name`].
/// - Fewer are a normal answer, and so are none: the plan spreads the records over the topics in hand and the
///   report says so. Never make one up to fill the number.
/// - An error ends the run, so keep it for what the caller has to know.
/// - Ask [`model`](TopicRequest::model) rather than a client of your own: calls through it are limited,
///   counted and journalled with the rest of the run.
///
/// `testing::conformance::topics` checks these promises on your implementation. A closure becomes a provider
/// with [`topics_fn`].
#[async_trait]
pub trait TopicProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns new topics.
    ///
    /// # Errors
    ///
    /// Where it could not be found out whether there are any.
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: TopicProvider + ?Sized> TopicProvider for Arc<P> {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        (**self).topics(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: TopicProvider + ?Sized> TopicProvider for Box<P> {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        (**self).topics(request).await
    }
}

const _: Option<&dyn TopicProvider> = None; // Stored as `dyn TopicProvider`.

/// What a topic provider is asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct TopicRequest<'a> {
    /// What to generate, in the caller's words.
    pub instruction: Option<&'a str>,
    /// How many topics are wanted.
    pub count: usize,
    /// Topics that are not to be repeated.
    pub existing: &'a [Topic],
    /// The run's model for topics; calls through it are limited, counted and journalled.
    pub model: &'a dyn LlmClient,
    /// Parameters of such a call.
    pub parameters: Arc<Parameters>,
    /// How a model is asked.
    pub prompts: &'a dyn Prompts,
    /// Makes a run repeat itself where the model does.
    pub seed: u64,
    /// Makes what tells whether an invented name says something new.
    new_names: fn() -> IsNew,
    /// Why names were not taken.
    refused: RefusedNames,
}

/// Whether a name says something that none before it said.
pub(crate) type IsNew = Box<dyn FnMut(&str) -> bool + Send + Sync>;

impl<'a> TopicRequest<'a> {
    /// Asks for this many topics, with nothing said about them.
    pub fn new(count: usize, model: &'a dyn LlmClient, prompts: &'a dyn Prompts) -> Self {
        Self {
            instruction: None,
            count,
            existing: &[],
            model,
            parameters: Arc::default(),
            prompts,
            seed: 0,
            new_names: || Box::new(|_| true),
            refused: RefusedNames::default(),
        }
    }

    /// Sets what to generate.
    #[must_use]
    pub fn with_instruction(mut self, instruction: Option<&'a str>) -> Self {
        self.instruction = instruction;
        self
    }

    /// Sets the topics that are not to be repeated.
    #[must_use]
    pub fn with_existing(mut self, existing: &'a [Topic]) -> Self {
        self.existing = existing;
        self
    }

    /// Sets the parameters of a call.
    #[must_use]
    pub fn with_parameters(mut self, parameters: Arc<Parameters>) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets what tells whether an invented name says something new, beyond being spelt in another way.
    #[must_use]
    pub(crate) fn with_new_names(mut self, new_names: fn() -> IsNew) -> Self {
        self.new_names = new_names;
        self
    }

    /// Sets what counts the names that are not taken.
    #[must_use]
    pub(crate) fn with_refused(mut self, refused: RefusedNames) -> Self {
        self.refused = refused;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl TopicRequest<'_> {
    /// Returns what tells whether a name says something that neither an existing one nor one before it said.
    fn new_names(&self) -> IsNew {
        let mut is_new = (self.new_names)();
        for topic in self.existing {
            is_new(topic.name());
        }
        is_new
    }
}

/// Shows numbers and parts, and nothing of what the caller wrote.
impl fmt::Debug for TopicRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicRequest")
            .field("count", &self.count)
            .field("existing", &self.existing.len())
            .field("model", &self.model.model())
            .field("parameters", &self.parameters)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
