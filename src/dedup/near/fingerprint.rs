//! What is kept of a candidate, and how it is stored.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lexer::{Lexemes, lex};
use super::lexicon::{BY, LEXICON, trait_of as is};
use super::order::{Grammar, Packed, kept};
use super::reading::{Content, Reading};
use super::sketch::Sketch;

/// Texts above this many words are sketched, shorter ones are read word by word.
///
/// Below, a single word decides what is asked and a share of words in common says little; a question rarely has
/// more. Above, no single word decides, and the sketch's pairs of words are many enough for a fair share.
pub(super) const LONG: usize = 60;

/// From so many words of meaning on, a text forgives a word more or less, so it is also found by its parts.
const FORGIVING: usize = 8;

/// Cuts for texts of so many words of meaning into so many parts. A text with fewer differences than parts shares
/// at least one part. The ranges overlap, so that texts on either side of a limit still meet.
const PARTS: [(std::ops::RangeInclusive<usize>, u64); 2] =
    [(FORGIVING..=20, 3), (17..=usize::MAX, 6)];

/// What is kept of a candidate: hashes of its words of meaning, and the keys it is found by. No text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NearFingerprint {
    /// The key of all words of meaning, in any order.
    pub(super) full: u64,
    /// The key of the circles of its words, or 0 where it would say too little.
    pub(super) circles: u64,
    /// The keys without a part that could be left out.
    pub(super) cores: Vec<u64>,
    /// The keys of parts.
    pub(super) parts: Vec<u64>,
    /// The words of meaning in order.
    pub(super) words: Vec<Packed>,
    pub(super) traits: Traits,
    /// Of the long texts, if there are any.
    pub(super) sketch: Option<Sketch>,
}

/// What is known about a text as a whole, in 32 bits: whether it compares things, whether it says a word twice, whether it
/// is in an unknown language, and its pictographs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traits(pub(super) u32);

impl Traits {
    /// Returns what is known of the grammar of two texts.
    pub(super) fn grammar(self, other: Self) -> Grammar {
        if (self.0 | other.0) & 4 != 0 {
            Grammar::Unknown
        } else if self.0 & other.0 & 1 != 0 {
            Grammar::Symmetric
        } else {
            Grammar::English
        }
    }

    /// Whether it says a word of meaning twice, of which one is kept.
    pub(super) fn repeats(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether pictographs tell two texts apart: both have some, and not the same.
    pub(super) fn contradicts(self, other: Self) -> bool {
        self.0 >> 3 != 0 && other.0 >> 3 != 0 && self.0 >> 3 != other.0 >> 3
    }
}

impl NearFingerprint {
    /// Computes the fingerprint of the texts that decide, in a scope.
    pub(super) fn of<'a>(
        texts: impl Iterator<Item = std::borrow::Cow<'a, str>>,
        scope: u64,
        clauses: bool,
    ) -> Self {
        let mut readings: Vec<Reading> = Vec::new();
        let mut long: Option<Lexemes> = None;
        for text in texts {
            let lexemes = lex(&text);
            if lexemes.words() > LONG {
                match &mut long {
                    Some(whole) => whole.append(&lexemes),
                    None => long = Some(lexemes),
                }
            } else {
                readings.push(Reading::of(&lexemes));
            }
        }
        let mut print = Self::of_readings(&readings, scope, clauses);
        if let Some(long) = long {
            let mut sketch = Sketch::of(&long);
            // What the short texts say must agree in full, hence the keys of the long ones depend on it.
            for band in &mut sketch.bands {
                *band ^= print.full;
            }
            print.cores.clear();
            print.parts.clear();
            print.sketch = Some(sketch);
        }
        print
    }

    fn of_readings(readings: &[Reading], scope: u64, clauses: bool) -> Self {
        let mut print = Self::default();
        let count = readings.iter().map(|reading| reading.contents.len()).sum();
        let mut mixed: Vec<u64> = Vec::with_capacity(count);
        print.words.reserve_exact(count);
        let mut emoji = 0;
        for (field, reading) in (0_u32..).zip(readings) {
            // In a record of several fields a word belongs to its field.
            let salt = kept(field.wrapping_mul(0x9e37_79b9));
            for content in &reading.contents {
                let meaning = content.meaning ^ salt;
                mixed.push(mix(meaning));
                print.words.push(pack(content, meaning));
                // "Connecting trains" compare nothing.
                let compares =
                    LEXICON.is_symmetric(content.meaning) && content.traits & is::PARTICIPLE == 0;
                print.traits.0 |= u32::from(compares);
            }
            emoji ^= reading.emoji;
            print.traits.0 |= u32::from(reading.repeats) << 1;
            print.traits.0 |= u32::from(!reading.english) << 2;
        }
        print.traits.0 |= emoji << 3;
        let whole = readings.iter().fold(scope, |scope, reading| {
            scope.rotate_left(3) ^ u64::from(asks(reading, u64::MAX))
        });
        let plain = key(mixed.iter().copied(), whole);
        if emoji == 0 {
            print.full = plain;
        } else {
            // A pictograph may be decoration, so the text is also found without it; but the many questions that differ
            // in theirs must not crowd one key.
            print.full = key(mixed.iter().copied(), whole ^ u64::from(emoji) << 32);
            print.cores.push(plain);
        }
        if let [reading] = readings {
            let heavy = reading
                .contents
                .iter()
                .filter(|c| c.traits & is::LIGHT == 0);
            print.circles = key(heavy.map(|content| mix(content.circle)), whole);
        }
        if let ([reading], true) = (readings, clauses) {
            print.cores.reserve_exact(reading.cores.len());
            for core in reading.cores.iter() {
                let left = (0..).zip(&mixed).filter(|(at, _)| core >> at & 1 != 0);
                let own = scope.rotate_left(3) ^ u64::from(asks(reading, core));
                print.cores.push(key(left.map(|(_, mixed)| *mixed), own));
            }
        }
        // Where the words are not known to say little or much, none is forgiven.
        if readings.iter().all(|reading| reading.english) {
            print.add_parts(&mixed, whole);
        }
        print
    }

    fn add_parts(&mut self, mixed: &[u64], scope: u64) {
        for (range, count) in PARTS {
            if !range.contains(&mixed.len()) {
                continue;
            }
            let part_of = |mixed: u64| mixed >> 32 & 0xffff_ffff;
            for part in 0..count {
                let own = || {
                    mixed
                        .iter()
                        .copied()
                        .filter(|m| part_of(*m) % count == part)
                };
                if own().nth(1).is_some() {
                    self.parts.push(key(own(), scope ^ (count << 8 | part)));
                }
            }
        }
    }
}

/// Returns the question word that narrows what is asked, or 0 where the given words say it already.
fn asks(reading: &Reading, words: u64) -> u32 {
    let within = (0_u32..)
        .zip(&reading.contents)
        .filter(|(at, _)| words.checked_shr(*at).is_none_or(|w| w & 1 != 0));
    let mut meanings = within.map(|(_, content)| content.meaning);
    let question = reading.question;
    if question != 0 && meanings.any(|meaning| LEXICON.answers(meaning, question)) {
        0
    } else {
        question
    }
}

fn pack(content: &Content, meaning: u32) -> Packed {
    let has = |traits: u32| content.traits & traits != 0;
    // Who acts stands in front already, so "by" says no more.
    let role = if content.role == BY { 0 } else { content.role };
    let weighs = has(is::NEGATION | is::WEIGHTY | is::CAPITAL | is::UNIT);
    Packed::new(meaning, role, has(is::NUMBER | is::SIGN), weighs)
        .bound(content.bound)
        .asked(content.asked)
}

/// Spreads a meaning over 64 bits.
fn mix(meaning: u32) -> u64 {
    // The finalizer of SplitMix64: sums of its values meet no sooner than random numbers do.
    let mixed = u64::from(meaning)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) ^ mixed >> 31
}

/// Returns the key of words in any order.
fn key(mixed: impl Iterator<Item = u64>, scope: u64) -> u64 {
    let sum = mixed.fold(0, u64::wrapping_add);
    let scoped = (sum ^ scope ^ 0x517c_c1b7_2722_0a95).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    scoped ^ scoped >> 29
}

// Stored as one line of hexadecimal text: as short as JSON allows without a list of numbers, and quick to read.
impl Serialize for NearFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Writer::default();
        out.u64(self.full);
        out.u64(self.circles);
        out.list(&self.cores, Writer::u64);
        out.list(&self.parts, Writer::u64);
        out.u32(self.traits.0);
        out.list(&self.words, |out, word| out.u32(word.bits()));
        if let Some(sketch) = &self.sketch {
            out.u32(sketch.numbers);
            out.list(&sketch.bands, Writer::u64);
            out.list(&sketch.smallest, Writer::u32);
        }
        serializer.serialize_str(&out.0)
    }
}

impl<'de> Deserialize<'de> for NearFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;
        impl serde::de::Visitor<'_> for Line {
            type Value = NearFingerprint;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a fingerprint in hexadecimal")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NearFingerprint, E> {
                read(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("text"), &self))
            }
        }
        deserializer.deserialize_str(Line)
    }
}

fn read(text: &str) -> Option<NearFingerprint> {
    let mut from = Reader(text.as_bytes());
    let mut print = NearFingerprint {
        full: from.u64()?,
        circles: from.u64()?,
        cores: from.list(Reader::u64)?,
        parts: from.list(Reader::u64)?,
        traits: Traits(from.u32()?),
        words: from.list(|from| from.u32().map(Packed::from_bits))?,
        sketch: None,
    };
    if !from.0.is_empty() {
        print.sketch = Some(Sketch {
            numbers: from.u32()?,
            bands: from.list(Reader::u64)?,
            smallest: from.list(Reader::u32)?,
        });
    }
    from.0.is_empty().then_some(print)
}

#[derive(Default)]
struct Writer(String);

impl Writer {
    fn digits(&mut self, value: u64, digits: u32) {
        for digit in (0..digits).rev() {
            let nibble = (value >> (digit * 4) & 0xf) as usize;
            self.0.push(char::from(b"0123456789abcdef"[nibble]));
        }
    }

    fn u32(&mut self, value: u32) {
        self.digits(value.into(), 8);
    }

    fn u64(&mut self, value: u64) {
        self.digits(value, 16);
    }

    fn list<T: Copy>(&mut self, items: &[T], write: impl Fn(&mut Self, T)) {
        self.digits(items.len() as u64, 4);
        for item in items {
            write(self, *item);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn digits(&mut self, digits: usize) -> Option<u64> {
        let (own, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        own.iter().try_fold(0, |value, &digit| {
            Some(value << 4 | u64::from(char::from(digit).to_digit(16)?))
        })
    }

    fn u32(&mut self) -> Option<u32> {
        self.digits(8).and_then(|value| u32::try_from(value).ok())
    }

    fn u64(&mut self) -> Option<u64> {
        self.digits(16)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.digits(4)?;
        (0..length).map(|_| read(self)).collect()
    }
}
