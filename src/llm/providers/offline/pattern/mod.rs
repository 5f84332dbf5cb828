//! Regular expressions: texts that match one, and whether a text does.
//!
//! Understood is what schemas use: literals, classes, groups, alternation, repetition, anchors, word
//! boundaries and lookahead. Back-references and lookbehind are not, and are said to be so.

mod class;
mod draw;
mod matcher;
mod reader;

use crate::random::Random;
use class::Class;
use draw::Drawer;
use matcher::Matcher;
use reader::Reader;

/// How many characters a text is given at most.
const MAX_TEXT: usize = 100_000;
/// How many steps a draw or a match may take, against patterns that would take for ever.
const MAX_STEPS: u32 = 200_000;

/// A regular expression in the dialect of JSON Schema (ECMA-262), or at least the greater part of it.
#[derive(Debug)]
pub(super) struct Pattern(Node);

#[derive(Debug)]
enum Node {
    Char(char),
    Class(Class),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// At least so often, and at most.
    Repeat(Box<Node>, usize, Option<usize>),
    /// `^`
    Start,
    /// `$`
    End,
    /// `\b`, or `\B` if false.
    WordBoundary(bool),
    /// `(?=…)`, or `(?!…)` if false.
    Ahead(Box<Node>, bool),
}

impl Pattern {
    /// Reads a pattern, or says what in it is not understood.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            chars: text.chars().collect(),
            at: 0,
            depth: 0,
        };
        let node = reader.either()?;
        if reader.at < reader.chars.len() {
            return Err("a `)` too many".to_owned());
        }
        Ok(Self(node))
    }

    /// Draws a text that matches and whose length is in the range; `None` if none was found.
    pub(super) fn draw(
        &self,
        min: usize,
        max: Option<usize>,
        random: &mut Random,
    ) -> Option<String> {
        // How far repetitions may go beyond their least: first as people write, then short and long.
        const STRETCHES: [usize; 10] = [4, 2, 1, 0, 8, 16, 24, 32, 64, 256];
        // A character has at most four bytes.
        let limit = max.map_or(MAX_TEXT, |max| max.saturating_mul(4).min(MAX_TEXT));
        for round in 0..STRETCHES.len() * 16 {
            let stretch = match round % (STRETCHES.len() + 1) {
                index if index < STRETCHES.len() => STRETCHES[index],
                _ => min,
            };
            let mut text = String::new();
            let mut drawer = Drawer {
                stretch,
                limit,
                steps: 0,
                random,
            };
            if drawer.node(&self.0, &mut text).is_none() {
                continue;
            }
            let chars = text.chars().count();
            if chars >= min && max.is_none_or(|max| chars <= max) && self.matches(&text) {
                return Some(text);
            }
        }
        None
    }

    /// Returns whether the pattern matches somewhere in the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut matcher = Matcher {
            text: text.chars().collect(),
            steps: 0,
            nesting: 0,
        };
        (0..=matcher.text.len()).any(|start| matcher.node(&self.0, start, &mut |_, _| true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_texts_match() {
        for pattern in [
            "^[A-Z]{3}-\\d{4}$",
            "^(foo|ba[rz])+$",
            "^\\+?[1-9]\\d{1,14}$",
            "[^,;]+",
            "^#[0-9a-fA-F]{6}$",
            "^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,}$",
            "^(?!0)\\d{3}$",
            "^[\\w.+-]+@[\\w-]+\\.[\\w.-]+$",
            "^\\p{Lu}\\p{L}*$",
            "^(?<year>\\d{4})-(?:0[1-9]|1[0-2])$",
            "\\bword\\b",
            "^.{0,5}$",
            "^[^\\s]{2,3}$",
            "^a{2}b{1,}?c{0}$",
            "",
            "^\\u00e9\\x41$",
            "^[\\]\\-^]+$",
            "^$",
        ] {
            let parsed = Pattern::read(pattern).unwrap();
            let outside = fancy(pattern);
            for seed in 0..50 {
                let text = parsed.draw(0, None, &mut Random::new(seed));
                let text = text.unwrap_or_else(|| panic!("nothing matches {pattern}"));
                assert!(
                    outside.is_valid(&text.clone().into()),
                    "{pattern}: {text:?}"
                );
            }
        }
    }

    fn fancy(pattern: &str) -> jsonschema::Validator {
        jsonschema::validator_for(&serde_json::json!({ "pattern": pattern })).unwrap()
    }

    #[test]
    fn matching_agrees_with_another_engine() {
        let patterns = [
            "^a*b?$",
            "(ab|a)(c|bcd)$",
            "^[^a]+$",
            "\\bx",
            "^(a|b)*c$",
            "a(?!b)",
            "^(a*)*$",
        ];
        let texts = [
            "", "a", "ab", "aab", "abc", "abcd", "bcd", "x", "axe", " x", "ababc", "aaaa", "b",
        ];
        for pattern in patterns {
            let (ours, theirs) = (Pattern::read(pattern).unwrap(), fancy(pattern));
            for text in texts {
                assert_eq!(
                    ours.matches(text),
                    theirs.is_valid(&text.into()),
                    "{pattern} {text:?}"
                );
            }
        }
    }

    #[test]
    fn lengths_are_kept() {
        let pattern = Pattern::read("^[a-z]+( [a-z]+)*$").unwrap();
        for (min, max) in [(1, 1), (5, 5), (40, 44), (300, 600)] {
            let text = pattern.draw(min, Some(max), &mut Random::new(1)).unwrap();
            assert!((min..=max).contains(&text.len()), "{text:?}");
        }
        let fixed = Pattern::read("^abc$").unwrap();
        assert_eq!(fixed.draw(4, None, &mut Random::new(1)), None);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for pattern in ["(?<=a)b", "(a)\\1", "[z-a]", "(", ")", "[a", "a{3,2}", "*a"] {
            assert!(Pattern::read(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::read(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn a_pattern_made_to_take_for_ever_ends() {
        let pattern = Pattern::read("^(a+)+$").unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(40))));
    }
}
