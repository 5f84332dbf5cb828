//! Several sources of topics, one after the other.

use async_trait::async_trait;

use super::collected::Collected;
use super::{Topic, TopicProvider, TopicRequest};
use crate::error::Result;

/// Asks several providers in their order, each for what the ones before it left missing.
///
/// ```
/// use topicloom::topic::{ChainedTopics, FixedTopics, GeneratedTopics};
///
/// // My own three first; a model invents the rest.
/// let topics = ChainedTopics::new(FixedTopics::new(["tides", "currents", "salinity"]))
///     .then(GeneratedTopics::new());
/// # drop(topics);
/// ```
#[derive(Debug)]
pub struct ChainedTopics {
    providers: Vec<Box<dyn TopicProvider>>,
}

impl ChainedTopics {
    /// Starts with a provider.
    pub fn new(first: impl TopicProvider) -> Self {
        Self {
            providers: vec![Box::new(first)],
        }
    }

    /// Adds a provider that is asked for what is then missing.
    #[must_use]
    pub fn then(mut self, next: impl TopicProvider) -> Self {
        self.providers.push(Box::new(next));
        self
    }
}

#[async_trait]
impl TopicProvider for ChainedTopics {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        let mut collected = Collected::new(request);
        for provider in &self.providers {
            if collected.missing() == 0 {
                break;
            }
            let existing = [request.existing, collected.topics()].concat();
            let mut rest = request.clone().with_existing(&existing);
            rest.count = collected.missing();
            for topic in provider.topics(&rest).await? {
                collected.offer(topic);
            }
        }
        Ok(collected.into_topics())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_request::{NoModel, names, request};
    use super::super::{FixedTopics, topics_fn};
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[tokio::test]
    async fn each_provider_is_asked_for_what_is_missing_and_told_what_there_is() {
        let second = topics_fn(|request: &TopicRequest<'_>| {
            assert_eq!(request.count, 2);
            assert_eq!(names(request.existing), ["z", "a", "b"]);
            Ok(vec![
                Topic::new("B"),
                Topic::new("c"),
                Topic::new("d"),
                Topic::new("e"),
            ])
        });
        let never =
            topics_fn(|_: &TopicRequest<'_>| Err(Error::new(ErrorKind::Plugin, "asked in vain")));
        let chain = ChainedTopics::new(FixedTopics::new(["a", "b"]))
            .then(second)
            .then(never);
        let existing = [Topic::new("z")];
        let request = request(4, &NoModel).with_existing(&existing);
        assert_eq!(
            names(&chain.topics(&request).await.unwrap()),
            ["a", "b", "c", "d"]
        );
    }

    #[tokio::test]
    async fn an_error_is_not_passed_over() {
        let broken =
            topics_fn(|_: &TopicRequest<'_>| Err(Error::new(ErrorKind::Plugin, "no file")));
        let chain = ChainedTopics::new(broken).then(FixedTopics::new(["a"]));
        let error = chain.topics(&request(1, &NoModel)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
    }
}
