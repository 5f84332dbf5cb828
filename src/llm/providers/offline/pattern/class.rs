//! Sets of characters.

use std::cell::OnceCell;

use crate::random::Random;

/// A set of characters, or all but a set.
#[derive(Debug, Default)]
pub(super) struct Class {
    pub(super) ranges: Vec<(char, char)>,
    pub(super) is_negated: bool,
    plain: OnceCell<Vec<char>>,
}

impl Class {
    pub(super) fn of(ranges: &[(char, char)], is_negated: bool) -> Self {
        Self {
            ranges: ranges.to_vec(),
            is_negated,
            plain: OnceCell::new(),
        }
    }

    pub(super) fn contains(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&c))
            != self.is_negated
    }

    /// Lists the characters to draw from: plain ones if there are any.
    fn plain(&self) -> Vec<char> {
        let printable: Vec<char> = (' '..='~').filter(|c| self.contains(*c)).collect();
        let alphanumeric = || {
            printable
                .iter()
                .copied()
                .filter(char::is_ascii_alphanumeric)
        };
        if self.is_negated && alphanumeric().next().is_some() {
            return alphanumeric().collect();
        }
        if printable.is_empty() && self.is_negated {
            return ('\u{a1}'..='\u{2fff}')
                .find(|c| self.contains(*c))
                .into_iter()
                .collect();
        }
        printable
    }

    /// Draws a character, a plain one if there is one.
    pub(super) fn draw(&self, random: &mut Random) -> Option<char> {
        let plain = self.plain.get_or_init(|| self.plain());
        if !plain.is_empty() || self.is_negated {
            return random.choose(plain).copied();
        }
        let &(low, high) = random.choose(&self.ranges)?;
        let width = u64::from(u32::from(high) - u32::from(low)) + 1;
        let drawn = u32::from(low) + u32::try_from(random.below(width)).ok()?;
        // The range may reach over the surrogates, which are no characters.
        Some(char::from_u32(drawn).unwrap_or(low))
    }
}

pub(super) const DIGITS: &[(char, char)] = &[('0', '9')];
pub(super) const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
pub(super) const SPACE: &[(char, char)] = &[
    (' ', ' '),
    ('\t', '\r'),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
pub(super) const NEW_LINE: &[(char, char)] =
    &[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];
/// Letters of Latin and its neighbours stand in for all of Unicode's.
pub(super) const UPPER: &[(char, char)] = &[('A', 'Z'), ('À', 'Ö'), ('Ø', 'Þ')];
pub(super) const LOWER: &[(char, char)] = &[('a', 'z'), ('ß', 'ö'), ('ø', 'ÿ')];
pub(super) const LETTERS: &[(char, char)] =
    &[('A', 'Z'), ('a', 'z'), ('À', 'Ö'), ('Ø', 'ö'), ('ø', 'ÿ')];

/// All characters outside these ranges, which are in order.
pub(super) fn complement(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = 0;
    for (low, high) in sorted {
        if let (Some(from), Some(to)) = (
            char::from_u32(next),
            u32::from(low).checked_sub(1).and_then(char::from_u32),
        ) && from <= to
        {
            gaps.push((from, to));
        }
        next = u32::from(high) + 1;
    }
    if let Some(from) = char::from_u32(next) {
        gaps.push((from, char::MAX));
    }
    gaps
}
