//! Embeddings: texts become vectors that lie close where the texts mean the same.
//!
//! [`Embedder`] is what a model is to the rest of the library; [`Batched`] puts concurrent requests into one call.
//! A client for `/embeddings` endpoints is [`OpenAiEmbedder`](crate::llm::providers::OpenAiEmbedder), and
//! [`Retrying`](crate::llm::layers::Retrying) tries its failed calls again. Around a remote model both belong, in this
//! order:
//!
#![cfg_attr(feature = "providers", doc = "```no_run")]
#![cfg_attr(not(feature = "providers"), doc = "```ignore")]
//! use topicloom::dedup::SemanticDuplicates;
//! use topicloom::embedding::Batched;
//! use topicloom::llm::layers::Retrying;
//! use topicloom::llm::providers::{ClientOptions, OpenAiEmbedder};
//!
//! let model = "openai/text-embedding-3-small".parse()?;
//! let embedder = OpenAiEmbedder::new(&model, ClientOptions::new())?;
//! let deduplicator = SemanticDuplicates::new(Batched::new(Retrying::new(embedder)));
//! # Ok::<(), topicloom::Error>(())
//! ```
//!
//! With the feature `static-embeddings`, `StaticEmbedder` reads a model that lies on this machine, and needs neither.
//!
//! The other way round, every text of a failed batch would be tried again by itself.

mod batched;
mod from_fn;
mod quantised;
#[cfg(feature = "static-embeddings")]
mod static_model;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result, Retry};

pub use batched::Batched;
pub use from_fn::{FromFn, from_fn};
#[cfg(test)]
pub(crate) use quantised::MOST_DIMENSIONS;
pub(crate) use quantised::quantised;
#[cfg(feature = "static-embeddings")]
pub use static_model::StaticEmbedder;

/// Turns texts into vectors that lie close where the texts mean the same.
///
/// # For implementors
///
/// - One vector per text, in the order of the texts, all of one length; of no text, none.
/// - The same text gets the same vector, up to rounding, whatever it is asked along with.
/// - Vectors need not be normalised: only their direction counts. Numbers that are not finite are refused.
/// - Make one attempt, and classify a failure: retrying is a layer. Dropping the future must stop the call.
/// - Calls run concurrently.
///
/// `testing::conformance::embedder` checks these promises on your implementation. A whole one:
///
/// ```
/// use topicloom::Result;
/// use topicloom::embedding::Embedder;
///
/// #[derive(Debug)]
/// struct Letters;
///
/// #[async_trait::async_trait]
/// impl Embedder for Letters {
///     async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
///         let count = |text: &str, letter| text.chars().filter(|c| *c == letter).count() as f32;
///         let vector = |text| ('a'..='z').map(|letter| count(text, letter)).collect();
///         Ok(texts.iter().map(|text| vector(*text)).collect())
///     }
///
///     fn name(&self) -> &str {
///         "letters"
///     }
/// }
/// ```
///
/// Where a vector is computed here and at once, [`from_fn`] makes an embedder of a closure.
#[async_trait]
pub trait Embedder: fmt::Debug + Send + Sync + 'static {
    /// Embeds texts.
    ///
    /// # Errors
    ///
    /// Where the model could not be reached, or refused a text.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;

    /// Returns the model's name, such as `openai/text-embedding-3-small`.
    ///
    /// Vectors of one name can be compared: put into it whatever changes them, such as a number of dimensions.
    fn name(&self) -> &str;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        (**self).embed(texts).await
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// A text that every model embeds.
pub(crate) const PLAIN_TEXT: &str = "a word";

/// Returns whether a call was refused as it stands: for how many texts it has, or for what is in one.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BadRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter
    )
}

/// Returns whether a call may have failed for its texts. Servers fail in every way at one that they cannot embed: with the
/// status of a failure of their own, or with an answer in which that vector has no numbers.
pub(crate) fn may_be_of_texts(error: &Error) -> bool {
    let fails = matches!(
        error.kind(),
        ErrorKind::Overloaded | ErrorKind::Malformed | ErrorKind::Empty
    );
    is_refusal(error) || fails && !matches!(error.retry(), Retry::After(_))
}

/// Embeds texts and checks that each has its vector.
pub(crate) async fn embed_each<E: Embedder + ?Sized>(
    embedder: &E,
    texts: &[&str],
) -> Result<Vec<Vec<f32>>> {
    let vectors = embedder.embed(texts).await?;
    if vectors.len() == texts.len() {
        return Ok(vectors);
    }
    Err(Error::new(
        ErrorKind::Malformed,
        "an embedder returned another number of vectors than it was given texts",
    )
    .with_context("model", embedder.name())
    .with_context("texts", texts.len().to_string())
    .with_context("vectors", vectors.len().to_string()))
}
