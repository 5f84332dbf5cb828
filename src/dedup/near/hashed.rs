//! Hashes of words, and of what is made of them.

use xxhash_rust::xxh3::xxh3_64;

/// Hashes bytes the same way on every platform and in every version.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Mixes two hashes; the order matters.
#[allow(clippy::cast_possible_truncation)] // Both halves of the product are wanted.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
    (product >> 64) as u64 ^ product as u64
}
