//! How a run is told to stop.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long what is no call may go on once the run is stopped: judging what has arrived, or reading the journal. Nothing is
/// lost with it where there is a journal.
const LONGEST: Duration = Duration::from_millis(900);

/// How long the journal may take for an entry once the run makes no further calls: a disk or a database that is busy
/// needs a moment, and each answer was paid for.
const LONGEST_FOR_THE_JOURNAL: Duration = Duration::from_secs(5);

/// The two ways in which a run can be told to stop.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal {
    /// Drops the calls in flight; implies the other.
    pub(crate) at_once: CancellationToken,
    /// Makes no further call, and lets those in flight end.
    pub(crate) after_calls: CancellationToken,
}

impl StopSignal {
    /// Waits until the run was stopped, and then as long as what is no call may take.
    pub(crate) async fn long_ago(&self) {
        // Also told by `at_once`, but not where only the workers are told that.
        tokio::select! {
            () = self.at_once.cancelled() => {}
            () = self.after_calls.cancelled() => {}
        }
        sleep(LONGEST).await;
    }

    /// Waits until what asks the journal now has waited long enough.
    pub(crate) async fn is_due_for_the_journal(&self) {
        let after_calls = async {
            self.after_calls.cancelled().await;
            sleep(LONGEST_FOR_THE_JOURNAL).await;
        };
        let at_once = async {
            self.at_once.cancelled().await;
            sleep(LONGEST).await;
        };
        tokio::select! {
            () = after_calls => {}
            () = at_once => {}
        }
    }

    /// Returns a signal that can be given `at_once` to workers alone.
    pub(crate) fn for_workers(&self) -> Self {
        Self {
            at_once: self.at_once.child_token(),
            after_calls: self.after_calls.clone(),
        }
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        let at_once = CancellationToken::new();
        let after_calls = at_once.child_token();
        Self {
            at_once,
            after_calls,
        }
    }
}
