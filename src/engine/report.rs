//! The report of a run: what judging found, and what the ledger counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RunParts;
use super::client_stack::ClientContext;
use super::judge::Judged;
use crate::diversity::{Brought, Repeat};
use crate::error::Error;
use crate::ledger::{Ledger, TopicStats};
use crate::llm::cuts;
use crate::outcome::{GiveUp, Outcome};
use crate::parse::Mends;
use crate::plan::{Plan, PlannedTopic};
use crate::report::{AskedReport, GivenUpTopic, GivenUpTopics, Report, ShownReport, TopicReport};
use crate::schedule::TopicProgress;
use crate::schema::{CoercionKind, DecodeFault};
use crate::topic::value_text;

/// The most places of which the report says that type and schema disagree there. Who fixes eight sees the rest.
const MOST_DISAGREEMENTS: usize = 8;

/// Refusals in a row that are more than an unlucky streak of a model that repeats itself.
const SUSPICIOUS: u32 = 5;

/// Says that the fields that decide may be the wrong ones, and what to set.
pub(super) fn mostly_repeats(compared_by: &str) -> String {
    format!(
        "{SUSPICIOUS} candidates in a row were refused as repeats although they differ from the records that they are said to \
         repeat; records are compared by `{compared_by}`: if other fields tell them apart, name them, as in \
         \"deduplication\": {{\"fields\": [...]}}, or set it to \"exact\" or \"off\""
    )
}

/// What the answers of a run were found to be, summed up.
#[derive(Default)]
pub(super) struct AnswerStats {
    mends: Mends,
    coercions: BTreeMap<CoercionKind, u64>,
    dropped_keys: u64,
    disagreements: Vec<DecodeFault>,
    /// Of each model.
    asked: BTreeMap<Arc<str>, Vec<AskedReport>>,
    at_limit: u64,
    /// By place and keyword.
    invalid: BTreeMap<String, u64>,
    unfinished: BTreeMap<String, u64>,
    /// By what the filter said.
    filtered: BTreeMap<&'static str, u64>,
    /// By the method that found them.
    duplicates: BTreeMap<&'static str, u64>,
    /// Of those, the ones whose prompt showed what they repeat.
    pub(super) copies: u64,
    /// By how many records a prompt showed.
    shown: BTreeMap<usize, ShownReport>,
    /// Candidates refused in a row as repeats of something that they differ from.
    in_a_row: u32,
    /// By their places in the plan, with what was wrong in their last tasks.
    given_up: Vec<(usize, GiveUp, Option<String>)>,
    given_up_unlisted: u64,
}

impl AnswerStats {
    /// Adds what was found in one answer of `model`.
    pub(super) fn answer(&mut self, model: &Arc<str>, judged: &Judged) {
        self.mends.merge(&judged.mends);
        self.at_limit += u64::from(judged.at_limit);
        self.dropped_keys += judged.dropped_keys as u64;
        for kind in &judged.coercions {
            *self.coercions.entry(*kind).or_default() += 1;
        }
        let Some(asked) = &judged.asked else {
            return;
        };
        let ways = self.asked.entry(Arc::clone(model)).or_default();
        let known = ways
            .iter_mut()
            .find(|known| (known.mode, known.dialect) == (asked.mode, asked.dialect));
        match known {
            Some(known) => known.answers += 1,
            None => ways.push(AskedReport {
                mode: asked.mode,
                dialect: asked.dialect,
                answers: 1,
                checked_locally: asked.compiled.checked_locally.clone(),
            }),
        }
    }

    /// Adds a record that fits the schema and not the type. Each place is told once.
    pub(super) fn disagreement(&mut self, fault: DecodeFault) {
        let is_known = self
            .disagreements
            .iter()
            .any(|known| known.path == fault.path);
        if !is_known && self.disagreements.len() < MOST_DISAGREEMENTS {
            self.disagreements.push(fault);
        }
    }

    /// Adds a candidate that is invalid, for these reasons.
    pub(super) fn invalid(&mut self, reasons: Vec<String>) {
        reasons
            .into_iter()
            .for_each(|reason| count(&mut self.invalid, reason));
    }

    /// Adds a record that was accepted although it looks unfinished.
    pub(super) fn unfinished(&mut self, reason: String) {
        count(&mut self.unfinished, reason);
    }

    /// Adds a candidate that a filter refused.
    pub(super) fn filtered(&mut self, reason: &'static str) {
        *self.filtered.entry(reason).or_default() += 1;
    }

    /// Adds a candidate that was refused as a repeat. Returns whether this is the last of this many in a row that what is
    /// compared may be the wrong part of a record; true once in a run.
    pub(super) fn duplicate(&mut self, method: &'static str, repeat: Repeat) -> bool {
        let method = if method.is_empty() { "custom" } else { method };
        *self.duplicates.entry(method).or_default() += 1;
        self.copies += u64::from(repeat.is_copy);
        if repeat.differs && self.in_a_row < SUSPICIOUS {
            self.in_a_row += 1;
            return self.in_a_row == SUSPICIOUS;
        }
        false
    }

    /// Adds what an answer brought whose prompt showed this many records.
    pub(super) fn shown(&mut self, records: usize, brought: &Brought) {
        self.shown.entry(records).or_default().add(brought);
    }

    /// Notes that a candidate was accepted.
    pub(super) fn accepted(&mut self) {
        if self.in_a_row < SUSPICIOUS {
            self.in_a_row = 0;
        }
    }

    /// Adds a topic that was given up.
    pub(super) fn given_up(&mut self, topic: usize, why: GiveUp, last_error: Option<String>) {
        if self.given_up.len() < GivenUpTopics::MOST_LISTED {
            self.given_up.push((topic, why, last_error));
        } else {
            self.given_up_unlisted += 1;
        }
    }

    /// Returns the place of the topic that was given up first, and why in words.
    pub(super) fn first_given_up(&self) -> Option<(usize, String)> {
        let (topic, why, last_error) = self.given_up.first()?;
        let words = match last_error {
            Some(error) => format!("{why}; last error: {error}"),
            None => why.to_string(),
        };
        Some((*topic, words))
    }

    /// Adds all of it to the report.
    pub(super) fn add_to(self, report: &mut Report, parts: &RunParts) {
        if self.at_limit > 0 {
            let settings = parts.settings();
            report.notes.push(cuts(
                self.at_limit,
                parts.generation.parameters.max_tokens,
                settings.max_tokens_ceiling,
                settings.records_per_request.most(),
            ));
        }
        self.tell(report);
    }

    fn tell(self, report: &mut Report) {
        report.mends = self.mends;
        report.coercions = self.coercions;
        report.dropped_keys = self.dropped_keys;
        report.invalid = self.invalid;
        report.unfinished = self.unfinished;
        report.filtered = by_name(&self.filtered);
        report.duplicates = by_name(&self.duplicates);
        report.copies = self.copies;
        report.shown = self.shown;
        if self.in_a_row == SUSPICIOUS {
            report.warnings.push(mostly_repeats(&report.compared_by));
        }
        let topics = &report.topics;
        let given_up = |(topic, why, last_error): (usize, GiveUp, Option<String>)| {
            GivenUpTopic::new(&topics[topic], why, last_error)
        };
        report.given_up = GivenUpTopics {
            listed: self.given_up.into_iter().map(given_up).collect(),
            unlisted: self.given_up_unlisted,
        };
        let faults = self.disagreements.iter();
        report.notes.extend(faults.map(ToString::to_string));
        for (model, asked) in self.asked {
            report.models.entry((*model).to_owned()).or_default().asked = asked;
        }
    }
}

/// Counts one more of a reason. The keys of a free-form map are the model's own words, so there may be any number.
fn count(reasons: &mut BTreeMap<String, u64>, reason: String) {
    const MOST: usize = 64;
    let full = reasons.len() >= MOST && !reasons.contains_key(&reason);
    let reason = if full { "elsewhere".to_owned() } else { reason };
    *reasons.entry(reason).or_default() += 1;
}

/// Makes the report of a run of which nothing is known but its calls, as where it ended before its plan was settled.
pub(super) fn without_state(
    parts: &RunParts,
    clients: &ClientContext,
    outcome: Outcome,
    error: Option<&Error>,
) -> Report {
    let counts = clients.calls.counts();
    let warnings = parts.input.warnings().iter().map(ToString::to_string);
    Report {
        reason: error.map(ToString::to_string),
        requested: parts.allocation.total(),
        record_calls: counts.records,
        topic_calls: counts.topics,
        filter_calls: counts.filters,
        models: counts.models,
        spending: parts.budget.spending(),
        notes: parts.notes.clone(),
        compared_by: parts.deduplicator.describe(),
        warnings: warnings.chain(clients.warnings.said()).collect(),
        ..Report::empty(outcome)
    }
}

/// Adds what was planned and counted.
pub(super) fn add_topics(report: &mut Report, plan: &Plan, ledger: &Ledger) {
    report.topics = topic_reports(plan, ledger);
    for topic in &report.topics {
        for (name, value) in topic.topic.attributes() {
            let values = report.attributes.entry(name.to_owned()).or_default();
            values.entry(value_text(value)).or_default().add(topic);
        }
        if let Some(document) = topic.topic.full_row().and_then(|row| row.document()) {
            let document = report.documents.entry(document.to_owned());
            document.or_default().add(topic);
        }
        report.candidates.add(&topic.candidates);
        report.answers.total += topic.answers;
        report.answers.faults.merge(&topic.faults);
    }
    report.accepted = report.candidates.accepted;
    let notes = plan.notes.iter().map(ToString::to_string);
    report.notes.extend(notes.chain(moves(plan, ledger)));
}

fn topic_reports(plan: &Plan, ledger: &Ledger) -> Vec<TopicReport> {
    let states = ledger.progress().iter().zip(ledger.stats());
    plan.topics
        .iter()
        .zip(states)
        .map(|(planned, (progress, stats))| topic_report(planned, *progress, stats))
        .collect()
}

fn topic_report(
    planned: &PlannedTopic,
    progress: TopicProgress,
    stats: &TopicStats,
) -> TopicReport {
    TopicReport {
        topic: planned.topic.clone(),
        origin: planned.origin,
        planned: planned.quota,
        quota: progress.quota,
        tasks: stats.tasks,
        calls: stats.calls,
        answers: stats.answers,
        failed: stats.failures,
        cancelled: stats.cancelled,
        faults: stats.faults,
        candidates: stats.candidates,
        given_up: stats.given_up,
        last_miss: stats.last_miss,
    }
}

fn by_name(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(&name, &count)| (name.to_owned(), count))
        .collect()
}

/// Says which quotas moved.
fn moves(plan: &Plan, ledger: &Ledger) -> Vec<String> {
    let moved = |(planned, stats): (&PlannedTopic, &TopicStats)| {
        (stats.moved_away > 0).then(|| {
            format!(
                "{} records of the topic \"{}\", which was given up, were asked of other topics",
                stats.moved_away, planned.topic
            )
        })
    };
    plan.topics
        .iter()
        .zip(ledger.stats())
        .filter_map(moved)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_repeats_that_differ_is_told_once() {
        let mut stats = AnswerStats::default();
        let told = |stats: &mut AnswerStats, differs| {
            let repeat = Repeat {
                differs,
                is_copy: false,
            };
            stats.duplicate("near", repeat)
        };
        assert!((1..SUSPICIOUS).all(|_| !told(&mut stats, true)));
        stats.accepted();
        assert!(
            (0..20).all(|_| !told(&mut stats, false)),
            "what is equal is no riddle"
        );
        assert!((1..SUSPICIOUS).all(|_| !told(&mut stats, true)));
        assert!(told(&mut stats, true) && !told(&mut stats, true));
        let mut report = Report::empty(crate::outcome::Outcome::Complete);
        report.compared_by = "near: question".to_owned();
        stats.tell(&mut report);
        assert!(report.warnings[0].contains("near: question"));
    }

    #[test]
    fn each_place_of_disagreement_is_told_once_and_not_without_end() {
        let mut stats = AnswerStats::default();
        for place in 0..20 {
            let value = serde_json::json!(vec![0; place]);
            let mut fault = crate::schema::decode::<Vec<String>>(&value)
                .err()
                .unwrap_or_else(|| {
                    crate::schema::decode::<u8>(&value).expect_err("a list is no number")
                });
            fault.path = format!("/{}", place / 2);
            stats.disagreement(fault);
        }
        assert_eq!(stats.disagreements.len(), MOST_DISAGREEMENTS);
    }
}
