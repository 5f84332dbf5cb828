//! Counts every call of a run, and remembers which failed on behalf of which task.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::ErrorKind;
use crate::llm::layers::{Budget, CallEnd, CallObserver, CallOutcome, Uncertain};
use crate::llm::{ChatRequest, Purpose, Usage};
use crate::report::{CallCounts, ModelReport};

/// What the calls of a run came to. A call's task is told by its seed, which is unique in a run.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    counts: Mutex<Counts>,
    /// Knows what calls may have cost.
    budget: Option<Arc<Budget>>,
}

#[derive(Debug, Default)]
struct Counts {
    records: CallCounts,
    topics: CallCounts,
    models: BTreeMap<String, ModelReport>,
    failed: HashMap<u64, Vec<ErrorKind>>,
    /// Tasks with a call in flight, or with an answer that has not been taken yet.
    under_way: HashSet<u64>,
}

impl CallLog {
    /// Creates the log of a run that keeps its account in this budget.
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            counts: Mutex::default(),
            budget: Some(budget),
        }
    }

    /// Returns whether a call of the task is in flight, or its answer not [taken](Self::taken).
    pub(crate) fn is_under_way(&self, seed: u64) -> bool {
        self.lock().under_way.contains(&seed)
    }

    /// Returns whether that holds of any task.
    pub(crate) fn any_under_way(&self) -> bool {
        !self.lock().under_way.is_empty()
    }

    /// Says that the answer to a task is where it should be.
    pub(crate) fn taken(&self, seed: u64) {
        self.lock().under_way.remove(&seed);
    }

    /// Takes how the calls of a task failed, in order.
    pub(crate) fn take_failures(&self, seed: u64) -> Vec<ErrorKind> {
        self.lock().failed.remove(&seed).unwrap_or_default()
    }

    /// Takes what the provider may have billed of the calls of a task. Whatever is not taken is told when the run ends.
    pub(crate) fn take_uncertain(&self, seed: u64) -> Uncertain {
        let budget = self.budget.as_ref();
        budget.map_or_else(Uncertain::default, |budget| budget.take_uncertain(seed))
    }

    /// Books calls that an earlier process made, as its journal tells.
    pub(crate) fn replay(
        &self,
        purpose: Purpose,
        model: &str,
        failed: &[ErrorKind],
        answered: Option<Usage>,
    ) {
        let mut counts = self.lock();
        let made = failed.len() as u64 + u64::from(answered.is_some());
        counts.model(model).calls += made;
        counts.of(purpose).made += made;
        for &kind in failed {
            counts.fail(purpose, kind);
        }
        if let Some(usage) = answered {
            counts.answer(purpose, model, usage);
        }
    }

    /// Returns the calls for records, the calls for topics, and the calls of each model.
    pub(crate) fn counts(&self) -> (CallCounts, CallCounts, BTreeMap<String, ModelReport>) {
        let counts = self.lock();
        (
            counts.records.clone(),
            counts.topics.clone(),
            counts.models.clone(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("counting does not panic")
    }
}

impl Counts {
    fn of(&mut self, purpose: Purpose) -> &mut CallCounts {
        match purpose {
            Purpose::Topics => &mut self.topics,
            Purpose::Records => &mut self.records,
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
        *self
            .of(purpose)
            .failed
            .entry(kind.as_str().to_owned())
            .or_default() += 1;
    }
}

impl CallObserver for CallLog {
    fn started(&self, model: &str, request: &ChatRequest) -> u64 {
        let mut counts = self.lock();
        counts.model(model).calls += 1;
        counts.of(request.purpose).made += 1;
        counts.under_way.insert(request.seed);
        request.seed
    }

    fn finished(&self, call: &CallOutcome<'_>) {
        let mut counts = self.lock();
        match call.end {
            CallEnd::Answered { usage, .. } => counts.answer(call.purpose, call.model, usage),
            CallEnd::Failed { kind } => {
                counts.fail(call.purpose, kind);
                counts.failed.entry(call.id).or_default().push(kind);
                counts.under_way.remove(&call.id);
            }
            CallEnd::Cancelled => {
                counts.of(call.purpose).cancelled += 1;
                counts.under_way.remove(&call.id);
            }
        }
    }
}
