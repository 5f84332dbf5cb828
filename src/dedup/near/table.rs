//! A hash table from keys to records that is small, and as quick at a million records as at a thousand.

/// Maps 32-bit keys to the numbers of the records that have them, whole or in part.
///
/// One array of 8-byte slots with linear probing. A slot's place follows the order of keys, so growing is one
/// sequential pass. Different keys can share 32 bits: what is found is a candidate, to be compared.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    /// Key in the upper half, an entry in the lower; 0 is empty.
    slots: Vec<u64>,
    used: usize,
}

/// A record under a key, and whether the key is that of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) record: u32,
    pub(super) partial: bool,
}

impl Entry {
    // The record number plus one, so that no entry is 0, and the flag in the top bit.
    fn bits(self) -> u64 {
        u64::from(self.record + 1) | u64::from(self.partial) << 31
    }

    fn of(slot: u64) -> Self {
        let entry = low_half(slot);
        Self {
            record: (entry & !(1 << 31)) - 1,
            partial: entry >> 31 != 0,
        }
    }
}

/// A key brings up at most so many whole records, and so many by a part.
///
/// A key that many share says little, and without a bound it would make the run quadratic. Whole records under one
/// key differ in nothing but order, so there are few; parts are shared by all records of a frame, and of those the
/// first few are as good as any.
const MOST_WHOLE: usize = 8;
const MOST_PARTIAL: usize = 4;

/// Returns the lower half of a slot.
#[allow(clippy::cast_possible_truncation)] // The point of it.
fn low_half(slot: u64) -> u32 {
    slot as u32
}

impl KeyTable {
    /// Adds an entry under a key, unless the key already has all it may have.
    pub(super) fn insert(&mut self, key: u32, entry: Entry) {
        // Above 80 % the runs of linear probing grow quickly.
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let most = if entry.partial {
            MOST_PARTIAL
        } else {
            MOST_WHOLE
        };
        let mut place = self.place(key);
        let mut same = 0;
        while self.slots[place] != 0 {
            let slot = self.slots[place];
            same += usize::from(
                low_half(slot >> 32) == key && Entry::of(slot).partial == entry.partial,
            );
            if same == most {
                return;
            }
            place = self.next(place);
        }
        self.slots[place] = u64::from(key) << 32 | entry.bits();
        self.used += 1;
    }

    /// Returns the entries under a key, the same ones in the same order for the same history.
    pub(super) fn get(&self, key: u32) -> impl Iterator<Item = Entry> + '_ {
        let mut place = if self.slots.is_empty() {
            0
        } else {
            self.place(key)
        };
        std::iter::from_fn(move || {
            loop {
                let slot = *self.slots.get(place)?;
                if slot == 0 {
                    return None;
                }
                place = self.next(place);
                if low_half(slot >> 32) == key {
                    return Some(Entry::of(slot));
                }
            }
        })
    }

    /// Reads the places of several keys, so that the processor fetches them from memory at the same time.
    pub(super) fn touch(&self, keys: impl Iterator<Item = u32>) {
        if !self.slots.is_empty() {
            let touched = keys.fold(0, |all, key| all ^ self.slots[self.place(key)]);
            std::hint::black_box(touched);
        }
    }

    /// Returns the bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }

    #[allow(clippy::cast_possible_truncation)] // Below the length, which is a usize.
    fn place(&self, key: u32) -> usize {
        // The upper half of the product is below the length, whatever the length.
        ((u64::from(key) * self.slots.len() as u64) >> 32) as usize
    }

    fn next(&self, place: usize) -> usize {
        if place + 1 == self.slots.len() {
            0
        } else {
            place + 1
        }
    }

    fn grow(&mut self) {
        // By half: doubling would leave more than half of the memory empty on average.
        let length = (self.slots.len() * 3 / 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![0; length]);
        for slot in old.into_iter().filter(|&slot| slot != 0) {
            let mut place = self.place(low_half(slot >> 32));
            while self.slots[place] != 0 {
                place = self.next(place);
            }
            self.slots[place] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_goes_in_comes_out(keys in proptest::collection::vec(0_u32..400, 0..1500), spread: bool) {
            // Keys near the end of the range make runs that wrap around.
            let key = |k: u32| if spread { k.wrapping_mul(0x9e37_79b9) } else { u32::MAX - k };
            let mut table = KeyTable::default();
            for (record, &k) in (0_u32..).zip(&keys) {
                table.insert(key(k), Entry { record, partial: spread });
            }
            for wanted in 0..400 {
                let mut found: Vec<u32> = table.get(key(wanted)).map(|entry| entry.record).collect();
                found.sort_unstable();
                let expected: Vec<u32> =
                    (0_u32..).zip(&keys).filter(|(_, k)| **k == wanted).map(|(r, _)| r).take(if spread { MOST_PARTIAL } else { MOST_WHOLE }).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
