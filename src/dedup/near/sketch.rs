//! Long texts: how many of their neighbouring words two of them share, from a sketch of fixed size.

use xxhash_rust::xxh3::xxh3_64;

use super::lexer::{Kind, Lexemes};
use super::lexicon::{LEXICON, shorten, trait_of as is};

/// How many hashes a sketch keeps: 128 give a similarity to within 0.04 (standard error at 0.7), in 512 bytes.
const KEPT: usize = 128;

/// Bands of two minima each: 99 % of pairs at a similarity of 0.7 meet in one, and 97 % at 0.6.
const BANDS: usize = 8;

/// Up to this many words another number makes another text: a word problem with other numbers is another problem.
/// Beyond it, a number is one word among many.
const NUMBERS_DECIDE: usize = 200;

/// What is kept of a long text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sketch {
    /// The smallest hashes of pairs of neighbouring words of meaning, in order.
    pub(super) smallest: Vec<u32>,
    /// A hash of all numbers, or 0 where they do not decide.
    pub(super) numbers: u32,
    /// Where similar texts meet.
    pub(super) bands: Vec<u64>,
}

impl Sketch {
    /// Sketches a text.
    pub(super) fn of(text: &Lexemes) -> Self {
        let mut numbers = Vec::new();
        let meanings = meanings(text, &mut numbers);
        let mut hashes: Vec<u64> = meanings
            .windows(2)
            .map(|pair| mix(u64::from(pair[0]) << 32 | u64::from(pair[1])))
            .collect();
        // Sorted by the half that is not kept in order, the minima of the bins are found in one pass.
        let mut minima = [u64::MAX; BANDS * 2];
        for &hash in &hashes {
            let bin = (hash & 0xffff) as usize % minima.len();
            minima[bin] = minima[bin].min(hash);
        }
        let bands = (1..)
            .zip(minima.chunks_exact(2))
            .filter(|(_, pair)| pair[0] != u64::MAX && pair[1] != u64::MAX);
        let mut bands: Vec<u64> = bands
            .map(|(band, pair)| mix(pair[0] ^ pair[1].rotate_left(32) ^ band))
            .collect();
        hashes.sort_unstable();
        let mut smallest: Vec<u32> = hashes.iter().map(|hash| upper_half(*hash)).collect();
        smallest.dedup();
        smallest.truncate(KEPT);
        if bands.is_empty() {
            // One that says the same few words again and again meets its like by all it has.
            bands.push(
                smallest
                    .iter()
                    .fold(0, |key, hash| mix(key ^ u64::from(*hash))),
            );
        }
        numbers.sort_unstable();
        let numbers = if text.words() > NUMBERS_DECIDE {
            0
        } else {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n: &u32| n.to_le_bytes()).collect();
            shorten(xxh3_64(&bytes))
        };
        Self {
            smallest,
            numbers,
            bands,
        }
    }

    /// Estimates which share of the pairs in either text is in both, from 0 to 1; 0 where their numbers differ.
    pub(super) fn similarity(&self, smallest: impl Iterator<Item = u32>, numbers: u32) -> f32 {
        if self.numbers != numbers && self.numbers != 0 && numbers != 0 {
            return 0.0;
        }
        // The smallest hashes of the union are a fair sample of it; in how many do both take part?
        let (mut a, mut b) = (
            self.smallest.iter().copied().peekable(),
            smallest.peekable(),
        );
        let (mut union, mut both) = (0_u16, 0_u16);
        while usize::from(union) < KEPT {
            match (a.peek(), b.peek()) {
                (None, None) => break,
                (Some(x), Some(y)) if x == y => {
                    both += 1;
                    a.next();
                    b.next();
                }
                (Some(x), Some(y)) if x > y => {
                    b.next();
                }
                (None, Some(_)) => {
                    b.next();
                }
                (Some(_), _) => {
                    a.next();
                }
            }
            union += 1;
        }
        if union == 0 {
            // Long, and not two words of meaning in either.
            return 1.0;
        }
        f32::from(both) / f32::from(union)
    }
}

/// Returns the words of meaning in order; glyphs count as words.
fn meanings(text: &Lexemes, numbers: &mut Vec<u32>) -> Vec<u32> {
    let mut buffer = String::new();
    let mut meanings = Vec::with_capacity(text.pieces.len());
    for piece in &text.pieces {
        let word = match piece.kind {
            Kind::Word => LEXICON.word(piece.hash, text.folded(piece), &mut buffer),
            Kind::Number => {
                numbers.push(shorten(piece.hash));
                continue;
            }
            Kind::Glyph | Kind::Sign => {
                meanings.push(shorten(piece.hash));
                continue;
            }
            _ => continue,
        };
        if !word.is(is::FUNCTION) {
            meanings.push(word.meaning);
        }
    }
    meanings
}

/// Returns the half of a hash that is kept.
fn upper_half(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("half of 64 bits are 32")
}

fn mix(value: u64) -> u64 {
    xxh3_64(&value.to_le_bytes())
}
