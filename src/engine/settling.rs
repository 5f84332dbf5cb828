//! Books answers and failures, one at a time, in the order of the log.

use std::sync::Arc;

use tracing::debug;

use super::Job;
use super::findings::Findings;
use super::judge::Judged;
use super::ledger::{Ledger, Task};
use super::output_limits::OutputLimits;
use super::recollection::Recollection;
use super::worker::Settle;
use crate::dedup::{AnyMemory, Match, Reference, Verdict};
use crate::diversity::Metrics;
use crate::error::ErrorKind;
use crate::event::RunEvent;
use crate::outcome::{AnswerFault, GiveUp, Miss, Rejection};
use crate::record::{Record, RecordMeta};
use crate::topic::Topic;

/// The one owner of a run's state.
pub(super) struct Settling<'a, T> {
    pub(super) job: &'a Job,
    pub(super) topics: &'a [Topic],
    pub(super) model: Arc<str>,
    pub(super) requested: u64,
    pub(super) ledger: Ledger,
    pub(super) memory: AnyMemory,
    pub(super) recollection: Recollection,
    pub(super) metrics: Metrics,
    pub(super) findings: Findings,
    pub(super) limits: OutputLimits,
    /// Accepted records that the consumer has not taken yet.
    pub(super) outbox: Vec<Record<T>>,
}

impl<T> Settling<'_, T> {
    /// Books how a task ended.
    pub(super) fn settle(&mut self, task: &Task, result: Settle<T>) {
        let topic = &self.topics[task.topic];
        let given_up = match result {
            Settle::Answered {
                judged,
                failed_calls,
                model,
            } => self.answered(task, topic, judged, failed_calls, model.as_ref()),
            Settle::Failed { kind, calls } => self.failed(task, topic, kind, calls),
        };
        if let Some(why) = given_up {
            self.job.tell(&RunEvent::TopicGivenUp { topic, why });
        }
    }

    fn answered(
        &mut self,
        task: &Task,
        topic: &Topic,
        judged: Judged<T>,
        failed_calls: usize,
        model: Option<&Arc<str>>,
    ) -> Option<GiveUp> {
        self.findings.answer(model.unwrap_or(&self.model), &judged);
        if judged.at_limit {
            self.leave_more_room(task, judged.candidates.len());
        }
        self.ledger.found(task.topic, judged.candidates.len());
        if let Some(fault) = judged.fault {
            self.job.tell(&RunEvent::AnswerFaulty { topic, fault });
            if matches!(fault, AnswerFault::Refused | AnswerFault::ContentFiltered) {
                self.recollection.declined(task.topic);
            }
        }
        if let Some(advice) = judged.advice {
            self.recollection.note(task.topic, advice);
        }
        let mut miss = Some(Miss::Answer(judged.fault.unwrap_or(AnswerFault::NoRecords)));
        for candidate in judged.candidates {
            let mut disagreement = None;
            let rejection = match candidate {
                Err(refused) => {
                    disagreement = refused.disagreement;
                    if let Some(advice) = refused.advice {
                        self.recollection.note(task.topic, advice);
                    }
                    refused.rejection
                }
                Ok(_) if !self.ledger.has_room(task.topic) => Rejection::Surplus,
                Ok(ready) => match self.memory.admit(ready.fingerprint) {
                    Verdict::Unique => {
                        self.metrics.observe(task.topic, &ready.gist);
                        self.recollection
                            .accepted(task.topic, self.ledger.accepted(), &ready.gist);
                        self.accept(task, topic, ready.data, model);
                        miss = None;
                        continue;
                    }
                    Verdict::Duplicate(found) => {
                        self.duplicate(task, topic, &found, &ready.gist);
                        miss = miss.map(|_| Miss::Rejected(Rejection::Duplicate));
                        continue;
                    }
                },
            };
            self.ledger.reject(task.topic, rejection);
            self.job.tell(&RunEvent::Rejected {
                topic,
                rejection,
                disagreement: disagreement.as_ref(),
            });
            if let Some(fault) = disagreement {
                self.findings.disagreement(fault);
            }
            miss = miss.map(|_| Miss::Rejected(rejection));
        }
        debug!(
            task = task.id,
            gave_something = miss.is_none(),
            "answer settled"
        );
        self.ledger.answered(task, miss, judged.fault, failed_calls)
    }

    /// After an answer that ran into the output limit: raises it for the topic's next tasks, or asks them for as
    /// many records as came whole, if the caller left no room.
    fn leave_more_room(&mut self, task: &Task, came_whole: usize) {
        let next_task = self.ledger.next_task();
        if !self.limits.cut(task.topic, task.id, next_task) {
            self.ledger.ask_for_at_most(task.topic, came_whole as u64);
        }
    }

    fn duplicate(&mut self, task: &Task, topic: &Topic, found: &Match, gist: &str) {
        let of = match found.of {
            Reference::Record(ordinal) => Some(ordinal),
            Reference::Given(_) => None,
        };
        self.recollection.repeated(task.topic, of, gist);
        self.metrics.observe_duplicate();
        self.ledger.repeated(task.topic, of);
        self.job.tell(&RunEvent::Rejected {
            topic,
            rejection: Rejection::Duplicate,
            disagreement: None,
        });
    }

    fn accept(&mut self, task: &Task, topic: &Topic, data: T, model: Option<&Arc<str>>) {
        let model = Arc::clone(model.unwrap_or(&self.model));
        let meta = RecordMeta::new(self.ledger.accepted(), task.id, model);
        self.outbox.push(Record::new(topic.clone(), data, meta));
        self.ledger.accept(task.topic);
        let accepted = self.ledger.accepted();
        self.job.tell(&RunEvent::Accepted {
            topic,
            accepted,
            requested: self.requested,
        });
    }

    fn failed(
        &mut self,
        task: &Task,
        topic: &Topic,
        kind: ErrorKind,
        calls: usize,
    ) -> Option<GiveUp> {
        debug!(task = task.id, kind = kind.as_str(), "call failed");
        self.job.tell(&RunEvent::CallFailed { topic, kind });
        if kind == ErrorKind::ContentFilter {
            self.recollection.declined(task.topic);
        }
        self.ledger.failed(task, kind, calls)
    }
}
