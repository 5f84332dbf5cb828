//! What ends a run from outside.

use std::process;
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use topicloom::StopHandle;

/// How long a run that is stopped at once may take to put its files in order.
const TO_TIDY_UP: Duration = Duration::from_secs(1);

/// Ends a run in order at the first signal and at once at the second, or when its calls have taken so long.
pub(crate) fn stop_at_signals(stop: StopHandle, longest_call: Duration) {
    let mut signals = Signals::new();
    tokio::spawn(async move {
        let first = signals.next().await;
        stop.stop_after_calls();
        eprintln!(
            "{}: no further calls; waiting up to {} s for those in flight, another signal ends the run at once",
            first.name,
            longest_call.as_secs_f64().ceil()
        );
        let next = timeout(longest_call, signals.next()).await;
        stop.stop();
        if let Ok(second) = next {
            second.exits_soon();
        }
    });
}

/// Has a write beyond the limit to the size of files (`ulimit -f`) fail, which a run tells as it does a full disk. By default
/// the system ends the process without a word.
pub(crate) fn let_writes_fail() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        /// On all systems of today but Linux on MIPS.
        const SIGXFSZ: i32 = 25;
        // Listening to a signal once takes its default away for as long as the process lives.
        drop(signal(SignalKind::from_raw(SIGXFSZ)));
    }
}

/// The signals that ask for an end: an interrupt, a termination, and the loss of the terminal unless `nohup` is at work.
pub(crate) struct Signals {
    #[cfg(unix)]
    streams: Vec<(tokio::signal::unix::Signal, Signal)>,
}

/// One that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal {
    name: &'static str,
    number: i32,
}

impl Signal {
    /// Ends the process with the status that a shell gives for the signal, unless it ends by itself first.
    pub(crate) fn exits_soon(self) {
        // A thread: whatever keeps the runtime busy does not keep it from ending.
        thread::spawn(move || {
            thread::sleep(TO_TIDY_UP);
            process::exit(128 + self.number);
        });
    }
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        let ignored = ignored_signals();
        let streams = kinds.into_iter().filter_map(|(name, kind)| {
            let number = kind.as_raw_value();
            let is_ignored = ignored >> (number - 1) & 1 == 1;
            // One that cannot be listened to ends the process, which loses nothing but calls in flight.
            let stream = (!is_ignored).then(|| signal(kind).ok()).flatten()?;
            Some((stream, Signal { name, number }))
        });
        Self {
            streams: streams.collect(),
        }
    }

    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (stream, signal) in &mut self.streams {
                if let std::task::Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return std::task::Poll::Ready(*signal);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Returns the signals that this process was told to ignore, as `nohup` does, a bit for each. Known on Linux only.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal {
            name: "interrupted",
            number: 2,
        }
    }
}
