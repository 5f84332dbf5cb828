//! What is counted for each topic.

use crate::counts::Counts;
use crate::error::ErrorKind;
use crate::outcome::{AnswerFault, EmptyAttempt, TopicExhausted};
use crate::plan::PlannedTopic;
use crate::report::{CandidateCounts, TopicReport};

/// What the ledger counted for one topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicStats {
    pub(crate) tasks: u64,
    /// Calls of the tasks that ended, retries included.
    pub(crate) calls: u64,
    pub(crate) answers: u64,
    pub(crate) cancelled: u64,
    pub(crate) faults: Counts<AnswerFault>,
    pub(crate) failures: Counts<ErrorKind>,
    pub(crate) candidates: CandidateCounts,
    pub(crate) given_up: Option<TopicExhausted>,
    pub(crate) moved_away: u64,
    pub(crate) moved_in: u64,
    pub(crate) last_miss: Option<EmptyAttempt>,
}

impl TopicStats {
    /// Returns the report of the topic, which has this quota now.
    pub(crate) fn report(&self, planned: &PlannedTopic, quota: u64) -> TopicReport {
        TopicReport {
            topic: planned.topic.clone(),
            origin: planned.origin,
            planned: planned.quota,
            quota,
            tasks: self.tasks,
            calls: self.calls,
            answers: self.answers,
            failed: self.failures,
            cancelled: self.cancelled,
            faults: self.faults,
            candidates: self.candidates,
            given_up: self.given_up,
            last_miss: self.last_miss,
        }
    }

    /// Says which part of the topic's quota moved, if any.
    pub(crate) fn moves(&self, planned: &PlannedTopic) -> Option<String> {
        (self.moved_away > 0).then(|| {
            format!(
                "{} records of the topic \"{}\", which was given up, were asked of other topics",
                self.moved_away, planned.topic
            )
        })
    }
}
