//! What one run has seen, in some eighty bytes a record.

use std::fmt;

use super::NearFingerprint;
use super::reading::{Reading, Said};
use super::template::Template;
use crate::dedup::hashed_map::HashedMap;
use crate::dedup::{Match, Memory, Reference, Verdict};

/// The records of one run, as [`NearDuplicates`](super::NearDuplicates) remembers them.
///
/// Holds no text: about 80 bytes a record, at 100 000 records as at a million, whatever the length of the texts.
#[derive(Default)]
pub struct NearMemory {
    /// From the words of a record to the last one that has them.
    last: HashedMap<u64, u32>,
    seen: Vec<Seen>,
    references: Vec<Reference>,
    template: Template,
}

/// A record, and the one with the same words before it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    said: Said,
    before: Option<Before>,
}

/// The number of a record, plus one, so that none takes no room.
type Before = std::num::NonZeroU32;

impl NearMemory {
    /// Returns how many bytes are in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // A hash table has a byte of its own for each place, and an eighth of its places free.
        self.last.capacity() * 8 / 7 * (size_of::<(u64, u32)>() + 1)
            + self.seen.capacity() * size_of::<Seen>()
            + self.references.capacity() * size_of::<Reference>()
    }
}

impl NearMemory {
    /// Returns the words of a record, and what it says with them.
    fn says(&self, reading: &Reading) -> (u64, Said) {
        let (words, phrases) = self.template.missing_in(&reading.sentences);
        let words = words.wrapping_add(reading.words_sum());
        (words, reading.said(phrases))
    }

    /// Returns the place of the last record that says this, of those with the same words.
    fn same(&self, last: Option<u32>, said: Said) -> Option<usize> {
        let mut next = last.and_then(Before::new);
        while let Some(number) = next {
            let at = number.get() as usize - 1;
            if self.seen[at].said.is_the_same(said) {
                return Some(at);
            }
            next = self.seen[at].before;
        }
        None
    }
}

impl Memory for NearMemory {
    type Fingerprint = NearFingerprint;

    fn find(&self, fingerprint: &NearFingerprint) -> Option<Match> {
        let (words, said) = self.says(&fingerprint.0);
        let at = self.same(self.last.get(&words).copied(), said)?;
        Some(Match {
            of: self.references[at].clone(),
            similarity: 1.0,
            method: "near",
        })
    }

    fn admit(&mut self, fingerprint: NearFingerprint, reference: Reference) -> Verdict {
        let reading = fingerprint.0;
        let (words, said) = self.says(&reading);
        let last = self.last.get(&words).copied();
        if let Some(at) = self.same(last, said) {
            return Verdict::duplicate(self.references[at].clone(), 1.0).by("near");
        }
        let number = u32::try_from(self.seen.len() + 1)
            .expect("four billion records are more than memory holds");
        self.last.insert(words, number);
        self.seen.push(Seen {
            said,
            before: last.and_then(Before::new),
        });
        self.references.push(reference);
        self.template.observe(&reading.sentences);
        Verdict::Unique
    }
}

impl fmt::Debug for NearMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearMemory")
            .field("records", &self.seen.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
