//! A report in a few lines.

use std::fmt;

use super::{Report, ShareReport, TopicReport};
use crate::llm::layers::Spending;
use crate::llm::price::Usd;
use crate::outcome::Rejection;

/// Values of an attribute that fit into a line.
const MOST_VALUES: usize = 10;

/// Says in a few lines what was made, what it took and what is missing.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = self.usage();
        write!(
            f,
            "{} of {} records, {} topics; {} calls ({} failed); {} tokens in, {} out{}; {:.1} s",
            self.accepted,
            self.requested,
            self.topics.len(),
            self.calls_made(),
            self.calls_failed(),
            usage.input_tokens,
            usage.output_tokens,
            Cost(&self.spending),
            self.elapsed.as_secs_f64(),
        )?;
        let faults: Vec<String> = self
            .answers
            .faults
            .iter()
            .map(|(fault, count)| format!("{count} {fault}"))
            .collect();
        if !faults.is_empty() {
            write!(
                f,
                "\nanswers with nothing to use, or cut off: {}",
                faults.join(", ")
            )?;
        }
        let rejected = self.candidates.total - self.candidates.accepted;
        if rejected > 0 {
            let of = |why| self.candidates.rejected[why];
            write!(
                f,
                "\n{rejected} candidates rejected: {} duplicate, {} invalid, {} undecodable, {} filtered, {} surplus",
                of(Rejection::Duplicate),
                of(Rejection::Invalid),
                of(Rejection::Undecodable),
                of(Rejection::Filtered),
                of(Rejection::Surplus),
            )?;
        }
        for (name, values) in &self.attributes {
            let value = |(value, share): (&String, &ShareReport)| {
                format!("{value} {} of {}", share.accepted, share.wanted)
            };
            let listed: Vec<String> = values.iter().map(value).take(MOST_VALUES).collect();
            write!(f, "\n{name}: {}", listed.join(", "))?;
            if values.len() > listed.len() {
                write!(f, " and {} more", values.len() - listed.len())?;
            }
        }
        for (reason, count) in self.most_invalid() {
            write!(f, "\n{count} invalid: {reason}")?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        for (reason, count) in &self.filtered {
            write!(f, "\n{count} refused by a filter: {reason}")?;
        }
        for (criterion, scores) in &self.scores {
            write!(f, "\nscore of {criterion}: {scores}")?;
        }
        if let Some(labels) = &self.labels {
            write!(f, "\njudge and people: {labels}")?;
        }
        for topic in &self.given_up.listed {
            write!(f, "\n{topic}")?;
        }
        if self.given_up.unlisted > 0 {
            let more = self.given_up.unlisted;
            write!(
                f,
                "\ngave up {more} more topics; the whole report lists each"
            )?;
        }
        // A run that was stopped owes records to topics that were not given up.
        let owing = |topic: &&TopicReport| topic.given_up.is_none() && topic.missing() > 0;
        let owed = self.topics.iter().filter(owing).map(TopicReport::missing);
        let (topics, missing) = owed.fold((0, 0), |(topics, all), one| (topics + 1, all + one));
        if missing > 0 {
            write!(
                f,
                "\n{missing} missing under {topics} topics that were not given up"
            )?;
        }
        Ok(())
    }
}

/// What the calls cost, as far as that is known.
struct Cost<'a>(&'a Spending);

impl fmt::Display for Cost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spending = self.0;
        if spending.cost > Usd::ZERO {
            write!(f, "; {}", spending.cost)?;
            if spending.unpriced_calls > 0 {
                let calls = spending.unpriced_calls;
                write!(f, " and {calls} calls without a known price")?;
            }
        }
        let (calls, most) = (spending.uncertain_calls, spending.uncertain_cost);
        if most > Usd::ZERO {
            write!(
                f,
                "; up to {most} more for {calls} calls whose cost is not known"
            )?;
        } else if calls > 0 && spending.uncertain_tokens == 0 {
            write!(
                f,
                "; {calls} calls whose cost is not known, and nothing bounds it"
            )?;
        }
        Ok(())
    }
}
