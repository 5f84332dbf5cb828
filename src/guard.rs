//! Keeps what goes wrong in a caller's parts from taking the run along.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};

/// How many times as long as a model call another part of the caller's may take: it may make several calls, and wait in line
/// for an embedder that serves all of them.
const CALLS: u32 = 10;

/// Returns how long an asynchronous part may take that is not a model call.
pub(crate) fn longest(call_timeout: Duration) -> Duration {
    call_timeout.saturating_mul(CALLS)
}

/// Calls a part, and makes an error of its panic. The panic's own words may hold record data and are left out.
pub(crate) fn caught<R>(part: &str, call: impl FnOnce() -> R) -> Result<R> {
    // The run ends with that error, and does not ask the part again.
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| panicked(part))
}

/// Waits for a part, and makes an error of its panic.
pub(crate) async fn caught_async<R>(
    part: &str,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let result = AssertUnwindSafe(call).catch_unwind().await;
    result.unwrap_or_else(|_| Err(panicked(part)))
}

/// Waits so long for a part, and makes an error of its panic or silence.
pub(crate) async fn bounded<R>(
    part: &str,
    longest: Duration,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let mut call = pin!(caught_async(part, call));
    // Most parts do not wait, and need no clock.
    if let Poll::Ready(result) = futures::poll!(call.as_mut()) {
        return result;
    }
    let result = timeout(longest, call).await;
    result.unwrap_or_else(|_| Err(silent(part, longest)))
}

/// Keeps the first error of a caller's part that cannot return one, such as an observer that panicked. After it, no such part
/// is called again.
#[derive(Debug, Default)]
pub(crate) struct PanicTrap(Mutex<Trapped>);

#[derive(Debug, Default)]
struct Trapped {
    is_sprung: bool,
    error: Option<Error>,
}

impl PanicTrap {
    /// Calls a part unless one has panicked.
    pub(crate) fn call<R>(&self, part: &str, call: impl FnOnce() -> R) -> Option<R> {
        if self.lock().is_sprung {
            return None;
        }
        self.keep(caught(part, call))
    }

    /// Keeps an error to end the run with.
    pub(crate) fn keep<R>(&self, result: Result<R>) -> Option<R> {
        result
            .map_err(|error| {
                *self.lock() = Trapped {
                    is_sprung: true,
                    error: Some(error),
                };
            })
            .ok()
    }

    /// Takes the error, which ends the run.
    pub(crate) fn take(&self) -> Option<Error> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, Trapped> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn silent(part: &str, longest: Duration) -> Error {
    Error::new(
        ErrorKind::Plugin,
        format!(
            "{part} has not returned after {} s; `task_runner_timeout` sets how long that may take",
            longest.as_secs_f64()
        ),
    )
}

/// Makes an error of the panic of a task.
pub(crate) fn task_panicked(error: JoinError) -> Error {
    Error::new(
        ErrorKind::Plugin,
        "a task panicked, in the prompts or while a record was decoded",
    )
    .with_source(error)
}

fn panicked(part: &str) -> Error {
    Error::new(ErrorKind::Plugin, format!("{part} panicked"))
}
