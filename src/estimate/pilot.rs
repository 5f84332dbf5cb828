//! What a pilot tells of the run that follows.

use serde::Deserialize;

use super::part::{MOST_CALLS, Part, Spread, float};
use super::shape::Shape;
use crate::llm::Usage;
use crate::report::Report;

/// Standard deviations of the margin for chance: one run in two thousand lies outside of it.
const MARGIN: f64 = 3.5;

/// The lengths of answers to one prompt scatter no more than this around their mean, as a share of it.
const SCATTER: f64 = 1.0;

/// Prompts of one run differ in the topic's name and in what was wrong before: a twentieth.
const PROMPT_SCATTER: f64 = 0.05;

/// Tokens that surround a record where a prompt shows it.
const AROUND: f64 = 8.0;

/// The numbers of a pilot's report; read from a [`Report`], or from its JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Pilot {
    /// Records made.
    pub accepted: u64,
    /// Calls that asked for records.
    pub record_calls: PilotCalls,
    /// Each topic.
    #[serde(default)]
    pub topics: Vec<PilotTopic>,
}

/// A pilot's calls for records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PilotCalls {
    /// Calls sent, retries included.
    pub made: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Tokens of the answered calls.
    pub usage: Usage,
}

/// A topic of a pilot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PilotTopic {
    /// What became of its candidates.
    pub candidates: PilotCandidates,
}

/// Candidates of a pilot's topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PilotCandidates {
    /// Became records.
    pub accepted: u64,
}

impl From<&Report> for Pilot {
    fn from(report: &Report) -> Self {
        let calls = &report.record_calls;
        let topic = |accepted| PilotTopic {
            candidates: PilotCandidates { accepted },
        };
        Self {
            accepted: report.accepted,
            record_calls: PilotCalls {
                made: calls.made,
                answered: calls.answered,
                usage: calls.usage,
            },
            topics: report
                .topics
                .iter()
                .map(|of| topic(of.candidates.accepted))
                .collect(),
        }
    }
}

impl Pilot {
    /// Returns what the calls for records will come to if they go as here; `None` if that says nothing.
    pub(super) fn part(&self, shape: &Shape) -> Option<Part> {
        let calls = &self.record_calls;
        if self.accepted == 0 || calls.answered == 0 || calls.made < calls.answered {
            return None;
        }
        let asked_of_a_call = float(shape.records) / shape.fewest_calls;
        let needed = |calls: u64| {
            let yielded = float(self.accepted) / (float(calls) * asked_of_a_call);
            let mut needed = needed_calls(yielded.min(1.0), float(calls), shape.fewest_calls);
            // What was assumed holds on, unless the pilot speaks against it.
            let most = shape.fewest_calls * MOST_CALLS;
            if needed.likely <= most {
                needed.high = needed.high.min(most);
            }
            needed
        };
        let (made, answered) = (needed(calls.made), needed(calls.answered));

        let answers = float(calls.answered);
        let input = float(calls.usage.input_tokens) / answers;
        let output = float(calls.usage.output_tokens) / answers;
        let accepted = self.topics.iter().map(|topic| topic.candidates.accepted);
        let shown_here = shape.most_shown_of(accepted);
        // What is shown of a record is part of it. At most the pilot showed none and the run shows all, or the
        // other way round, since calls that are made together do not know of one another.
        let shown = output * answers / float(self.accepted) + AROUND;
        let chance = MARGIN * SCATTER * (1.0 / answers + 1.0 / answered.likely).sqrt();
        Some(Part {
            calls: made,
            answered,
            input: Spread {
                low: (input * (1.0 - PROMPT_SCATTER) - shown_here * shown)
                    .max(shape.input.low.min(input)),
                likely: (input + (shape.shown - shown_here.min(shape.shown)) * shown.min(50.0))
                    .max(shape.input.low),
                high: input * (1.0 + PROMPT_SCATTER) + shape.shown_most * shown,
            },
            output: Spread {
                low: (output * (1.0 - chance)).max(shape.output.low.min(output)),
                likely: output,
                high: output * (1.0 + chance),
            },
            cached: float(calls.usage.cached_input_tokens) / answers,
        })
    }
}

/// Returns how many calls give what `fewest` calls would if all did, when this share of this many calls did.
///
/// Wilson's interval for a share, with a sample size that counts the chance in the pilot and in the run.
fn needed_calls(share: f64, pilot: f64, fewest: f64) -> Spread<f64> {
    let likely = fewest / share;
    let size = 1.0 / (1.0 / pilot + 1.0 / likely);
    let of_size = MARGIN * MARGIN / size;
    let centre = share + of_size / 2.0;
    let half = MARGIN * (share * (1.0 - share) / size + of_size / size / 4.0).sqrt();
    let (least, most) = (
        (centre - half) / (1.0 + of_size),
        (centre + half) / (1.0 + of_size),
    );
    Spread {
        low: fewest / most.min(1.0),
        likely,
        high: fewest / least,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_pilot_knows_more() {
        let width = |pilot| {
            let calls = needed_calls(0.8, pilot, 1_000.0);
            assert!(calls.low < 1_250.0 && 1_250.0 < calls.high);
            calls.high - calls.low
        };
        assert!(width(400.0) < width(100.0) && width(100.0) < width(25.0));
    }

    #[test]
    fn a_pilot_without_a_miss_does_not_promise_that_there_is_none() {
        let calls = needed_calls(1.0, 50.0, 1_000.0);
        assert!((calls.low - 1_000.0).abs() < 1e-6 && calls.high > 1_100.0);
    }
}
