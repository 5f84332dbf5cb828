//! Shows how far a run is and what is in its way: a bar on a terminal, a line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use topicloom::{Error, RunEvent};

/// Time between lines where standard error is not a terminal: often enough to see that it lives, and a run of a
/// day leaves a log that can be read.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// A silence that is longer is explained.
const SILENCE: Duration = Duration::from_secs(10);

const PLAIN: &str = "{bar:30} {pos}/{len} records  {per_sec}  {eta} left  {msg}";
const TROUBLED: &str = "{bar:30} {pos}/{len} records  {per_sec}\n{wide_msg}";

/// Shows events on standard error. Clones share what is shown.
#[derive(Clone)]
pub(crate) struct Progress(Option<Arc<Shown>>);

struct Shown {
    /// `None` where lines are written.
    bar: Option<ProgressBar>,
    shows_words: bool,
    state: Mutex<State>,
}

struct State {
    accepted: u64,
    requested: Option<u64>,
    last_line: Option<Instant>,
    last_event: Instant,
    /// The failure that is shown, until a record comes.
    trouble: Option<String>,
    /// Whether what it waits for is still to be said.
    wait_is_due: bool,
}

impl Progress {
    /// Creates what suits the terminal; `shows_words` adds what providers themselves say of a failure.
    pub(crate) fn new(show: bool, shows_words: bool) -> Self {
        if !show {
            return Self(None);
        }
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.set_style(style(PLAIN));
            bar
        });
        let shown = Arc::new(Shown {
            bar,
            shows_words,
            state: Mutex::new(State {
                accepted: 0,
                requested: None,
                last_line: None,
                last_event: Instant::now(),
                trouble: None,
                wait_is_due: false,
            }),
        });
        tokio::spawn(explain_silence(Arc::downgrade(&shown)));
        Self(Some(shown))
    }

    /// Takes note of an event.
    pub(crate) fn observe(&self, event: &RunEvent<'_>) {
        let Some(shown) = &self.0 else {
            return;
        };
        let mut state = shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_event = Instant::now();
        match event {
            RunEvent::Planned { plan, .. } => {
                state.requested = Some(plan.total());
                if let Some(bar) = &shown.bar {
                    bar.set_length(plan.total());
                }
            }
            RunEvent::Resumed { accepted, .. } => shown.accepted(&mut state, *accepted),
            RunEvent::Accepted { accepted, .. } => {
                shown.accepted(&mut state, *accepted);
                if shown.bar.is_none() && state.is_line_due() {
                    eprintln!("{}", state.count());
                }
            }
            RunEvent::AttemptFailed { error, .. } => shown.trouble(&mut state, error),
            RunEvent::RetryPlanned { wait, .. } => shown.wait(&mut state, *wait),
            RunEvent::Warned { warning, .. } => shown.line(format_args!("warning: {warning}")),
            RunEvent::TopicGivenUp { topic, why, .. } => {
                shown.line(format_args!("gave up the topic \"{topic}\": {why}"));
            }
            RunEvent::Finished { .. } => {
                if let Some(bar) = &shown.bar {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

impl Shown {
    fn accepted(&self, state: &mut State, accepted: u64) {
        state.accepted = accepted;
        if let Some(bar) = &self.bar {
            bar.set_position(accepted);
            if state.trouble.is_some() {
                bar.set_style(style(PLAIN));
                bar.set_message("");
            }
        }
        state.trouble = None;
    }

    /// Shows a failure: the first at once, and those that follow as often as there is a line.
    fn trouble(&self, state: &mut State, error: &Error) {
        let is_first = state.trouble.is_none();
        let said = in_short(error);
        if let Some(bar) = &self.bar {
            if is_first {
                bar.set_style(style(TROUBLED));
                bar.enable_steady_tick(Duration::from_secs(1));
            }
            bar.set_message(said.clone());
        }
        state.trouble = Some(said);
        let is_due = state.is_line_due();
        if !is_due && !is_first {
            return;
        }
        state.wait_is_due = true;
        if self.bar.is_none() {
            eprintln!("{}; a call failed: {error}", state.count());
        }
        if self.shows_words
            && let Some(words) = error.provider_words()
        {
            self.line(format_args!("the provider's words: {words}"));
        }
    }

    /// Shows what is waited for after a failure.
    fn wait(&self, state: &mut State, wait: Duration) {
        let again = format!("trying again in {:.1} s", wait.as_secs_f64());
        match (&self.bar, &state.trouble) {
            (Some(bar), Some(trouble)) => bar.set_message(format!("{again}; {trouble}")),
            (None, Some(_)) if state.wait_is_due => eprintln!("{again}"),
            _ => {}
        }
        state.wait_is_due = false;
    }

    fn line(&self, line: std::fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.println(line.to_string()),
            None => eprintln!("{line}"),
        }
    }
}

/// Says what failed, so that the end may be cut off where a terminal is narrow.
fn in_short(error: &Error) -> String {
    let find = |wanted| error.context().find(|(name, _)| *name == wanted);
    let mut said = String::new();
    if let Some((_, status)) = find("status") {
        let _ = write!(said, "{status}, ");
    }
    let _ = write!(said, "{}: {}", error.kind(), error.message());
    if let Some((_, url)) = find("url") {
        let _ = write!(said, " ({url})");
    }
    said
}

impl State {
    fn is_line_due(&mut self) -> bool {
        let is_due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
        if is_due {
            self.last_line = Some(Instant::now());
        }
        is_due
    }

    fn count(&self) -> String {
        match self.requested {
            Some(requested) => format!("{} of {requested} records", self.accepted),
            None => format!("{} records", self.accepted),
        }
    }
}

/// Says what is waited for while nothing happens, until nobody shows anything any more.
async fn explain_silence(shown: Weak<Shown>) {
    loop {
        tokio::time::sleep(SILENCE).await;
        let Some(shown) = shown.upgrade() else {
            return;
        };
        let state = shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = state.last_event.elapsed();
        if silence < SILENCE {
            continue;
        }
        let waiting = format!("waiting for an answer for {} s", silence.as_secs());
        match &shown.bar {
            Some(bar) if state.trouble.is_none() => bar.set_message(waiting),
            Some(_) => {}
            None => eprintln!("{}; {waiting}", state.count()),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template names known keys")
}
