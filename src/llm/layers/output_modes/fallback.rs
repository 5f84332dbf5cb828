//! Asks for structured output as firmly as the backend can, and less firmly where that does not work.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Failure, Next, OutputModes};
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, FinishReason, LlmClient, OutputFormat};

/// Puts a request's schema into the backend's dialect, and falls back to the next output mode where one does not work.
///
/// The modes are the backend's [`output_modes`](crate::llm::Capabilities::output_modes), best first, and below them asking in the
/// prompt alone. A mode that never worked for the schema is left
///
/// - at once where the provider refuses the request, whatever its words: the schema may be why;
/// - after two failures in a row of the kind that a server's own trouble with a schema looks like: an internal error,
///   no answer in time, or one that is empty or cannot be read;
/// - where its answers are of no use, as [`OutputModes::judged`] is told.
///
/// When a mode below works, one that was left for a reason that may have been another is tried once more; so an
/// outage at the start costs nothing later. A mode that worked is kept, and its failures are returned. What worked is
/// remembered per schema; how many items a list at the top must have makes no other schema. A schema that the dialect
/// cannot say skips the mode without a call.
///
/// The response tells how it was asked for in [`asked`](ChatResponse::asked), which is what brings the answer back into
/// the caller's shape.
///
/// Put it inside of the retries, which then wait between failures in one mode, and ask again without a pause in the
/// next. See [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::{OutputModeFallback, Retrying};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Retrying::new(OutputModeFallback::new(client));
/// # }
/// ```
pub struct OutputModeFallback<C> {
    inner: C,
    model: Arc<str>,
    modes: Arc<OutputModes>,
    gives_failures_back: bool,
}

impl<C: LlmClient> OutputModeFallback<C> {
    /// Creates a layer that has seen no schema yet.
    pub fn new(inner: C) -> Self {
        Self {
            model: inner.model().into(),
            inner,
            modes: Arc::default(),
            gives_failures_back: false,
        }
    }

    /// Remembers here which modes work.
    #[must_use]
    pub fn remembering(mut self, modes: Arc<OutputModes>) -> Self {
        self.modes = modes;
        self
    }

    /// Gives a failure back even where the mode is left for it: the caller's next try is in the next mode. For calls that
    /// somebody else counts one by one; what a provider refuses, and does not bill, is still asked again here.
    #[cfg(feature = "postgres")]
    pub(crate) fn giving_failures_back(mut self) -> Self {
        self.gives_failures_back = true;
        self
    }
}

impl<C: fmt::Debug> fmt::Debug for OutputModeFallback<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputModeFallback")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Returns how a call failed, if its output mode may be why.
fn failure(error: &Error) -> Option<Failure> {
    match error.kind() {
        // A web page says nothing of what was asked.
        _ if error.is_unreached() => None,
        ErrorKind::SchemaRefused => Some(Failure::Refused),
        ErrorKind::BadRequest => Some(Failure::RequestRefused),
        // A schema is part of what has to fit.
        ErrorKind::ContextLength => Some(Failure::TooLarge),
        // A server may compile a schema for ever, or write what fits it without end.
        ErrorKind::Overloaded | ErrorKind::Timeout | ErrorKind::Malformed | ErrorKind::Empty => {
            Some(Failure::Broken)
        }
        _ => None,
    }
}

/// Returns whether the model ended with nothing said, or for a reason of its server's before it began with any JSON. One that
/// ran out of room may have said much to itself.
fn is_blank(response: &ChatResponse) -> bool {
    let text = response.text.trim();
    match response.finish_reason {
        FinishReason::Stop => text.is_empty(),
        FinishReason::Other => !text.contains(['{', '[']),
        _ => false,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for OutputModeFallback<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let OutputFormat::Schema(schema) = &request.output else {
            return self.inner.complete(request).await;
        };
        let capabilities = self.inner.capabilities();
        let gate = self.modes.gate(&self.model, schema, capabilities);
        let _first = gate.first.acquire().await.ok();
        let mut again = None;
        let (mut mode, mut format) = self.modes.next(&self.model, schema, capabilities);
        let mut seen = Vec::new();
        loop {
            seen.push(mode);
            let asked = request.clone().with_output(format.output);
            let error = match self.inner.complete(&asked).await {
                Ok(mut response) => {
                    self.modes.update(&self.model, schema, |known| {
                        if is_blank(&response) {
                            known.choice.failed(mode, Failure::Broken);
                        } else {
                            known.choice.answered(mode);
                            known.gate.open();
                        }
                    });
                    response.asked = Some(format.asked);
                    return Ok(response);
                }
                Err(error) => error,
            };
            let inconclusive = |mode| {
                self.modes
                    .update(&self.model, schema, |known| known.choice.inconclusive(mode));
            };
            let Some(failure) = failure(&error) else {
                inconclusive(mode);
                return Err(error);
            };
            let next = self.modes.update(&self.model, schema, |known| {
                known.choice.failed(mode, failure)
            });
            let is_counted = self.gives_failures_back && failure == Failure::Broken;
            if next == Next::GiveBack || is_counted {
                return Err(error);
            }
            if again.is_none() {
                again = gate.again.acquire().await.ok();
            }
            (mode, format) = self.modes.next(&self.model, schema, capabilities);
            if seen.contains(&mode) {
                inconclusive(mode);
                return Err(error);
            }
        }
    }

    passes_on_the_rest!();
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::{Capabilities, OutputMode, OutputSchema};
    use crate::schema::Dialect;
    use crate::testing::{MockHandle, mock_llm};

    const MODES: Capabilities = Capabilities::structured(
        &[OutputMode::Strict, OutputMode::Tool, OutputMode::Json],
        Dialect::OpenAiStrict,
    );

    fn request() -> ChatRequest {
        let schema =
            json!({"type": "object", "properties": {"note": {"type": "string", "minLength": 3}}});
        let schema = OutputSchema::new("records", schema, OutputMode::Strict);
        ChatRequest::default().with_output(OutputFormat::Schema(Arc::new(schema)))
    }

    fn shown(output: &OutputFormat) -> String {
        match output {
            OutputFormat::Schema(schema) => format!("{:?}", schema.mode),
            other => format!("{other:?}"),
        }
    }

    /// Makes a call that is refused in this many modes and answered in the next.
    async fn call(
        client: &Arc<OutputModeFallback<crate::testing::MockLlm>>,
        handle: &mut MockHandle,
        request: ChatRequest,
        kind: ErrorKind,
        modes: &[&str],
    ) -> ChatResponse {
        let asking = Arc::clone(client);
        let answer = tokio::spawn(async move { asking.complete(&request).await });
        let (last, refused) = modes.split_last().expect("it is asked once at least");
        for mode in refused {
            let call = handle.next_call().await;
            assert_eq!(shown(&call.request().output), *mode);
            call.fail(kind);
        }
        let call = handle.next_call().await;
        assert_eq!(shown(&call.request().output), *last);
        call.text("{}");
        answer.await.expect("no panic").expect("answered")
    }

    #[tokio::test]
    async fn a_refused_schema_is_asked_for_in_the_next_mode_which_is_remembered() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(OutputModeFallback::new(model.with_capabilities(MODES)));
        let refused = ErrorKind::SchemaRefused;
        let tried = ["Strict", "Tool", "Json"];
        let response = call(&client, &mut handle, request(), refused, &tried).await;
        assert_eq!(response.asked, Some((OutputMode::Json, Dialect::Full)));
        call(&client, &mut handle, request(), refused, &["Json"]).await;
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_refusal_without_a_word_of_the_schema_leads_to_the_next_mode_too() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(OutputModeFallback::new(model.with_capabilities(MODES)));
        let refused = ErrorKind::BadRequest;
        call(
            &client,
            &mut handle,
            request(),
            refused,
            &["Strict", "Tool"],
        )
        .await;
        // Once more, since the reason may have been another.
        call(
            &client,
            &mut handle,
            request(),
            refused,
            &["Strict", "Tool"],
        )
        .await;
        call(&client, &mut handle, request(), refused, &["Tool"]).await;
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_mode_in_which_nothing_is_answered_in_time_is_left_and_one_that_worked_is_not() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(OutputModeFallback::new(model.with_capabilities(MODES)));
        let fail = async |handle: &mut MockHandle, mode: &str| {
            let asking = Arc::clone(&client);
            let answer = tokio::spawn(async move { asking.complete(&request()).await });
            let call = handle.next_call().await;
            assert_eq!(shown(&call.request().output), mode);
            call.fail(ErrorKind::Timeout);
            answer.await.expect("no panic").expect_err("no answer")
        };
        let error = fail(&mut handle, "Strict").await;
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let late = ErrorKind::Timeout;
        let tried = ["Strict", "Tool"];
        call(&client, &mut handle, request(), late, &tried).await;
        // Once more, since the model may just have been loaded.
        call(&client, &mut handle, request(), late, &tried).await;
        for _ in 0..3 {
            fail(&mut handle, "Tool").await;
        }
        call(&client, &mut handle, request(), late, &["Tool"]).await;
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_refusal_holds_for_every_number_of_items() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(OutputModeFallback::new(model.with_capabilities(MODES)));
        for (items, modes) in [(3, &["Strict", "Tool"][..]), (1, &["Tool"]), (3, &["Tool"])] {
            let list = json!({"type": "array", "items": {"type": "string"}, "minItems": items, "maxItems": items});
            let schema = json!({"type": "object", "properties": {"list": list}});
            let schema = Arc::new(OutputSchema::new("records", schema, OutputMode::Strict));
            let request = ChatRequest::default().with_output(OutputFormat::Schema(schema));
            call(
                &client,
                &mut handle,
                request,
                ErrorKind::SchemaRefused,
                modes,
            )
            .await;
        }
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn calls_that_start_together_do_not_each_try_every_mode() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(OutputModeFallback::new(model.with_capabilities(MODES)));
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let asking = Arc::clone(&client);
                tokio::spawn(async move { asking.complete(&request()).await })
            })
            .collect();
        let mut refused = 0;
        for _ in 0..20 {
            loop {
                let call = handle.next_call().await;
                if shown(&call.request().output) == "Json" {
                    call.text("{}");
                    break;
                }
                refused += 1;
                call.fail(ErrorKind::SchemaRefused);
            }
        }
        for call in calls {
            assert!(call.await.expect("no panic").is_ok());
        }
        // The first eight in the first mode, and one in the second.
        assert_eq!(refused, 9);
    }

    #[tokio::test]
    async fn the_schema_arrives_in_the_dialect() {
        let (model, mut handle) = mock_llm();
        let client = OutputModeFallback::new(model.with_capabilities(MODES));
        let asking = tokio::spawn(async move { client.complete(&request()).await });
        let call = handle.next_call().await;
        let OutputFormat::Schema(schema) = &call.request().output else {
            panic!("a schema is asked for")
        };
        assert_eq!(schema.schema["required"], json!(["note"]));
        assert_eq!(schema.schema.pointer("/properties/note/minLength"), None);
        call.text("{}");
        assert!(asking.await.expect("no panic").is_ok());
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_backend_that_knows_no_structure_is_asked_for_text() {
        let (model, mut handle) = mock_llm();
        let client = OutputModeFallback::new(model);
        let asking = tokio::spawn(async move { client.complete(&request()).await });
        let call = handle.next_call().await;
        assert_eq!(shown(&call.request().output), "Text");
        call.fail(ErrorKind::SchemaRefused);
        assert!(asking.await.expect("no panic").is_err());
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_server_that_ignores_what_it_is_asked_is_asked_in_another_way() {
        let (model, mut handle) = mock_llm();
        let warnings = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let known = OutputModes::new().on_warning(Arc::new(move |warning: &str| {
            heard.lock().expect("no panic").push(warning.to_owned());
        }));
        let known = Arc::new(known);
        let client = OutputModeFallback::new(model.with_capabilities(MODES));
        let client = Arc::new(client.remembering(Arc::clone(&known)));
        let output = request().output;
        let refused = ErrorKind::SchemaRefused;
        for _ in 0..8 {
            let response = call(&client, &mut handle, request(), refused, &["Strict"]).await;
            known.judged("mock/model", &output, response.asked, false);
        }
        let response = call(&client, &mut handle, request(), refused, &["Tool"]).await;
        known.judged("mock/model", &output, response.asked, true);
        for _ in 0..20 {
            let response = call(&client, &mut handle, request(), refused, &["Tool"]).await;
            known.judged("mock/model", &output, response.asked, false);
        }
        let warnings = warnings.lock().expect("no panic");
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with("mock/model seems to ignore"),
            "{warnings:?}"
        );
    }
}
