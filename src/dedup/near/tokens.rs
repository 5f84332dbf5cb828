//! Takes a text apart into words, numbers and signs.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use super::function_words::{self, Roles};
use super::hashed::hash;
use super::stem::Stem;
use super::text::quoted;
use crate::dedup::fold::fold_case;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// A number, a sign or a run of signs that counts as it stands, case included.
    Exact(u64, Exact),
    /// A quotation begins or ends.
    Quote,
    /// A comma, a dash or a semicolon.
    Pause,
    /// The end of a sentence.
    End {
        asks: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    Number,
    Sign,
    Code,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// In small letters.
    pub(super) small: u64,
    /// As it stands.
    pub(super) exact: u64,
    /// Without the ending of a plural or a tense.
    pub(super) stem: u64,
    pub(super) capitals: Capitals,
    /// It stands in quotes of its own: a word that is spoken of.
    pub(super) mentioned: bool,
    /// Its roles in the languages that know it as a word of grammar.
    pub(super) roles: Option<&'static Roles>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capitals {
    None,
    First,
    /// Not only the first letter, or that of a symbol: a matter of the word, not of its place.
    Inner,
}

/// The tokens of one text. Kept and cleared, so that a record needs few allocations.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// Whether a quotation has begun and not ended.
    open_quote: bool,
    buffer: String,
}

impl Tokens {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.open_quote = false;
    }

    fn push(&mut self, token: Token) {
        self.list.push(token);
    }

    /// Adds the tokens of a text.
    pub(super) fn add(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['`', '$']) {
            let (before, after) = rest.split_at(at);
            let Some((inner, behind)) = quoted(after) else {
                let end = at + 1;
                // A sign without its twin belongs to the word it stands at.
                let end = rest[end..]
                    .find(char::is_whitespace)
                    .map_or(rest.len(), |w| end + w);
                self.words(&rest[..end]);
                rest = &rest[end..];
                continue;
            };
            self.words(before);
            let is_word_of_grammar = || function_words::roles(hash(inner.as_bytes())).is_some();
            if inner.chars().all(char::is_alphanumeric) && !is_word_of_grammar() {
                self.words(inner);
            } else {
                let verbatim = squeezed(inner);
                self.push(Token::Exact(verbatim, Exact::Code));
            }
            rest = behind;
        }
        self.words(rest);
    }

    fn words(&mut self, text: &str) {
        let mut paragraphs = text.split("\n\n");
        if let Some(first) = paragraphs.next() {
            self.paragraph(first);
        }
        for paragraph in paragraphs {
            self.push(Token::End { asks: false });
            self.paragraph(paragraph);
        }
    }

    fn paragraph(&mut self, text: &str) {
        let mut before_is_term = false;
        let mut raws = text.split_ascii_whitespace().peekable();
        while let Some(raw) = raws.next() {
            // Most words are letters and nothing else.
            if raw.len() > 1 && raw.bytes().all(|b| b.is_ascii_alphabetic()) {
                before_is_term = false;
                self.letters(raw);
                continue;
            }
            if raw.bytes().any(|b| b.is_ascii_alphanumeric() || b >= 0x80) {
                before_is_term = is_term(raw);
                self.word(raw);
                continue;
            }
            let signs = raw.trim_end_matches(['.', ',', ';', ':', '?']);
            let dash = matches!(signs, "-" | "--");
            if dash && !before_is_term && !raws.peek().is_some_and(|next| is_term(next)) {
                self.push(Token::Pause);
                continue;
            }
            if !signs.chars().all(|c| matches!(c, '"' | '\'' | '!')) {
                self.push(Token::Exact(hash(signs.as_bytes()), Exact::Sign));
                before_is_term = true;
            }
            self.after(&raw[signs.len()..]);
        }
    }

    /// Reads what stands between two spaces.
    fn word(&mut self, raw: &str) {
        let opened = raw.trim_start_matches(['"', '\'', '(', '[', '{']);
        let openers = &raw[..raw.len() - opened.len()];
        let core =
            opened.trim_end_matches(['.', ',', ';', ':', '?', '!', '"', '\'', ')', ']', '}']);
        let mut closers = &opened[core.len()..];
        let term = is_term_core(core);
        let mut core = core;
        // A factorial, or a bracket that was opened inside: it belongs to what stands in front of it.
        while term && closers.starts_with('!') {
            core = &opened[..=core.len()];
            closers = &closers[1..];
        }
        let opens = |c: char| core.matches(c).count();
        for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
            while closers.starts_with(close) && opens(open) > core.matches(close).count() {
                core = &opened[..=core.len()];
                closers = &closers[1..];
            }
        }
        if term {
            for c in openers.chars().filter(|c| matches!(c, '(' | '[' | '{')) {
                self.push(Token::Exact(u64::from(u32::from(c)), Exact::Sign));
            }
        }
        let is_opened = openers.contains(['"', '\'']);
        if is_opened {
            self.open_quote = true;
            self.push(Token::Quote);
        }
        let first = self.list.len();
        self.core(core);
        if let [Token::Word(word)] = &mut self.list[first..]
            && openers.ends_with(['"', '\''])
            && closers.starts_with(['"', '\''])
        {
            word.mentioned = true;
        }
        if self.open_quote && closers.contains(['"', '\'']) {
            self.open_quote = false;
            self.push(Token::Quote);
        }
        if term {
            for c in closers.chars().filter(|c| matches!(c, ')' | ']' | '}')) {
                self.push(Token::Exact(u64::from(u32::from(c)), Exact::Sign));
            }
        }
        self.after(closers);
    }

    fn after(&mut self, closers: &str) {
        if closers.contains('?') {
            self.push(Token::End { asks: true });
        } else if closers.contains(['.', '!', ':']) {
            self.push(Token::End { asks: false });
        } else if closers.contains([',', ';']) {
            self.push(Token::Pause);
        }
    }

    fn core(&mut self, core: &str) {
        let bytes = core.as_bytes();
        if bytes.iter().all(u8::is_ascii_alphabetic) {
            return self.letters(core);
        }
        if bytes
            .iter()
            .all(|b| b.is_ascii_alphabetic() || matches!(b, b'\'' | b'-'))
            && !core.starts_with('-')
        {
            for part in core.split('-') {
                self.elided(part);
            }
            return;
        }
        if core.is_ascii() {
            return self.ascii(core);
        }
        for part in core.split_word_bounds() {
            if part.chars().all(|c| c == '-') || part == "'" || part == "." {
            } else if part.is_ascii() && !part.bytes().all(|b| b.is_ascii_alphabetic()) {
                self.ascii(part);
            } else if part.chars().any(char::is_alphanumeric) {
                self.elided(part);
            } else {
                self.push(Token::Exact(hash(part.as_bytes()), Exact::Sign));
            }
        }
    }

    fn ascii(&mut self, core: &str) {
        let bytes = core.as_bytes();
        let digits = bytes
            .iter()
            .take_while(|b| b.is_ascii_digit() || matches!(b, b',' | b'.'))
            .count();
        let (number, unit) = core.split_at(digits);
        if bytes[0].is_ascii_digit() && unit.bytes().all(|b| b.is_ascii_alphabetic()) {
            let whole = without_thousands(number);
            self.push(Token::Exact(hash(whole.as_bytes()), Exact::Number));
            match unit.len() {
                0 => {}
                1 => self.push(Token::Exact(hash(unit.as_bytes()), Exact::Code)),
                _ => self.letters(unit),
            }
        } else if bytes.iter().all(u8::is_ascii_alphanumeric) {
            self.letters(core);
        } else if core
            .split('.')
            .all(|part| part.len() == 1 && part.as_bytes()[0].is_ascii_alphabetic())
        {
            let initials: String = core.split('.').collect();
            self.letters(&initials);
        } else if bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && core
                .split('-')
                .any(|part| part.len() > 1 && part.bytes().all(|b| b.is_ascii_alphabetic()))
            && !core.starts_with('-')
        {
            core.split('-')
                .filter(|part| !part.is_empty())
                .for_each(|part| self.ascii(part));
        } else if bytes[0].is_ascii_digit() && unit.bytes().all(|b| matches!(b, b'%' | b'!')) {
            self.push(Token::Exact(
                hash(without_thousands(number).as_bytes()),
                Exact::Number,
            ));
            self.push(Token::Exact(hash(unit.as_bytes()), Exact::Sign));
        } else {
            self.push(Token::Exact(hash(bytes), Exact::Code));
        }
    }

    /// Reads letters with apostrophes in them: `isn't`, `dog's`, `l'eau`.
    fn elided(&mut self, word: &str) {
        let Some((head, tail)) = word.split_once('\'') else {
            return self.letters(word);
        };
        let small = tail.to_ascii_lowercase();
        if small == "t" && head.ends_with(['n', 'N']) {
            let verb = &head[..head.len() - 1];
            match verb.to_ascii_lowercase().as_str() {
                "ca" => self.letters("can"),
                "wo" => self.letters("will"),
                _ => self.letters(verb),
            }
            return self.letters("not");
        }
        let is_grammar = || function_words::roles(hash(head.to_ascii_lowercase().as_bytes()));
        let whole = match small.as_str() {
            "re" => "are",
            "m" => "am",
            "ll" => "will",
            "d" => "would",
            "ve" => "have",
            // "It's", but not "the dog's".
            "s" if is_grammar().is_some() => "is",
            "s" => "'s",
            _ => "",
        };
        if whole.is_empty() {
            self.letters(&word[..=head.len()]);
            self.elided(tail);
        } else {
            self.letters(head);
            self.letters(whole);
        }
    }

    fn letters(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        let exact = hash(word.as_bytes());
        if word.eq_ignore_ascii_case("cannot") {
            self.letters("can");
            return self.letters("not");
        }
        self.buffer.clear();
        if word.is_ascii() {
            self.buffer.push_str(word);
            self.buffer.make_ascii_lowercase();
        } else {
            self.buffer.extend(word.chars().flat_map(fold_case));
        }
        let small = hash(self.buffer.as_bytes());
        let roles = function_words::roles(small);
        if let Some(number) = roles.and_then(|roles| roles.number) {
            return self.push(Token::Exact(number, Exact::Number));
        }
        let plain = self.buffer.as_bytes();
        let american = Stem::american(plain);
        let plain = american.as_ref().map_or(plain, Stem::bytes);
        let (small, stem) = (hash(plain), Stem::of(plain));
        let mut letters = word.chars();
        let first = letters.next().is_some_and(char::is_uppercase);
        // A letter alone, where it is no word, and a letter with digits are symbols, whose case counts wherever they stand.
        let symbol =
            word.len() == 1 && roles.is_none() || first && word.bytes().any(|b| b.is_ascii_digit());
        let capitals = if letters.any(char::is_uppercase) || first && symbol {
            Capitals::Inner
        } else if first {
            Capitals::First
        } else {
            Capitals::None
        };
        self.push(Token::Word(Word {
            small,
            exact,
            stem: stem.as_ref().map_or(small, |stem| hash(stem.bytes())),
            capitals,
            mentioned: false,
            roles,
        }));
    }
}

/// Hashes a text with single spaces.
pub(super) fn squeezed(text: &str) -> u64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    hash(words.join(" ").as_bytes())
}

/// Hashes code: with single spaces, and, where lines open blocks by a colon, with how far each stands in beside the others.
pub(super) fn code(text: &str) -> u64 {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    if !lines().any(|line| line.trim_end().ends_with(':')) {
        return squeezed(text);
    }
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut depths: Vec<usize> = lines().map(depth).collect();
    depths.sort_unstable();
    depths.dedup();
    let lines = lines().map(|line| {
        let rank = depths.partition_point(|other| *other < depth(line));
        format!("{rank}:{:x}", squeezed(line))
    });
    hash(lines.collect::<Vec<_>>().join(" ").as_bytes())
}

fn is_term(raw: &str) -> bool {
    is_term_core(raw.trim_matches(|c: char| c.is_ascii_punctuation()))
}

/// Returns whether something is part of an expression rather than of a sentence.
fn is_term_core(core: &str) -> bool {
    let sign =
        |b: u8| b.is_ascii_digit() || (b.is_ascii_punctuation() && !matches!(b, b'\'' | b'-'));
    core.bytes().any(sign) || (core.len() == 1 && !matches!(core, "a" | "A" | "I"))
}

fn without_thousands(number: &str) -> Cow<'_, str> {
    let mut groups = number.split('.').next().unwrap_or_default().split(',');
    let first = groups.next().unwrap_or_default();
    let mut later = groups.clone();
    if number.contains(',') && (1..=3).contains(&first.len()) && later.all(|group| group.len() == 3)
    {
        Cow::Owned(number.replace(',', ""))
    } else {
        Cow::Borrowed(number)
    }
}
