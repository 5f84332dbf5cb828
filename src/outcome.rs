//! How answers, candidates, topics and runs can end.

use crate::counts::counted;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diversity::Saturated;
use crate::error::{Error, ErrorKind};

counted! {
    /// Why a candidate was not accepted. A normal outcome: it is counted, and another record is asked for.
    pub enum Rejection {
        /// It does not fit the schema.
        Invalid => "invalid",
        /// It fits the schema but does not decode to the caller's type: the two disagree.
        Undecodable => "undecodable",
        /// A filter of the caller's refused it.
        Filtered => "filtered",
        /// It repeats something.
        Duplicate => "duplicate",
        /// Its topic had all its records already.
        Surplus => "surplus",
    }
}

counted! {
    /// Why an answer held no candidate at all, or was cut off after some.
    pub enum AnswerFault {
        /// The model declined.
        Refused => "refused",
        /// The provider's content filter stopped it.
        ContentFiltered => "content_filtered",
        /// The output limit was reached before the answer was whole. The records before the cut are kept, and the rest is
        /// asked for again: with `max_tokens` doubled up to `max_tokens_ceiling` where both are set and leave room, else
        /// for fewer records at a time. The report says which setting to raise.
        Truncated => "truncated",
        /// There was no text.
        Empty => "empty",
        /// No JSON was found, or it could not be repaired.
        Unreadable => "unreadable",
        /// There was JSON, but no record in it.
        NoRecords => "no_records",
    }
}

/// How an attempt gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmptyAttempt {
    /// The answer held no record.
    Answer(AnswerFault),
    /// Each record in the answer was rejected, the last one for this.
    Rejected(Rejection),
    /// No answer arrived.
    Call(ErrorKind),
}

impl EmptyAttempt {
    /// Returns whether the model, or a filter before it, declined.
    pub(crate) fn is_declined(self) -> bool {
        use AnswerFault::{ContentFiltered, Refused};
        matches!(
            self,
            Self::Answer(Refused | ContentFiltered) | Self::Call(ErrorKind::ContentFilter)
        )
    }
}

impl fmt::Display for EmptyAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(AnswerFault::Refused) => f.write_str("the model declined (refused)"),
            Self::Answer(fault) => write!(f, "the answer was unusable ({fault})"),
            Self::Rejected(rejection) => write!(f, "every record was rejected ({rejection})"),
            Self::Call(kind) => write!(f, "the call failed ({kind})"),
        }
    }
}

/// How the last call of a task failed, in words. Holds no key, no prompt and no record data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The error's words, at most 400 characters of them.
    pub message: String,
}

impl CallError {
    /// Enough for any message of this crate's own with its context; what a client of the caller's own says may be longer.
    const MOST_CHARS: usize = 400;

    /// Creates the end of calls of which these words are known; none are of a journal that has none.
    pub(crate) fn new(kind: ErrorKind, message: &str) -> Self {
        let message = match message.char_indices().nth(Self::MOST_CHARS) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None if message.is_empty() => kind.to_string(),
            None => message.to_owned(),
        };
        Self { kind, message }
    }
}

impl From<&Error> for CallError {
    fn from(error: &Error) -> Self {
        Self::new(error.kind(), &error.to_string())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a topic was given up before its quota was met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopicExhausted {
    /// Attempts in a row that gave nothing.
    pub misses: u32,
    /// How the last of them ended.
    pub last: EmptyAttempt,
    /// What showed that the topic has next to nothing new to give, where that was the reason.
    #[serde(default, alias = "dry", skip_serializing_if = "Option::is_none")]
    pub saturated: Option<Saturated>,
}

impl TopicExhausted {
    /// Creates the end of a topic after this many misses in a row.
    #[must_use]
    pub fn new(misses: u32, last: EmptyAttempt) -> Self {
        Self {
            misses,
            last,
            saturated: None,
        }
    }

    /// Creates the end of a topic that has next to nothing new to give.
    #[must_use]
    pub fn saturated(misses: u32, saturated: Saturated) -> Self {
        Self {
            misses,
            last: EmptyAttempt::Rejected(Rejection::Duplicate),
            saturated: Some(saturated),
        }
    }
}

impl TopicExhausted {
    /// Returns whether what was asked for was declined, which patience does not change.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        self.last.is_declined()
    }
}

impl fmt::Display for TopicExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.saturated {
            Some(saturated) => write!(f, "{saturated}"),
            None => write!(
                f,
                "{} attempts in a row gave nothing; in the last one, {}",
                self.misses, self.last
            ),
        }
    }
}

counted! {
    /// How a run ended.
    pub enum Outcome {
        /// Exactly the records asked for were made.
        Complete => "complete",
        /// Some topics were given up, or a cap was reached; the report says what is missing and why.
        #[serde(alias = "short")]
        Incomplete => "incomplete",
        /// The caller stopped it.
        Cancelled => "cancelled",
        /// A fatal error ended it.
        Failed => "failed",
    }
}
