//! Prompts: what a model is told, as templates that a caller can replace.

mod context;
mod template;
mod texts;

use std::fmt;
use std::sync::Arc;

pub use context::{RequestContext, SystemContext, TopicsContext};
pub use template::{Template, TemplatePrompts, TemplatePromptsBuilder};
pub use texts::PromptTexts;

use crate::error::Result;
use crate::llm::Message;

/// Words what a model is asked.
///
/// # For implementors
///
/// The same context must give the same text: runs are repeated and resumed on the strength of it. What you
/// are given is data, to be shown and never evaluated. Include the word JSON, which some providers demand
/// before they enforce it.
pub trait Prompts: fmt::Debug + Send + Sync + 'static {
    /// Returns what stays the same over a run: it is asked for once and becomes the system message, which
    /// providers serve from their prefix cache at a fraction of the price.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Prompt`](crate::ErrorKind::Prompt) if it cannot be worded.
    fn system(&self, context: &SystemContext<'_>) -> Result<String>;

    /// Returns one request for records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Prompt`](crate::ErrorKind::Prompt) if it cannot be worded.
    fn request(&self, context: &RequestContext<'_>) -> Result<String>;

    /// Returns one request for topics, as a conversation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Prompt`](crate::ErrorKind::Prompt) if it cannot be worded.
    fn topics(&self, context: &TopicsContext<'_>) -> Result<Vec<Message>>;
}

#[deny(clippy::missing_trait_methods)]
impl<P: Prompts + ?Sized> Prompts for Arc<P> {
    fn system(&self, context: &SystemContext<'_>) -> Result<String> {
        (**self).system(context)
    }

    fn request(&self, context: &RequestContext<'_>) -> Result<String> {
        (**self).request(context)
    }

    fn topics(&self, context: &TopicsContext<'_>) -> Result<Vec<Message>> {
        (**self).topics(context)
    }
}

const _: Option<&dyn Prompts> = None; // Stored as `dyn Prompts`.
