//! From what was gathered to the report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Job;
use super::call_log::CallLog;
use super::findings::{Findings, cuts};
use super::ledger::{Ledger, Tally};
use super::warnings::Warnings;
use crate::diversity::DiversityReport;
use crate::error::Error;
use crate::llm::layers::OutputModes;
use crate::outcome::Outcome;
use crate::plan::{Plan, PlannedTopic};
use crate::report::{AnswerCounts, CandidateCounts, Report, TopicReport};
use crate::schedule::TopicProgress;

/// What the report is made from, gathered as the run goes, so that it is there however the run ends.
#[derive(Default)]
pub(super) struct Account {
    pub(super) calls: Arc<CallLog>,
    pub(super) output_modes: Arc<OutputModes>,
    pub(super) warnings: Arc<Warnings>,
    pub(super) plan: Option<Plan>,
    pub(super) ledger: Option<Ledger>,
    pub(super) diversity: DiversityReport,
    pub(super) findings: Findings,
    pub(super) resumed_answers: u64,
    /// Whether an earlier process was killed, so that its last calls are not in the account.
    pub(super) was_cut_short: bool,
    pub(super) unjudged: u64,
}

/// What a run says that goes on where a process was killed.
const KILLED: &str = "the process before this one did not end its run: what the calls cost that were in flight then is not in \
     the account";

impl Account {
    pub(super) fn new(job: &Job) -> Self {
        let warnings = Arc::new(Warnings::new(job.observers.clone()));
        Self {
            calls: Arc::new(CallLog::new(Arc::clone(&job.budget))),
            output_modes: Arc::new(
                OutputModes::new()
                    .first_calls(job.settings.max_concurrency)
                    .on_warning(warnings.listener()),
            ),
            warnings,
            ..Self::default()
        }
    }

    pub(super) fn into_report(
        self,
        job: &Job,
        outcome: Outcome,
        error: Option<&Error>,
        elapsed: Duration,
    ) -> Report {
        let (record_calls, topic_calls, models) = self.calls.counts();
        let plan = self.plan.unwrap_or_default();
        let topics = self
            .ledger
            .as_ref()
            .map_or_else(Vec::new, |ledger| topic_reports(&plan, ledger));
        let mut candidates = CandidateCounts::default();
        let mut answers = AnswerCounts {
            unjudged: self.unjudged,
            ..AnswerCounts::default()
        };
        for topic in &topics {
            candidates.add(&topic.candidates);
            answers.total += topic.answers;
            for (&fault, count) in &topic.faults {
                *answers.faults.entry(fault).or_default() += count;
            }
        }
        let mut notes = job.notes.clone();
        notes.extend(plan.notes.iter().map(ToString::to_string));
        notes.extend(self.ledger.iter().flat_map(|ledger| moves(&plan, ledger)));
        if self.was_cut_short {
            notes.push(KILLED.to_owned());
        }
        if self.findings.at_limit() > 0 {
            notes.push(cuts(
                self.findings.at_limit(),
                job.generation.parameters.max_tokens,
                job.settings.max_tokens_ceiling,
                job.settings.records_per_request,
            ));
        }
        let mut warnings = job.warnings.clone();
        warnings.extend(self.warnings.said());
        let mut report = Report {
            outcome,
            reason: error.map(ToString::to_string),
            kept_in: None,
            requested: if plan.topics.is_empty() {
                job.allocation.total()
            } else {
                plan.total()
            },
            accepted: candidates.accepted,
            record_calls,
            topic_calls,
            answers,
            candidates,
            topics,
            models,
            spending: job.budget.spending(),
            diversity: self.diversity,
            notes,
            compared_by: job.compared_by.clone(),
            warnings,
            resumed_answers: self.resumed_answers,
            elapsed,
            ..Report::empty(outcome)
        };
        self.findings.tell(&mut report);
        report
    }
}

fn topic_reports(plan: &Plan, ledger: &Ledger) -> Vec<TopicReport> {
    let states = ledger.progress().iter().zip(ledger.tallies());
    plan.topics
        .iter()
        .zip(states)
        .map(|(planned, (progress, tally))| topic_report(planned, *progress, tally))
        .collect()
}

fn topic_report(planned: &PlannedTopic, progress: TopicProgress, tally: &Tally) -> TopicReport {
    TopicReport {
        topic: planned.topic.clone(),
        origin: planned.origin,
        planned: planned.quota,
        quota: progress.quota,
        tasks: tally.tasks,
        calls: tally.calls,
        answers: tally.answers,
        failed: by_name(&tally.failures),
        cancelled: tally.cancelled,
        faults: tally.faults.clone(),
        candidates: CandidateCounts {
            total: tally.candidates,
            accepted: tally.accepted,
            invalid: tally.invalid,
            undecodable: tally.undecodable,
            filtered: tally.filtered,
            duplicate: tally.duplicate,
            surplus: tally.surplus,
        },
        given_up: tally.given_up,
        last_miss: tally.last_miss,
    }
}

pub(super) fn by_name(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(&name, &count)| (name.to_owned(), count))
        .collect()
}

/// Says which quotas moved.
fn moves(plan: &Plan, ledger: &Ledger) -> Vec<String> {
    let moved = |(planned, tally): (&PlannedTopic, &Tally)| {
        (tally.moved_away > 0).then(|| {
            format!(
                "{} records of the topic \"{}\", which was given up, were asked of other topics",
                tally.moved_away, planned.topic
            )
        })
    };
    plan.topics
        .iter()
        .zip(ledger.tallies())
        .filter_map(moved)
        .collect()
}
