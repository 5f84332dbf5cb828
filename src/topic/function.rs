//! Topics out of a closure.

use std::fmt;

use async_trait::async_trait;

use super::{Topic, TopicProvider, TopicRequest};
use crate::error::Result;

/// Makes a topic provider of a closure.
///
/// ```
/// use topicloom::topic::{Topic, TopicRequest, topics_fn};
///
/// let months = topics_fn(|request: &TopicRequest<'_>| {
///     let months = ["january", "february", "march"].map(Topic::from);
///     let new = months.into_iter().filter(|month| !request.existing.contains(month));
///     Ok(new.take(request.count).collect())
/// });
/// # drop(months);
/// ```
pub fn topics_fn<F>(topics: F) -> TopicsFn<F>
where
    F: Fn(&TopicRequest<'_>) -> Result<Vec<Topic>> + Send + Sync + 'static,
{
    TopicsFn { topics }
}

/// A topic provider made of a closure; see [`topics_fn`].
pub struct TopicsFn<F> {
    topics: F,
}

impl<F> fmt::Debug for TopicsFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicsFn").finish_non_exhaustive()
    }
}

#[async_trait]
impl<F> TopicProvider for TopicsFn<F>
where
    F: Fn(&TopicRequest<'_>) -> Result<Vec<Topic>> + Send + Sync + 'static,
{
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        (self.topics)(request)
    }
}
