//! Topics out of a list.

use async_trait::async_trait;

use super::collected::Collected;
use super::{Topic, TopicProvider, TopicRequest};
use crate::error::Result;

/// Supplies topics out of a list, in its order, and no others.
///
/// ```
/// use topicloom::topic::FixedTopics;
///
/// let topics = FixedTopics::new(["tides", "currents", "salinity"]);
/// # drop(topics);
/// ```
#[derive(Debug, Clone, Default)]
pub struct FixedTopics {
    topics: Vec<Topic>,
}

impl FixedTopics {
    /// Creates a provider of these topics.
    pub fn new<T: Into<Topic>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            topics: topics.into_iter().map(Into::into).collect(),
        }
    }
}

#[async_trait]
impl TopicProvider for FixedTopics {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        let mut collected = Collected::new(request);
        for topic in &self.topics {
            collected.offer(topic.clone());
        }
        Ok(collected.into_topics())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_request::{NoModel, names, request};
    use super::*;

    #[tokio::test]
    async fn a_list_gives_what_is_new_in_its_order_and_then_no_more() {
        let provider = FixedTopics::new(["b", " ", "a", "B", "c", "d"]);
        let existing = [Topic::new("A")];
        for (count, given) in [(2, &["b", "c"][..]), (9, &["b", "c", "d"]), (0, &[])] {
            let request = request(count, &NoModel).with_existing(&existing);
            assert_eq!(names(&provider.topics(&request).await.unwrap()), given);
        }
    }
}
