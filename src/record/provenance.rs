//! Where a record comes from, as it is written beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{JsonRecord, Record};
use crate::llm::Usage;
use crate::llm::price::Usd;

/// The answer in which a record was found. The records of one answer share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerOrigin {
    /// The attempt that was answered, counted from 1.
    pub attempt: u32,
    /// Candidates that were found in the answer.
    pub candidates: u32,
    /// The point of view that the prompt asked for.
    pub angle: Option<Arc<str>>,
    /// Tokens of the call, as the provider counted them.
    pub usage: Usage,
    /// What the call cost; `None` where the model has no price.
    pub cost: Option<Usd>,
    /// How the answer's JSON was repaired and how values were given another type, and how often each.
    pub repairs: BTreeMap<String, u64>,
}

/// Where a record comes from: everything that is known of it beside its data.
///
/// Tokens and cost are the record's share of its call: those of the whole call, divided by the candidates that were found in
/// the answer. So the shares of all records, of the candidates that were refused, and of the answers in which there was
/// nothing add up to what the run used.
///
/// ```
/// use serde_json::json;
/// use topicloom::record::{Record, RecordMeta};
/// use topicloom::topic::Topic;
///
/// let data = json!({"question": "Why is the sea salty?"});
/// let meta = RecordMeta::new(0, 7, "openai/gpt-4o-mini");
/// let record = Record::new(Topic::new("the sea"), data, meta);
/// let provenance = serde_json::to_value(record.provenance())?;
/// assert_eq!(provenance["task"], 7);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Provenance<'a> {
    /// Its number in the run, counting from 0 in the order of acceptance.
    pub ordinal: u64,
    /// The topic it was asked under.
    pub topic: &'a str,
    /// The task that asked for it. Its answer is the journal's entry of that task.
    pub task: u64,
    /// Its place among the candidates of that answer, from 0.
    pub candidate: u32,
    /// The model that wrote it, as `provider/model`.
    pub model: &'a str,
    /// The attempt that was answered, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The number of its row of source data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The values of attributes that it was asked for with.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: JsonRecord,
    /// The point of view that its prompt asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub angle: Option<&'a str>,
    /// Its share of the prompt's tokens.
    pub input_tokens: u64,
    /// Its share of the answer's tokens.
    pub output_tokens: u64,
    /// Its share of the cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    /// How its answer was repaired, and how often in each way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub repairs: &'a BTreeMap<String, u64>,
    /// The mean score that a judge gave it by each criterion.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<&'a str, f64>,
}

impl<T> Record<T> {
    /// Returns where the record comes from.
    #[must_use]
    pub fn provenance(&self) -> Provenance<'_> {
        let (meta, answer) = (&self.meta, &*self.meta.answer);
        let share = |total: u64| share(total, meta.candidate, answer.candidates);
        let attributes = self.topic.attributes();
        Provenance {
            ordinal: meta.ordinal,
            topic: self.topic.name(),
            task: meta.task,
            candidate: meta.candidate,
            model: &meta.model,
            attempt: Some(answer.attempt).filter(|attempt| *attempt > 0),
            row: self.topic.row(),
            attributes: attributes
                .map(|(name, value)| (name.to_owned(), Value::clone(value)))
                .collect(),
            angle: answer.angle.as_deref(),
            input_tokens: share(answer.usage.input_tokens),
            output_tokens: share(answer.usage.output_tokens),
            cost_usd: answer.cost.map(|cost| Usd::from_nano(share(cost.nano()))),
            repairs: &answer.repairs,
            scores: meta
                .scores
                .as_deref()
                .map(crate::scores::Scores::means)
                .unwrap_or_default(),
        }
    }
}

/// Returns the part of a whole that falls to one of several: what does not come out even goes to the first ones.
fn share(total: u64, place: u32, among: u32) -> u64 {
    let among = u64::from(among.max(1));
    total / among + u64::from(u64::from(place) < total % among)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, among) in [(0, 1), (7, 3), (9, 3), (2, 5)] {
            let shares: Vec<u64> = (0..among).map(|place| share(total, place, among)).collect();
            assert_eq!(shares.iter().sum::<u64>(), total, "{shares:?}");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
        assert_eq!(share(5, 0, 0), 5, "a record without a known answer");
    }
}
