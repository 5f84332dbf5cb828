//! What one run has seen, in some eighty bytes a record.

use std::collections::hash_map::Entry;
use std::fmt;

use super::NearFingerprint;
use super::hashed::HashedMap;
use super::template::Template;
use crate::dedup::{Memory, Reference, Verdict};

/// The records of one run, as [`NearDuplicates`](super::NearDuplicates) remembers them.
///
/// Holds no text: about 80 bytes a record, at 100 000 records as at a million, whatever the length of the texts.
#[derive(Default)]
pub struct NearMemory {
    /// From the words of a record to the last one that has them.
    last: HashedMap<u32>,
    seen: Vec<Seen>,
    references: Vec<Reference>,
    template: Template,
}

/// How the words of a record stand.
#[derive(Debug, Clone, Copy)]
struct Seen {
    order: u32,
    phrases: u32,
    stated: u32,
    capitals: u32,
    /// The record with the same words before this one.
    before: Option<Before>,
}

/// The number of a record, plus one, so that none takes no room.
type Before = std::num::NonZeroU32;

impl Seen {
    /// Returns whether the same words say the same in both: in the same order or the same phrases, with the same
    /// capitals where both have them to tell, and word by word where both state something.
    fn says_the_same(&self, other: &Self) -> bool {
        let same_unless_none = |one: u32, other: u32| one == other || one == 0 || other == 0;
        (self.order == other.order || self.phrases == other.phrases)
            && same_unless_none(self.stated, other.stated)
            && same_unless_none(self.capitals, other.capitals)
    }
}

/// A part of a hash that is 0 for 0 alone.
fn shorten(hash: u64) -> u32 {
    let part = (hash >> 32) as u32;
    if part == 0 {
        u32::from(hash != 0)
    } else {
        part
    }
}

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

impl Memory for NearMemory {
    type Fingerprint = NearFingerprint;

    fn admit(&mut self, fingerprint: NearFingerprint, reference: Reference) -> Verdict {
        let reading = fingerprint.0;
        let (mut words, mut phrases) = self.template.missing_in(&reading.sentences);
        for sentence in &reading.sentences {
            phrases = phrases.wrapping_add(sentence.phrases);
            words = words.wrapping_add(sentence.words);
        }
        let mut seen = Seen {
            order: shorten(reading.order),
            phrases: shorten(phrases),
            stated: shorten(reading.stated),
            capitals: shorten(reading.capitals),
            before: None,
        };
        let number = u32::try_from(self.seen.len() + 1)
            .expect("four billion records are more than memory holds");
        let entry = self.last.entry(words);
        if let Entry::Occupied(last) = &entry {
            let mut next = Before::new(*last.get());
            while let Some(at) = next {
                let at = at.get() as usize - 1;
                if self.seen[at].says_the_same(&seen) {
                    return Verdict::duplicate(self.references[at].clone(), 1.0).by("near");
                }
                next = self.seen[at].before;
            }
            seen.before = Before::new(*last.get());
        }
        *entry.or_default() = number;
        self.seen.push(seen);
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
