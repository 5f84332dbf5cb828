//! The grammar: which sentences there are, and which words fill them.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::random::Random;

const WORDS: &str = include_str!("words.txt");
const SENTENCES: &str = include_str!("sentences.txt");

static ENGLISH: LazyLock<Grammar> = LazyLock::new(|| Grammar::read(WORDS, SENTENCES));

/// Sections of alternatives. Words are alternatives of a single piece of text.
#[derive(Debug)]
pub(super) struct Grammar {
    sections: Vec<Vec<Alternative>>,
    names: HashMap<&'static str, Section>,
}

/// Names a section of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section(usize);

pub(super) type Alternative = Vec<Piece>;

#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Slot(Slot),
}

/// A place that is filled in.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) filling: Filling,
    pub(super) article: Article,
    pub(super) ending: Ending,
    pub(super) is_capital: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Filling {
    Section(Section),
    /// What the record is about.
    Focus,
    /// What the record is about in the second place.
    Other,
    /// The topic that was asked for.
    Topic,
    /// What the whole instruction is about.
    Subject,
    /// A whole number in this range.
    Number(u64, u64),
    /// A name such as code has, `like_this`.
    Snake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Article {
    None,
    Small,
    Capital,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    None,
    S,
    Ing,
    Ed,
}

impl Grammar {
    pub(super) fn english() -> &'static Self {
        &ENGLISH
    }

    /// Returns the section of this name, which the grammar's files must hold.
    pub(super) fn section(&self, name: &str) -> Section {
        *self
            .names
            .get(name)
            .unwrap_or_else(|| panic!("the grammar has no section `{name}`"))
    }

    /// Picks an alternative of a section.
    pub(super) fn pick(&self, section: Section, random: &mut Random) -> &Alternative {
        let alternatives = &self.sections[section.0];
        &alternatives[random.index(alternatives.len())]
    }

    fn read(words: &'static str, sentences: &'static str) -> Self {
        let mut grammar = Self {
            sections: Vec::new(),
            names: HashMap::new(),
        };
        // All names first, since sections refer to one another.
        for line in words.lines().chain(sentences.lines()) {
            if let Some(name) = section_name(line) {
                let section = Section(grammar.names.len());
                assert!(
                    grammar.names.insert(name, section).is_none(),
                    "the grammar's section `{name}` is there twice"
                );
            }
        }
        grammar.sections.resize_with(grammar.names.len(), Vec::new);
        grammar.fill(words, |_, line| {
            let words = line.split_whitespace();
            words
                .map(|word| vec![Piece::Text(word.replace('_', " ").into())])
                .collect()
        });
        grammar.fill(sentences, |grammar, line| vec![grammar.sentence(line)]);
        for (name, section) in &grammar.names {
            let is_filled = !grammar.sections[section.0].is_empty();
            assert!(is_filled, "the grammar's section `{name}` is empty");
        }
        grammar
    }

    fn fill(&mut self, file: &'static str, read: fn(&Self, &str) -> Vec<Alternative>) {
        let mut current = None;
        for line in file.lines() {
            if let Some(name) = section_name(line) {
                current = Some(self.section(name));
            } else if let Some(Section(index)) = current
                && !line.is_empty()
            {
                let alternatives = read(self, line);
                self.sections[index].extend(alternatives);
            }
        }
    }

    fn sentence(&self, line: &str) -> Alternative {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("\\n") {
                text.push('\n');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (slot, after) = after.split_once('}').expect("each slot is closed");
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.push(Piece::Slot(self.slot(slot)));
                rest = after;
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        pieces
    }

    fn slot(&self, text: &str) -> Slot {
        let (article, text) = match text.split_once(' ') {
            Some(("a", rest)) => (Article::Small, rest),
            Some(("A", rest)) => (Article::Capital, rest),
            _ => (Article::None, text),
        };
        let (text, ending) = match text.split_once('+') {
            Some((text, "s")) => (text, Ending::S),
            Some((text, "ing")) => (text, Ending::Ing),
            Some((text, "ed")) => (text, Ending::Ed),
            Some((_, other)) => panic!("the grammar knows no ending `{other}`"),
            None => (text, Ending::None),
        };
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let mut number = || {
            let word = words.next().and_then(|word| word.parse().ok());
            word.expect("a number's range is two numbers")
        };
        let filling = match name.to_ascii_lowercase().as_str() {
            "focus" => Filling::Focus,
            "other" => Filling::Other,
            // Lower case only: the section of the same name invents topics.
            "topic" => Filling::Topic,
            "subject" => Filling::Subject,
            "number" => Filling::Number(number(), number()),
            "snake" => Filling::Snake,
            name => Filling::Section(self.section(name)),
        };
        Slot {
            filling,
            article,
            ending,
            is_capital: name.starts_with(|first: char| first.is_ascii_uppercase()),
        }
    }
}

fn section_name(line: &'static str) -> Option<&'static str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// Gives the last word of a text an ending, by the regular rules of English; the word lists are chosen so
/// that these are enough.
pub(super) fn inflect(text: &mut String, ending: Ending) {
    let bytes = text.as_bytes();
    let last = bytes.last().copied().unwrap_or(b' ');
    let before = bytes
        .len()
        .checked_sub(2)
        .map_or(b' ', |index| bytes[index]);
    let ends_in_consonant_y = last == b'y' && !is_vowel(before);
    match ending {
        Ending::None => {}
        Ending::S if ends_in_consonant_y => {
            text.pop();
            text.push_str("ies");
        }
        Ending::S => {
            let hisses = matches!(last, b's' | b'x' | b'z')
                || (last == b'h' && matches!(before, b'c' | b's'));
            text.push_str(if hisses { "es" } else { "s" });
        }
        Ending::Ing => {
            if last == b'e' && !matches!(before, b'e' | b'o' | b'y') {
                text.pop();
            }
            text.push_str("ing");
        }
        Ending::Ed if ends_in_consonant_y => {
            text.pop();
            text.push_str("ied");
        }
        Ending::Ed => text.push_str(if last == b'e' { "d" } else { "ed" }),
    }
}

/// Whether a word takes `an` for `a`, going by its sound where spelling misleads.
pub(super) fn takes_an(word: &str) -> bool {
    const SOUNDS_LIKE_YOU: [&str; 7] = ["uni", "use", "usu", "uti", "eu", "one", "ura"];
    let word = word.as_bytes();
    let starts = |prefix: &&str| {
        let prefix = prefix.as_bytes();
        word.len() >= prefix.len() && word[..prefix.len()].eq_ignore_ascii_case(prefix)
    };
    match word.first() {
        Some(b'h' | b'H') => ["honest", "hour", "heir"].iter().any(starts),
        Some(first) => {
            is_vowel(first.to_ascii_lowercase())
                && (!SOUNDS_LIKE_YOU.iter().any(starts) || starts(&"unim") || starts(&"unin"))
        }
        None => false,
    }
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_can_be_read() {
        let grammar = Grammar::english();
        for needed in ["phrase", "question", "answer", "topic", "person"] {
            grammar.section(needed);
        }
        let nouns = &grammar.sections[grammar.section("noun").0];
        assert!(nouns.len() > 700, "{}", nouns.len());
    }

    #[test]
    fn endings_follow_the_regular_rules() {
        for (word, ending, expected) in [
            ("verify", Ending::S, "verifies"),
            ("display", Ending::S, "displays"),
            ("match", Ending::S, "matches"),
            ("lens", Ending::S, "lenses"),
            ("graph", Ending::S, "graphs"),
            ("shape", Ending::Ing, "shaping"),
            ("survey", Ending::Ing, "surveying"),
            ("guarantee", Ending::Ing, "guaranteeing"),
            ("modify", Ending::Ed, "modified"),
            ("prove", Ending::Ed, "proved"),
            ("filter", Ending::Ed, "filtered"),
        ] {
            let mut text = word.to_owned();
            inflect(&mut text, ending);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn the_article_goes_by_the_sound() {
        assert!(
            ["unlikely tenant", "atom", "hour", "uninformed"]
                .iter()
                .all(|w| takes_an(w))
        );
        assert!(
            !["unit", "useful lever", "European", "hat", "usual"]
                .iter()
                .any(|w| takes_an(w))
        );
    }
}
