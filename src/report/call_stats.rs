//! Counts every call of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{CallCounts, ModelReport};
use crate::error::ErrorKind;
use crate::llm::layers::{Budget, CallEnd, CallObserver, CallOutcome};
use crate::llm::{Attempt, ChatRequest, Purpose, UnconfirmedCost, Usage, failures};

/// What the calls of a run came to.
#[derive(Debug, Default)]
pub(crate) struct CallStats(Mutex<Counts>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) records: CallCounts,
    pub(crate) topics: CallCounts,
    pub(crate) filters: CallCounts,
    pub(crate) models: BTreeMap<String, ModelReport>,
}

impl CallStats {
    /// Books a call of an earlier process, here and in the account; `usage` is that of its answer, if it was answered.
    pub(crate) fn replay(
        &self,
        purpose: Purpose,
        model: &str,
        attempts: &[Attempt],
        usage: Option<Usage>,
        budget: &Budget,
    ) {
        let failed = failures(attempts).count() as u64;
        if let Some(usage) = &usage {
            budget.book(model, usage);
        }
        budget.book_failed(failed);
        budget.book_uncertain(&UnconfirmedCost::of(attempts));
        let mut counts = self.lock();
        let made = failed + u64::from(usage.is_some());
        counts.model(model).calls += made;
        counts.of(purpose).made += made;
        for kind in failures(attempts) {
            counts.fail(purpose, kind);
        }
        if let Some(usage) = usage {
            counts.answer(purpose, model, usage);
        }
    }

    /// Returns what was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(&mut self, purpose: Purpose) -> &mut CallCounts {
        match purpose {
            Purpose::Topics => &mut self.topics,
            Purpose::Records => &mut self.records,
            Purpose::Filters => &mut self.filters,
        }
    }

    fn model(&mut self, model: &str) -> &mut ModelReport {
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), ModelReport::default());
        }
        self.models.get_mut(model).expect("it was inserted above")
    }

    fn answer(&mut self, purpose: Purpose, model: &str, usage: Usage) {
        self.model(model).usage += usage;
        let calls = self.of(purpose);
        calls.answered += 1;
        calls.usage += usage;
    }

    fn fail(&mut self, purpose: Purpose, kind: ErrorKind) {
        self.of(purpose).failed.add(kind);
    }
}

impl CallObserver for CallStats {
    fn started(&self, model: &str, request: &ChatRequest) -> u64 {
        let mut counts = self.lock();
        counts.model(model).calls += 1;
        counts.of(request.purpose).made += 1;
        0
    }

    fn finished(&self, call: &CallOutcome<'_>) {
        let mut counts = self.lock();
        match call.end {
            CallEnd::Answered { usage, .. } => counts.answer(call.purpose, call.model, usage),
            CallEnd::Failed { kind } => counts.fail(call.purpose, kind),
            CallEnd::Cancelled => counts.of(call.purpose).cancelled += 1,
        }
    }
}
