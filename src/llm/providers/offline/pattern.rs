//! Texts that match a regular expression.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};
use serde_json::{Value, json};

use super::text::Length;
use crate::random::Random;
use crate::schema::PartValidator;

/// How many bytes a text is given at most.
const MAX_TEXT: usize = 100_000;
/// How far repetitions go beyond their least: first as people write, then short and long.
const STRETCHES: [usize; 10] = [4, 2, 1, 0, 8, 16, 24, 32, 64, 256];
/// How often each of them is tried.
const ROUNDS: usize = 16;

/// A regular expression in the dialect of JSON Schema, or at least the greater part of it.
pub(super) struct Pattern {
    /// What is drawn from: the pattern without lookahead.
    hir: Hir,
    /// What decides.
    validator: PartValidator,
}

impl Pattern {
    /// Reads a pattern; `None` for what is not understood, such as back-references.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::parse(&without_lookahead(pattern)).ok()?;
        let validator = PartValidator::new(&json!({ "pattern": pattern }), &Value::Null)?;
        Some(Self { hir, validator })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.validator.is_valid(&Value::from(text))
    }

    /// Draws a text that matches and is that long; `None` if none was found.
    pub(super) fn draw(&self, length: Length, random: &mut Random) -> Option<String> {
        let stretches = STRETCHES.iter().chain([&length.min]).cycle();
        let mut texts = stretches
            .take(STRETCHES.len() * ROUNDS)
            .filter_map(|stretch| {
                let mut text = String::new();
                write(&self.hir, *stretch, random, &mut text).map(|()| text)
            });
        texts.find(|text| length.fits(text) && self.matches(text))
    }
}

/// Appends a text for this node, or gives up and returns `None`.
fn write(hir: &Hir, stretch: usize, random: &mut Random, out: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => out.push(character(class, random)?),
        HirKind::Capture(capture) => write(&capture.sub, stretch, random, out)?,
        HirKind::Alternation(ways) => write(random.choose(ways)?, stretch, random, out)?,
        HirKind::Concat(parts) => parts
            .iter()
            .try_for_each(|part| write(part, stretch, random, out))?,
        HirKind::Repetition(repetition) => {
            let most = repetition
                .max
                .map_or(stretch, |max| stretch.min((max - repetition.min) as usize));
            for _ in 0..repetition.min as usize + random.index(most + 1) {
                write(&repetition.sub, stretch, random, out)?;
            }
        }
        // Anchors ask about the text around them, which the match afterwards looks at.
        HirKind::Empty | HirKind::Look(_) => {}
    }
    (out.len() <= MAX_TEXT).then_some(())
}

/// Draws a character, a plain one if there is one.
fn character(class: &Class, random: &mut Random) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let ranges = class.ranges();
    let is_in = |c: &char| {
        ranges
            .iter()
            .any(|range| (range.start()..=range.end()).contains(c))
    };
    let mut plain: Vec<char> = (' '..='~').filter(is_in).collect();
    // A class that reaches to the end excludes a few characters, and is not about the signs that are left.
    let is_negated = ranges.last().is_some_and(|range| range.end() == char::MAX);
    if is_negated && plain.iter().any(char::is_ascii_alphanumeric) {
        plain.retain(char::is_ascii_alphanumeric);
    }
    random
        .choose(&plain)
        .copied()
        .or_else(|| random.choose(ranges).map(ClassUnicodeRange::start))
}

/// Writes a pattern of ECMA-262 so that `regex-syntax` reads it, and leaves out what looks ahead.
fn without_lookahead(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    // The groups that are open, and where those that look ahead began.
    let mut groups: Vec<Option<usize>> = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut taken = c.len_utf8();
        match c {
            '\\' => taken += after.chars().next().map_or(0, char::len_utf8),
            // In a class, these have a meaning for `regex-syntax` only.
            '[' | '&' | '~' if in_class => out.push('\\'),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let looks_ahead = after.starts_with("?=") || after.starts_with("?!");
                groups.push(looks_ahead.then_some(out.len()));
                taken += if looks_ahead { 2 } else { 0 };
            }
            ')' if !in_class => {
                if let Some(Some(start)) = groups.pop() {
                    out.truncate(start);
                    taken = 0;
                }
            }
            // A brace that counts nothing and names nothing stands for itself.
            '{' if !in_class && !after.starts_with(|c: char| c.is_ascii_digit()) => {
                let names = ["\\p", "\\P", "\\u"]
                    .iter()
                    .any(|start| out.ends_with(start));
                out.push_str(if names { "" } else { "\\" });
            }
            _ => {}
        }
        out.push_str(&rest[..taken]);
        rest = &rest[taken.max(c.len_utf8())..];
    }
    out
}
