//! Calls whose attempts no task tells of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layers::Budget;
use super::{AttemptLog, UnconfirmedCost};

/// The calls whose ends are not in the log yet.
pub(crate) struct CallsUnderWay {
    budget: Arc<Budget>,
    calls: Mutex<Vec<AttemptLog>>,
}

/// A call that is followed. When it is over, what its attempts may have cost that no entry tells of is left to the end of the
/// run.
pub(crate) struct Followed<'a> {
    under_way: &'a CallsUnderWay,
    pub(crate) attempts: AttemptLog,
}

impl CallsUnderWay {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            calls: Mutex::default(),
        }
    }

    /// Returns whether an attempt is in flight, or was answered and its answer is not in the log yet.
    pub(crate) fn are_there(&self) -> bool {
        self.calls().iter().any(AttemptLog::is_under_way)
    }

    pub(crate) fn follow(&self) -> Followed<'_> {
        let attempts = AttemptLog::default();
        self.calls().push(attempts.clone());
        Followed {
            under_way: self,
            attempts,
        }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<AttemptLog>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        let under_way = self.under_way;
        under_way.calls().retain(|call| !call.is(&self.attempts));
        let unconfirmed = UnconfirmedCost::of_unlogged(&self.attempts.take());
        under_way.budget.leave_unattributed(unconfirmed);
    }
}
