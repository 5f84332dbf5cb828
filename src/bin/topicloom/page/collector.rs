//! What is kept of records and of refused candidates while a run goes on, for the page about it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use topicloom::dedup::Neighbours;
use topicloom::hooks::Rejected;
use topicloom::random::{Random, Reservoir};
use topicloom::schema::RecordSchema;
use topicloom::{JsonRecord, PipelineBuilder, Record};

use super::chart::{Figure, meter};
use super::words::{count, cut, percent};
use super::{MOST_ROWS, NAME, TEXT};
use crate::field_stats::{FieldStats, float};
use crate::records::in_words;

/// Records that are compared with each other.
const COMPARED: usize = 20_000;
/// Reasons that are told apart, and examples of each.
const MOST_REASONS: usize = 500;
const SAMPLES: usize = 2;
/// Pairs that are shown, and fields of each record.
const PAIRS: usize = 8;
const MOST_SHOWN: usize = 10;
const LIKENESS_BINS: usize = 15;

/// Collects; clones collect into the same place.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Collected>>);

pub(super) struct Collected {
    pub(super) stats: FieldStats,
    /// Candidates of each task that were accepted and refused.
    pub(super) by_task: HashMap<u64, [u64; 2]>,
    /// A random sample of the records.
    sample: Reservoir<JsonRecord>,
    refusals: BTreeMap<(String, String), Refusal>,
}

#[derive(Default)]
struct Refusal {
    count: u64,
    samples: Vec<String>,
}

impl Default for Collected {
    fn default() -> Self {
        Self {
            stats: FieldStats::default(),
            by_task: HashMap::new(),
            sample: Reservoir::new(COMPARED, Random::new(0)),
            refusals: BTreeMap::new(),
        }
    }
}

impl Collector {
    /// Has a pipeline show its refused candidates.
    pub(crate) fn watch(&self, builder: PipelineBuilder) -> PipelineBuilder {
        let collector = self.clone();
        builder.on_rejected(move |candidate| collector.lock().refuse(candidate))
    }

    /// Takes a record.
    pub(crate) fn see(&self, record: &Record) {
        let Ok(data) = record.to_json() else {
            return;
        };
        let mut collected = self.lock();
        collected.by_task.entry(record.meta.task).or_default()[0] += 1;
        collected.stats.see(&data);
        collected.sample.add(|| record.data.clone());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn refuse(&mut self, candidate: &Rejected<'_>) {
        self.by_task.entry(candidate.task).or_default()[1] += 1;
        let found = candidate.repeats;
        let method = found.map(|found| found.method);
        let reason = candidate.reason.or(method).unwrap_or_default();
        let mut key = (candidate.rejection.as_str().to_owned(), cut(reason, TEXT));
        if self.refusals.len() >= MOST_REASONS && !self.refusals.contains_key(&key) {
            "other reasons".clone_into(&mut key.1);
        }
        let refusal = self.refusals.entry(key).or_default();
        refusal.count += 1;
        if refusal.samples.len() < SAMPLES
            && let Some(data) = candidate.data
        {
            let text = cut(&Value::Object(data.clone()).to_string(), TEXT);
            let of = found.map(|found| format!(" repeats {}", found.of));
            refusal
                .samples
                .push(text + of.as_deref().unwrap_or_default());
        }
    }

    /// Returns why candidates were refused, the most frequent reason first.
    pub(super) fn refusals(&self) -> Value {
        let mut all: Vec<_> = self.refusals.iter().collect();
        all.sort_by_key(|(_, refusal)| std::cmp::Reverse(refusal.count));
        let total: u64 = all.iter().map(|(_, refusal)| refusal.count).sum();
        let (shown, rest) = all.split_at(all.len().min(MOST_ROWS));
        let rows = shown.iter().map(|((rejection, reason), refusal)| {
            json!({
                "rejection": rejection, "reason": reason, "count": count(refusal.count), "meter": meter(refusal.count, total),
                "samples": refusal.samples,
            })
        });
        let mut rows: Vec<Value> = rows.collect();
        if !rest.is_empty() {
            let sum = rest.iter().map(|(_, refusal)| refusal.count).sum();
            let reason = format!("{} more reasons", count(rest.len() as u64));
            rows.push(json!({"rejection": "", "reason": reason, "count": count(sum), "meter": meter(sum, total), "samples": []}));
        }
        rows.into()
    }

    /// Returns the records that are most like another one, next to it.
    pub(super) fn pairs(&self, schema: &RecordSchema) -> Value {
        let mut neighbours = Neighbours::new(schema);
        let sample = self.sample.kept();
        sample.iter().for_each(|data| neighbours.see(data, None));
        let nearest = neighbours.nearest(None);
        let mut likeness = vec![[0; 2]; LIKENESS_BINS];
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (number, found) in nearest.of_each.iter().enumerate() {
            let similarity = found.map_or(0.0, |found| found.similarity);
            likeness[bin_of(similarity)][0] += 1;
            // Each pair once, be it nearest from both sides.
            pairs
                .extend(found.map(|it| (similarity, number.min(it.record), number.max(it.record))));
        }
        pairs.sort_by(|one, other| {
            other
                .0
                .total_cmp(&one.0)
                .then((one.1, one.2).cmp(&(other.1, other.2)))
        });
        pairs.dedup();
        if pairs.is_empty() {
            return Value::Null;
        }
        let shown = |number: usize| {
            let fields = sample[number].iter().take(MOST_SHOWN);
            fields
                .map(|(name, value)| [cut(name, NAME), cut(&in_words(value), TEXT)])
                .collect::<Vec<_>>()
        };
        let list = pairs.iter().take(PAIRS).map(|(similarity, one, other)| {
            json!({"similarity": percent(*similarity), "records": [shown(*one), shown(*other)]})
        });
        let of = match sample.len() as u64 {
            all if all == self.sample.came() => format!("all {} records", count(all)),
            some => format!(
                "{} of {} records, drawn at random,",
                count(some),
                count(self.sample.came())
            ),
        };
        let late = match nearest.cut_short {
            0 => String::new(),
            cut => format!(
                " The search was ended early for {} of them.",
                count(cut as u64)
            ),
        };
        let figure = Figure {
            title: "How like each record is to the one most like it",
            top: count(likeness.iter().map(|it| it[0]).max().unwrap_or(0)),
            left: format!("below {}", percent(Neighbours::LEAST)),
            right: "100 %".to_owned(),
            legend: &[],
        };
        json!({
            "note": format!("Compared were {of} by the words they share in the fields that decide.{late}"),
            "figure": figure.bars(&likeness), "list": list.collect::<Value>(),
        })
    }
}

/// Returns the part of the scale from [`Neighbours::LEAST`] to 1 that a likeness is in; what is below is in the first.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 0 to the number of bins.
fn bin_of(similarity: f64) -> usize {
    let share = (similarity - Neighbours::LEAST) / (1.0 - Neighbours::LEAST);
    if share < 0.0 {
        return 0;
    }
    1 + ((share * float(LIKENESS_BINS as u64 - 1)) as usize).min(LIKENESS_BINS - 2)
}
