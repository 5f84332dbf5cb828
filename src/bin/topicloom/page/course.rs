//! How a run went: its calls, what they cost and what they brought, over time.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use topicloom::Result;
use topicloom::journal::{Entry, JournalReader};
use topicloom::llm::layers::Budget;
use topicloom::llm::price::{PriceTable, Usd};
use topicloom::llm::{Attempt, UnconfirmedCost, Usage, failures};
use topicloom::report::Outcome;

use super::chart::{Figure, Line};
use super::words::{count, dollars, moment, span};
use crate::field_stats::float;

/// Parts that the time is cut into.
const BINS: usize = 48;
/// A pause of this many milliseconds between two calls is left out.
const PAUSE: u64 = 10 * 60 * 1000;

/// What a journal says of calls.
pub(crate) struct Course {
    /// What all calls come to. The report of a replay would count a call that it could not make.
    pub(super) budget: Budget,
    pub(super) failed: u64,
    calls: Vec<Call>,
    /// When the answer to each task was there.
    answered: HashMap<u64, u64>,
    spent: Vec<(u64, f64)>,
    /// How it ended; `None` while it goes on.
    pub(super) ended: Option<Outcome>,
}

struct Call {
    ended: u64,
    took: u64,
    failed: bool,
}

impl Course {
    pub(crate) fn new(prices: PriceTable) -> Self {
        Self {
            budget: Budget::new(prices),
            failed: 0,
            calls: Vec::new(),
            answered: HashMap::new(),
            spent: Vec::new(),
            ended: None,
        }
    }

    /// Reads a journal in a file.
    pub(crate) fn of_file(path: &Path, prices: PriceTable) -> Result<Self> {
        let mut course = Self::new(prices);
        for entry in JournalReader::open(path)? {
            course.take(&entry?);
        }
        Ok(course)
    }

    pub(crate) fn take(&mut self, entry: &Entry) {
        if !matches!(entry, Entry::Called(_)) {
            self.ended = None;
        }
        match entry {
            Entry::Answered(answer) => {
                let ended = self.attempts(&answer.attempts);
                self.book(ended, &answer.model, &answer.response.usage);
                if let Some(ended) = ended {
                    self.answered.insert(answer.task, ended);
                }
            }
            Entry::TopicAnswered(answer) => {
                let ended = self.attempts(&answer.attempts);
                self.book(ended, &answer.model, &answer.response.usage);
            }
            Entry::SideCalled(call) => {
                let ended = self.attempts(&call.attempts);
                if let Some(usage) = &call.usage {
                    self.book(ended, &call.model, usage);
                }
            }
            Entry::Failed(failure) => {
                self.attempts(&failure.attempts);
            }
            Entry::Finished { outcome, uncertain } => {
                self.ended = Some(*outcome);
                self.budget.book_unattributed(uncertain);
            }
            Entry::Interrupted { unconfirmed } => self.budget.book_unattributed(unconfirmed),
            _ => {}
        }
    }

    /// Returns when the last of the attempts ended.
    fn attempts(&mut self, attempts: &[Attempt]) -> Option<u64> {
        let failed = failures(attempts).count() as u64;
        self.failed += failed;
        self.budget.book_failed(failed);
        self.budget.book_uncertain(&UnconfirmedCost::of(attempts));
        for attempt in attempts {
            if let (Some(sent), Some(took)) = (attempt.sent_at, attempt.took) {
                let (ended, failed) = (sent.saturating_add(took), attempt.failed.is_some());
                self.calls.push(Call {
                    ended,
                    took,
                    failed,
                });
            }
        }
        attempts
            .last()
            .and_then(|it| Some(it.sent_at?.saturating_add(it.took?)))
    }

    fn book(&mut self, ended: Option<u64>, model: &str, usage: &Usage) {
        let before = self.budget.spending().cost;
        self.budget.book(model, usage);
        let cost = self.budget.spending().cost.saturating_sub(before);
        let cost = (cost > Usd::ZERO).then(|| cost.as_dollars());
        self.spent.extend(ended.zip(cost));
    }

    /// Draws it all, with how many candidates of each task were accepted and refused. Nothing where no call has a time.
    pub(super) fn drawn(
        mut self,
        by_task: &HashMap<u64, [u64; 2]>,
        requested: u64,
    ) -> Option<Drawn> {
        self.calls.sort_by_key(|call| call.ended);
        let first = self.calls.iter().map(|call| call.ended - call.took).min()?;
        let clock = Clock::new(first, self.calls.iter().map(|call| call.ended));
        let end = clock.end.max(1);
        let at = |time: u64| float(clock.read(time));
        let Binned {
            calls,
            mut waits,
            candidates,
            brought,
        } = self.binned(&clock, by_task);
        self.spent.sort_by_key(|spent| spent.0);
        let records = climbing(
            brought
                .iter()
                .map(|(time, records)| (at(*time), float(*records))),
        );
        let money = climbing(self.spent.iter().map(|(time, cost)| (at(*time), *cost)));
        let (made, cost) = (records.last()?.1, money.last()?.1);
        let share = if made > 0.0 {
            float(requested) / made
        } else {
            1.0
        };
        let is_open = share > 1.0 && self.ended != Some(Outcome::Complete);
        let forecast = is_open.then(|| (float(end) * share, float(requested), cost * share));
        let width = forecast.map_or(float(end), |it| it.0);
        let mut figures = Vec::new();
        let figure = |title, top, legend| Figure {
            title,
            top,
            left: moment(first),
            right: span(end),
            legend,
        };
        let over = |title, top: String, known: Vec<(f64, f64)>, ahead: Option<f64>| {
            let from = *known.last().unwrap_or(&(0.0, 0.0));
            let height = ahead.unwrap_or(from.1).max(from.1);
            let mut lines = vec![Line {
                class: "one",
                points: known,
            }];
            let mut figure = figure(title, top, &[]);
            if let Some(ahead) = ahead {
                let points = vec![from, (width, ahead)];
                lines.push(Line {
                    class: "one dashed",
                    points,
                });
                figure.right = format!("{}, as it goes on", span(whole(width)));
                figure.legend = &[("one", "so far"), ("one dashed", "at this pace")];
            }
            figure.lines(width, height, &lines)
        };
        let top = if is_open { requested } else { whole(made) };
        figures.push(over(
            "Records",
            count(top),
            records,
            forecast.map(|it| it.1),
        ));
        if cost > 0.0 {
            let top = dollars(forecast.map_or(cost, |it| it.2));
            figures.push(over("Cost", top, money, forecast.map(|it| it.2)));
        }
        let highest = |bars: &[[u64; 2]]| bars.iter().map(|it| it[0] + it[1]).max().unwrap_or(0);
        let legend = &[("one", "answered"), ("two", "failed")];
        figures.push(figure("Calls", count(highest(&calls)), legend).bars(&calls));
        if let Some((slowest, lines)) = waiting(&mut waits, end) {
            let legend = &[("one", "median"), ("two", "nine of ten are faster")];
            let figure = figure("Time an answer took", span(slowest), legend);
            figures.push(figure.lines(float(end), float(slowest), &lines));
        }
        let legend = &[("one", "accepted"), ("two", "refused")];
        if highest(&candidates) > 0 {
            let top = count(highest(&candidates));
            figures.push(figure("Candidates", top, legend).bars(&candidates));
        }
        let ahead = forecast.filter(|_| made > 0.0).map(|(time, _, all)| {
            let missing = requested.saturating_sub(whole(made));
            in_words(missing, whole(time).saturating_sub(end), all - cost)
        });
        if self.calls.len() < 2 {
            figures.clear();
        }
        Some(Drawn {
            figures,
            began: moment(first),
            worked: span(end),
            ahead,
            left_out: clock.left_out,
        })
    }

    /// Puts calls and candidates into parts of the time.
    fn binned(&self, clock: &Clock, by_task: &HashMap<u64, [u64; 2]>) -> Binned {
        let bin = |time: u64| {
            let bin = clock.read(time) * BINS as u64 / clock.end.max(1);
            usize::try_from(bin).map_or(BINS - 1, |bin| bin.min(BINS - 1))
        };
        let mut binned = Binned {
            calls: vec![[0; 2]; BINS],
            waits: vec![Vec::new(); BINS],
            candidates: vec![[0; 2]; BINS],
            brought: Vec::new(),
        };
        for call in &self.calls {
            binned.calls[bin(call.ended)][usize::from(call.failed)] += 1;
            if !call.failed {
                binned.waits[bin(call.ended)].push(call.took);
            }
        }
        for (task, [accepted, refused]) in by_task {
            if let Some(time) = self.answered.get(task) {
                binned.brought.push((*time, *accepted));
                binned.candidates[bin(*time)][0] += accepted;
                binned.candidates[bin(*time)][1] += refused;
            }
        }
        binned.brought.sort_unstable();
        binned
    }
}

/// Says what is missing, and what it will take.
fn in_words(missing: u64, time: u64, cost: f64) -> String {
    let (missing, time) = (count(missing), span(time));
    let cost = (cost > 0.0).then(|| format!(", and cost {} more", dollars(cost)));
    let cost = cost.unwrap_or_default();
    format!("At this pace the {missing} records that are missing take about {time}{cost}.")
}

/// Returns how long the answers of each part of the time took: half of them, and nine of ten, and the longest of these.
fn waiting(waits: &mut [Vec<u64>], end: u64) -> Option<(u64, [Line<'static>; 2])> {
    let slowest = waits.iter_mut().filter_map(|waits| part(waits, 0.9)).max();
    let width = float(end) / float(BINS as u64);
    let mut line = |class, share| Line {
        class,
        points: waits
            .iter_mut()
            .zip(0_u32..)
            .filter_map(|(waits, bin)| {
                Some(((f64::from(bin) + 0.5) * width, float(part(waits, share)?)))
            })
            .collect(),
    };
    let lines = [line("one", 0.5), line("two", 0.9)];
    Some((slowest.filter(|slowest| *slowest > 0)?, lines))
}

/// What is in each part of the time.
struct Binned {
    /// Answered, and failed.
    calls: Vec<[u64; 2]>,
    waits: Vec<Vec<u64>>,
    /// Accepted, and refused.
    candidates: Vec<[u64; 2]>,
    /// When there were how many more records.
    brought: Vec<(u64, u64)>,
}

/// The course of a run as it is shown.
pub(super) struct Drawn {
    pub(super) figures: Vec<Value>,
    pub(super) began: String,
    pub(super) worked: String,
    /// What is to be expected of a run that goes on.
    pub(super) ahead: Option<String>,
    /// Whether there were pauses.
    pub(super) left_out: bool,
}

/// Milliseconds of work, without pauses.
struct Clock {
    /// From each of these times on, so much is to be taken off.
    pauses: Vec<(u64, u64)>,
    end: u64,
    left_out: bool,
}

impl Clock {
    fn new(first: u64, sorted: impl Iterator<Item = u64>) -> Self {
        let (mut pauses, mut off, mut last) = (vec![(0, first)], first, first);
        for time in sorted {
            if time.saturating_sub(last) > PAUSE {
                off += time - last;
                pauses.push((time, off));
            }
            last = last.max(time);
        }
        Self {
            left_out: pauses.len() > 1,
            pauses,
            end: last - off,
        }
    }

    fn read(&self, time: u64) -> u64 {
        let behind = self.pauses.partition_point(|(from, _)| *from <= time);
        let off = behind.checked_sub(1).map_or(0, |at| self.pauses[at].1);
        time.saturating_sub(off)
    }
}

/// Adds up what comes over time, from nothing on.
fn climbing(steps: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut sum = 0.0;
    let steps = steps.map(|(time, more)| {
        sum += more;
        (time, sum)
    });
    std::iter::once((0.0, 0.0)).chain(steps).collect()
}

/// Returns the number below which such a share of them is.
fn part(numbers: &mut [u64], share: f64) -> Option<u64> {
    let last = numbers.len().checked_sub(1)?;
    numbers.sort_unstable();
    let at = usize::try_from(whole((float(last as u64) * share).round()));
    Some(numbers[at.unwrap_or(last).min(last)])
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Times and counts, which are never below zero.
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn course(entries: &[Value]) -> Course {
        let mut course = Course::new(PriceTable::known());
        for entry in entries {
            course.take(&serde_json::from_value(entry.clone()).expect("an entry"));
        }
        course
    }

    fn answered(task: u64, sent: u64) -> Value {
        json!({"answered": {
            "task": task, "topic": 0, "wanted": 1, "round": 1, "model": "openai/gpt-4o-mini",
            "response": {"text": "{}", "usage": {"input_tokens": 1_000_000, "output_tokens": 0}},
            "attempts": [
                {"sent_at": sent - 2_000, "took": 500, "failed": "overloaded"}, {"sent_at": sent, "took": 1_000},
            ],
        }})
    }

    #[test]
    fn what_is_missing_is_forecast_at_the_pace_so_far_without_pauses() {
        let day = 86_400_000;
        let entries = [
            answered(0, 1_000_000),
            answered(1, 1_004_000),
            answered(2, 1_006_000 + day),
        ];
        let made = HashMap::from([(0, [1, 0]), (1, [0, 2]), (2, [1, 0])]);
        let drawn = course(&entries).drawn(&made, 4).expect("calls have times");
        assert!(drawn.left_out);
        assert_eq!(
            drawn.worked, "10 s",
            "7 s to the second answer, and 2.5 s behind the pause"
        );
        let ahead = drawn.ahead.expect("two are missing");
        assert!(
            ahead.contains("the 2 records that are missing take about 10 s, and cost $0.45 more"),
            "{ahead}"
        );
        let titles: Vec<&Value> = drawn
            .figures
            .iter()
            .map(|figure| &figure["title"])
            .collect();
        assert_eq!(
            titles,
            [
                "Records",
                "Cost",
                "Calls",
                "Time an answer took",
                "Candidates"
            ]
        );
    }

    #[test]
    fn a_complete_run_and_one_without_times_have_no_forecast() {
        let finished = json!({"finished": {"outcome": "complete"}});
        let made = HashMap::from([(0, [1, 0])]);
        let complete = course(&[answered(0, 1_000_000), finished]);
        assert_eq!(complete.ended, Some(Outcome::Complete));
        assert!(
            complete
                .drawn(&made, 1)
                .expect("it has times")
                .ahead
                .is_none()
        );
        assert!(course(&[]).drawn(&made, 1).is_none());
    }
}
