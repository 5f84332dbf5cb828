//! What one run has seen, in a few dozen bytes a record.

use std::fmt;

use super::fingerprint::{NearFingerprint, Traits};
use super::order::{Packed, in_words_of, overlap, says_the_same};
use super::table::{Entry, KeyTable};
use crate::dedup::{Memory, Reference, Verdict};

/// The records of one run, as [`NearDuplicates`](super::NearDuplicates) remembers them.
///
/// Holds no text. A question takes about 90 bytes, a long text about 700, at 100 000 records as at a million.
pub struct NearMemory {
    /// From every key to the records that have it.
    keys: KeyTable,
    /// What is compared, one record after the other: words of meaning, or the hashes of a sketch.
    kept: Vec<Packed>,
    /// Where each record ends in `kept`.
    ends: Vec<u32>,
    references: Vec<Reference>,
    long_similarity: f32,
}

// Keys of different kinds live in one table without meeting.
const PART: u64 = 0xa076_1d64_78bd_642f;
const CIRCLES: u64 = 0x8ebc_6af0_9c88_c6e3;
const BAND: u64 = 0xe703_7ed1_a0b4_28db;

impl NearMemory {
    pub(super) fn new(long_similarity: f32) -> Self {
        Self {
            keys: KeyTable::default(),
            kept: Vec::new(),
            ends: Vec::new(),
            references: Vec::new(),
            long_similarity,
        }
    }

    /// Returns how many bytes are in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keys.bytes()
            + self.kept.capacity() * size_of::<Packed>()
            + self.ends.capacity() * size_of::<u32>()
            + self.references.capacity() * size_of::<Reference>()
    }

    fn find(&self, print: &NearFingerprint) -> Option<(u32, f32)> {
        if let Some(sketch) = &print.sketch {
            let mut alike = sketch.bands.iter().flat_map(|band| self.under(*band, BAND));
            return alike.find_map(|Entry { record, .. }| {
                let (numbers, smallest) = self.record(record).split_first()?;
                let similarity =
                    sketch.similarity(smallest.iter().map(|hash| hash.bits()), numbers.bits());
                (similarity >= self.long_similarity).then_some((record, similarity))
            });
        }
        let whole = std::iter::once(&print.full).chain(&print.cores);
        let places = whole
            .map(|key| shorten(*key, 0))
            .chain([shorten(print.circles, CIRCLES)])
            .chain(print.parts.iter().map(|part| shorten(*part, PART)));
        self.keys.touch(places);
        let compare = |entry: Entry, by: Found| {
            let similarity = self.compare(entry.record, print, by)?;
            Some((entry.record, similarity))
        };
        let whole = self.under(print.full, 0).find_map(|entry| {
            let by = if entry.partial {
                Found::Core
            } else {
                Found::Full
            };
            compare(entry, by)
        });
        // Two records that are alike without a part each may differ in those parts.
        let mut cores = print
            .cores
            .iter()
            .flat_map(|core| self.under(*core, 0))
            .filter(|entry| !entry.partial);
        let mut parts = print.parts.iter().flat_map(|part| self.under(*part, PART));
        let mut circles = self.under(print.circles, CIRCLES);
        whole
            .or_else(|| circles.find_map(|entry| compare(entry, Found::Circles)))
            .or_else(|| cores.find_map(|entry| compare(entry, Found::Core)))
            .or_else(|| parts.find_map(|entry| compare(entry, Found::Part)))
    }

    /// Returns how similar a record is to one found by a key, if it repeats it.
    fn compare(&self, record: u32, print: &NearFingerprint, found: Found) -> Option<f32> {
        let (&traits, words) = self.record(record).split_first()?;
        let traits = Traits(traits.bits());
        if let Found::Circles = found {
            let said = in_words_of(words, &print.words)?;
            let same = !traits.contradicts(print.traits)
                && says_the_same(words, &said, traits.grammar(print.traits));
            return same.then_some(0.9);
        }
        let shared = overlap(words, &print.words);
        let longer = words.len().max(print.words.len());
        let added = shared.left == 0 || shared.right == 0;
        let same = match found {
            Found::Circles => unreachable!("compared above"),
            Found::Full => shared.left == 0 && shared.right == 0,
            // The part that is left out was found harmless when the key was made.
            Found::Core => added,
            Found::Part => {
                // A sentence forgives a word more or less; only a longer text forgives another word in its place.
                let differences = shared.left + shared.right;
                let few = if added { (longer / 8).max(1) } else { 0 };
                let plain = print.words.iter().filter(|word| !word.is_number()).count();
                let share = if plain >= 16 { longer / 6 } else { 0 };
                let alike = traits.repeats() == print.traits.repeats();
                alike && !shared.weighty && differences <= few.max(share)
            }
        };
        if !same
            || traits.contradicts(print.traits)
            || !says_the_same(words, &print.words, traits.grammar(print.traits))
        {
            return None;
        }
        let share = |count: usize| u16::try_from(count).map_or(f32::INFINITY, f32::from);
        Some(share(shared.common) / share((shared.common + shared.left + shared.right).max(1)))
    }

    fn under(&self, key: u64, kind: u64) -> impl Iterator<Item = Entry> + '_ {
        self.keys.get(shorten(key, kind))
    }

    fn record(&self, record: u32) -> &[Packed] {
        let at = record as usize;
        let start = if at == 0 {
            0
        } else {
            self.ends[at - 1] as usize
        };
        &self.kept[start..self.ends[at] as usize]
    }

    fn remember(&mut self, print: &NearFingerprint, reference: Reference) {
        let record = u32::try_from(self.ends.len())
            .expect("four billion records are more than memory holds");
        let [whole, partial] = [false, true].map(|partial| Entry { record, partial });
        if let Some(sketch) = &print.sketch {
            self.kept.push(Packed::from_bits(sketch.numbers));
            self.kept
                .extend(sketch.smallest.iter().copied().map(Packed::from_bits));
            for band in &sketch.bands {
                self.keys.insert(shorten(*band, BAND), whole);
            }
        } else {
            self.kept.push(Packed::from_bits(print.traits.0));
            self.kept.extend(&print.words);
            self.keys.insert(shorten(print.full, 0), whole);
            self.keys.insert(shorten(print.circles, CIRCLES), whole);
            for core in &print.cores {
                self.keys.insert(shorten(*core, 0), partial);
            }
            for part in &print.parts {
                self.keys.insert(shorten(*part, PART), partial);
            }
        }
        let end =
            u32::try_from(self.kept.len()).expect("four billion words are more than memory holds");
        self.ends.push(end);
        self.references.push(reference);
    }
}

#[derive(Clone, Copy)]
enum Found {
    Full,
    Circles,
    Core,
    Part,
}

fn shorten(key: u64, kind: u64) -> u32 {
    ((key ^ kind).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

impl Memory for NearMemory {
    type Fingerprint = NearFingerprint;

    fn admit(&mut self, fingerprint: NearFingerprint, reference: Reference) -> Verdict {
        if let Some((record, similarity)) = self.find(&fingerprint) {
            return Verdict::duplicate(self.references[record as usize].clone(), similarity);
        }
        self.remember(&fingerprint, reference);
        Verdict::Unique
    }
}

impl fmt::Debug for NearMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearMemory")
            .field("records", &self.ends.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
