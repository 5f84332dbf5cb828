//! Tables whose keys are hashes already.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by keys that are hashes, `u64` or `u128`, which are not hashed again.
pub(super) type HashedMap<K, V> = HashMap<K, V, BuildHasherDefault<Hashed>>;

/// Takes a key, or the first half of one, as its own hash.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, key: &[u8]) {
        let half = key.first_chunk().copied().unwrap_or_default();
        self.0 = u64::from_le_bytes(half);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
