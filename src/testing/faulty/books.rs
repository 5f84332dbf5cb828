//! What a faulty model was asked and handed out, by its own count.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::ErrorKind;
use crate::llm::Usage;
use crate::random::Random;

/// How many earlier records may be repeated; a bound, so that a long run does not keep them all.
const REMEMBERED: usize = 1_024;

/// What a [`FaultyModel`](super::FaultyModel) was asked and handed out, to compare with a run's report.
#[derive(Clone, Default)]
pub struct FaultyBooks {
    counts: FaultyCounts,
    failures: Vec<(ErrorKind, u64)>,
    remembered: Vec<Value>,
    /// Hashes of what was handed out, to the letter.
    exact: HashSet<u64>,
    /// Hashes of what was handed out, letter case and white space aside.
    alike: HashSet<u64>,
}

/// Counts of a [`FaultyModel`](super::FaultyModel). `calls = answers + failures + abandoned + in flight`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultyCounts {
    /// Calls begun.
    pub calls: u64,
    /// Calls that ended in an answer, good or not.
    pub answers: u64,
    /// Calls that ended in an error.
    pub failures: u64,
    /// Calls whose caller gave up.
    pub abandoned: u64,
    /// Answers that held no JSON.
    pub malformed: u64,
    /// Answers that were cut off.
    pub truncated: u64,
    /// Answers that declined.
    pub refused: u64,
    /// Answers without text.
    pub empty: u64,
    /// Records and topics that arrived whole, repeated and invalid ones included.
    pub items: u64,
    /// Tokens of all answers.
    pub usage: Usage,
    /// The most calls that were ever in flight at the same time.
    pub peak_concurrency: usize,
}

impl FaultyBooks {
    /// Returns the counts.
    #[must_use]
    pub fn counts(&self) -> FaultyCounts {
        self.counts
    }

    /// Returns how often calls failed with this kind.
    #[must_use]
    pub fn failures(&self, kind: ErrorKind) -> u64 {
        let found = self.failures.iter().find(|(other, _)| *other == kind);
        found.map_or(0, |(_, count)| *count)
    }

    /// Returns how many different records and topics were handed out, letter case, white space and
    /// punctuation at the ends of texts aside. Invalid ones count.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.alike.len()
    }

    /// Returns whether exactly this record or topic was handed out whole; the order of fields does not
    /// matter. A record that was made up from half an answer was not.
    #[must_use]
    pub fn has_handed_out(&self, item: &Value) -> bool {
        self.exact.contains(&fingerprint(item, false))
    }

    pub(super) fn begin(&mut self) -> u64 {
        self.counts.calls += 1;
        self.counts.calls - 1
    }

    pub(super) fn answer(&mut self, usage: Usage) {
        self.counts.answers += 1;
        self.counts.usage += usage;
    }

    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.counts.failures += 1;
        match self.failures.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, count)) => *count += 1,
            None => self.failures.push((kind, 1)),
        }
    }

    pub(super) fn hand_out(&mut self, item: Value) {
        self.exact.insert(fingerprint(&item, false));
        let is_new = self.alike.insert(fingerprint(&item, true));
        if is_new && self.remembered.len() < REMEMBERED {
            self.remembered.push(item);
        } else if is_new {
            // Which one makes room matters little, but it must not be left to chance outside the seed.
            let place = usize::try_from(self.counts.items).unwrap_or(0) % REMEMBERED;
            self.remembered[place] = item;
        }
        self.counts.items += 1;
    }

    /// Returns some record that was handed out earlier.
    pub(super) fn earlier(&self, random: &mut Random) -> Option<&Value> {
        random.choose(&self.remembered)
    }

    pub(super) fn counts_mut(&mut self) -> &mut FaultyCounts {
        &mut self.counts
    }

    pub(super) fn note_peak(&mut self, peak: usize) {
        self.counts.peak_concurrency = peak;
    }
}

/// Shows counts, never records.
impl fmt::Debug for FaultyBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBooks")
            .field("counts", &self.counts)
            .field("failures", &self.failures)
            .field("distinct", &self.distinct())
            .finish_non_exhaustive()
    }
}

/// Hashes a value regardless of the order of fields, and of letter case and spacing if `loosely`.
fn fingerprint(value: &Value, loosely: bool) -> u64 {
    let mut bytes = Vec::with_capacity(128);
    write_canonical(value, loosely, &mut bytes);
    xxh3_64(&bytes)
}

fn write_canonical(value: &Value, loosely: bool, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push(b'{');
            for (name, value) in fields {
                out.extend_from_slice(name.as_bytes());
                out.push(0);
                write_canonical(value, loosely, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_canonical(item, loosely, out);
            }
            out.push(b']');
        }
        Value::String(text) if loosely => {
            out.push(b'"');
            let mut first = true;
            for word in text
                .trim_matches(|c: char| !c.is_alphanumeric())
                .split_whitespace()
            {
                if !first {
                    out.push(b' ');
                }
                first = false;
                out.extend(word.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
            out.push(0);
        }
        Value::String(text) => {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
        other => {
            out.extend_from_slice(other.to_string().as_bytes());
            out.push(0);
        }
    }
}
