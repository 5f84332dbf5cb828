//! The formats that the server speaks, as far as it has to.

mod anthropic;
mod gemini;
mod openai;

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::answer::RawReply;
use super::connection::header;
use topicloom::llm::{FinishReason, Usage};

/// A provider's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wire {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

/// A call as the server understands it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    call: u64,
    model: Cow<'a, str>,
    prompt: String,
    tool: Option<String>,
    structured: bool,
    key: Cow<'a, str>,
    body: &'a [u8],
}

impl Question<'_> {
    /// Returns the number of the call, from 0, in order of arrival.
    pub(crate) fn call(&self) -> u64 {
        self.call
    }

    /// Returns the model that is asked.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Returns the texts of all messages, with line breaks between them.
    pub(crate) fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Returns whether the caller asks for structured output by more than words.
    pub(crate) fn is_structured(&self) -> bool {
        self.structured
    }

    /// Returns the key that the call came with, as its header has it.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Returns the body as it arrived.
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

/// What an answer costs, at four bytes a token.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bill {
    input: u64,
    output: u64,
}

impl Bill {
    pub(super) fn of(question: &Question<'_>, text: &str) -> Self {
        Self {
            input: tokens(&question.prompt),
            output: tokens(text),
        }
    }

    pub(super) fn usage(self) -> Usage {
        Usage::new(self.input, self.output)
    }
}

fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4).try_into().unwrap_or(u64::MAX)
}

impl Wire {
    /// Returns the path that the provider's base URL ends in.
    pub(super) fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1",
            Self::Anthropic => "",
            Self::Gemini => "/v1beta",
        }
    }

    /// Returns whether the call came with a key.
    pub(super) fn has_key(self, head: &[u8]) -> bool {
        header(head, self.key_header()).is_some()
    }

    fn key_header(self) -> &'static str {
        match self {
            Self::OpenAi => "authorization",
            Self::Anthropic => "x-api-key",
            Self::Gemini => "x-goog-api-key",
        }
    }

    /// Understands a request.
    pub(super) fn question<'a>(
        self,
        call: u64,
        head: &'a [u8],
        body: &'a [u8],
    ) -> Option<Question<'a>> {
        let mut question = match self {
            Self::OpenAi => openai::question(body),
            Self::Anthropic => anthropic::question(body),
            Self::Gemini => gemini::question(head, body),
        }?;
        question.call = call;
        question.key = header(head, self.key_header()).unwrap_or_default().into();
        question.body = body;
        Some(question)
    }

    /// Writes the body of a good answer.
    pub(super) fn answer(
        self,
        question: &Question<'_>,
        text: &str,
        finish: FinishReason,
        bill: Bill,
    ) -> Vec<u8> {
        let body = match self {
            Self::OpenAi => openai::answer(question, text, finish, bill),
            Self::Anthropic => anthropic::answer(question, text, finish, bill),
            Self::Gemini => gemini::answer(question, text, finish, bill),
        };
        body.to_string().into_bytes()
    }

    /// Writes a refusal.
    pub(super) fn error(self, status: u16, code: &str, message: &str) -> RawReply {
        let body = match self {
            Self::OpenAi => openai::error(code, message),
            Self::Anthropic => anthropic::error(status, message),
            Self::Gemini => gemini::error(status, message, None),
        };
        RawReply::new(status, body.to_string())
    }

    /// Writes a 429.
    pub(super) fn rate_limited(self, delay: Option<Duration>) -> RawReply {
        let reply = match (self, delay) {
            (Self::Gemini, delay) => {
                RawReply::new(429, gemini::error(429, "slow down", delay).to_string())
            }
            _ => self.error(429, "rate_limit_exceeded", "slow down"),
        };
        match delay {
            Some(delay) if self != Self::Gemini => {
                reply.header("retry-after", delay.as_secs_f64().to_string())
            }
            _ => reply,
        }
    }

    /// Writes that no credit is left, each in its own way.
    pub(super) fn no_credit(self) -> RawReply {
        match self {
            Self::OpenAi => self.error(429, "insufficient_quota", "check your plan"),
            Self::Anthropic => self.error(400, "", "Your credit balance is too low"),
            Self::Gemini => RawReply::new(429, gemini::daily_quota().to_string()),
        }
    }

    /// Writes that there is too much to do.
    pub(super) fn overloaded(self) -> RawReply {
        let status = if self == Self::Anthropic { 529 } else { 503 };
        self.error(status, "overloaded", "too much to do")
    }
}
