//! Tells the budget whether a call still stands in line here, or was sent.
//!
//! A layer cannot see what the layers inside it are waiting for, and yet a call that was dropped while it
//! waited costs nothing, while one that was dropped after it was sent may be billed. The waiting layers say
//! so through a flag of the task.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static IN_LINE: InLine;
}

/// Whether a call stands in line. Without a waiting layer inside it never does, so it counts as sent.
#[derive(Debug, Clone, Default)]
pub(super) struct InLine(Arc<AtomicBool>);

impl InLine {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs a call that says here whether it stands in line.
    pub(super) async fn watch<F: Future>(&self, call: F) -> F::Output {
        IN_LINE.scope(self.clone(), call).await
    }
}

/// Waits in line. The call counts as sent once this is over, and as never sent where it is dropped before
/// or ends in an error.
pub(super) async fn wait<T, E>(place: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    say(true);
    let admitted = place.await?;
    say(false);
    Ok(admitted)
}

fn say(in_line: bool) {
    // Outside of a budget nobody asks.
    let _ = IN_LINE.try_with(|flag| flag.0.store(in_line, Ordering::Relaxed));
}
