//! Texts that match a regular expression, or at least its greater part: somebody has to check them.

use std::sync::LazyLock;

use regex::Regex;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

use crate::random::Random;

/// How many bytes a text is given at most.
const MAX_TEXT: usize = 100_000;

/// What a pattern is made of: an escape, the start of a lookahead, a count, or a character.
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    let tokens = r"(?s)\\[pPu]\{\w*\}|\\.|\(\?[=!]|\{\d+,?\d*\}|.";
    Regex::new(tokens).expect("the expression is fixed")
});

/// Reads a pattern of ECMA-262 without its lookahead; `None` for what is not understood, such as back-references.
pub(super) fn read(pattern: &str) -> Option<Hir> {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    // The groups that are open, and where those that look ahead began.
    let mut groups: Vec<Option<usize>> = Vec::new();
    for token in TOKENS.find_iter(pattern).map(|token| token.as_str()) {
        match token {
            // In a class, these have a meaning for `regex-syntax` only; a brace that counts nothing stands for itself.
            "[" | "&" | "~" if in_class => out.push('\\'),
            "{" if !in_class => out.push('\\'),
            "[" => in_class = true,
            "]" => in_class = false,
            "(" if !in_class => groups.push(None),
            "(?=" | "(?!" if !in_class => groups.push(Some(out.len())),
            ")" if !in_class => {
                if let Some(Some(start)) = groups.pop() {
                    out.truncate(start);
                    continue;
                }
            }
            _ => {}
        }
        out.push_str(token);
    }
    regex_syntax::parse(&out).ok()
}

/// Draws a text whose repetitions go up to `stretch` beyond their least; `None` where it grows too long.
pub(super) fn draw(hir: &Hir, stretch: usize, random: &mut Random) -> Option<String> {
    let mut text = String::new();
    write(hir, stretch, random, &mut text).map(|()| text)
}

fn write(hir: &Hir, stretch: usize, random: &mut Random, out: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => out.push(character(class.ranges(), random)?),
        HirKind::Capture(capture) => write(&capture.sub, stretch, random, out)?,
        HirKind::Alternation(ways) => write(random.choose(ways)?, stretch, random, out)?,
        HirKind::Concat(parts) => parts
            .iter()
            .try_for_each(|part| write(part, stretch, random, out))?,
        HirKind::Repetition(repetition) => {
            let more = repetition.max.map(|max| (max - repetition.min) as usize);
            let more = random.index(more.map_or(stretch, |more| more.min(stretch)) + 1);
            for _ in 0..repetition.min as usize + more {
                write(&repetition.sub, stretch, random, out)?;
            }
        }
        // Anchors ask about the text around them; patterns of text have no classes of bytes.
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => {}
    }
    (out.len() <= MAX_TEXT).then_some(())
}

/// Draws a character, a plain one if there is one: most classes that hold many more exclude a few.
fn character(ranges: &[ClassUnicodeRange], random: &mut Random) -> Option<char> {
    let is_in = |c: &char| {
        ranges
            .iter()
            .any(|range| (range.start()..=range.end()).contains(c))
    };
    let mut plain: Vec<char> = (' '..='~').filter(is_in).collect();
    if plain.iter().any(char::is_ascii_alphanumeric) && ranges.last()?.end() == char::MAX {
        plain.retain(char::is_ascii_alphanumeric);
    }
    let other = ranges.first().map(ClassUnicodeRange::start);
    random.choose(&plain).copied().or(other)
}
