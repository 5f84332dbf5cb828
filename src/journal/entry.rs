//! What is written.

use data_encoding::BASE64_NOPAD;
use serde::{Deserialize, Serialize};

use super::Header;
use crate::embedding::quantised;
use crate::error::ErrorKind;
use crate::filter::{Added, FilterVerdict, Scores, label};
use crate::llm::{Attempt, ChatResponse, UnconfirmedCost, Usage};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// One step of a run. Never holds a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Entry {
    /// A run began, or went on with another input. Always the first entry.
    Started(Header),
    /// The topic model answered, or a call to it failed.
    TopicAnswered(TopicAnswer),
    /// The topics and quotas are settled. The last one counts; those before it are the beginning of its topics.
    Planned(Plan),
    /// A model answered a task.
    Answered(Answer),
    /// The call of a task failed finally.
    Failed(CallFailure),
    /// A call is about to be sent. Has no number; see [`Journal::note`](super::Journal::note).
    Called(CallNote),
    /// The process before this one was killed, and its calls in flight may have cost this.
    Interrupted {
        /// The most that they can have cost.
        unconfirmed: UnconfirmedCost,
    },
    /// A call ended that is for no answer of the log.
    SideCalled(SideCall),
    /// An embedding model answered.
    Embedded(Embedding),
    /// A filter that has a key decided.
    Filtered(Filtered),
    /// Answers were judged.
    Judged(JudgedTasks),
    /// The run ended; entries may follow if it was resumed after that.
    Finished {
        /// How it ended.
        outcome: Outcome,
        /// Calls that no other entry tells of and that the provider may have billed: those that were dropped when the
        /// run ended, and those of the task that ended it.
        #[serde(default, skip_serializing_if = "UnconfirmedCost::is_none")]
        uncertain: UnconfirmedCost,
    },
}

/// What a filter said of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Filtered {
    /// The filter's key.
    pub filter: String,
    /// A hash of the record and its topic.
    #[serde(with = "hexadecimal")]
    pub record: u128,
    /// Why it was refused; `None` where it was not, and where that follows from the scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The scores it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// The fields that it put into the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Added>,
}

impl Filtered {
    /// Creates what a filter of this key said.
    #[must_use]
    pub fn new(filter: String, record: u128, verdict: &FilterVerdict) -> Self {
        let mut kept = Self {
            filter,
            record,
            reason: None,
            scores: None,
            added: None,
        };
        match verdict {
            FilterVerdict::Keep => {}
            FilterVerdict::Reject(reason) => kept.reason = Some((*reason).to_owned()),
            FilterVerdict::Scored(scores) => kept.scores = Some(scores.clone()),
            FilterVerdict::Completed(added) => kept.added = Some(added.clone()),
        }
        kept
    }

    /// Returns what the filter said; nothing where its reasons are too many to be labels.
    #[must_use]
    pub fn verdict(&self) -> Option<FilterVerdict> {
        if let Some(scores) = &self.scores {
            return Some(FilterVerdict::Scored(scores.clone()));
        }
        if let Some(added) = &self.added {
            return Some(FilterVerdict::Completed(added.clone()));
        }
        let Some(reason) = &self.reason else {
            return Some(FilterVerdict::Keep);
        };
        label(reason).map(FilterVerdict::Reject)
    }
}

/// The embedding of a text, in one byte a dimension, as it is compared.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Embedding {
    /// A hash of the text.
    #[serde(with = "hexadecimal")]
    pub text: u128,
    /// The model.
    pub model: String,
    /// The direction, each coordinate in 127ths of the largest, as base64.
    direction: String,
}

impl Embedding {
    /// Keeps the direction of a vector.
    #[must_use]
    pub fn new(text: u128, model: &str, vector: &[f32]) -> Self {
        let numbers = quantised(vector).unwrap_or_default();
        let bytes: Vec<u8> = numbers.iter().map(|x| x.cast_unsigned()).collect();
        Self {
            text,
            model: model.to_owned(),
            direction: BASE64_NOPAD.encode(&bytes),
        }
    }

    /// Returns a vector of that direction; nothing where what is kept is none.
    #[must_use]
    pub fn vector(&self) -> Option<Vec<f32>> {
        let bytes = BASE64_NOPAD.decode(self.direction.as_bytes()).ok()?;
        Some(
            bytes
                .into_iter()
                .map(|x| f32::from(x.cast_signed()))
                .collect(),
        )
    }
}

/// Shows everything but the embedding, since it tells much of its text.
impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedding")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// A call that is for no answer of the log, such as one to an embedding model, however it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SideCall {
    /// What it was noted as.
    pub of: CallOf,
    /// The model that was asked, as `provider/model`.
    pub model: String,
    /// What it is booked with; `None` where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The attempts that it took, in order.
    #[serde(flatten, with = "kept_attempts")]
    pub attempts: Vec<Attempt>,
}

impl SideCall {
    /// Creates the end of a call.
    #[must_use]
    pub fn new(of: CallOf, model: &str, usage: Option<Usage>, attempts: Vec<Attempt>) -> Self {
        Self {
            of,
            model: model.to_owned(),
            usage,
            attempts,
        }
    }
}

/// Tasks whose answers were judged. Who goes on with the run by the same rules takes that as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JudgedTasks {
    /// A hash of what they were judged by: the library, the input, and the keys of the filters.
    #[serde(with = "hexadecimal")]
    pub by: u128,
    /// Those whose answer is records as they were wanted, and nothing else: each was valid as it came and kept by each filter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clean: Vec<(u64, u64)>,
    /// The others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(u64, u64)>,
}

impl JudgedTasks {
    /// Creates the word on tasks, which are kept as ranges: the first of each, and how many.
    #[must_use]
    pub fn new(
        by: u128,
        clean: impl IntoIterator<Item = u64>,
        other: impl IntoIterator<Item = u64>,
    ) -> Self {
        Self {
            by,
            clean: ranges(clean),
            other: ranges(other),
        }
    }

    /// Returns whether the answer to a task is clean; `None` where the word is not about it.
    #[must_use]
    pub fn is_clean(&self, task: u64) -> Option<bool> {
        let is_in = |ranges: &[(u64, u64)]| {
            let behind = ranges.partition_point(|(first, _)| *first <= task);
            let last = behind.checked_sub(1).map(|at| ranges[at]);
            last.is_some_and(|(first, count)| task - first < count)
        };
        if is_in(&self.clean) {
            return Some(true);
        }
        is_in(&self.other).then_some(false)
    }
}

fn ranges(tasks: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut tasks: Vec<u64> = tasks.into_iter().collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for task in tasks {
        match ranges.last_mut() {
            Some((first, count)) if *first + *count == task => *count += 1,
            _ => ranges.push((task, 1)),
        }
    }
    ranges
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        number: &u128,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// An answer of the topic model. The plan that follows holds what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TopicAnswer {
    /// The seed of the request, which is unique in a run.
    pub seed: u64,
    /// The model that was asked, as `provider/model`.
    pub model: String,
    /// What it answered.
    pub response: ChatResponse,
    /// The attempts that it took, in order.
    #[serde(flatten, with = "kept_attempts")]
    pub attempts: Vec<Attempt>,
}

/// How attempts are kept, in this version and the one before.
pub(super) mod kept_attempts {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::error::ErrorKind;
    use crate::llm::{Attempt, UnconfirmedCost};

    #[derive(Serialize)]
    struct Kept<'a> {
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        attempts: &'a [Attempt],
    }

    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        attempts: Vec<Attempt>,
        #[serde(default)]
        failed_calls: Vec<ErrorKind>,
        #[serde(default)]
        uncertain: UnconfirmedCost,
    }

    pub(in super::super) fn serialize<S: Serializer>(
        attempts: &[Attempt],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Kept { attempts }.serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Attempt>, D::Error> {
        let found = Found::deserialize(deserializer)?;
        let mut attempts = found.attempts;
        attempts.extend(of_version_1(found.failed_calls, found.uncertain));
        Ok(attempts)
    }

    /// Returns the attempts of an entry that says of all of them together what they may have cost.
    pub(in super::super) fn of_version_1(
        failed: Vec<ErrorKind>,
        unconfirmed: UnconfirmedCost,
    ) -> Vec<Attempt> {
        let failed = failed.into_iter().map(|kind| Attempt::new(Some(kind)));
        let cost = Attempt::new(None).with_unconfirmed(unconfirmed);
        let cost = (!unconfirmed.is_none()).then_some(cost);
        failed.chain(cost).collect()
    }
}

/// What the prompt of a task said beside its topic: with the records before it, that is all there was to it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PromptChoice {
    /// The ordinals of the records that it showed as not to be repeated. How many there are is what the choice was, and is
    /// credited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<u64>,
    /// How many of the caller's examples it showed.
    #[serde(skip_serializing_if = "is_zero")]
    pub examples: usize,
    /// The point of view that it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub angle: Option<String>,
    /// The output limit, where it was not that of the run's parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// What it said of earlier answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
    /// Whether it showed an answer with its values left open.
    #[serde(skip_serializing_if = "is_false")]
    pub skeleton: bool,
    /// Whether the answer repeats what the prompt said of the answer before it.
    #[serde(skip_serializing_if = "is_false")]
    pub parroted: bool,
    /// Whether the call was made by another process, whose choice is not known.
    #[serde(skip_serializing_if = "is_false")]
    pub unknown: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl PromptChoice {
    /// Creates what a prompt said: the ordinals of the records that it showed, its point of view and its output limit.
    #[must_use]
    pub fn new(
        shown: impl IntoIterator<Item = u64>,
        angle: Option<&str>,
        max_tokens: Option<u64>,
    ) -> Self {
        Self {
            shown: shown.into_iter().collect(),
            angle: angle.map(str::to_owned),
            max_tokens,
            ..Self::default()
        }
    }

    fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Shows everything but what was said of earlier answers, which may quote a record.
impl std::fmt::Debug for PromptChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptChoice")
            .field("shown", &self.shown)
            .field("examples", &self.examples)
            .field("angle", &self.angle)
            .field("max_tokens", &self.max_tokens)
            .field("skeleton", &self.skeleton)
            .field("parroted", &self.parroted)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

/// The answer to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// The task.
    pub task: u64,
    /// Index of its topic in the plan.
    pub topic: usize,
    /// Records that were asked for.
    pub wanted: u64,
    /// The round of misses the task belonged to.
    pub round: u32,
    /// The model that was asked, as `provider/model`.
    pub model: String,
    /// What its prompt said beside the topic.
    #[serde(default, skip_serializing_if = "PromptChoice::is_plain")]
    pub prompt: PromptChoice,
    /// What it answered.
    pub response: ChatResponse,
    /// The attempts that it took, in order.
    #[serde(flatten, with = "kept_attempts")]
    pub attempts: Vec<Attempt>,
}

/// A call that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallNote {
    /// What it is made for.
    pub of: CallOf,
    /// The most that it can cost.
    pub most: UnconfirmedCost,
}

/// What a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOf {
    /// A task.
    Task(u64),
    /// Topics or angles, by the seed of the request.
    Topics(u64),
    /// Embeddings, by a number that the process gives its calls.
    Embeddings(u64),
    /// A filter's word, by the seed of the request.
    Filters(u64),
}

impl CallNote {
    /// Creates the note of a call that can cost no more than this.
    #[must_use]
    pub fn new(of: CallOf, most: UnconfirmedCost) -> Self {
        Self { of, most }
    }
}

/// A task whose call failed finally.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallFailure {
    /// The task.
    pub task: u64,
    /// Index of its topic in the plan.
    pub topic: usize,
    /// Records that were asked for.
    pub wanted: u64,
    /// The round of misses the task belonged to.
    pub round: u32,
    /// The model that was asked, as `provider/model`.
    pub model: String,
    /// How the last call failed.
    pub kind: ErrorKind,
    /// The same in words, at most 400 characters of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The attempts that it took, in order.
    #[serde(flatten, with = "kept_attempts")]
    pub attempts: Vec<Attempt>,
}
