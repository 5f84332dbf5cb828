//! What a run ends in.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;
use crate::record::{JsonRecord, Record};
use crate::report::Report;
use crate::sink::PartialFile;

/// All records of a run, and its report.
///
/// ```
/// # use topicloom::GenerateByTopicInput;
/// # async fn example(input: GenerateByTopicInput) -> Result<(), Box<dyn std::error::Error>> {
/// let dataset = topicloom::generate_by_topic(input).await?;
/// for record in &dataset {
///     println!("{}: {}", record.topic, record.data["question"]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Dataset<T = JsonRecord> {
    pub(super) records: Vec<Record<T>>,
    pub(super) report: Report,
}

impl<T> Dataset<T> {
    /// Returns the records in the order of acceptance.
    #[must_use]
    pub fn records(&self) -> &[Record<T>] {
        &self.records
    }

    /// Returns what the run did.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Returns the number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the records in the order of acceptance.
    pub fn iter(&self) -> std::slice::Iter<'_, Record<T>> {
        self.records.iter()
    }

    /// Returns the records and leaves the report.
    #[must_use]
    pub fn into_records(self) -> Vec<Record<T>> {
        self.records
    }

    /// Returns what was asked for, without topics and report.
    #[must_use]
    pub fn into_data(self) -> Vec<T> {
        let records = self.records.into_iter();
        records.map(|record| record.data).collect()
    }

    /// Returns the records of each topic, by its name.
    #[must_use]
    pub fn by_topic(&self) -> BTreeMap<&str, Vec<&Record<T>>> {
        let mut topics: BTreeMap<&str, Vec<&Record<T>>> = BTreeMap::new();
        for record in &self.records {
            topics.entry(record.topic.name()).or_default().push(record);
        }
        topics
    }

    /// Returns this many records, all of them where there are fewer, drawn by the seed.
    #[must_use]
    pub fn sample(&self, count: usize, seed: u64) -> Vec<&Record<T>> {
        let mut drawn: Vec<&Record<T>> = self.records.iter().collect();
        Random::new(seed).fork("sample").shuffle(&mut drawn);
        drawn.truncate(count);
        drawn
    }

    /// Splits the records in two by the seed, such as those to train with and those to test with: this many come second.
    #[must_use]
    pub fn split(self, second: usize, seed: u64) -> (Vec<Record<T>>, Vec<Record<T>>) {
        let mut records = self.records;
        Random::new(seed).fork("split").shuffle(&mut records);
        let first = records.len().saturating_sub(second);
        let second = records.split_off(first);
        (records, second)
    }
}

impl<T: Serialize> Dataset<T> {
    /// Writes the records into a file as JSON Lines, each with its topic. The file is replaced once all is written.
    ///
    /// To write records as they come see [`JsonlSink`](crate::sink::JsonlSink).
    ///
    /// # Errors
    ///
    /// Where a record does not serialise to a JSON object, or the file cannot be written.
    pub fn save_jsonl(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut text = Vec::new();
        for record in &self.records {
            serde_json::to_writer(&mut text, record).map_err(|error| {
                let message = "a record does not serialise to a JSON object";
                Error::new(ErrorKind::Sink, message).with_source(error)
            })?;
            text.push(b'\n');
        }
        let mut file = PartialFile::create(path.as_ref())?;
        file.write_whole(&text)?;
        file.commit()
    }
}

impl<T> IntoIterator for Dataset<T> {
    type Item = Record<T>;
    type IntoIter = std::vec::IntoIter<Record<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Dataset<T> {
    type Item = &'a Record<T>;
    type IntoIter = std::slice::Iter<'a, Record<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::Outcome;
    use crate::record::RecordMeta;
    use crate::topic::Topic;

    fn dataset() -> Dataset<Value> {
        let record = |index: u64| {
            let topic = Topic::new(["tides", "currents"][index as usize % 2]);
            Record::new(
                topic,
                json!({"n": index}),
                RecordMeta::new(index, index, "offline/loom"),
            )
        };
        Dataset {
            records: (0..10).map(record).collect(),
            report: Report::empty(Outcome::Complete),
        }
    }

    #[test]
    fn records_are_found_drawn_and_taken_out() {
        let dataset = dataset();
        let topics = dataset.by_topic();
        assert_eq!(topics["tides"].len(), 5);
        assert_eq!(
            topics.keys().copied().collect::<Vec<_>>(),
            ["currents", "tides"]
        );
        let drawn = dataset.sample(4, 7);
        assert_eq!(drawn, dataset.sample(4, 7));
        assert_eq!((drawn.len(), dataset.sample(40, 7).len()), (4, 10));
        let (first, second) = dataset.clone().split(3, 7);
        let mut all: Vec<u64> = first
            .iter()
            .chain(&second)
            .map(|record| record.meta.ordinal)
            .collect();
        all.sort_unstable();
        assert_eq!((first.len(), second.len(), all), (7, 3, (0..10).collect()));
        assert_eq!(dataset.into_data()[9], json!({"n": 9}));
    }

    #[test]
    fn a_data_set_is_written_as_lines_and_as_one_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        let dataset = dataset();
        dataset.save_jsonl(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some(r#"{"n":0,"topic":"tides"}"#));
        assert_eq!(text.lines().count(), 10);
        let value = serde_json::to_value(&dataset).unwrap();
        assert_eq!(value["records"][1], json!({"n": 1, "topic": "currents"}));
        assert!(value["report"]["outcome"].is_string());
    }
}
