//! Books answers and failures, one at a time, in the order of the log.

use std::sync::Arc;

use tracing::debug;

use super::Job;
use super::asked_again::AskedAgain;
use super::findings::{Findings, mostly_repeats};
use super::guard::caught;
use super::judge::{Judged, Ready, Refused};
use super::ledger::{Ledger, Task};
use super::output_limits::OutputLimits;
use super::recollection::Recollection;
use super::unproven_modes::UnprovenModes;
use super::worker::Settle;
use crate::dedup::{AnyFingerprint, AnyMemory, Match, Reference, Verdict};
use crate::diversity::Metrics;
use crate::error::{Error, ErrorKind};
use crate::event::RunEvent;
use crate::hooks::{Accepted, Failed, Rejected};
use crate::outcome::{AnswerFault, CallError, GiveUp, Miss, Rejection};
use crate::record::{JsonRecord, Record, RecordMeta};
use crate::schema::DecodeFault;
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
    pub(super) unproven: UnprovenModes,
    pub(super) limits: OutputLimits,
    /// Accepted records that the consumer has not taken yet.
    pub(super) outbox: Vec<Record<T>>,
    pub(super) asked_again: AskedAgain,
    /// What the last call that failed for good died of, in words.
    pub(super) last_failure: Option<String>,
    /// Whether what is settled was in the journal when the run began.
    pub(super) is_replaying: bool,
    /// Whether the memory can still be asked: it has not panicked.
    pub(super) admits: bool,
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
            Settle::Failed { error, calls } => self.failed(task, topic, &error, calls),
        };
        if let Some((why, last_error)) = given_up {
            self.gave_up(task, why, last_error);
        }
    }

    fn gave_up(&mut self, task: &Task, why: GiveUp, last_error: Option<String>) {
        let topic = &self.topics[task.topic];
        self.job.tell(&RunEvent::TopicGivenUp { topic, why });
        self.findings.given_up(task.topic, why, last_error);
    }

    fn answered(
        &mut self,
        task: &Task,
        topic: &Topic,
        judged: Judged<T>,
        failed_calls: usize,
        model: Option<&Arc<str>>,
    ) -> Option<(GiveUp, Option<String>)> {
        let answered_by = model.unwrap_or(&self.model);
        self.findings.answer(answered_by, &judged);
        let excused = match (judged.mode, judged.is_usable()) {
            (Some(mode), Some(is_usable)) => self.unproven.excuses(answered_by, mode, is_usable),
            _ => false,
        };
        if judged.at_limit {
            self.leave_more_room(task, judged.candidates.len());
        } else {
            self.limits.saw_whole(judged.output_tokens);
        }
        self.job.tell(&RunEvent::AnswerJudged {
            topic,
            task: task.id,
            candidates: judged.candidates.len(),
            mends: &judged.mends,
            coercions: &judged.coercions,
        });
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
        let mut last_error = None;
        for candidate in judged.candidates {
            let rejection = match candidate {
                Err(refused) => {
                    last_error = refused.in_words();
                    self.refused(task, topic, refused)
                }
                Ok(ready) if !self.ledger.has_room(task.topic) => {
                    self.ledger.reject(task.topic, Rejection::Surplus);
                    self.show_rejected(task, topic, &Why::new(Rejection::Surplus), ready.json);
                    Rejection::Surplus
                }
                Ok(Ready {
                    placeholder: Some(found),
                    json,
                    gist,
                    ..
                }) if !self
                    .asked_again
                    .is_second(task, &found, &gist, self.ledger.next_task()) =>
                {
                    last_error = Some(found.to_string());
                    let refused = Refused {
                        json,
                        ..Refused::invalid(&[found])
                    };
                    self.refused(task, topic, refused)
                }
                Ok(ready) => match self.admit(ready.fingerprint) {
                    // Neither it nor what follows it became anything.
                    None => break,
                    Some(Verdict::Unique) => {
                        self.ledger.found(task.topic, 1);
                        self.metrics.observe(task.topic, &ready.gist);
                        self.findings.accepted();
                        self.recollection
                            .accepted(task.topic, self.ledger.accepted(), &ready.gist);
                        self.accept(task, topic, ready.data, ready.json, model);
                        if let Some(found) = &ready.placeholder {
                            self.findings.unfinished(found.reason());
                        }
                        miss = None;
                        continue;
                    }
                    Some(Verdict::Duplicate(found)) => {
                        last_error = None;
                        self.duplicate(task, topic, &found, &ready.gist, ready.json);
                        Rejection::Duplicate
                    }
                },
            };
            self.ledger.found(task.topic, 1);
            miss = miss.map(|_| Miss::Rejected(rejection));
        }
        debug!(
            task = task.id,
            gave_something = miss.is_none(),
            "answer settled"
        );
        if let Some(miss) = miss.filter(|_| excused) {
            let fault = judged.fault;
            self.ledger.excused(task, miss, fault, failed_calls);
            return None;
        }
        let given_up = self
            .ledger
            .answered(task, miss, judged.fault, failed_calls)?;
        Some((given_up, last_error))
    }

    /// Asks the memory, which says nothing once it has panicked.
    fn admit(&mut self, fingerprint: AnyFingerprint) -> Option<Verdict> {
        let memory = &mut self.memory;
        let verdict = caught("the memory of the deduplicator", || {
            memory.admit(fingerprint)
        });
        self.admits = verdict.is_ok();
        self.job.broken.keep(verdict)
    }

    /// After an answer that ran into the output limit: raises it for the topic's next tasks, or asks them for as
    /// many records as came whole, if the caller left no room.
    fn leave_more_room(&mut self, task: &Task, came_whole: usize) {
        let next_task = self.ledger.next_task();
        if !self.limits.cut(task.topic, task.id, next_task) {
            self.ledger.ask_for_at_most(task.topic, came_whole as u64);
        }
    }

    fn refused(&mut self, task: &Task, topic: &Topic, refused: Refused) -> Rejection {
        let rejection = refused.rejection;
        self.ledger.reject(task.topic, rejection);
        let reason = refused.in_words();
        let why = Why {
            reason: reason.as_deref(),
            filter: refused.filter,
            disagreement: refused.disagreement.as_ref(),
            ..Why::new(rejection)
        };
        self.show_rejected(task, topic, &why, refused.json);
        self.findings.invalid(refused.reasons.into_vec());
        if let Some(reason) = refused.filter {
            self.findings.filtered(reason);
        }
        if let Some(advice) = refused.advice {
            self.recollection.note(task.topic, advice);
        }
        if let Some(fault) = refused.disagreement {
            self.findings.disagreement(fault);
        }
        rejection
    }

    fn duplicate(
        &mut self,
        task: &Task,
        topic: &Topic,
        found: &Match,
        gist: &str,
        json: Option<Box<JsonRecord>>,
    ) {
        let of = match found.of {
            Reference::Record(ordinal) => Some(ordinal),
            Reference::Given(_) => None,
        };
        let differs = self.recollection.repeated(task.topic, of, gist);
        if self.findings.duplicate(found.method, differs) && !self.is_replaying {
            let warning = mostly_repeats(&self.job.compared_by);
            self.job.tell(&RunEvent::Warned { warning: &warning });
        }
        self.metrics.observe_duplicate();
        self.ledger.repeated(task.topic, of);
        let why = Why {
            repeats: Some(found),
            ..Why::new(Rejection::Duplicate)
        };
        self.show_rejected(task, topic, &why, json);
    }

    /// Tells observers and hooks of a candidate that was booked as rejected.
    #[allow(clippy::needless_pass_by_value)] // It ends here.
    fn show_rejected(
        &self,
        task: &Task,
        topic: &Topic,
        why: &Why<'_>,
        json: Option<Box<JsonRecord>>,
    ) {
        self.job.tell(&RunEvent::Rejected {
            topic,
            rejection: why.rejection,
            filter: why.filter,
            disagreement: why.disagreement,
        });
        let job = self.job;
        let candidate = Rejected {
            topic,
            task: task.id,
            rejection: why.rejection,
            reason: why.reason,
            repeats: why.repeats,
            data: json.as_deref(),
            is_replayed: self.is_replaying,
        };
        job.broken
            .guard("a hook (`on_rejected`)", || job.hooks.rejected(&candidate));
    }

    fn accept(
        &mut self,
        task: &Task,
        topic: &Topic,
        data: T,
        json: Option<Box<JsonRecord>>,
        model: Option<&Arc<str>>,
    ) {
        let model = Arc::clone(model.unwrap_or(&self.model));
        let meta = RecordMeta::new(self.ledger.accepted(), task.id, model);
        self.ledger.accept(task.topic);
        self.job.tell(&RunEvent::Accepted {
            topic,
            accepted: self.ledger.accepted(),
            requested: self.requested,
        });
        if let Some(json) = json {
            let record = Accepted {
                topic,
                data: &json,
                meta: &meta,
                is_replayed: self.is_replaying,
            };
            let job = self.job;
            job.broken
                .guard("a hook (`on_accepted`)", || job.hooks.accepted(&record));
        }
        self.outbox.push(Record::new(topic.clone(), data, meta));
    }

    fn failed(
        &mut self,
        task: &Task,
        topic: &Topic,
        error: &CallError,
        calls: usize,
    ) -> Option<(GiveUp, Option<String>)> {
        let kind = error.kind;
        debug!(task = task.id, kind = kind.as_str(), "call failed");
        self.job.tell(&RunEvent::CallFailed { topic, kind });
        self.show_failed(&Failed {
            topic,
            task: task.id,
            error,
            calls,
            ends_run: false,
            is_replayed: self.is_replaying,
        });
        if kind == ErrorKind::ContentFilter {
            self.recollection.declined(task.topic);
        }
        self.last_failure = Some(error.message.clone());
        let given_up = self.ledger.failed(task, kind, calls)?;
        Some((given_up, Some(error.message.clone())))
    }

    fn show_failed(&self, task: &Failed<'_>) {
        let job = self.job;
        job.broken
            .guard("a hook (`on_failed`)", || job.hooks.failed(task));
    }

    /// Books a task whose error ends the run.
    pub(super) fn ends_run(&mut self, task: &Task, error: &Error) {
        let error = CallError::from(error);
        self.show_failed(&Failed {
            topic: &self.topics[task.topic],
            task: task.id,
            error: &error,
            calls: 0,
            ends_run: true,
            is_replayed: false,
        });
        if let Some(why) = self.ledger.failed(task, error.kind, 0) {
            self.gave_up(task, why, Some(error.message));
        }
    }
}

/// Why a candidate is rejected, as far as it is known.
struct Why<'a> {
    rejection: Rejection,
    reason: Option<&'a str>,
    filter: Option<&'static str>,
    disagreement: Option<&'a DecodeFault>,
    repeats: Option<&'a Match>,
}

impl Why<'_> {
    fn new(rejection: Rejection) -> Self {
        Self {
            rejection,
            reason: None,
            filter: None,
            disagreement: None,
            repeats: None,
        }
    }
}
