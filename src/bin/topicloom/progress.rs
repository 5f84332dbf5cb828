//! Shows how far a run is, what it costs and what is in its way: a bar on a terminal, a line every few seconds elsewhere.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use topicloom::llm::layers::Spending;
use topicloom::llm::price::Usd;
use topicloom::{Error, RunEvent};

use crate::out;
use crate::page::span;

/// Time between lines where standard error is not a terminal: often enough to see that it lives, and a run of a
/// day leaves a log that can be read.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// A silence that is longer is explained.
const SILENCE: Duration = Duration::from_secs(10);

/// Time between changes of the bar.
const TICK: Duration = Duration::from_millis(250);

/// The rate is that of this last while, and is not known before a part of it has passed.
const RATE_OF: Duration = Duration::from_secs(30);
const RATE_AFTER: Duration = Duration::from_secs(2);

/// After a standstill of this time nobody knows what the rate will be.
const STANDSTILL: Duration = Duration::from_secs(8);

/// What is said once while another process of a shared run leads it.
const STANDS_BY: &str =
    "another process leads the run; this one takes part in it, and waits until it is over";

/// Records after which their cost tells what the rest will cost.
const TELLING: u64 = 5;

const STYLE: &str = "{bar:20} {prefix}\n{wide_msg}";

/// Shows events on standard error. Clones share what is shown.
#[derive(Clone)]
pub(crate) enum Progress {
    Silent,
    Warnings,
    /// Each as JSON on a line of its own.
    Events,
    Text(Arc<Shown>),
}

pub(crate) struct Shown {
    /// `None` where lines are written.
    bar: Option<ProgressBar>,
    shows_words: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accepted: u64,
    requested: Option<u64>,
    calls_failed: u64,
    spent: Spending,
    /// Records and money of earlier processes.
    before: (u64, Usd),
    /// How many records there were at some moments of the last while.
    lately: VecDeque<(Instant, u64)>,
    last_line: Option<Instant>,
    /// `None` until it is known which process of a shared run leads it.
    last_event: Option<Instant>,
    /// What is new since the last line.
    has_news: bool,
    /// The failure that is shown, until a record comes.
    trouble: Option<String>,
    /// When the calls that failed are made again.
    again_at: Vec<Instant>,
    /// Whether what it waits for is still to be said.
    wait_is_due: bool,
    /// Whether another process of a shared run leads it, as was said.
    stands_by: bool,
}

impl Progress {
    /// Counts the silence from now on; before, it is not known which process of a shared run leads it.
    pub(crate) fn begun(self) -> Self {
        if let Self::Text(shown) = &self {
            shown.state().last_event = Some(Instant::now());
        }
        self
    }

    /// Creates the text that suits the terminal, on which a bar may have no place; `shows_words` adds what providers themselves
    /// say of a failure.
    pub(crate) fn text(has_bar: bool, shows_words: bool) -> Self {
        let has_bar = has_bar && std::io::stderr().is_terminal();
        let bar = has_bar.then(|| {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template(STYLE);
            bar.set_style(style.expect("the template names known keys"));
            out::share_screen_with(Some(bar.clone()));
            bar
        });
        let shown = Arc::new(Shown {
            bar,
            shows_words,
            state: Mutex::default(),
        });
        tokio::spawn(refresh(Arc::downgrade(&shown)));
        Self::Text(shown)
    }

    /// Shows nothing any more.
    #[cfg(feature = "postgres")]
    pub(crate) fn end(&self) {
        if let Self::Text(shown) = self {
            shown.clear();
        }
    }

    /// Takes note of an event.
    pub(crate) fn observe(&self, event: &RunEvent<'_>) {
        let shown = match self {
            Self::Silent => return,
            Self::Warnings => {
                if let RunEvent::Warned { warning, .. } = event {
                    eprintln!("warning: {warning}");
                }
                return;
            }
            Self::Events => return tell(event),
            Self::Text(shown) => shown,
        };
        let mut state = shown.state();
        let now = Instant::now();
        if let RunEvent::Followed {
            accepted,
            requested,
            ..
        } = event
            && !state.follows_news(*accepted, *requested, now)
        {
            return;
        }
        state.last_event = Some(now);
        state.has_news = true;
        match event {
            RunEvent::Planned { plan, .. } => {
                state.stands_by = false;
                state.requested = Some(plan.total());
                state.begin(now);
            }
            RunEvent::Resumed { accepted, .. } => {
                state.accepted = *accepted;
                state.begin(now);
            }
            RunEvent::AnswerJudged { spent, .. } => state.spent = *spent,
            RunEvent::Accepted { accepted, .. } => {
                state.accepted = *accepted;
                state.trouble = None;
                state.again_at.clear();
            }
            RunEvent::AttemptFailed { error, .. } => shown.trouble(&mut state, error),
            RunEvent::RetryPlanned { wait, .. } => {
                state.again_at.extend(now.checked_add(*wait));
                if shown.bar.is_none() && state.trouble.is_some() && state.wait_is_due {
                    eprintln!("{}", Again(*wait));
                }
                state.wait_is_due = false;
            }
            RunEvent::Warned { warning, .. } => eprintln!("warning: {warning}"),
            RunEvent::TopicGivenUp { topic, why, .. } => {
                eprintln!("gave up the topic \"{topic}\": {why}");
            }
            RunEvent::Finished { .. } => shown.clear(),
            _ => {}
        }
    }
}

/// Writes an event for machines, with its time in milliseconds since the beginning of 1970.
fn tell(event: &RunEvent<'_>) {
    #[derive(Serialize)]
    struct Line<'a> {
        at: u128,
        #[serde(flatten)]
        event: &'a RunEvent<'a>,
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = at.map_or(0, |since| since.as_millis());
    let line = serde_json::to_string(&Line { at, event });
    out::note(line.expect("an event has no key that JSON cannot hold"));
}

impl Shown {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a failure: the first at once, and those that follow as often as there is a line.
    fn trouble(&self, state: &mut State, error: &Error) {
        let is_first = state.trouble.is_none();
        state.calls_failed += 1;
        state.trouble = Some(in_short(error));
        if !state.is_line_due(Instant::now()) && !is_first {
            return;
        }
        state.wait_is_due = true;
        if self.bar.is_none() {
            eprintln!("{}; a call failed: {error}", state.facts());
        }
        if self.shows_words
            && let Some(words) = error.provider_words()
        {
            eprintln!("the provider's words: {words}");
        }
    }

    fn refresh(&self) {
        let mut state = self.state();
        let now = Instant::now();
        state.remember(now);
        let Some(last_event) = state.last_event else {
            return;
        };
        let silence = now.duration_since(last_event);
        let waiting = (silence >= SILENCE)
            .then(|| format!("waiting for an answer for {} s", silence.as_secs()));
        let Some(bar) = &self.bar else {
            let is_due = state.has_news || waiting.is_some();
            if is_due && state.is_line_due(now) {
                state.has_news = false;
                let waiting = waiting.map(|waiting| format!("; {waiting}"));
                eprintln!("{}{}", state.facts(), waiting.unwrap_or_default());
            }
            return;
        };
        if let Some(requested) = state.requested {
            bar.set_length(requested);
        }
        bar.set_position(state.accepted);
        bar.set_prefix(out::clean(&state.count()));
        state.again_at.retain(|at| *at > now);
        let again = state.again_at.iter().min();
        let again = again.map(|at| Again(*at - now).to_string());
        let parts = [again.or(waiting), state.trouble.clone(), state.money()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        bar.set_message(out::clean(&parts.join("; ")));
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            out::share_screen_with(None);
            bar.finish_and_clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
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

/// How long it takes until a call is made again.
struct Again(Duration);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trying again in {:.1} s", self.0.as_secs_f64())
    }
}

impl State {
    /// Takes note of how far another process says that the run is. Returns whether that is new.
    fn follows_news(&mut self, accepted: u64, requested: u64, now: Instant) -> bool {
        let was_known = self.stands_by && self.accepted == accepted;
        self.accepted = accepted;
        if !self.stands_by {
            self.stands_by = true;
            self.requested = Some(requested);
            self.begin(now);
            eprintln!("{STANDS_BY}");
        }
        !was_known
    }

    /// Takes what there is now for what earlier processes made.
    fn begin(&mut self, now: Instant) {
        self.before = (self.accepted, self.spent.cost);
        self.lately = VecDeque::from([(now, self.accepted)]);
    }

    fn remember(&mut self, now: Instant) {
        self.lately.push_back((now, self.accepted));
        let is_old = |(then, _): &(Instant, u64)| now.duration_since(*then) > RATE_OF;
        while self.lately.front().is_some_and(is_old) {
            self.lately.pop_front();
        }
    }

    /// Returns the records a second, where some came lately.
    fn rate(&self) -> Option<f64> {
        let ((first, before), (last, now)) = (self.lately.front()?, self.lately.back()?);
        let time = last.duration_since(*first);
        let moved = self.lately.iter().rev().find(|(_, then)| then < now);
        let stands_still = moved.is_none_or(|(then, _)| last.duration_since(*then) > STANDSTILL);
        let is_known = time >= RATE_AFTER && !stands_still;
        #[allow(clippy::cast_precision_loss)] // It is shown with a digit or two.
        is_known.then(|| (now - before) as f64 / time.as_secs_f64())
    }

    fn is_line_due(&mut self, now: Instant) -> bool {
        let is_due = self
            .last_line
            .is_none_or(|last| now.duration_since(last) >= BETWEEN_LINES);
        if is_due {
            self.last_line = Some(now);
        }
        is_due
    }

    /// Says how far the run is, how fast, and how much failed.
    fn count(&self) -> String {
        let mut said = match self.requested {
            Some(requested) => format!("{} of {requested} records", self.accepted),
            None => format!("{} records", self.accepted),
        };
        if let Some(rate) = self.rate() {
            let _ = write!(said, ", {rate:.1} a second");
            let left = self.requested.unwrap_or(0).saturating_sub(self.accepted);
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss
            )]
            let seconds = (left as f64 / rate).ceil() as u64;
            if left > 0 {
                let _ = write!(said, ", {} left", span(seconds.saturating_mul(1000)));
            }
        }
        match self.calls_failed {
            0 => {}
            1 => said.push_str("; 1 call failed"),
            failed => _ = write!(said, "; {failed} calls failed"),
        }
        said
    }

    /// Says what was used and what it will come to, once there is something.
    fn money(&self) -> Option<String> {
        let usage = self.spent.usage;
        if usage.total() == 0 {
            return None;
        }
        let mut said = format!(
            "{} tokens in, {} out",
            Short(usage.input_tokens),
            Short(usage.output_tokens)
        );
        if self.spent.cost > Usd::ZERO {
            let cost = self.spent.cost.as_dollars();
            let _ = write!(said, "; ${cost:.4}");
            let (records, money) = self.before;
            let made = self.accepted.saturating_sub(records);
            let left = self.requested.unwrap_or(0).saturating_sub(self.accepted);
            if made >= TELLING && left > 0 {
                #[allow(clippy::cast_precision_loss)]
                let whole = cost + (cost - money.as_dollars()) * left as f64 / made as f64;
                let _ = write!(said, " of about ${whole:.4}");
            }
        }
        Some(said)
    }

    fn facts(&self) -> String {
        match self.money() {
            Some(money) => format!("{}; {money}", self.count()),
            None => self.count(),
        }
    }
}

/// A number of tokens with three digits.
struct Short(u64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss)]
        let number = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{}", self.0),
            1_000..1_000_000 => write!(f, "{:.1}k", number / 1e3),
            _ => write!(f, "{:.1}M", number / 1e6),
        }
    }
}

/// Keeps what is shown up to date, until nobody shows anything any more.
async fn refresh(shown: Weak<Shown>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shown) = shown.upgrade() else {
            return;
        };
        shown.refresh();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_by_is_told_what_is_new() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.follows_news(0, 10, now), "that another one leads");
        assert!(!state.follows_news(0, 10, now));
        assert!(state.follows_news(3, 10, now));
        assert_eq!(state.facts(), "3 of 10 records");
    }

    #[test]
    fn the_time_left_is_told_where_a_rate_is_known_and_the_cost_where_records_tell_it() {
        let mut state = State {
            requested: Some(1_000),
            accepted: 100,
            ..State::default()
        };
        let begun = Instant::now();
        state.spent.cost = Usd::from_nano(1_000_000_000);
        state.begin(begun);
        assert_eq!(state.facts(), "100 of 1000 records");

        state.accepted = 200;
        state.calls_failed = 1;
        state.spent.usage.input_tokens = 52_140;
        state.spent.usage.output_tokens = 999;
        state.spent.cost = Usd::from_nano(1_500_000_000);
        state.remember(begun + Duration::from_secs(8));
        assert_eq!(
            state.facts(),
            "200 of 1000 records, 12.5 a second, 1 min 4 s left; 1 call failed; 52.1k tokens in, 999 out; \
             $1.5000 of about $5.5000"
        );
        state.remember(begun + Duration::from_secs(20));
        assert!(!state.facts().contains("left"), "{}", state.facts());
    }
}
