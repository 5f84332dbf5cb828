//! Tells tracing of every call.

use async_trait::async_trait;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::error::Result;
use crate::llm::{ChatRequest, ChatResponse, FinishReason, LlmClient, OutputFormat};

/// Opens a `tracing` span for every call, named and filled as OpenTelemetry's conventions for generative
/// models ask (`gen_ai.*`, version 1.37), so that collectors which know them show tokens and models.
///
/// Prompts and answers are never part of it. Inside of [`Retrying`](super::Retrying), where the pipeline puts it,
/// each attempt has a span and lasts as long as the provider took; outside, one span covers an answer with all its
/// retries and waits. See [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::Traced;
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Traced::new(client);
/// # }
/// ```
#[derive(Debug)]
pub struct Traced<C> {
    inner: C,
}

impl<C> Traced<C> {
    /// Creates a layer that opens a span for every call.
    pub fn new(inner: C) -> Self {
        Self { inner }
    }
}

impl<C: LlmClient> Traced<C> {
    fn span(&self, request: &ChatRequest) -> Span {
        let name = self.inner.model();
        let (provider, model) = name.split_once('/').unwrap_or(("", name));
        let output = match request.output {
            OutputFormat::Text => "text",
            OutputFormat::Json | OutputFormat::Schema(_) => "json",
        };
        tracing::info_span!(
            "chat",
            otel.name = format!("chat {model}"),
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
            gen_ai.request.temperature = request.parameters.temperature,
            gen_ai.request.max_tokens = request.parameters.max_tokens,
            gen_ai.output.type = output,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
        )
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Traced<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let span = self.span(request);
        let result = self.inner.complete(request).instrument(span.clone()).await;
        match &result {
            Ok(response) => {
                let usage = &response.usage;
                if let Some(model) = &response.provider_model {
                    span.record("gen_ai.response.model", model);
                }
                span.record(
                    "gen_ai.response.finish_reasons",
                    reason(response.finish_reason),
                );
                span.record("gen_ai.usage.input_tokens", usage.input_tokens);
                span.record("gen_ai.usage.output_tokens", usage.output_tokens);
                span.record(
                    "gen_ai.usage.cache_read.input_tokens",
                    usage.cached_input_tokens,
                );
            }
            Err(error) => {
                span.record("error.type", error.kind().as_str());
                span.record("otel.status_code", "ERROR");
            }
        }
        result
    }

    passes_on_the_rest!();
}

/// In the words that providers use most.
fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Refusal => "refusal",
        FinishReason::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::llm::Usage;
    use crate::llm::layers::test_client::{TestClient, request};

    /// Writes down the fields of all spans and events.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<BTreeMap<String, String>>>);

    impl Visit for Seen {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let value = format!("{value:?}").trim_matches('"').to_owned();
            self.0
                .lock()
                .unwrap()
                .insert(field.name().to_owned(), value);
        }
    }

    impl Subscriber for Seen {
        fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }
        fn record(&self, _span: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }
        fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _span: &Id) {}
        fn exit(&self, _span: &Id) {}
    }

    async fn trace(answer: Result<ChatResponse>) -> BTreeMap<String, String> {
        let seen = Seen::default();
        let _guard = tracing::subscriber::set_default(seen.clone());
        let client = Traced::new(TestClient::answering(vec![answer]));
        let _ = client.complete(&request()).await;
        let fields = seen.0.lock().unwrap();
        fields.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_told_in_the_words_of_the_conventions() {
        let answer = ChatResponse::new("a secret answer")
            .with_usage(Usage::new(30, 4))
            .with_provider_model("model-2026");
        let fields = trace(Ok(answer)).await;
        for (name, value) in [
            ("otel.name", "chat model"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "test"),
            ("gen_ai.request.model", "model"),
            ("gen_ai.response.model", "model-2026"),
            ("gen_ai.response.finish_reasons", "stop"),
            ("gen_ai.usage.input_tokens", "30"),
            ("gen_ai.usage.output_tokens", "4"),
        ] {
            assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!fields.contains_key("error.type"));
        let all = format!("{fields:?}");
        assert!(
            !all.contains("secret") && !all.contains("a question"),
            "{all}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_by_its_kind() {
        let fields = trace(Err(Error::new(ErrorKind::Overloaded, "busy"))).await;
        assert_eq!(fields["error.type"], "overloaded");
        assert_eq!(fields["otel.status_code"], "ERROR");
    }
}
