//! Which records of a whole set are neighbours: what the near deduplicator takes for one, and by a pass of its own what shares
//! most words.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::compared::flatten;
use super::word_index::{RankedWords, Wanted, WordIndex};
use super::{Memory, NearDuplicates, NearMemory, Reference, Verdict};
use crate::candidate::Candidate;
use crate::schema::RecordSchema;

/// Finds out which records of a set lie close to one another, once all of them are there.
///
/// Two records are as similar as the words that they share are many of those that either has (Jaccard, from 0 to 1): of the fields that
/// [decide](super::Fields::Deciding), lower-cased, each word once. What [`NearDuplicates`] takes for a repeat has the similarity 1,
/// which it gives it.
///
/// Nothing is sampled. Where very many records share many words without being close, a search for the most similar one looks at
/// no more than [`LOOKS`](Self::LOOKS) records for all of them together, and says so. The words of all records are held in memory,
/// some kilobytes a record.
///
/// ```
/// use serde_json::json;
/// use topicloom::dedup::Neighbours;
/// use topicloom::schema::RecordSchema;
///
/// let mut neighbours = Neighbours::new(&RecordSchema::default());
/// for question in [
///     "Why does the sea rise twice a day?",
///     "How is bread made?",
///     "Why does the sea rise and fall twice a day?",
/// ] {
///     let data = json!({ "question": question, "answer": "…" });
///     neighbours.see(data.as_object().expect("it is an object"), None);
/// }
/// let nearest = neighbours.nearest(None).of_each;
/// assert_eq!(nearest[0].map(|it| it.record), Some(2));
/// assert_eq!(nearest[0].map(|it| it.similarity), Some(0.8));
/// assert_eq!(nearest[1], None);
/// assert_eq!(neighbours.groups(), [0, 1, 0]);
/// ```
#[derive(Debug)]
pub struct Neighbours {
    near: NearDuplicates,
    memory: NearMemory,
    /// The record that each repeats, to the near deduplicator; itself where it is new.
    repeats: Vec<usize>,
    /// The first record of those that are to be together with each, by what all of these have in common.
    together: Vec<usize>,
    firsts: HashMap<String, usize>,
    /// The words of one record after the other, as numbers, each once.
    words: Vec<u32>,
    /// Where the words of each record end.
    ends: Vec<usize>,
    numbers: HashMap<String, u32>,
    /// In how many records each word is.
    counts: Vec<u32>,
}

/// The record that is most similar to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Nearest {
    /// Its number, in the order in which records were seen, from 0.
    pub record: usize,
    /// From 0 to 1.
    pub similarity: f64,
    /// Whether the near deduplicator takes one for a repeat of the other.
    pub is_repeat: bool,
}

/// The most similar record of each, and whether that is certain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NearestOfEach {
    /// For each record, in the order in which they were seen.
    pub of_each: Vec<Option<Nearest>>,
    /// Records whose search was ended early: there may be one that is more similar than the one that is told.
    pub cut_short: usize,
}

/// The two records of different sides that are most similar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClosestSides {
    /// Their numbers, in the order in which records were seen, from 0.
    pub records: (usize, usize),
    /// From 0 to 1.
    pub similarity: f64,
    /// Whether no two are more similar. Where the search was ended early, there may be such.
    pub is_exact: bool,
}

impl Neighbours {
    /// The similarity below which records have nothing to do with one another.
    pub const LEAST: f64 = 0.3;

    /// The similarity from which on records are in one group: one word of six may be another.
    pub const OF_A_GROUP: f64 = 0.6;

    /// How many records one call of [`nearest`](Self::nearest) or [`closest`](Self::closest) looks at, for all of them together: enough for
    /// each with each of 10 000. Of more, nearly all are ruled out unseen; where they cannot be, the search is ended early.
    pub const LOOKS: u64 = 500_000_000;

    /// Creates one that has seen no record. `schema` is that of the records.
    #[must_use]
    pub fn new(schema: &RecordSchema) -> Self {
        Self {
            near: NearDuplicates::default().schema(schema),
            memory: NearMemory::default(),
            repeats: Vec::new(),
            together: Vec::new(),
            firsts: HashMap::new(),
            words: Vec::new(),
            ends: Vec::new(),
            numbers: HashMap::new(),
            counts: Vec::new(),
        }
    }

    /// Takes the next record. All with the same value of `together` will be in one group.
    pub fn see(&mut self, data: &Map<String, Value>, together: Option<&Value>) {
        let number = self.ends.len();
        let candidate = Candidate::new("", data);
        let reference = Reference::Record(number as u64);
        let verdict = self.memory.admit(self.near.read(&candidate), reference);
        let repeated = match verdict {
            Verdict::Duplicate(found) => found.record(),
            Verdict::Unique => None,
        };
        let repeated = repeated.and_then(|it| usize::try_from(it).ok());
        self.repeats.push(repeated.unwrap_or(number));
        let first = together.map(|value| *self.firsts.entry(value.to_string()).or_insert(number));
        self.together.push(first.unwrap_or(number));
        let mut text = String::new();
        for (_, value) in self.near.deciding(&candidate) {
            flatten(value, &mut text);
        }
        let text = text.to_lowercase();
        let mut distinct: Vec<&str> = text.unicode_words().collect();
        distinct.sort_unstable();
        distinct.dedup();
        for word in distinct {
            let next = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
            let number = *self.numbers.entry(word.to_owned()).or_insert(next);
            if number == next {
                self.counts.push(0);
            }
            self.counts[number as usize] += 1;
            self.words.push(number);
        }
        self.ends.push(self.words.len());
    }

    /// Returns a number for each record, the same for all of a group, which is that of its first record.
    ///
    /// In a group are records that are as similar as [`OF_A_GROUP`](Self::OF_A_GROUP) says, and those that have the same value in
    /// common, and whatever is in a group with one of them.
    #[must_use]
    pub fn groups(&self) -> Vec<usize> {
        let words = self.ranked();
        let mut groups = Groups((0..self.ends.len()).collect());
        for record in 0..self.ends.len() {
            groups.join(record, self.repeats[record]);
            groups.join(record, self.together[record]);
        }
        // Each group finds another one in each round, if there is one, so there are few rounds (Borůvka 1926).
        let mut open: Vec<usize> = (0..self.ends.len()).collect();
        while !open.is_empty() {
            let sides = groups.roots();
            let index = WordIndex::new(&words, &sides, Self::OF_A_GROUP);
            open.retain(|&record| {
                let mut is_found = false;
                let wanted = Wanted::AtLeast(Self::OF_A_GROUP);
                index.search(record, wanted, &mut u64::MAX.clone(), |other, _| {
                    groups.join(record, other);
                    is_found = true;
                    None
                });
                is_found
            });
        }
        groups.roots()
    }

    /// Returns for each record the one that is most similar to it, if that is as similar as [`LEAST`](Self::LEAST) says. With
    /// `sides`, only records of another side count.
    ///
    /// Of several that are as similar, it is always the same one, and not a certain one.
    ///
    /// # Panics
    ///
    /// Where `sides` has not one side for each record.
    #[must_use]
    pub fn nearest(&self, sides: Option<&[usize]>) -> NearestOfEach {
        let alone: Vec<usize>;
        let sides = if let Some(sides) = sides {
            sides
        } else {
            alone = (0..self.ends.len()).collect();
            &alone
        };
        self.nearest_within(Self::LOOKS, sides)
    }

    fn nearest_within(&self, looks: u64, sides: &[usize]) -> NearestOfEach {
        let words = self.ranked();
        let mut of_each = self.repeated(sides);
        let index = WordIndex::new(&words, sides, Self::LEAST);
        let mut cut_short = 0;
        let mut looks = Looks::new(looks, sides.len());
        for record in 0..sides.len() {
            let wanted = match of_each[record] {
                Some(found) => Wanted::MoreThan(found.similarity),
                None => Wanted::AtLeast(Self::LEAST),
            };
            let is_over = index.search(record, wanted, looks.next(), |other, similarity| {
                for (one, record) in [(record, other), (other, record)] {
                    if of_each[one].is_none_or(|found| found.similarity < similarity) {
                        of_each[one] = Some(Nearest {
                            record,
                            similarity,
                            is_repeat: false,
                        });
                    }
                }
                Some(Wanted::MoreThan(similarity))
            });
            cut_short += usize::from(!is_over);
        }
        NearestOfEach { of_each, cut_short }
    }

    /// Returns the two records of different sides that are most similar, if they are as similar as [`LEAST`](Self::LEAST) says.
    ///
    /// # Panics
    ///
    /// Where `sides` has not one side for each record.
    #[must_use]
    pub fn closest(&self, sides: &[usize]) -> Option<ClosestSides> {
        let mut closest =
            self.repeated(sides)
                .into_iter()
                .enumerate()
                .find_map(|(record, found)| {
                    Some(ClosestSides {
                        records: (record, found?.record),
                        similarity: 1.0,
                        is_exact: true,
                    })
                });
        if closest.is_some() {
            return closest;
        }
        let words = self.ranked();
        let index = WordIndex::new(&words, sides, Self::LEAST);
        let mut members: HashMap<usize, usize> = HashMap::new();
        sides
            .iter()
            .for_each(|side| *members.entry(*side).or_default() += 1);
        // Of two on different sides, one is not on the largest.
        let largest = members
            .into_iter()
            .max_by_key(|(side, count)| (*count, *side));
        let searched: Vec<usize> = (0..sides.len())
            .filter(|it| largest.is_none_or(|(side, _)| side != sides[*it]))
            .collect();
        let mut looks = Looks::new(Self::LOOKS, searched.len());
        let (mut wanted, mut is_exact) = (Wanted::AtLeast(Self::LEAST), true);
        for record in searched {
            is_exact &= index.search(record, wanted, looks.next(), |other, similarity| {
                let records = (record.min(other), record.max(other));
                closest = Some(ClosestSides {
                    records,
                    similarity,
                    is_exact,
                });
                wanted = Wanted::MoreThan(similarity);
                Some(wanted)
            });
        }
        closest.map(|found| ClosestSides { is_exact, ..found })
    }

    /// Returns for each record one of another side that it repeats, or that repeats it.
    fn repeated(&self, sides: &[usize]) -> Vec<Option<Nearest>> {
        assert_eq!(sides.len(), self.ends.len(), "one side for each record");
        // Of those that say the same, the first one, and the first one on another side.
        let mut opposite: HashMap<usize, usize> = HashMap::new();
        for (record, &first) in self.repeats.iter().enumerate() {
            if sides[record] != sides[first] {
                opposite.entry(first).or_insert(record);
            }
        }
        let of = |(record, first): (usize, &usize)| {
            let opposite = *opposite.get(first)?;
            Some(Nearest {
                record: if sides[record] == sides[*first] {
                    opposite
                } else {
                    *first
                },
                similarity: 1.0,
                is_repeat: true,
            })
        };
        self.repeats.iter().enumerate().map(of).collect()
    }

    fn ranked(&self) -> RankedWords {
        RankedWords::new(&self.words, &self.ends, &self.counts)
    }
}

/// Hands out looks, the same number to each, and what the one before has left.
struct Looks {
    of_each: u64,
    left: u64,
}

impl Looks {
    fn new(all: u64, searches: usize) -> Self {
        Self {
            of_each: all / (searches as u64).max(1) + 1,
            left: 0,
        }
    }

    fn next(&mut self) -> &mut u64 {
        self.left += self.of_each;
        &mut self.left
    }
}

/// The record that each leads to, itself at the end, which is the first of its group.
struct Groups(Vec<usize>);

impl Groups {
    fn root(&mut self, mut record: usize) -> usize {
        while self.0[record] != record {
            self.0[record] = self.0[self.0[record]];
            record = self.0[record];
        }
        record
    }

    fn roots(&mut self) -> Vec<usize> {
        (0..self.0.len()).map(|it| self.root(it)).collect()
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // The same division of the same numbers.
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::random::Random;

    fn seen(texts: &[String]) -> Neighbours {
        let mut neighbours = Neighbours::new(&RecordSchema::default());
        for text in texts {
            let data = json!({"question": text, "answer": "the same for all"});
            neighbours.see(data.as_object().unwrap(), None);
        }
        neighbours
    }

    /// Returns texts of three to eight words out of a vocabulary.
    fn drawn(random: &mut Random, texts: u64, vocabulary: u64) -> Vec<String> {
        let mut text = |words: u64| -> String {
            let word = |_| format!("w{}", random.below(vocabulary));
            (0..words).map(word).collect::<Vec<_>>().join(" ")
        };
        (0..texts).map(|number| text(3 + number % 6)).collect()
    }

    fn similarity(one: &str, other: &str) -> f64 {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<HashSet<_>>();
        let (one, other) = (words(one), words(other));
        let shared = one.intersection(&other).count() as f64;
        shared / one.union(&other).count() as f64
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
        let neighbours = seen(&texts.map(str::to_owned));
        assert_eq!(neighbours.groups(), [0, 1, 0, 0, 4]);
        let nearest = neighbours.nearest(None).of_each;
        let first = nearest[0].unwrap();
        assert_eq!(
            (first.record, first.similarity, first.is_repeat),
            (2, 1.0, true)
        );
        assert_eq!(nearest[2].unwrap().record, 0);
        let rust = nearest[3].unwrap();
        assert_eq!(
            (rust.record, rust.similarity, rust.is_repeat),
            (0, 9.0 / 11.0, false)
        );
        assert_eq!((nearest[1], nearest[4]), (None, None));
        // With the first two of those that say the same on one side.
        let nearest = neighbours.nearest(Some(&[0, 1, 0, 1, 1])).of_each;
        assert_eq!(nearest[0].unwrap().record, 3);
        assert!(!nearest[0].unwrap().is_repeat);
    }

    #[test]
    fn groups_are_what_comparing_each_with_each_finds() {
        let texts = drawn(&mut Random::new(3), 300, 40);
        let groups = seen(&texts).groups();
        let mut expected = Groups((0..texts.len()).collect());
        for one in 0..texts.len() {
            for other in 0..one {
                if similarity(&texts[one], &texts[other]) >= Neighbours::OF_A_GROUP {
                    expected.join(one, other);
                }
            }
        }
        let expected = expected.roots();
        assert!(expected.iter().collect::<HashSet<_>>().len() > 50);
        // What the near deduplicator takes for a repeat has the same words here, so that it changes nothing.
        assert_eq!(groups, expected);
    }

    #[test]
    fn the_nearest_is_what_comparing_each_with_each_finds() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let texts = drawn(&mut random, 120, 15 + 10 * seed);
            let neighbours = seen(&texts);
            let sides: Vec<usize> = texts.iter().map(|_| random.index(3)).collect();
            for sides in [None, Some(&*sides)] {
                let nearest = neighbours.nearest(sides);
                assert_eq!(nearest.cut_short, 0);
                let nearest = nearest.of_each;
                for (one, found) in nearest.iter().enumerate() {
                    let faces = |other: &usize| {
                        *other != one && sides.is_none_or(|sides| sides[*other] != sides[one])
                    };
                    let others = (0..texts.len()).filter(faces);
                    let best = others
                        .map(|other| similarity(&texts[one], &texts[other]))
                        .fold(0.0, f64::max);
                    match found {
                        Some(found) => {
                            assert!(faces(&found.record));
                            assert_eq!(found.similarity, best, "{}", texts[one]);
                            let really = similarity(&texts[one], &texts[found.record]);
                            assert_eq!(found.similarity, really);
                        }
                        None => assert!(best < Neighbours::LEAST, "{best}: {}", texts[one]),
                    }
                }
                if let Some(sides) = sides {
                    let most = nearest.iter().flatten().map(|it| it.similarity);
                    let closest = neighbours.closest(sides);
                    assert_eq!(closest.map(|it| it.similarity), most.reduce(f64::max));
                    if let Some(ClosestSides {
                        records: (one, other),
                        similarity: told,
                        is_exact,
                    }) = closest
                    {
                        assert_eq!(told, similarity(&texts[one], &texts[other]));
                        assert!(is_exact && sides[one] != sides[other]);
                    }
                }
            }
        }
    }

    #[test]
    fn records_with_a_value_in_common_are_together() {
        let mut neighbours = Neighbours::new(&RecordSchema::default());
        for (text, value) in [("one", "a"), ("two", "b"), ("three", "a")] {
            let data = json!({ "question": text });
            neighbours.see(data.as_object().unwrap(), Some(&value.into()));
        }
        assert_eq!(neighbours.groups(), [0, 1, 0]);
        assert_eq!(neighbours.nearest(None).of_each, [None, None, None]);
    }

    #[test]
    fn a_search_that_is_cut_short_says_so_and_tells_no_lie() {
        let texts = drawn(&mut Random::new(3), 300, 20);
        let neighbours = seen(&texts);
        let sides: Vec<usize> = (0..texts.len()).collect();
        let all = neighbours.nearest(None);
        let few = neighbours.nearest_within(2000, &sides);
        assert!(few.cut_short > 100, "{}", few.cut_short);
        assert_eq!(neighbours.nearest_within(Neighbours::LOOKS, &sides), all);
        for (one, (found, best)) in few.of_each.iter().zip(&all.of_each).enumerate() {
            if let (Some(found), Some(best)) = (found, best) {
                assert!(found.similarity <= best.similarity);
                assert_eq!(
                    found.similarity,
                    similarity(&texts[one], &texts[found.record])
                );
            }
        }
    }
}
