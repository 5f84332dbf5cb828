//! How bytes are framed: a length, a checksum that knows its place, a body.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The first bytes of a journal. A line, so that `head -1` names the file; the number is that of the format.
pub(super) const MAGIC: &[u8] = b"topicloom journal 1\n";

/// The part of [`MAGIC`] that is the same in every format.
pub(super) const MAGIC_NAME: &[u8] = b"topicloom journal ";

/// The most bytes of a body. No answer comes near; a length beyond it is damage.
pub(super) const LONGEST_BODY: usize = 1 << 30;

/// Bytes of the checksum: enough that damage is missed once in four thousand million times, and no more, since
/// each answer carries one.
const CHECK: usize = 4;

/// The most bytes of a number: 64 bits in groups of seven.
const LONGEST_NUMBER: usize = 10;

/// The most bytes in front of a body.
pub(super) const LONGEST_HEAD: usize = LONGEST_NUMBER + CHECK;

/// Appends a number, seven bits to a byte, the lowest first; the high bit says that more follow.
pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_seven(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_seven(number));
}

fn low_seven(number: u64) -> u8 {
    u8::try_from(number & 0x7f).expect("seven bits fit")
}

/// Takes a number off the front, or returns `None` where there is none.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (index, &byte) in bytes.iter().take(LONGEST_NUMBER).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Appends a frame that will be at `offset` in the file.
pub(super) fn put_frame(bytes: &mut Vec<u8>, offset: u64, body: &[u8]) {
    put_number(bytes, body.len() as u64);
    bytes.extend_from_slice(&check(body, offset).to_le_bytes());
    bytes.extend_from_slice(body);
}

/// The checksum of a body. It depends on the place, so that bytes which are whole but in the wrong place, as in
/// a file put together out of two, are damage too.
fn check(body: &[u8], offset: u64) -> u32 {
    let whole = xxh3_64_with_seed(body, offset);
    u32::try_from(whole & 0xffff_ffff).expect("32 bits fit")
}

/// What is in front of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Its own bytes.
    pub(super) bytes: usize,
    /// The body's bytes.
    pub(super) body: usize,
    check: u32,
}

impl Head {
    /// Reads the head at the front of `bytes`; `None` where it is cut off or can be none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let body = usize::try_from(take_number(&mut rest)?).ok()?;
        if body == 0 || body > LONGEST_BODY {
            return None;
        }
        let (check, rest) = rest.split_first_chunk::<CHECK>()?;
        Some(Self {
            bytes: bytes.len() - rest.len(),
            body,
            check: u32::from_le_bytes(*check),
        })
    }

    /// Whether `body` is what was written at `offset`.
    pub(super) fn fits(&self, body: &[u8], offset: u64) -> bool {
        check(body, offset) == self.check
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_read_as_it_was_written(number: u64, more: Vec<u8>) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            prop_assert!(bytes.len() <= LONGEST_NUMBER);
            bytes.extend_from_slice(&more);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_number(&mut rest), Some(number));
            prop_assert_eq!(rest, more);
        }

        #[test]
        fn any_bytes_are_a_number_or_not_one(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            let number = take_number(&mut rest);
            prop_assert_eq!(number.is_some(), rest.len() < bytes.len());
        }
    }

    #[test]
    fn a_frame_fits_its_place_only() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 20, b"body");
        let head = Head::read(&bytes).unwrap();
        assert_eq!((head.bytes, head.body), (5, 4));
        let body = &bytes[head.bytes..];
        assert!(head.fits(body, 20));
        assert!(!head.fits(body, 21));
        assert!(!head.fits(b"bodx", 20));
    }
}
