//! A closure as an embedder.

use std::fmt;

use async_trait::async_trait;

use super::Embedder;
use crate::error::Result;

/// Makes an embedder of a closure that computes one vector at once, such as a model that runs in this process.
///
/// It runs on the thread that asks: what takes longer than some milliseconds a text is better an [`Embedder`] of
/// its own that goes through `spawn_blocking`.
///
/// ```
/// use topicloom::embedding::from_fn;
///
/// let lengths = from_fn("lengths", |text| {
///     let words = text.split_whitespace().map(|word| word.len() as f32);
///     Ok(vec![words.clone().count() as f32, words.sum()])
/// });
/// ```
pub fn from_fn<F>(name: impl Into<String>, embed: F) -> FromFn<F>
where
    F: Fn(&str) -> Result<Vec<f32>> + Send + Sync + 'static,
{
    FromFn {
        name: name.into(),
        embed,
    }
}

/// An [`Embedder`] that is a closure; see [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F> {
    name: String,
    embed: F,
}

#[async_trait]
impl<F> Embedder for FromFn<F>
where
    F: Fn(&str) -> Result<Vec<f32>> + Send + Sync + 'static,
{
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        texts.iter().map(|text| (self.embed)(text)).collect()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
