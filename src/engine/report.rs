//! The report of a run, as it is counted.

use std::collections::BTreeMap;

use super::RunParts;
use super::answer_judge::Judged;
use super::client_stack::ClientContext;
use crate::diversity::{Brought, Repeat};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::llm::cuts;
use crate::outcome::{Outcome, TopicExhausted};
use crate::plan::Plan;
use crate::report::{AskedReport, GivenUpTopic, GivenUpTopics, Report, scores};
use crate::schema::DecodeFault;
use crate::scores::Scores;
use crate::topic::value_text;

/// The most places of which the report says that type and schema disagree there. Who fixes eight sees the rest.
const MOST_DISAGREEMENTS: usize = 8;

/// Refusals in a row that are more than an unlucky streak of a model that repeats itself.
const SUSPICIOUS: u32 = 5;

/// Says that the fields that decide may be the wrong ones, and what to set.
fn mostly_repeats(compared_by: &str) -> String {
    format!(
        "{SUSPICIOUS} candidates in a row were refused as repeats although they differ from the records that they are said to \
         repeat; records are compared by `{compared_by}`: if other fields tell them apart, name them, as in \
         \"deduplication\": {{\"fields\": [...]}}, or set it to \"exact\" or \"off\""
    )
}

/// What a run counts for its report.
pub(super) struct ReportBuilder {
    pub(super) report: Report,
    /// Answers that ran into the output limit.
    at_limit: u64,
    disagreements: Vec<DecodeFault>,
    /// Candidates refused in a row as repeats of something that they differ from.
    in_a_row: u32,
    /// By their places in the plan, with what was wrong in their last tasks.
    given_up: Vec<(usize, TopicExhausted, Option<String>)>,
}

impl ReportBuilder {
    /// Begins the report of a run of which nothing is known but what it is made of.
    pub(super) fn begin(parts: &RunParts) -> Self {
        let warnings = parts.input.warnings().iter().map(ToString::to_string);
        Self::new(Report {
            requested: parts.allocation.total(),
            compared_by: parts.deduplicator.describe(),
            notes: parts.notes.clone(),
            warnings: warnings.collect(),
            ..Report::empty(Outcome::Complete)
        })
    }

    fn new(report: Report) -> Self {
        Self {
            report,
            at_limit: 0,
            disagreements: Vec::new(),
            in_a_row: 0,
            given_up: Vec::new(),
        }
    }

    /// Adds what was found in one answer of `model`.
    pub(super) fn answer(&mut self, model: &str, judged: &Judged) {
        self.report.repairs.merge(&judged.repairs);
        self.report.dropped_keys += judged.dropped_keys as u64;
        self.at_limit += u64::from(judged.at_limit);
        for kind in &judged.coercions {
            *self.report.coercions.entry(*kind).or_default() += 1;
        }
        let Some(asked) = &judged.asked else {
            return;
        };
        let model = self.report.models.entry(model.to_owned()).or_default();
        let mut known = model.asked.iter_mut();
        match known.find(|known| (known.mode, known.dialect) == (asked.mode, asked.dialect)) {
            Some(known) => known.answers += 1,
            None => model.asked.push(AskedReport {
                mode: asked.mode,
                dialect: asked.dialect,
                answers: 1,
                checked_locally: asked.compiled.checked_locally.clone(),
            }),
        }
    }

    /// Adds a record that fits the schema and not the type. Each place is told once.
    pub(super) fn disagreement(&mut self, fault: DecodeFault) {
        let mut known = self.disagreements.iter();
        let is_known = known.any(|known| known.path == fault.path);
        if !is_known && self.disagreements.len() < MOST_DISAGREEMENTS {
            self.disagreements.push(fault);
        }
    }

    /// Adds a candidate that is invalid, for these reasons.
    pub(super) fn invalid(&mut self, reasons: &[String]) {
        for reason in reasons {
            count(&mut self.report.invalid, reason);
        }
    }

    /// Adds a candidate that a filter refused.
    pub(super) fn filtered(&mut self, reason: &str) {
        *self.report.filtered.entry(reason.to_owned()).or_default() += 1;
    }

    /// Adds what a judge gave a candidate.
    pub(super) fn scored(&mut self, scores: &Scores) {
        scores::add(&mut self.report.scores, scores);
    }

    /// Adds a record that was accepted although it looks unfinished.
    pub(super) fn unfinished(&mut self, reason: &str) {
        count(&mut self.report.unfinished, reason);
    }

    /// Adds a candidate that was refused as a repeat. Returns a warning, once in a run, where this is the last of this many in a
    /// row that what is compared may be the wrong part of a record.
    pub(super) fn duplicate(&mut self, method: &str, repeat: Repeat) -> Option<&str> {
        let method = if method.is_empty() { "custom" } else { method };
        let duplicates = &mut self.report.duplicates;
        *duplicates.entry(method.to_owned()).or_default() += 1;
        self.report.copies += u64::from(repeat.is_copy);
        if !repeat.differs || self.in_a_row == SUSPICIOUS {
            return None;
        }
        self.in_a_row += 1;
        if self.in_a_row < SUSPICIOUS {
            return None;
        }
        let warning = mostly_repeats(&self.report.compared_by);
        self.report.warnings.push(warning);
        self.report.warnings.last().map(String::as_str)
    }

    /// Adds what an answer brought whose prompt showed this many records.
    pub(super) fn shown(&mut self, records: usize, brought: &Brought) {
        self.report.shown.entry(records).or_default().add(brought);
    }

    /// Notes that a candidate was accepted.
    pub(super) fn accepted(&mut self) {
        if self.in_a_row < SUSPICIOUS {
            self.in_a_row = 0;
        }
    }

    /// Adds a topic that was given up.
    pub(super) fn given_up(
        &mut self,
        topic: usize,
        why: TopicExhausted,
        last_error: Option<String>,
    ) {
        if self.given_up.len() < GivenUpTopics::MOST_LISTED {
            self.given_up.push((topic, why, last_error));
        } else {
            self.report.given_up.unlisted += 1;
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

    /// Adds what was planned and counted.
    pub(super) fn topics(&mut self, plan: &Plan, ledger: &Ledger) {
        let report = &mut self.report;
        report.requested = plan.total();
        report
            .notes
            .extend(plan.notes.iter().map(ToString::to_string));
        let counted = ledger.progress().iter().zip(ledger.stats());
        for (planned, (progress, stats)) in plan.topics.iter().zip(counted) {
            let topic = stats.report(planned, progress.quota);
            for (name, value) in topic.topic.attributes() {
                let values = report.attributes.entry(name.to_owned()).or_default();
                values.entry(value_text(value)).or_default().add(&topic);
            }
            if let Some(document) = topic.topic.full_row().and_then(|row| row.document()) {
                let document = report.documents.entry(document.to_owned());
                document.or_default().add(&topic);
            }
            report.candidates.add(&topic.candidates);
            report.answers.total += topic.answers;
            report.answers.faults.merge(&topic.faults);
            report.topics.push(topic);
        }
        report.accepted = report.candidates.accepted;
        let with_stats = plan.topics.iter().zip(ledger.stats());
        let moves = with_stats.filter_map(|(planned, stats)| stats.moves(planned));
        report.notes.extend(moves);
        for (topic, why, last_error) in self.given_up.drain(..) {
            let listed = GivenUpTopic::new(&report.topics[topic], why, last_error);
            report.given_up.listed.push(listed);
        }
    }

    /// Returns the report of a run that ended like this.
    pub(super) fn build(
        self,
        clients: &ClientContext,
        outcome: Outcome,
        error: Option<&Error>,
    ) -> Report {
        let (parts, counts) = (&clients.parts, clients.calls.counts());
        let mut report = Report {
            outcome,
            reason: error.map(ToString::to_string),
            record_calls: counts.records,
            topic_calls: counts.topics,
            filter_calls: counts.filters,
            spending: parts.budget.spending(),
            ..self.report
        };
        for (model, counted) in counts.models {
            let known = report.models.entry(model).or_default();
            (known.calls, known.usage) = (counted.calls, counted.usage);
        }
        if self.at_limit > 0 {
            let settings = parts.settings();
            report.notes.push(cuts(
                self.at_limit,
                parts.generation.parameters.max_tokens,
                settings.max_tokens_ceiling,
                settings.records_per_request.most(),
            ));
        }
        if !parts.settings().coerce_types {
            report.notes.extend(types_note(&report.invalid));
        }
        let embedder = parts.embedder.as_ref();
        report.notes.extend(embedder.and_then(|it| it.note()));
        let faults = self.disagreements.iter();
        report.notes.extend(faults.map(ToString::to_string));
        report.warnings.extend(clients.warnings.said());
        report
    }
}

/// Says what helps where most faults are values of another type, as weak models write `"3"` for 3.
fn types_note(invalid: &BTreeMap<String, u64>) -> Option<String> {
    let by_type = invalid
        .iter()
        .filter(|(reason, _)| reason.ends_with(" type"));
    let by_type: u64 = by_type.map(|(_, count)| count).sum();
    let all: u64 = invalid.values().sum();
    (2 * by_type > all).then(|| {
        format!(
            "{by_type} values had another type than the schema asks for; `coerce_types` turns them into it where nothing is lost, such as \"3\" into 3"
        )
    })
}

/// Counts one more of a reason. The keys of a free-form map are the model's own words, so there may be any number.
fn count(reasons: &mut BTreeMap<String, u64>, reason: &str) {
    const MOST: usize = 64;
    let is_full = reasons.len() >= MOST && !reasons.contains_key(reason);
    let reason = if is_full { "elsewhere" } else { reason };
    *reasons.entry(reason.to_owned()).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_repeats_that_differ_is_told_once() {
        let mut report = Report::empty(Outcome::Complete);
        report.compared_by = "near: question".to_owned();
        let mut stats = ReportBuilder::new(report);
        let told = |stats: &mut ReportBuilder, differs| {
            let repeat = Repeat {
                differs,
                is_copy: false,
            };
            stats.duplicate("near", repeat).is_some()
        };
        assert!((1..SUSPICIOUS).all(|_| !told(&mut stats, true)));
        stats.accepted();
        assert!(
            (0..20).all(|_| !told(&mut stats, false)),
            "what is equal is no riddle"
        );
        assert!((1..SUSPICIOUS).all(|_| !told(&mut stats, true)));
        assert!(told(&mut stats, true) && !told(&mut stats, true));
        assert!(stats.report.warnings[0].contains("near: question"));
    }

    #[test]
    fn each_place_of_disagreement_is_told_once_and_not_without_end() {
        let mut stats = ReportBuilder::new(Report::empty(Outcome::Complete));
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
