//! Shows how far a run is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use topicloom::RunEvent;

/// Time between lines where standard error is not a terminal: often enough to see that it lives, and a run of a
/// day leaves a log that can be read.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows events on standard error.
pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines(Mutex<Instant>),
    Silent,
}

impl Progress {
    /// Creates what suits the terminal.
    pub(crate) fn new(show: bool) -> Self {
        if !show {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Mutex::new(Instant::now()));
        }
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} records  {per_sec}  {eta} left  {msg}",
        );
        let bar = ProgressBar::no_length();
        bar.set_style(style.expect("the template names known keys"));
        Self::Bar(bar)
    }

    /// Takes note of an event.
    pub(crate) fn observe(&self, event: &RunEvent<'_>) {
        match (self, event) {
            (Self::Bar(bar), RunEvent::Planned { plan, .. }) => bar.set_length(plan.total()),
            (
                Self::Bar(bar),
                RunEvent::Resumed { accepted, .. } | RunEvent::Accepted { accepted, .. },
            ) => {
                bar.set_position(*accepted);
            }
            (Self::Bar(bar), RunEvent::Warned { warning, .. }) => {
                bar.suspend(|| eprintln!("warning: {warning}"));
            }
            (Self::Lines(_), RunEvent::Warned { warning, .. }) => eprintln!("warning: {warning}"),
            (Self::Bar(bar), RunEvent::TopicGivenUp { topic, .. }) => {
                bar.set_message(format!("gave up \"{topic}\""));
            }
            (Self::Bar(bar), RunEvent::Finished { .. }) => bar.finish_and_clear(),
            (
                Self::Lines(last),
                RunEvent::Accepted {
                    accepted,
                    requested,
                    ..
                },
            ) => {
                let mut last = last.lock().expect("printing does not panic");
                if last.elapsed() >= BETWEEN_LINES {
                    *last = Instant::now();
                    eprintln!("{accepted} of {requested} records");
                }
            }
            (Self::Lines(_), RunEvent::TopicGivenUp { topic, why, .. }) => {
                eprintln!("gave up the topic \"{topic}\": {why}");
            }
            _ => {}
        }
    }
}
