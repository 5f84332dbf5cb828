//! Requests and results as they lie in the database.
//!
//! They hold prompts and answers, so nothing here is shown or logged.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::llm::{
    ChatRequest, ChatResponse, Message, OutputFormat, OutputMode, OutputSchema, Parameters,
    Purpose, Role,
};

/// The version of the form of requests. A worker refuses a later one.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct WireRequest {
    format: u32,
    messages: Vec<WireMessage>,
    output: WireOutput,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
    extra: Map<String, Value>,
    cache_key: Option<String>,
    purpose: Purpose,
    seed: u64,
}

#[derive(Serialize, Deserialize)]
struct WireMessage {
    role: Role,
    text: String,
    ends_stable_prefix: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireOutput {
    Text,
    Json,
    Schema {
        name: String,
        schema: Value,
        mode: OutputMode,
    },
}

/// How a call went.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireResult {
    Answered {
        /// The backend that answered, as `provider/model`.
        model: String,
        response: ChatResponse,
    },
    Failed {
        kind: ErrorKind,
        message: String,
        /// Where it happened, in words.
        place: String,
        retry: WireRetry,
        fatal: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRetry {
    Never,
    Backoff,
    AfterMillis(u64),
}

/// Writes a request. Its task is kept beside it.
pub(super) fn write_request(request: &ChatRequest) -> Vec<u8> {
    let message = |message: &Message| WireMessage {
        role: message.role,
        text: message.text.to_string(),
        ends_stable_prefix: message.ends_stable_prefix,
    };
    bytes(&WireRequest {
        format: FORMAT,
        messages: request.messages.iter().map(message).collect(),
        output: match &request.output {
            OutputFormat::Text => WireOutput::Text,
            OutputFormat::Json => WireOutput::Json,
            OutputFormat::Schema(schema) => WireOutput::Schema {
                name: schema.name.clone(),
                schema: schema.schema.clone(),
                mode: schema.mode,
            },
        },
        temperature: request.parameters.temperature,
        max_tokens: request.parameters.max_tokens,
        extra: request.parameters.extra.clone(),
        cache_key: request.cache_key.as_deref().map(str::to_owned),
        purpose: request.purpose,
        seed: request.seed,
    })
}

pub(super) fn read_request(bytes: &[u8]) -> Result<ChatRequest> {
    let wire: WireRequest = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    if wire.format > FORMAT {
        return Err(unreadable());
    }
    let message = |message: WireMessage| {
        let mut read = Message::new(message.role, message.text);
        read.ends_stable_prefix = message.ends_stable_prefix;
        read
    };
    let mut request = ChatRequest::new(wire.messages.into_iter().map(message).collect())
        .with_output(match wire.output {
            WireOutput::Text => OutputFormat::Text,
            WireOutput::Json => OutputFormat::Json,
            WireOutput::Schema { name, schema, mode } => {
                OutputFormat::Schema(Arc::new(OutputSchema::new(name, schema, mode)))
            }
        })
        .with_parameters(Parameters {
            temperature: wire.temperature,
            max_tokens: wire.max_tokens,
            extra: wire.extra,
        })
        .with_purpose(wire.purpose)
        .with_seed(wire.seed);
    request.cache_key = wire.cache_key.map(Into::into);
    Ok(request)
}

/// Writes how a call to a model went.
pub(super) fn write_result(model: &str, result: Result<ChatResponse>) -> Vec<u8> {
    bytes(&match result {
        Ok(response) => WireResult::Answered {
            model: response.backend.as_deref().unwrap_or(model).to_owned(),
            response,
        },
        Err(error) => WireResult::Failed {
            kind: error.kind(),
            message: error.message().to_owned(),
            place: error
                .context()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .join(", "),
            retry: match error.retry() {
                Retry::Never => WireRetry::Never,
                Retry::Backoff => WireRetry::Backoff,
                Retry::After(delay) => {
                    WireRetry::AfterMillis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
                }
            },
            fatal: error.is_fatal(),
        },
    })
}

pub(super) fn read_result(bytes: &[u8]) -> Result<ChatResponse> {
    match serde_json::from_slice(bytes).map_err(|_| unreadable())? {
        WireResult::Answered {
            model,
            mut response,
        } => {
            response.backend = Some(model.into());
            Ok(response)
        }
        WireResult::Failed {
            kind,
            message,
            place,
            retry,
            fatal,
        } => Err(Error::new(kind, message)
            .with_context("worker", place)
            .with_retry(match retry {
                WireRetry::Never => Retry::Never,
                WireRetry::Backoff => Retry::Backoff,
                WireRetry::AfterMillis(delay) => Retry::After(Duration::from_millis(delay)),
            })
            .with_fatal(fatal)),
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("there is no key that JSON cannot hold")
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::Journal,
        "what lies in the database for this call cannot be read; another version of the library may have written it",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Usage;

    #[test]
    fn a_request_comes_back_as_it_was() {
        let schema = OutputSchema::new("records", json!({"type": "object"}), OutputMode::Strict);
        let mut parameters = Parameters::default();
        (parameters.temperature, parameters.max_tokens) = (Some(0.7), Some(u64::MAX));
        parameters.extra.insert("top_p".into(), json!(0.5));
        let messages = vec![
            Message::system("a\u{0}b").ending_stable_prefix(),
            Message::user("🧵"),
        ];
        let request = ChatRequest::new(messages)
            .with_output(OutputFormat::Schema(Arc::new(schema)))
            .with_parameters(parameters)
            .with_cache_key("key")
            .with_purpose(Purpose::Topics)
            .with_seed(u64::MAX);
        assert_eq!(read_request(&write_request(&request)).unwrap(), request);
        for output in [OutputFormat::Text, OutputFormat::Json] {
            let request = ChatRequest::new(Vec::new()).with_output(output);
            assert_eq!(read_request(&write_request(&request)).unwrap(), request);
        }
    }

    #[test]
    fn an_answer_comes_back_with_the_name_of_who_gave_it() {
        let answer = ChatResponse::new("{\"a\": \"\u{0}\"}").with_usage(Usage::new(3, u64::MAX));
        let mut read = read_result(&write_result("test/loom", Ok(answer.clone()))).unwrap();
        assert_eq!(read.backend.take().as_deref(), Some("test/loom"));
        assert_eq!(read, answer);
    }

    #[test]
    fn a_failure_keeps_what_is_decided_by() {
        for retry in [
            Retry::Never,
            Retry::Backoff,
            Retry::After(Duration::from_millis(1_500)),
        ] {
            let error = Error::new(ErrorKind::RateLimited, "too fast")
                .with_context("model", "test/loom")
                .with_retry(retry)
                .with_fatal(true);
            let read = read_result(&write_result("test/loom", Err(error))).unwrap_err();
            assert_eq!((read.kind(), read.retry()), (ErrorKind::RateLimited, retry));
            assert!(read.is_fatal() && read.to_string().contains("model: test/loom"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        for bytes in [&b"{\"secret\": 1}"[..], b"secret"] {
            let errors = [
                read_request(bytes).unwrap_err(),
                read_result(bytes).unwrap_err(),
            ];
            assert!(!format!("{errors:?}").contains("secret"));
        }
    }
}
