//! What a topic provider promises.

use std::collections::HashSet;

use crate::llm::LlmClient;
use crate::prompt::TemplatePrompts;
use crate::topic::{Topic, TopicProvider, TopicRequest, normalised_name};

/// Checks the promises of a [`TopicProvider`].
///
/// The provider is asked a few times for up to ten topics, with `model` as the run's topic model. It has to
/// know at least one, or there is nothing to check.
///
/// ```
/// use topicloom::testing::{conformance, scripted};
/// use topicloom::topic::FixedTopics;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let model = scripted::<&str>([]); // A fixed list asks no model.
/// conformance::topics(&FixedTopics::new(["tides", "currents"]), &model).await;
/// # }
/// ```
///
/// # Panics
///
/// If a promise is broken; the message says which.
pub async fn topics(provider: &dyn TopicProvider, model: &dyn LlmClient) {
    ask(provider, model, 0, &[]).await;

    let mut first = Vec::new();
    for count in [1, 3, 10] {
        first = ask(provider, model, count, &[]).await;
        assert!(
            !first.is_empty(),
            "the provider knows no topic at all, so that nothing can be checked"
        );
    }

    // The same names in other words as far as normalisation goes.
    let existing: Vec<Topic> = first
        .iter()
        .map(|topic| {
            Topic::new(format!(
                "\t{} ",
                topic.name().to_uppercase().replace(' ', "  ")
            ))
        })
        .collect();
    for count in [1, 10] {
        ask(provider, model, count, &existing).await;
    }
}

async fn ask(
    provider: &dyn TopicProvider,
    model: &dyn LlmClient,
    count: usize,
    existing: &[Topic],
) -> Vec<Topic> {
    let prompts = TemplatePrompts::default();
    let request = TopicRequest::new(count, model, &prompts)
        .with_instruction(Some("questions about the sea, its life and its uses"))
        .with_existing(existing)
        .with_seed(count as u64);
    let topics = match provider.topics(&request).await {
        Ok(topics) => topics,
        Err(error) => panic!("a plain request for {count} topics failed: {error}"),
    };
    assert!(
        topics.len() <= count,
        "{count} topics were wanted, and {} came",
        topics.len()
    );
    let known: HashSet<String> = existing
        .iter()
        .map(|topic| normalised_name(topic.name()))
        .collect();
    let mut seen = HashSet::new();
    for topic in &topics {
        let name = normalised_name(topic.name());
        assert!(!name.is_empty(), "a topic has a blank name");
        assert!(
            !known.contains(&name),
            "the topic `{topic}` repeats an existing one"
        );
        assert!(seen.insert(name), "the topic `{topic}` came twice");
    }
    topics
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::error::Result;
    use crate::llm::{ChatRequest, ChatResponse};
    use crate::topic::{ChainedTopics, FixedTopics, GeneratedTopics, topics_fn};

    /// Names things that it named before, every second time.
    #[derive(Debug, Default)]
    struct Forgetful(AtomicUsize);

    #[async_trait]
    impl LlmClient for Forgetful {
        async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
            let call = self.0.fetch_add(1, Ordering::Relaxed);
            let names: Vec<String> = (0..12)
                .map(|index| format!("Topic No {}", call / 2 + index))
                .collect();
            Ok(ChatResponse::new(json!({"topics": names}).to_string()))
        }

        fn model(&self) -> &'static str {
            "test/forgetful"
        }
    }

    #[tokio::test]
    async fn our_own_providers_keep_their_promises() {
        let model = Forgetful::default();
        let fixed = || FixedTopics::new(["tides", "Tides", "", "currents of the sea", "salt"]);
        topics(&fixed(), &model).await;
        topics(&GeneratedTopics::new(), &model).await;
        topics(
            &ChainedTopics::new(fixed()).then(GeneratedTopics::new().batch_size(2)),
            &model,
        )
        .await;
    }

    async fn broken(give: impl Fn(&TopicRequest<'_>) -> Vec<Topic> + Send + Sync + 'static) {
        let provider = topics_fn(move |request: &TopicRequest<'_>| Ok(give(request)));
        topics(&provider, &Forgetful::default()).await;
    }

    fn some(names: &[&str], count: usize) -> Vec<Topic> {
        names
            .iter()
            .take(count)
            .map(|name| Topic::new(*name))
            .collect()
    }

    #[tokio::test]
    #[should_panic(expected = "0 topics were wanted, and 1 came")]
    async fn a_provider_that_cannot_be_asked_for_nothing_fails() {
        broken(|_| some(&["a"], 1)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "1 topics were wanted, and 2 came")]
    async fn a_provider_that_gives_too_many_fails() {
        broken(|request| some(&["a", "b"], request.count * 2)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "came twice")]
    async fn a_provider_that_repeats_itself_fails() {
        broken(|request| some(&["a", "A"], request.count)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "repeats an existing one")]
    async fn a_provider_that_does_not_look_at_what_exists_fails() {
        broken(|request| some(&["a", "b"], request.count)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "blank name")]
    async fn a_provider_that_gives_blanks_fails() {
        broken(|request| some(&[" "], request.count)).await;
    }

    #[tokio::test]
    #[should_panic(expected = "nothing can be checked")]
    async fn a_provider_that_knows_nothing_fails() {
        broken(|_| Vec::new()).await;
    }
}
