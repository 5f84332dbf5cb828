//! Keeps what goes wrong in a caller's parts from taking the run along.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures::FutureExt;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};

/// How many times as long as a model call another part of the caller's may take: it may make several calls, and wait in line
/// for an embedder that serves all of them.
const CALLS: u32 = 10;

/// Returns how long an asynchronous part may take that is not a model call.
pub(super) fn longest(call_timeout: Duration) -> Duration {
    call_timeout.saturating_mul(CALLS)
}

/// Calls a part, and makes an error of its panic. The panic's own words may hold record data and are left out.
pub(super) fn caught<R>(part: &str, call: impl FnOnce() -> R) -> Result<R> {
    // The run ends with that error, and does not ask the part again.
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| panicked(part))
}

/// Waits for a part, and makes an error of its panic.
pub(super) async fn caught_async<R>(
    part: &str,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let result = AssertUnwindSafe(call).catch_unwind().await;
    result.unwrap_or_else(|_| Err(panicked(part)))
}

/// Waits so long for a part, and makes an error of its panic or silence.
pub(super) async fn bounded<R>(
    part: &str,
    longest: Duration,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let result = timeout(longest, caught_async(part, call)).await;
    result.unwrap_or_else(|_| Err(silent(part, longest)))
}

pub(super) fn silent(part: &str, longest: Duration) -> Error {
    Error::new(
        ErrorKind::Plugin,
        format!(
            "{part} has not returned after {} s; `task_runner_timeout` sets how long that may take",
            longest.as_secs_f64()
        ),
    )
}

fn panicked(part: &str) -> Error {
    Error::new(ErrorKind::Plugin, format!("{part} panicked"))
}
