//! What an observer is told while a run goes on.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::llm::layers::Spending;
use crate::outcome::{AnswerFault, Rejection, TopicExhausted};
use crate::parse::Repairs;
use crate::plan::Plan;
use crate::report::{self, Report};
use crate::schema::{CoercionKind, DecodeFault};
use crate::topic::Topic;

/// Something that happened in a run, told in the order in which it was settled.
///
/// Holds no record data and no prompts, so that it can be logged as it is. Serialises to an object whose `event` is its name:
/// `{"event": "accepted", "topic": "tides", "accepted": 3, "requested": 20}`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// The topics and quotas are settled.
    #[non_exhaustive]
    Planned {
        /// The topics and quotas.
        #[serde(serialize_with = "written::quotas")]
        plan: &'a Plan,
        /// What is compared to find repeats: `near: question, context`.
        compared_by: &'a str,
    },
    /// What an earlier process left in the journal was folded.
    #[non_exhaustive]
    Resumed {
        /// Answers that need not be asked for again.
        answers: u64,
        /// Records they gave.
        accepted: u64,
    },
    /// An answer was judged; what becomes of its candidates is told next.
    #[non_exhaustive]
    AnswerJudged {
        /// Its topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// The task it answers.
        task: u64,
        /// Records found in it.
        candidates: usize,
        /// How its JSON was repaired.
        repairs: &'a Repairs,
        /// How values were given the type that the schema asks for.
        coercions: &'a [CoercionKind],
        /// What the run has spent so far, earlier processes included.
        spent: Spending,
    },
    /// A record was accepted.
    #[non_exhaustive]
    Accepted {
        /// Its topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// Records accepted so far, this one included.
        accepted: u64,
        /// Records asked for.
        requested: u64,
    },
    /// A candidate was rejected.
    #[non_exhaustive]
    Rejected {
        /// Its topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// Why.
        rejection: Rejection,
        /// What the filter said, where one refused it.
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<&'static str>,
        /// Where the schema and the caller's type disagree, of a record that fits the one and not the other.
        #[serde(skip_serializing_if = "Option::is_none")]
        disagreement: Option<&'a DecodeFault>,
    },
    /// An answer had a fault.
    #[non_exhaustive]
    AnswerFaulty {
        /// Its topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// What was wrong.
        fault: AnswerFault,
    },
    /// An attempt failed, and may be made again. Told as it happens, from wherever the call is made.
    #[non_exhaustive]
    AttemptFailed {
        /// The model, as `provider/model`.
        model: &'a str,
        /// Why. Its [`provider_words`](Error::provider_words) may quote the prompt; nothing else of it does.
        #[serde(serialize_with = "written::displayed")]
        error: &'a Error,
    },
    /// A call that failed waits before it is made again. Told as it happens.
    #[non_exhaustive]
    RetryPlanned {
        /// The model, as `provider/model`.
        model: &'a str,
        /// How long it waits.
        #[serde(rename = "wait_seconds", serialize_with = "report::seconds")]
        wait: Duration,
    },
    /// The call of a task failed finally.
    #[non_exhaustive]
    CallFailed {
        /// Its topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// How.
        kind: ErrorKind,
    },
    /// The run does something differently than it was asked to, such as leaving out a parameter that the model refuses.
    #[non_exhaustive]
    Warned {
        /// What, in words; the report's warnings hold it too.
        warning: &'a str,
    },
    /// A topic was given up.
    #[non_exhaustive]
    TopicGivenUp {
        /// The topic.
        #[serde(serialize_with = "written::name")]
        topic: &'a Topic,
        /// Why.
        #[serde(serialize_with = "written::displayed")]
        why: TopicExhausted,
    },
    /// Another process leads the shared run, and this one stands by to take over: how far it is. Told again and again while that
    /// is so.
    #[non_exhaustive]
    Followed {
        /// Records accepted so far, as the leader says every few seconds.
        accepted: u64,
        /// Records asked for.
        requested: u64,
    },
    /// The run ended.
    #[non_exhaustive]
    Finished {
        /// What it did.
        report: &'a Report,
    },
}

/// How parts of an event are written.
#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls them.
mod written {
    use super::{Display, Plan, Serializer, Topic};

    /// The name and quota of each topic. A topic may hold a row of the caller's data, and that is not for logs.
    pub(super) fn quotas<S: Serializer>(plan: &&Plan, serializer: S) -> Result<S::Ok, S::Error> {
        let quotas = plan
            .topics
            .iter()
            .map(|planned| (planned.topic.name(), planned.quota));
        serializer.collect_seq(quotas)
    }

    pub(super) fn name<S: Serializer>(topic: &&Topic, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(topic.name())
    }

    pub(super) fn displayed<S: Serializer>(
        shown: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(shown)
    }
}

/// Observes what happens in a run.
pub(crate) type Observer = Arc<dyn Fn(&RunEvent<'_>) + Send + Sync>;

/// Tells observers of what the run does differently than it was asked to, once, and keeps it for the report.
pub(crate) struct Warnings {
    said: Mutex<Vec<String>>,
    observers: Vec<Observer>,
}

impl Warnings {
    pub(crate) fn new(observers: Vec<Observer>) -> Self {
        Self {
            said: Mutex::default(),
            observers,
        }
    }

    /// Returns what layers warn through.
    pub(crate) fn listener(self: &Arc<Self>) -> Arc<dyn Fn(&str) + Send + Sync> {
        let warnings = Arc::clone(self);
        Arc::new(move |warning| warnings.add(warning))
    }

    /// Tells a warning, unless it was told before.
    pub(crate) fn add(&self, warning: &str) {
        {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.iter().any(|known| known == warning) {
                return;
            }
            said.push(warning.to_owned());
        }
        warn!("{warning}");
        for observer in &self.observers {
            observer(&RunEvent::Warned { warning });
        }
    }

    /// Returns all of it.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}
