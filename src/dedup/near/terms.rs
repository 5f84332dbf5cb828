//! Turns the pieces of a text into the terms of its comparison: words as the lexicon knows them, and breaks.

use super::lexer::{Kind, Lexeme, Lexemes, hash};
use super::lexicon::{Entry, LEXICON, Lexicon, OF, Word, shorten, trait_of as is};

/// Words of grammar that are operators where they are in capitals.
const OPERATORS: [&str; 3] = ["and", "or", "not"];

/// A word or a break.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) word: Word,
    /// Is read over: grammar, politeness, a frame around what is asked.
    pub(super) dropped: bool,
}

/// The terms of a text.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) all: Vec<Term>,
    /// Whether it is in English, so that the rules for English apply.
    pub(super) english: bool,
    /// A hash of its pictographs, which may stand for meaning or for mood; 0 where it has none.
    pub(super) emoji: u32,
}

impl Terms {
    /// Looks up the words and phrases of a text.
    pub(super) fn of(text: &Lexemes) -> Self {
        let lexicon = &*LEXICON;
        let entries: Vec<Option<&Entry>> = text
            .pieces
            .iter()
            .map(|piece| lexicon.entry_of(piece))
            .collect();
        let english = is_english(text, &entries);
        let mut terms = Self {
            all: Vec::with_capacity(entries.len() + 2),
            english,
            emoji: 0,
        };
        terms.read(lexicon, text, &entries);
        join_glyphs(&mut terms.all);
        terms
    }

    fn read(&mut self, lexicon: &Lexicon, text: &Lexemes, entries: &[Option<&Entry>]) {
        let mut buffer = String::new();
        let mut sentence_start = true;
        let formula = compares_values(text);
        let mut at = label(text, 0);
        while let Some(piece) = text.pieces.get(at) {
            if piece.kind.is_break() {
                sentence_start = matches!(piece.kind, Kind::Stop | Kind::Ask | Kind::Colon);
                self.push(piece.kind, Word::default());
                at = if sentence_start {
                    label(text, at + 1)
                } else {
                    at + 1
                };
                continue;
            }
            let entry = entries[at];
            if piece.quoted {
                at = self.read_quoted(lexicon, text, entries, at);
                sentence_start = false;
                continue;
            }
            // "US", "IT", an operator such as "OR": capitals say that this is not the word of grammar.
            let is_grammar = |entry: &Entry| entry.word.is(is::FUNCTION | is::NEGATION);
            let operator = (formula || piece.shouted)
                && piece.kind == Kind::Word
                && OPERATORS.contains(&text.folded(piece));
            let shouted = piece.shouted && text.mixed_case && entry.is_some_and(is_grammar);
            if shouted || operator && formula {
                let own = shorten(piece.hash).rotate_left(3);
                let traits = if operator { is::SIGN } else { is::CAPITAL };
                self.push(piece.kind, Word::with(own, traits));
                sentence_start = false;
                at += 1;
                continue;
            }
            if entry.is_some_and(|entry| entry.starts_phrase)
                && let Some((length, stands_for)) = lexicon.phrase(&text.pieces[at..])
            {
                for word in stands_for {
                    self.push(Kind::Word, *word);
                }
                at += length;
                continue;
            }
            at += 1;
            if piece.kind == Kind::Emoji {
                self.emoji = self.emoji.rotate_left(5).wrapping_mul(31) ^ shorten(piece.hash);
                continue;
            }
            let mut word = self.word(lexicon, text, piece, entry, &mut buffer);
            if piece.capital && !sentence_start {
                word.traits |= is::CAPITAL;
            }
            sentence_start = false;
            self.push(piece.kind, word);
        }
    }

    /// Reads a quotation from here to its end, which it returns: its words stand for themselves and weigh. Grammar in it
    /// is read over only beside other words.
    fn read_quoted(
        &mut self,
        lexicon: &Lexicon,
        text: &Lexemes,
        entries: &[Option<&Entry>],
        from: usize,
    ) -> usize {
        let quoted = text.pieces[from..].iter().take_while(|piece| piece.quoted);
        let to = from + quoted.count();
        let mut buffer = String::new();
        let start = self.all.len();
        for (piece, entry) in text.pieces[from..to].iter().zip(&entries[from..to]) {
            let mut word = self.word(lexicon, text, piece, *entry, &mut buffer);
            word.traits |= is::CAPITAL;
            self.push(piece.kind, word);
        }
        let grammar = is::FUNCTION | is::ASKS | is::LEAD | is::TAIL;
        let said = &mut self.all[start..];
        if said.iter().all(|term| term.word.is(grammar)) {
            for (term, piece) in said.iter_mut().zip(&text.pieces[from..to]) {
                term.word = Word::with(shorten(piece.hash), is::CAPITAL);
            }
        }
        to
    }

    fn word(
        &self,
        lexicon: &Lexicon,
        text: &Lexemes,
        piece: &Lexeme,
        entry: Option<&Entry>,
        buffer: &mut String,
    ) -> Word {
        let own = shorten(piece.hash);
        match piece.kind {
            Kind::Number => Word::with(own, is::NUMBER),
            Kind::Sign => Word::with(lexicon.unit(piece.hash).unwrap_or(own), is::SIGN),
            Kind::Glyph => Word::with(own, entry.map_or(0, |entry| entry.word.traits & is::TAIL)),
            _ => {
                let after_number = self
                    .all
                    .last()
                    .is_some_and(|term| term.kind == Kind::Number);
                if after_number && let Some(unit) = lexicon.unit(piece.hash) {
                    return Word::with(unit, is::UNIT);
                }
                if !self.english {
                    let number = entry
                        .map(|entry| entry.word)
                        .filter(|word| word.is(is::NUMBER));
                    return number.unwrap_or(Word::meaning(own));
                }
                let folded = text.folded(piece);
                let mut word = match (entry, owner(folded)) {
                    (Some(entry), _) => entry.word,
                    (None, Some(owner)) => Word {
                        // "France's capital" is the capital of France.
                        role: OF,
                        ..lexicon.word(hash(owner), owner, buffer)
                    },
                    (None, None) => lexicon.unknown(folded, buffer),
                };
                if folded.len() > 5 && folded.ends_with("ing") {
                    word.traits |= is::PARTICIPLE;
                } else if folded.len() > 5
                    && folded.ends_with("ly")
                    && !word.is(is::NO_ADVERB | is::WEIGHTY | is::NEGATION)
                {
                    word.traits |= is::ADVERB;
                }
                word
            }
        }
    }

    fn push(&mut self, kind: Kind, word: Word) {
        self.all.push(Term {
            kind,
            word,
            dropped: false,
        });
    }
}

/// Returns whether a text has a sign that compares values, beside which "and" and "or" are operators, too.
fn compares_values(text: &Lexemes) -> bool {
    let sign =
        |piece: &Lexeme| piece.kind == Kind::Sign && matches!(text.folded(piece), "<" | ">" | "=");
    text.pieces.iter().any(sign)
}

/// Returns whether a text is in English: it has a word that no other language has, or the lexicon knows half of its
/// words and two at least.
fn is_english(text: &Lexemes, entries: &[Option<&Entry>]) -> bool {
    let words = text.pieces.iter().filter(|p| p.kind == Kind::Word).count();
    let known = || entries.iter().flatten();
    known().any(|entry| entry.word.is(is::ENGLISH)) || known().count() >= words.div_ceil(2).max(2)
}

/// Returns who owns something: the word in front of an apostrophe at the end.
fn owner(folded: &str) -> Option<&str> {
    folded
        .strip_suffix("'s")
        .or_else(|| folded.strip_suffix('\''))
}

/// Returns where the text goes on behind a label at the start of a sentence, which only numbers or announces it:
/// `3.`, `Q:`, `Question 12:`, `(b)`, `### Response` at the end.
fn label(text: &Lexemes, start: usize) -> usize {
    let pieces = &text.pieces;
    let kind = |at: usize| pieces.get(at).map(|piece| piece.kind);
    let first = (start..pieces.len())
        .find(|&at| !pieces[at].kind.is_break())
        .unwrap_or(start);
    let is_label = |p: &Lexeme| {
        p.kind == Kind::Word
            && (LEXICON.known(p.hash).is_some_and(|w| w.is(is::LABEL)) || numbered(text.folded(p)))
    };
    let mut at = first;
    while at < first + 2 && pieces.get(at).is_some_and(is_label) {
        at += 1;
    }
    // "(g) How", "b) Why".
    let lettered = pieces.get(first).is_some_and(|piece| {
        start == 0 && piece.kind == Kind::Word && text.folded(piece).len() == 1
    });
    if lettered && at == first && kind(at + 1) == Some(Kind::Close) && at + 2 < pieces.len() {
        return at + 2;
    }
    let named = at > first;
    if kind(at) == Some(Kind::Number) {
        at += 1;
    }
    let counted = at > first;
    let goes_on = at + 1 < pieces.len();
    match kind(at) {
        Some(Kind::Colon) if counted => at + 1,
        Some(Kind::Close) if counted && start == 0 => at + 1,
        // A number and a full stop count as a label only if a text follows.
        Some(Kind::Stop) if counted && goes_on && start == 0 && (!named || at <= first + 2) => {
            at + 1
        }
        Some(Kind::Pause) if named && goes_on => at + 1,
        None if named && start > 0 => at,
        _ => start,
    }
}

/// Returns whether a word is a numbered label such as `q1`.
fn numbered(word: &str) -> bool {
    word.strip_prefix('q')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Joins the characters of scripts without spaces: without knowing their words, only their whole sequence is safe
/// to compare.
fn join_glyphs(terms: &mut Vec<Term>) {
    if terms.iter().all(|term| term.kind != Kind::Glyph) {
        return;
    }
    let tail = |term: &Term| term.kind.is_break() || term.word.is(is::TAIL);
    while terms.len() > 1 && terms.last().is_some_and(tail) && terms.iter().any(|term| !tail(term))
    {
        terms.pop();
    }
    let mut joined: Vec<Term> = Vec::with_capacity(terms.len());
    let mut pause = None;
    for term in terms.drain(..) {
        let glyphs = joined.last().is_some_and(|last| last.kind == Kind::Glyph);
        match (term.kind, joined.last_mut()) {
            (Kind::Glyph, Some(last)) if glyphs => {
                last.word.meaning = (last.word.meaning.rotate_left(7) ^ term.word.meaning)
                    .wrapping_mul(0x9e37_79b1);
                pause = None;
            }
            (kind, _) if kind.is_break() => pause = Some(term),
            _ => {
                joined.extend(pause.take());
                joined.push(Term {
                    word: Word {
                        traits: 0,
                        ..term.word
                    },
                    ..term
                });
            }
        }
    }
    *terms = joined;
}
