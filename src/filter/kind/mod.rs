//! Kinds of record that are common. Each is a shape, and a check of what no schema can say.

mod chat;
mod preference;
mod tool_calls;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub(crate) use chat::{Chat, Speaker, SystemMessage};
pub(crate) use preference::{OtherAnswer, PairJudge, Preference};
pub(crate) use tool_calls::{Tool, ToolCalls};

use super::{FilterVerdict, RecordFilter};
use crate::candidate::Candidate;
use crate::error::Result;
use crate::schema::RecordSchema;

/// What kind of record is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RecordKind {
    Chat(Chat),
    ToolCalls(ToolCalls),
    Preference(Preference),
}

impl RecordKind {
    /// Returns the shape of a record.
    ///
    /// # Errors
    ///
    /// Where the parameters of a tool are no schema.
    pub(crate) fn schema(&self) -> Result<RecordSchema> {
        RecordSchema::from_json_schema(match self {
            Self::Chat(chat) => chat.schema(),
            Self::ToolCalls(calls) => calls.schema(),
            Self::Preference(_) => preference::schema(true),
        })
    }

    /// Returns the shape of what the model is asked to write, where that is not all of a record.
    pub(crate) fn asked_schema(&self) -> Option<Result<RecordSchema>> {
        matches!(self, Self::Preference(_))
            .then(|| RecordSchema::from_json_schema(preference::schema(false)))
    }

    /// Returns why a valid record is none of the kind.
    fn fault(&self, record: &Map<String, Value>) -> Option<&'static str> {
        let is_blank = |name: &str| record.get(name).is_none_or(is_blank);
        match self {
            Self::Chat(chat) => chat.fault(record),
            Self::ToolCalls(_) => is_blank("query").then_some("`query` is blank"),
            Self::Preference(_) if is_blank("prompt") => Some("`prompt` is blank"),
            Self::Preference(_) => is_blank("chosen").then_some("`chosen` is blank"),
        }
    }
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.trim().is_empty())
}

#[async_trait]
impl RecordFilter for RecordKind {
    async fn check(&self, candidate: &Candidate<'_>) -> Result<FilterVerdict> {
        let fault = self.fault(candidate.data());
        Ok(fault.map_or(FilterVerdict::Keep, FilterVerdict::Reject))
    }
}

/// Says a range in words, such as `2 to 6 messages`.
fn in_words((least, most): (u64, u64), what: &str) -> String {
    match (least, most) {
        (1, 1) => format!("1 {what}"),
        (least, most) if least == most => format!("{least} {what}s"),
        (least, most) => format!("{least} to {most} {what}s"),
    }
}
