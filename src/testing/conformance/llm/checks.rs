//! The checks themselves.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::super::Report;
use super::{Scene, Situation};
use crate::error::{ErrorKind, Result as CallResult, Retry};
use crate::llm::{
    ChatRequest, ChatResponse, FinishReason, LlmClient, Message, ModelName, OutputFormat,
    OutputMode, OutputSchema,
};

/// After this long a call that should take no time counts as stuck. Generous: it only decides how soon a broken
/// client fails.
const STUCK: Duration = Duration::from_secs(10);

/// A word of the prompt that no error may repeat.
const PROMPT_WORD: &str = "zanzibarquartz";

/// What nothing may show.
pub(super) struct Secrets<'a>(Vec<&'a str>);

impl<'a> Secrets<'a> {
    pub(super) fn new(secrets: &'a [String]) -> Self {
        let mut all: Vec<&str> = secrets.iter().map(String::as_str).collect();
        all.push(PROMPT_WORD);
        Self(all)
    }

    /// Checks that a text shows none of them. Which one it shows is said by number, not by repeating it.
    fn check(&self, what: &str, shown: &str) -> Result<(), String> {
        match self.0.iter().position(|secret| shown.contains(secret)) {
            None => Ok(()),
            Some(at) if at + 1 == self.0.len() => Err(format!("{what} shows the prompt")),
            Some(at) => Err(format!("{what} shows secret number {}", at + 1)),
        }
    }
}

fn request() -> ChatRequest {
    ChatRequest::new(vec![
        Message::system("You answer with one JSON object."),
        Message::user(format!(
            "Answer with the JSON object {{\"answer\": \"yes\"}}. Do not mention {PROMPT_WORD}."
        )),
    ])
}

fn structured(mode: OutputMode) -> ChatRequest {
    let schema = json!({
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": false,
    });
    let output = match mode {
        OutputMode::Json => OutputFormat::Json,
        OutputMode::Prompt => OutputFormat::Text,
        mode => OutputFormat::Schema(Arc::new(OutputSchema::new("answer", schema, mode))),
    };
    request().with_output(output)
}

async fn ask(
    client: &dyn LlmClient,
    request: &ChatRequest,
) -> Result<CallResult<ChatResponse>, String> {
    tokio::time::timeout(STUCK, client.complete(request))
        .await
        .map_err(|_| format!("no answer and no error within {STUCK:?}"))
}

async fn answer(client: &dyn LlmClient, request: &ChatRequest) -> Result<ChatResponse, String> {
    ask(client, request)
        .await?
        .map_err(|error| format!("a plain call failed as {}", error.kind()))
}

/// Checks a client that answers every call.
pub(super) async fn answering(scene: &Scene, secrets: &Secrets<'_>, report: &mut Report) {
    let client = &*scene.client;
    report.record("the model's name is `provider/model`", name(client));
    report.record(
        "debug output shows no secret",
        secrets.check("debug output", &format!("{client:?}")),
    );

    let before = scene.calls.as_ref().map(|calls| calls());
    let plain = answer(client, &request()).await;
    report.record(
        "a plain request is answered",
        plain.as_ref().map_err(Clone::clone).and_then(|response| {
            match (response.text.is_empty(), response.finish_reason) {
                (false, FinishReason::Stop) => Ok(()),
                (true, _) => Err("the text is empty".to_owned()),
                (_, reason) => Err(format!("the answer ended as {reason:?}, not as Stop")),
            }
        }),
    );
    match (&scene.calls, before) {
        (Some(calls), Some(before)) => {
            report.record("one call is one attempt", one_attempt(calls() - before));
        }
        _ => report.skip("one call is one attempt", "no count of calls was given"),
    }
    match &plain {
        Ok(response) if response.usage.total() == 0 => report.skip(
            "usage is counted",
            "the client reports no usage, so nothing can be said about it",
        ),
        Ok(response) => report.record("usage is counted", usage(response)),
        Err(_) => report.skip("usage is counted", "there was no answer"),
    }

    let modes = client.capabilities().output_modes;
    if modes.is_empty() {
        report.skip(
            "structured output is JSON",
            "the client claims no way of structured output",
        );
    }
    for mode in modes {
        let found =
            answer(client, &structured(*mode)).await.and_then(
                |response| match serde_json::from_str::<Value>(&response.text) {
                    Ok(Value::Object(_)) => Ok(()),
                    _ => Err("the text is no JSON object".to_owned()),
                },
            );
        report.record(
            format!("structured output is JSON, asked as {mode:?}"),
            found,
        );
    }

    let request = request();
    let many = join_all((0..16).map(|_| answer(client, &request))).await;
    report.record(
        "calls run concurrently",
        many.into_iter().collect::<Result<Vec<_>, _>>().map(drop),
    );
}

fn name(client: &dyn LlmClient) -> Result<(), String> {
    let name = client.model().to_owned();
    if name != client.model() {
        return Err("the name changes".to_owned());
    }
    name.parse::<ModelName>()
        .map(drop)
        .map_err(|error| error.to_string())
}

fn one_attempt(calls: u64) -> Result<(), String> {
    if calls == 1 {
        Ok(())
    } else {
        Err(format!("one call reached the backend {calls} times"))
    }
}

fn usage(response: &ChatResponse) -> Result<(), String> {
    let usage = response.usage;
    if usage.cached_input_tokens > usage.input_tokens
        || usage.cache_write_tokens > usage.input_tokens
    {
        Err("cached tokens are not part of the input tokens".to_owned())
    } else if usage.reasoning_tokens > usage.output_tokens {
        Err("reasoning tokens are not part of the output tokens".to_owned())
    } else {
        Ok(())
    }
}

/// Checks a client whose calls fall into a situation.
pub(super) async fn situation(
    situation: Situation,
    scene: &Scene,
    secrets: &Secrets<'_>,
    report: &mut Report,
) {
    let case = situation.name();
    if situation == Situation::Hanging {
        match &scene.in_flight {
            Some(in_flight) => report.record(case, hanging(&*scene.client, in_flight).await),
            None => report.skip(case, "no count of calls in flight was given"),
        }
        return;
    }
    let before = scene.calls.as_ref().map(|calls| calls());
    let modes = scene.client.capabilities().output_modes;
    let request = match modes.first() {
        Some(mode) if situation == Situation::SchemaRefused => structured(*mode),
        None if situation == Situation::SchemaRefused => {
            report.skip(case, "the client claims no way of structured output");
            return;
        }
        _ => request(),
    };
    let ended = match ask(&*scene.client, &request).await {
        Ok(ended) => ended,
        Err(stuck) => {
            report.record(case, Err(stuck));
            return;
        }
    };
    report.record(case, outcome(situation, &ended));
    if let Err(error) = &ended {
        let shown = format!("{error} {error:?}");
        report.record(
            format!("{case} shows no secret"),
            secrets.check("the error", &shown),
        );
    }
    match (&scene.calls, before) {
        (Some(calls), Some(before)) => report.record(
            format!("{case} costs one attempt"),
            one_attempt(calls() - before),
        ),
        _ => report.skip(
            format!("{case} costs one attempt"),
            "no count of calls was given",
        ),
    }
}

/// Compares how a call ended with how it has to.
fn outcome(situation: Situation, ended: &CallResult<ChatResponse>) -> Result<(), String> {
    use ErrorKind as Kind;
    use FinishReason as Finish;
    let (kind, retried, fatal) = match situation {
        Situation::RateLimited(_) => (Kind::RateLimited, true, false),
        Situation::NoCredit => (Kind::Quota, false, true),
        Situation::BadKey => (Kind::Auth, false, true),
        Situation::UnknownModel => (Kind::UnknownModel, false, true),
        Situation::Overloaded => (Kind::Overloaded, true, false),
        Situation::Disconnected => (Kind::Network, true, false),
        Situation::Malformed => (Kind::Malformed, true, false),
        Situation::Empty => (Kind::Empty, true, false),
        Situation::ContextLength => (Kind::ContextLength, false, false),
        Situation::SchemaRefused => (Kind::SchemaRefused, false, true),
        Situation::CutOff => return answered(ended, &[Finish::Length]),
        // Backends do not all tell the two apart.
        Situation::Refusal => return answered(ended, &[Finish::Refusal, Finish::ContentFilter]),
        Situation::Filtered => {
            return match ended {
                Err(error) if error.kind() == Kind::ContentFilter && !error.is_retryable() => {
                    Ok(())
                }
                ended => answered(ended, &[Finish::ContentFilter, Finish::Refusal]),
            };
        }
        Situation::Hanging => return Ok(()),
    };
    let Err(error) = ended else {
        return Err("the call came back as an answer".to_owned());
    };
    if error.kind() != kind {
        return Err(format!("the error's kind is {}, not {kind}", error.kind()));
    }
    if error.is_retryable() != retried {
        return Err(format!("the error's retry is {:?}", error.retry()));
    }
    if error.is_fatal() != fatal {
        return Err(format!("the error's fatality is {}", error.is_fatal()));
    }
    match situation {
        Situation::RateLimited(Some(delay)) if error.retry() != Retry::After(delay) => {
            Err(format!(
                "the backend asked for {delay:?}, and the error's retry is {:?}",
                error.retry()
            ))
        }
        _ => Ok(()),
    }
}

fn answered(ended: &CallResult<ChatResponse>, reasons: &[FinishReason]) -> Result<(), String> {
    match ended {
        Ok(response) if reasons.contains(&response.finish_reason) => Ok(()),
        Ok(response) => Err(format!(
            "the answer ended as {:?}, not as {reasons:?}",
            response.finish_reason
        )),
        Err(error) => Err(format!(
            "what was paid for came back as an error of kind {}",
            error.kind()
        )),
    }
}

/// Drops a call that gets no answer, and looks whether the backend notices.
async fn hanging(
    client: &dyn LlmClient,
    in_flight: &(dyn Fn() -> u64 + Send + Sync),
) -> Result<(), String> {
    let request = request();
    {
        let call = client.complete(&request);
        let begun = until(|| in_flight() > 0);
        tokio::select! {
            _ = call => return Err("the call ended, though no answer came".to_owned()),
            begun = begun => begun.map_err(|()| format!("no call reached the backend within {STUCK:?}"))?,
        }
    }
    until(|| in_flight() == 0)
        .await
        .map_err(|()| "the call goes on after its future was dropped".to_owned())
}

async fn until(condition: impl Fn() -> bool) -> Result<(), ()> {
    // Looked at a thousand times, since there is nothing to wait for.
    for _ in 0..1_000 {
        if condition() {
            return Ok(());
        }
        tokio::time::sleep(STUCK / 1_000).await;
    }
    Err(())
}
