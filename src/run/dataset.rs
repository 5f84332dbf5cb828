//! What a run ends in.

use crate::record::{JsonRecord, Record};
use crate::report::Report;

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
#[derive(Debug, Clone)]
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
