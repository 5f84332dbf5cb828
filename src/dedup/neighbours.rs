//! Which records of a whole set are neighbours: what the near deduplicator takes for one, and by a pass of its own what shares
//! most words.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::compared::flatten;
use super::{Memory, NearDuplicates, NearMemory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::schema::RecordSchema;

/// The share of the words of two records that they have in common, from which on they are neighbours (Jaccard): one word of six
/// may be another.
pub(crate) const SHARED_WORDS: f64 = 0.6;

/// Puts records into groups; neighbours, and neighbours of neighbours, are in one.
pub(crate) struct Neighbours {
    near: NearDuplicates,
    memory: NearMemory,
    /// The record that each leads to, itself at the end.
    leads_to: Vec<usize>,
    /// The words of each record, as numbers, each once.
    words: Vec<Vec<u32>>,
    numbers: HashMap<String, u32>,
    /// In how many records each word is.
    counts: Vec<u32>,
    /// The first record with a value that keeps its records together.
    firsts: HashMap<String, usize>,
}

impl Neighbours {
    pub(crate) fn new(schema: &RecordSchema) -> Self {
        Self {
            near: NearDuplicates::default().schema(schema),
            memory: NearMemory::default(),
            leads_to: Vec::new(),
            words: Vec::new(),
            numbers: HashMap::new(),
            counts: Vec::new(),
            firsts: HashMap::new(),
        }
    }

    /// Takes the next record, and what all records of its group have in common with it, if that is to count.
    pub(crate) fn see(&mut self, data: &Map<String, Value>, together: Option<&Value>) {
        let number = self.leads_to.len();
        self.leads_to.push(number);
        let candidate = Candidate::new("", data);
        let reference = Reference::Record(number as u64);
        let verdict = self.memory.admit(self.near.read(&candidate), reference);
        if let Verdict::Duplicate(found) = verdict
            && let Reference::Record(first) = found.of
            && let Ok(first) = usize::try_from(first)
        {
            self.join(number, first);
        }
        if let Some(value) = together {
            let first = *self.firsts.entry(value.to_string()).or_insert(number);
            self.join(number, first);
        }
        let mut text = String::new();
        for (_, value) in self.near.deciding(&candidate) {
            flatten(value, &mut text);
        }
        let text = text.to_lowercase();
        let distinct: HashSet<&str> = text.unicode_words().collect();
        let mut words = Vec::with_capacity(distinct.len());
        for word in distinct {
            let next = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
            let number = *self.numbers.entry(word.to_owned()).or_insert(next);
            if number == next {
                self.counts.push(0);
            }
            self.counts[number as usize] += 1;
            words.push(number);
        }
        self.words.push(words);
    }

    /// Returns a number for each record, the same for all of a group.
    pub(crate) fn groups(mut self) -> Vec<usize> {
        self.join_by_words();
        (0..self.leads_to.len()).map(|it| self.root(it)).collect()
    }

    /// Joins every two records that share this many words. Such two have a word in common among the rarest of each, as many as
    /// may be missing and one more (Chaudhuri, Ganti, Kaushik 2006): so none is overlooked.
    fn join_by_words(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        let mut words = std::mem::take(&mut self.words);
        let mut by_word: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut last_seen = vec![usize::MAX; words.len()];
        for number in 0..words.len() {
            words[number].sort_unstable_by_key(|word| (counts[*word as usize], *word));
            let own = &words[number];
            for word in &own[..own.len() - least_shared(own.len()) + usize::from(!own.is_empty())] {
                let others = by_word.entry(*word).or_default();
                for &other in &*others {
                    if std::mem::replace(&mut last_seen[other], number) != number
                        && self.root(other) != self.root(number)
                        && are_close(own, &words[other], &counts)
                    {
                        self.join(other, number);
                    }
                }
                others.push(number);
            }
        }
    }

    fn root(&mut self, mut record: usize) -> usize {
        while self.leads_to[record] != record {
            self.leads_to[record] = self.leads_to[self.leads_to[record]];
            record = self.leads_to[record];
        }
        record
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.leads_to[one.max(other)] = one.min(other);
    }
}

/// The fewest words that a record with this many shares with a neighbour.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // Of words in a record.
fn least_shared(words: usize) -> usize {
    // Rounding must not ask for one more than there has to be.
    (words as f64 * SHARED_WORDS - 1e-9).ceil() as usize
}

#[allow(clippy::cast_precision_loss)] // Numbers of words.
fn are_close(one: &[u32], other: &[u32], counts: &[u32]) -> bool {
    let key = |word: &u32| (counts[*word as usize], *word);
    let (mut left, mut right, mut shared) = (0, 0, 0_usize);
    while left < one.len() && right < other.len() {
        match key(&one[left]).cmp(&key(&other[right])) {
            std::cmp::Ordering::Less => left += 1,
            std::cmp::Ordering::Greater => right += 1,
            std::cmp::Ordering::Equal => (left, right, shared) = (left + 1, right + 1, shared + 1),
        }
    }
    let all = one.len() + other.len() - shared;
    shared as f64 >= all as f64 * SHARED_WORDS - 1e-9
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::random::Random;

    fn groups(texts: &[String]) -> Vec<usize> {
        let mut neighbours = Neighbours::new(&RecordSchema::default());
        for text in texts {
            let data = json!({"question": text, "answer": "the same for all"});
            neighbours.see(data.as_object().unwrap(), None);
        }
        neighbours.groups()
    }

    #[test]
    fn rewordings_are_together_and_strangers_are_not() {
        let texts = [
            "How do I sort a list of numbers in Python?",
            "What causes the tides of the sea?",
            "Please tell me how to sort lists of numbers in Python.",
            "How do I sort a list of numbers in Rust?",
            "",
        ];
        assert_eq!(groups(&texts.map(str::to_owned)), [0, 1, 0, 0, 4]);
    }

    #[test]
    fn every_two_that_share_enough_words_are_found() {
        let mut random = Random::new(3);
        let mut text = |words: u64| -> String {
            let word = |_| format!("w{}", random.below(40));
            (0..words).map(word).collect::<Vec<_>>().join(" ")
        };
        let texts: Vec<String> = (0..300).map(|number| text(3 + number % 6)).collect();
        let groups = groups(&texts);
        let sets: Vec<HashSet<&str>> = texts.iter().map(|text| text.split(' ').collect()).collect();
        for one in 0..texts.len() {
            for other in 0..one {
                let shared = sets[one].intersection(&sets[other]).count() as f64;
                let all = sets[one].union(&sets[other]).count() as f64;
                if shared / all >= SHARED_WORDS {
                    assert_eq!(
                        groups[one], groups[other],
                        "{} / {}",
                        texts[one], texts[other]
                    );
                }
            }
        }
        assert!(groups.iter().collect::<HashSet<_>>().len() > 50);
    }
}
