//! What the fields of a data set hold: how many, of what types, how long, in which languages.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;
use topicloom::JsonRecord;
use topicloom::filter::Language;
use topicloom::random::{Random, Reservoir};
use xxhash_rust::xxh3::xxh3_64;

use crate::records::in_words;

/// Fields that are looked at; further ones are only counted.
const MOST_FIELDS: usize = 100;
/// Different values of a field that are told apart.
const MOST_DISTINCT: usize = 50_000;
/// Different short values whose counts are kept; a field with more has no list of values.
const MOST_VALUES: usize = 500;
/// Characters of a text whose value is counted.
const SHORT: usize = 120;
/// Numbers that are kept of a field. Of more, a random sample of as many stands for all.
const SAMPLE: usize = 10_000;
/// Texts of a field whose language is looked for, and the characters of each that are read.
const READ_TEXTS: u64 = 10_000;
const READ_CHARACTERS: usize = 600;
const BINS: f64 = 20.0;

/// Counts what is in the fields of records as they come, in a few megabytes at most for each field.
#[derive(Default)]
pub(crate) struct FieldStats {
    records: u64,
    fields: Vec<(String, Field)>,
    known: HashMap<String, usize>,
    unlisted: HashSet<u64>,
}

#[derive(Default)]
struct Field {
    types: BTreeMap<&'static str, u64>,
    distinct: HashSet<u64>,
    values: Option<HashMap<String, u64>>,
    has_long_values: bool,
    numbers: Sample,
    characters: Sample,
    words: Sample,
    lengths: Sample,
    languages: BTreeMap<&'static str, u64>,
}

/// A random sample of numbers, and what is known of all of them.
struct Sample {
    sum: f64,
    least: f64,
    most: f64,
    kept: Reservoir<f64>,
}

/// What the fields hold.
#[derive(Debug, Serialize)]
pub(crate) struct StatsReport {
    pub(crate) records: u64,
    /// In the order in which they first came.
    pub(crate) fields: Vec<FieldReport>,
    /// Further fields, of which nothing is said.
    pub(crate) unlisted_fields: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct FieldReport {
    pub(crate) name: String,
    /// Records that have it, be it null.
    pub(crate) records: u64,
    pub(crate) types: BTreeMap<&'static str, u64>,
    /// Different values; there may be more where `distinct_is_least`.
    pub(crate) distinct: usize,
    pub(crate) distinct_is_least: bool,
    /// Values that come again and again, and how often, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<(String, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) numbers: Option<Distribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) characters: Option<Distribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<Distribution>,
    /// Items of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lengths: Option<Distribution>,
    /// Texts by the code of their language, `?` where it is not sure; of the first 10 000.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) languages: BTreeMap<&'static str, u64>,
}

/// How numbers spread. Quantiles and histogram are exact up to 10 000 numbers, and from a random sample beyond.
#[derive(Debug, Serialize)]
pub(crate) struct Distribution {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) mean: f64,
    pub(crate) percentile_90: f64,
    pub(crate) most: f64,
    /// How many numbers are in each of up to 20 parts of the same width.
    pub(crate) histogram: Vec<u64>,
}

impl FieldStats {
    pub(crate) fn see(&mut self, record: &JsonRecord) {
        self.records += 1;
        self.see_object("", record);
    }

    fn see_object(&mut self, before: &str, object: &JsonRecord) {
        for (name, value) in object {
            let path = format!("{before}{name}");
            let next = self.fields.len();
            let at = match self.known.get(&path) {
                Some(at) => *at,
                None if next < MOST_FIELDS => {
                    self.known.insert(path.clone(), next);
                    self.fields.push((path.clone(), Field::default()));
                    next
                }
                None => {
                    if self.unlisted.len() < MOST_DISTINCT {
                        self.unlisted.insert(xxh3_64(path.as_bytes()));
                    }
                    continue;
                }
            };
            self.fields[at].1.see(value);
            if let Value::Object(inner) = value {
                self.see_object(&format!("{path}."), inner);
            }
        }
    }

    pub(crate) fn finish(&self) -> StatsReport {
        let fields = self.fields.iter();
        StatsReport {
            records: self.records,
            fields: fields.map(|(name, field)| field.finish(name)).collect(),
            unlisted_fields: self.unlisted.len(),
        }
    }
}

impl Field {
    fn see(&mut self, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        *self.types.entry(kind).or_default() += 1;
        if value.is_null() {
            return;
        }
        let text = in_words(value);
        if self.distinct.len() < MOST_DISTINCT {
            self.distinct.insert(xxh3_64(text.as_bytes()));
        }
        match value {
            Value::Number(number) => self.numbers.add(number.as_f64().unwrap_or_default()),
            Value::Array(items) => self.lengths.add(float(items.len() as u64)),
            Value::String(text) => self.see_text(text),
            _ => {}
        }
        if matches!(value, Value::String(_) | Value::Bool(_)) && !self.has_long_values {
            let values = self.values.get_or_insert_default();
            *values.entry(text).or_default() += 1;
            if values.len() > MOST_VALUES {
                self.values = None;
                self.has_long_values = true;
            }
        }
    }

    fn see_text(&mut self, text: &str) {
        let characters = text.chars().count();
        if characters > SHORT {
            self.has_long_values = true;
            self.values = None;
        }
        if self.characters.kept.came() < READ_TEXTS && characters > 0 {
            let beginning: String = text.chars().take(READ_CHARACTERS).collect();
            let found = Language::of(&beginning);
            let code = found.map_or("?", |found| found.as_str());
            *self.languages.entry(code).or_default() += 1;
        }
        self.characters.add(float(characters as u64));
        self.words
            .add(float(text.split_whitespace().count() as u64));
    }

    fn finish(&self, name: &str) -> FieldReport {
        let records = self.types.values().sum();
        // A value that is there twice on average is one of a few.
        let repeat = |values: &&HashMap<_, _>| 2 * values.len() as u64 <= records;
        let values = self.values.as_ref().filter(repeat);
        let mut values: Vec<_> = values.into_iter().flatten().collect();
        values.sort_by(|(one, many), (other, more)| more.cmp(many).then(one.cmp(other)));
        let mut languages = self.languages.clone();
        if languages.keys().eq(&["?"]) {
            languages.clear();
        }
        FieldReport {
            name: name.to_owned(),
            records,
            types: self.types.clone(),
            distinct: self.distinct.len(),
            distinct_is_least: self.distinct.len() >= MOST_DISTINCT,
            values: values
                .into_iter()
                .map(|(value, count)| (value.clone(), *count))
                .collect(),
            numbers: self.numbers.finish(),
            characters: self.characters.finish(),
            words: self.words.finish(),
            lengths: self.lengths.finish(),
            languages,
        }
    }
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            sum: 0.0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            kept: Reservoir::new(SAMPLE, Random::new(0)),
        }
    }
}

impl Sample {
    fn add(&mut self, number: f64) {
        self.sum += number;
        self.least = self.least.min(number);
        self.most = self.most.max(number);
        self.kept.add(|| number);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Of places in a list.
    fn finish(&self) -> Option<Distribution> {
        let mut kept = self.kept.kept().to_vec();
        kept.sort_unstable_by(f64::total_cmp);
        let end = kept.len().checked_sub(1)?;
        let at = |share: f64| kept[(float(end as u64) * share).round() as usize];
        let (least, most) = (self.least, self.most);
        // Whole numbers that are close to each other have a bin each.
        let is_whole = kept.iter().all(|number| number.fract() == 0.0);
        let (bins, width) = if is_whole && most - least < BINS {
            (most - least + 1.0, 1.0)
        } else {
            (BINS, (most - least) / BINS)
        };
        let mut histogram = vec![0; bins as usize];
        for number in &kept {
            let bin = ((number - least) / width.max(f64::MIN_POSITIVE)) as usize;
            histogram[bin.min(bins as usize - 1)] += 1;
        }
        let of_all = float(self.kept.came()) / float(kept.len() as u64);
        for count in &mut histogram {
            *count = (float(*count) * of_all).round() as u64;
        }
        Some(Distribution {
            least,
            median: at(0.5),
            mean: self.sum / float(self.kept.came()),
            percentile_90: at(0.9),
            most,
            histogram,
        })
    }
}

#[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats(records: impl IntoIterator<Item = Value>) -> StatsReport {
        let mut stats = FieldStats::default();
        for record in records {
            stats.see(record.as_object().expect("the test gives objects"));
        }
        stats.finish()
    }

    #[test]
    fn each_field_is_described_by_what_it_holds() {
        let english =
            "Where do the tides of the sea come from, and why are there two of them a day?";
        let german = "Wodurch entstehen eigentlich die Gezeiten des Meeres, und weshalb steigt das Wasser an den meisten Küsten täglich zweimal?";
        let records = (0..40).map(|number| {
            json!({
                "question": if number < 30 { format!("{english} {number}") } else { format!("{german} {number}") },
                "level": if number % 4 == 0 { "hard" } else { "easy" },
                "score": number % 5,
                "tags": vec!["a"; number % 3],
                "meta": {"source": null},
            })
        });
        let found = stats(records);
        assert_eq!(found.records, 40);
        let names: Vec<&str> = found.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(
            names,
            ["question", "level", "score", "tags", "meta", "meta.source"]
        );
        let [question, level, score, tags, _, source] = &found.fields[..] else {
            panic!("six fields")
        };
        assert_eq!(question.languages, BTreeMap::from([("de", 10), ("en", 30)]));
        assert_eq!((question.distinct, question.values.len()), (40, 0));
        assert_eq!(question.words.as_ref().map(|it| it.most), Some(19.0));
        assert_eq!(
            level.values,
            [("easy".to_owned(), 30), ("hard".to_owned(), 10)]
        );
        let numbers = score.numbers.as_ref().expect("numbers");
        assert_eq!(
            (numbers.least, numbers.median, numbers.most),
            (0.0, 2.0, 4.0)
        );
        assert_eq!(numbers.histogram, [8; 5]);
        assert_eq!(
            tags.lengths.as_ref().map(|it| it.histogram.clone()),
            Some(vec![14, 13, 13])
        );
        assert_eq!(source.types, BTreeMap::from([("null", 40)]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_says_so() {
        let found = stats(
            (0..60_000).map(|number| json!({"n": number, "t": format!("t{}", number % 600)})),
        );
        let [number, text] = &found.fields[..] else {
            panic!("two fields")
        };
        assert!(number.distinct_is_least && number.distinct == MOST_DISTINCT);
        let numbers = number.numbers.as_ref().expect("numbers");
        assert!((numbers.median - 30_000.0).abs() < 1_000.0, "{numbers:?}");
        assert_eq!((numbers.least, numbers.most), (0.0, 59_999.0));
        let all: u64 = numbers.histogram.iter().sum();
        assert!(all.abs_diff(60_000) < 20, "{numbers:?}");
        assert!(text.values.is_empty() && text.distinct == 600);
        let wide: JsonRecord = (0..150).map(|at| (format!("f{at}"), json!(1))).collect();
        let found = stats([wide.into()]);
        assert_eq!(
            (found.fields.len(), found.unlisted_fields),
            (MOST_FIELDS, 50)
        );
    }

    #[test]
    fn a_set_without_records_has_no_numbers() {
        assert!(stats([]).fields.is_empty());
        let one = stats([json!({"n": 7, "t": ""})]);
        let numbers = one.fields[0].numbers.as_ref().expect("a number");
        assert_eq!((numbers.histogram.len(), numbers.median), (1, 7.0));
    }
}
