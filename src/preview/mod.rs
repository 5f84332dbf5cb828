//! A few tasks of a run in detail: the prompts, the answers, and what became of each record.

mod answered;
mod recorder;
mod show;

use std::fmt;

use crate::dedup::Match;
use crate::error::Error;
use crate::llm::{FinishReason, Message, OutputFormat, Usage};
use crate::outcome::{AnswerFault, CallError, Rejection};
use crate::parse::Repairs;
use crate::record::JsonRecord;
use crate::report::Report;
use crate::schema::CoercionKind;
use crate::topic::Topic;

pub(crate) use recorder::Recorder;

/// A few tasks of a run, made one after the other; see [`Pipeline::preview`](crate::Pipeline::preview).
///
/// Its `Display` shows all of it for a terminal. **Prompts and record data are in it and in what it displays**, which is
/// what it is for; its `Debug` output and that of its parts have neither.
#[derive(Debug)]
#[non_exhaustive]
pub struct Preview {
    /// The tasks in the order in which they were settled.
    pub tasks: Vec<TaskPreview>,
    /// What it took. Its numbers are those of the tasks shown, and what a whole run would still owe.
    pub report: Report,
    /// What ended it before as many tasks were made as asked for, if that was an error.
    pub error: Option<Error>,
}

/// One task.
#[derive(Debug)]
#[non_exhaustive]
pub struct TaskPreview {
    /// Its number.
    pub task: u64,
    /// Its topic.
    pub topic: Topic,
    /// Its calls, retries included.
    pub calls: Vec<CallPreview>,
    /// Why no answer came of its calls.
    pub error: Option<CallError>,
    /// What was wrong with the answer as a whole.
    pub fault: Option<AnswerFault>,
    /// How the JSON of the answer was repaired.
    pub repairs: Repairs,
    /// How values were given the type that the schema asks for.
    pub coercions: Vec<CoercionKind>,
    /// What was found in the answer.
    pub records: Vec<RecordPreview>,
}

/// One call, as it was sent to the model.
#[derive(Clone)]
#[non_exhaustive]
pub struct CallPreview {
    /// The model, as `provider/model`.
    pub model: String,
    /// What it was told.
    pub messages: Vec<Message>,
    /// How the answer was to be formed.
    pub output: OutputFormat,
    /// What came of it; `None` if nobody waited any longer, as after a time-out.
    pub end: Option<Result<AnswerPreview, CallError>>,
    /// What the provider itself said of a failure, without keys.
    pub provider_words: Option<String>,
}

/// Shows nothing that the provider said: it may quote the prompt.
impl fmt::Debug for CallPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallPreview")
            .field("model", &self.model)
            .field("messages", &self.messages)
            .field("output", &self.output)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// What a model answered.
#[derive(Clone)]
#[non_exhaustive]
pub struct AnswerPreview {
    /// Word for word.
    pub text: String,
    /// Tokens used, as the provider counted them.
    pub usage: Usage,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// A record that was found in an answer.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordPreview {
    /// The record, as far as it got: after it was brought back into the caller's shape, if it could be.
    pub data: Option<JsonRecord>,
    /// What became of it.
    pub verdict: RecordVerdict,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RecordVerdict {
    /// It was accepted.
    #[non_exhaustive]
    Accepted {
        /// Its number among the records accepted here, by which duplicates name it.
        ordinal: u64,
    },
    /// It was not.
    #[non_exhaustive]
    Rejected {
        /// Why.
        rejection: Rejection,
        /// Why in words: the violations of the schema, where schema and type disagree, or what the filter said.
        reason: Option<String>,
        /// What it repeats, and how closely.
        repeats: Option<Match>,
    },
}

/// Shows everything but the text.
impl fmt::Debug for AnswerPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerPreview")
            .field("usage", &self.usage)
            .field("finish_reason", &self.finish_reason)
            .finish_non_exhaustive()
    }
}

/// Shows the verdict, and nothing of the record.
impl fmt::Debug for RecordPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordPreview")
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}
