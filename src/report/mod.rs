//! What a run did: every call and every candidate accounted for.

mod call_stats;
mod labels;
pub(crate) mod scores;
mod show;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::diversity::Brought;
pub use crate::diversity::DiversityReport;
use crate::error::ErrorKind;
use crate::llm::layers::Spending;
use crate::llm::{OutputMode, Usage};
pub use crate::outcome::{
    AnswerFault, CallError, EmptyAttempt, Outcome, Rejection, TopicExhausted,
};

pub use crate::counts::{Counted, Counts};
pub use crate::diversity::{Saturated, Spread, Window};
pub use crate::parse::{Repair, Repairs};
use crate::plan::Origin;
use crate::schema::dialect::LocalCheck;
use crate::schema::{CoercionKind, Dialect};
use crate::topic::Topic;
pub(crate) use call_stats::CallStats;
pub use labels::{Differing, LabelsOfCriterion, LabelsReport};
pub use scores::CriterionReport;

/// What a run did, in total and per topic.
///
/// The numbers obey a conservation law, which [`imbalances`](Self::imbalances) checks: every call was answered,
/// failed or was cancelled; every answer belongs to a task of a topic; every candidate was accepted or rejected
/// for one reason; and the topics add up to the total.
///
/// Serialises to JSON; holds no record data and no prompts, only topic names.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// How the run ended.
    pub outcome: Outcome,
    /// Why it did not complete, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the sink keeps the records of a run that is not complete, such as `data.jsonl.partial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<String>,
    /// Records asked for.
    pub requested: u64,
    /// Records made.
    pub accepted: u64,
    /// Calls that asked for records.
    pub record_calls: CallCounts,
    /// Calls that asked for topics.
    pub topic_calls: CallCounts,
    /// Calls of filters that ask a model.
    pub filter_calls: CallCounts,
    /// Answers to the calls that asked for records, as they were judged.
    pub answers: AnswerCounts,
    /// Candidates found in the answers.
    pub candidates: CandidateCounts,
    /// Candidates that filters refused, by what the filter said.
    pub filtered: BTreeMap<String, u64>,
    /// What judges gave the candidates, by criterion.
    pub scores: BTreeMap<String, CriterionReport>,
    /// How judges compare with people, where there are records with labels of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsReport>,
    /// Candidates refused as repeats, by the method that found them; `custom` for a deduplicator that names none.
    pub duplicates: BTreeMap<String, u64>,
    /// Of those, candidates that repeat a record which their own prompt showed.
    pub copies: u64,
    /// What answers brought, by how many records of the topic their prompts showed as not to be repeated.
    pub shown: BTreeMap<usize, ShownReport>,
    /// What is compared to find repeats: `near: question, context`.
    pub compared_by: String,
    /// Why candidates were invalid: a place and the keyword that is broken there, such as `/difficulty enum`, and how many
    /// candidates each concerns. `/` is the record itself; `placeholder`, `same_texts`, `schema_echo`, `lost_character` and
    /// `blank` are named as keywords are.
    pub invalid: BTreeMap<String, u64>,
    /// Records that were accepted although they look unfinished, since the same came again, by place and name as above.
    pub unfinished: BTreeMap<String, u64>,
    /// Each topic, in the order of the plan.
    pub topics: Vec<TopicReport>,
    /// Of each attribute, how many records were wanted and made with each of its values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, BTreeMap<String, ShareReport>>,
    /// Of each document, how many records were wanted and made of its chunks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<String, ShareReport>,
    /// The topics that were given up.
    pub given_up: GivenUpTopics,
    /// Tokens and calls of each model.
    pub models: BTreeMap<String, ModelReport>,
    /// What the calls cost, as far as prices are known.
    pub spending: Spending,
    /// How broken JSON was repaired, and how often.
    pub repairs: Repairs,
    /// How varied the records are, measured on the first 200 characters of their texts.
    pub diversity: DiversityReport,
    /// How values were given the type that the schema asks for, and how often; texts that are JSON are
    /// read where a list or an object belongs, the rest only if `coerce_types` is set.
    pub coercions: BTreeMap<CoercionKind, u64>,
    /// Keys that were taken away from candidates since the field list does not name them; none where the schema is a JSON
    /// Schema or a type.
    pub dropped_keys: u64,
    /// What else there is to know: topics that could not be had, quotas that moved, answers that were cut off, places
    /// where the caller's type and schema disagree.
    pub notes: Vec<String>,
    /// Settings of the input that were accepted and have no meaning here.
    pub warnings: Vec<String>,
    /// Answers that came from the journal of an earlier process.
    pub resumed_answers: u64,
    /// How long this process worked on it.
    #[serde(serialize_with = "seconds", rename = "elapsed_seconds")]
    pub elapsed: Duration,
}

/// Writes a duration as seconds.
pub(crate) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Calls, by how they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls sent, retries included.
    pub made: u64,
    /// Calls that were answered, whatever the answer was worth.
    pub answered: u64,
    /// Calls that failed, by kind of error.
    pub failed: Counts<ErrorKind>,
    /// Calls that were dropped before they ended, because the run was stopped or had all it needed.
    pub cancelled: u64,
    /// Tokens of the answered calls.
    pub usage: Usage,
}

impl CallCounts {
    /// Returns how many calls failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.total()
    }
}

/// Tokens and calls of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelReport {
    /// Calls sent, retries included.
    pub calls: u64,
    /// Tokens of the answered calls.
    pub usage: Usage,
    /// How its answers with records were asked for: more than one way, if the provider refused the schema.
    pub asked: Vec<AskedReport>,
}

/// What answers brought whose prompts showed the same number of records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShownReport {
    /// The answers.
    pub answers: u64,
    /// Records that were accepted.
    pub accepted: u64,
    /// Candidates refused as repeats, copies among them.
    pub repeats: u64,
    /// Candidates that repeat a record which their own prompt showed.
    pub copies: u64,
    /// Tokens of prompts and answers.
    pub tokens: u64,
}

impl ShownReport {
    pub(crate) fn add(&mut self, brought: &Brought) {
        self.answers += 1;
        self.accepted += brought.accepted;
        self.repeats += brought.repeats;
        self.copies += brought.copies;
        self.tokens += brought.input_tokens + brought.output_tokens;
    }
}

/// Records of one part of a run, such as a value of an attribute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShareReport {
    /// Records that the plan asked for.
    pub wanted: u64,
    /// Records that were made.
    pub accepted: u64,
}

impl ShareReport {
    pub(crate) fn add(&mut self, topic: &TopicReport) {
        self.wanted += topic.planned;
        self.accepted += topic.candidates.accepted;
    }
}

/// A way in which structured output was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AskedReport {
    /// How firmly. Only in [`OutputMode::Strict`] is a provider bound by the schema; otherwise every rule of it is
    /// checked here and nowhere else.
    pub mode: OutputMode,
    /// The dialect of the schema that was sent.
    pub dialect: Dialect,
    /// Answers that came of it and had something to read.
    pub answers: u64,
    /// Rules of the caller's schema that the dialect cannot say, so that a strict provider does not keep to them.
    pub checked_locally: Vec<LocalCheck>,
}

/// Answers, by what was wrong with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AnswerCounts {
    /// All answers.
    pub total: u64,
    /// Answers with a fault; a truncated one may still have given records.
    pub faults: Counts<AnswerFault>,
    /// Answers that arrived and were not judged, because the journal, a filter or the deduplicator failed.
    pub unjudged: u64,
}

/// Candidates, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CandidateCounts {
    /// All candidates.
    pub total: u64,
    /// Became records.
    pub accepted: u64,
    /// Did not, by why.
    #[serde(flatten, serialize_with = "with_zeros")]
    pub rejected: Counts<Rejection>,
}

/// So that each reason has its key, whether it occurred or not.
fn with_zeros<S: Serializer>(counts: &Counts<Rejection>, serializer: S) -> Result<S::Ok, S::Error> {
    let named = |(rejection, count): (Rejection, u64)| (rejection.as_str(), count);
    serializer.collect_map(counts.all().map(named))
}

impl CandidateCounts {
    fn parts(&self) -> u64 {
        self.accepted + self.rejected.total()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.accepted += other.accepted;
        self.rejected.merge(&other.rejected);
    }
}

/// What was done for one topic.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TopicReport {
    /// The topic.
    pub topic: Topic,
    /// Whether it was given or generated.
    pub origin: Origin,
    /// Records the plan asked of it.
    pub planned: u64,
    /// Records asked of it in the end, which differs from `planned` where quotas moved between topics.
    pub quota: u64,
    /// Tasks issued for it.
    pub tasks: u64,
    /// Calls that its answered and failed tasks took, retries included.
    pub calls: u64,
    /// Tasks that were answered.
    pub answers: u64,
    /// Tasks whose call failed finally, by kind of error.
    pub failed: Counts<ErrorKind>,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// What was wrong with answers.
    pub faults: Counts<AnswerFault>,
    /// What became of its candidates.
    pub candidates: CandidateCounts,
    /// Why it was given up, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up: Option<TopicExhausted>,
    /// How the last attempt that gave nothing ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_miss: Option<EmptyAttempt>,
}

/// The topics that were given up, in the order in which that happened.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct GivenUpTopics {
    /// The first twenty.
    pub listed: Vec<GivenUpTopic>,
    /// How many more there are; [`Report::topics`] says why each was given up.
    pub unlisted: u64,
}

/// A topic that was given up, and what came of its last task.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GivenUpTopic {
    /// The topic.
    pub topic: Topic,
    /// Why it was given up.
    pub why: TopicExhausted,
    /// What was wrong in its last task, in words: the error of the call, the fault of the answer, or why the last record was
    /// rejected. Holds no prompt and no values of a record. `None` where there is nothing to say beyond `why`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Records that are missing.
    pub missing: u64,
    /// Tasks issued for it.
    pub tasks: u64,
    /// Calls that its answered and failed tasks took, retries included.
    pub calls: u64,
}

impl GivenUpTopics {
    /// Twenty say what is wrong, and a run of a hundred thousand topics may lose them all.
    pub(crate) const MOST_LISTED: usize = 20;

    /// Returns how many topics were given up, listed or not.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.listed.len() as u64 + self.unlisted
    }

    /// Returns whether no topic was given up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

impl GivenUpTopic {
    /// Creates the entry of a topic whose report is this.
    pub(crate) fn new(
        report: &TopicReport,
        why: TopicExhausted,
        last_error: Option<String>,
    ) -> Self {
        Self {
            topic: report.topic.clone(),
            why,
            last_error,
            missing: report.missing(),
            tasks: report.tasks,
            calls: report.calls,
        }
    }
}

/// On one line, as a summary prints it.
impl fmt::Display for GivenUpTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gave up \"{}\" with {} missing, after {} tasks and {} calls: {}",
            self.topic, self.missing, self.tasks, self.calls, self.why
        )?;
        match &self.last_error {
            Some(error) => write!(f, "; last error: {error}"),
            None => Ok(()),
        }
    }
}

impl TopicReport {
    /// Returns how many records are missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.quota.saturating_sub(self.candidates.accepted)
    }
}

impl Report {
    /// Creates the report of a run that did nothing.
    pub(crate) fn empty(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: None,
            kept_in: None,
            requested: 0,
            accepted: 0,
            record_calls: CallCounts::default(),
            topic_calls: CallCounts::default(),
            filter_calls: CallCounts::default(),
            answers: AnswerCounts::default(),
            candidates: CandidateCounts::default(),
            filtered: BTreeMap::new(),
            scores: BTreeMap::new(),
            labels: None,
            duplicates: BTreeMap::new(),
            copies: 0,
            shown: BTreeMap::new(),
            compared_by: String::new(),
            invalid: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            topics: Vec::new(),
            attributes: BTreeMap::new(),
            documents: BTreeMap::new(),
            given_up: GivenUpTopics::default(),
            models: BTreeMap::new(),
            spending: Spending::default(),
            repairs: Repairs::default(),
            diversity: DiversityReport::default(),
            coercions: BTreeMap::new(),
            dropped_keys: 0,
            notes: Vec::new(),
            warnings: Vec::new(),
            resumed_answers: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// Returns how many records are missing.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.requested.saturating_sub(self.accepted)
    }

    /// Returns the reasons why most candidates were invalid, the first being the most frequent: five at most.
    pub fn most_invalid(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut reasons: Vec<_> = self
            .invalid
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons.into_iter().take(5)
    }

    /// Returns the tokens of all calls.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let [records, topics, filters] = self.calls();
        records.usage + topics.usage + filters.usage
    }

    /// Returns how many calls were made, for whatever purpose.
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.calls().iter().map(|calls| calls.made).sum()
    }

    /// Returns how many calls failed, for whatever purpose.
    #[must_use]
    pub fn calls_failed(&self) -> u64 {
        self.calls().iter().map(|calls| calls.failures()).sum()
    }

    fn calls(&self) -> [&CallCounts; 3] {
        [&self.record_calls, &self.topic_calls, &self.filter_calls]
    }

    /// Returns every way in which the numbers do not add up; none, unless there is a bug.
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let input = topicloom::GenerateByTopicInput::from_json_str("{}")?;
    /// let dataset = topicloom::generate_by_topic(input).await?;
    /// assert!(dataset.report().imbalances().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn imbalances(&self) -> Vec<String> {
        let mut balance = Balance::default();
        for (name, calls) in [
            ("record calls", &self.record_calls),
            ("topic calls", &self.topic_calls),
            ("filter calls", &self.filter_calls),
        ] {
            let ends = calls.answered + calls.failures() + calls.cancelled;
            balance.equal(
                format_args!("{name} made = answered + failed + cancelled"),
                calls.made,
                ends,
            );
        }
        let mut candidates = CandidateCounts::default();
        let mut answers = 0;
        for topic in &self.topics {
            let name = &topic.topic;
            let failed = topic.failed.total();
            let ends = topic.answers + failed + topic.cancelled;
            balance.equal(
                format_args!("tasks of {name} = answers + failed + cancelled"),
                topic.tasks,
                ends,
            );
            let parts = topic.candidates.parts();
            balance.equal(
                format_args!("candidates of {name} = their ends"),
                topic.candidates.total,
                parts,
            );
            balance.at_most(
                format_args!("accepted of {name}"),
                topic.candidates.accepted,
                topic.quota,
            );
            candidates.add(&topic.candidates);
            answers += topic.answers;
        }
        balance.equal(
            format_args!("answers = answers of the topics"),
            self.answers.total,
            answers,
        );
        balance.equal(
            format_args!("answered record calls = answers judged and unjudged"),
            self.record_calls.answered,
            self.answers.total + self.answers.unjudged,
        );
        balance.equal(
            format_args!("candidates = their ends"),
            self.candidates.total,
            self.candidates.parts(),
        );
        balance.equal(
            format_args!("candidates = those of the topics"),
            self.candidates.total,
            candidates.total,
        );
        balance.equal(
            format_args!("filtered candidates = those of each reason"),
            self.candidates.rejected[Rejection::Filtered],
            self.filtered.values().sum(),
        );
        balance.equal(
            format_args!("duplicates = those of each method"),
            self.candidates.rejected[Rejection::Duplicate],
            self.duplicates.values().sum(),
        );
        balance.equal(
            format_args!("accepted = accepted candidates"),
            self.accepted,
            self.candidates.accepted,
        );
        // A run that ended before its topics were settled has none, and owes its records all the same.
        if !self.topics.is_empty() {
            let quotas = self.topics.iter().map(|topic| topic.quota).sum();
            balance.equal(
                format_args!("requested = quotas of the topics"),
                self.requested,
                quotas,
            );
        }
        let calls = self.models.values().map(|model| model.calls).sum();
        let made = self.calls_made();
        balance.equal(format_args!("calls = calls of the models"), made, calls);
        balance.faults
    }
}

#[derive(Default)]
struct Balance {
    faults: Vec<String>,
}

impl Balance {
    fn equal(&mut self, law: fmt::Arguments<'_>, left: u64, right: u64) {
        if left != right {
            self.faults.push(format!("{law}: {left} is not {right}"));
        }
    }

    fn at_most(&mut self, law: fmt::Arguments<'_>, left: u64, right: u64) {
        if left > right {
            self.faults.push(format!("{law}: {left} is over {right}"));
        }
    }
}
