//! Reads a short text: which of its words carry meaning, in which roles, and which parts could be left out.

use super::cores::Cores;
use super::frames::{drop_frames, question};
use super::lexer::Lexemes;
use super::lexicon::{AMOUNT, BY, LEXICON, THAN, trait_of as is};
use super::terms::{Term, Terms};

/// A word that carries meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) meaning: u32,
    /// The circle of its near synonyms.
    pub(super) circle: u32,
    pub(super) traits: u32,
    /// The preposition it stands under, from 1; 0 for none.
    pub(super) role: u8,
    /// Whether it follows the one before it directly.
    pub(super) bound: bool,
    /// Where it stands among all terms.
    pub(super) at: usize,
}

/// What a short text says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Its words of meaning in the order of the text, the one who acts in front.
    pub(super) contents: Vec<Content>,
    /// The question word that narrows what is asked, or 0.
    pub(super) question: u32,
    /// A hash of its pictographs, or 0.
    pub(super) emoji: u32,
    /// Whether a word of meaning stands in it twice, of which one is kept.
    pub(super) repeats: bool,
    /// Whether the rules for English apply.
    pub(super) english: bool,
    /// What would be left without the parts that could be left out.
    pub(super) cores: Cores,
}

impl Reading {
    /// Reads a text that was cut into pieces.
    pub(super) fn of(text: &Lexemes) -> Self {
        let Terms {
            all: mut terms,
            english,
            emoji,
        } = Terms::of(text);
        if english {
            drop_frames(&mut terms);
        } else {
            drop_only(&mut terms, is::TAIL);
        }
        let mut reading = Self {
            question: if english { question(&terms) } else { 0 },
            contents: contents(&terms),
            repeats: false,
            emoji,
            english,
            cores: Cores::default(),
        };
        // Nothing but frame and grammar, as in "what is an idea?": then these words are what there is.
        for traits in [is::FUNCTION | is::ASKS, 0] {
            if reading.contents.is_empty() {
                drop_only(&mut terms, traits);
                reading.contents = contents(&terms);
            }
        }
        if reading.contents.is_empty() && emoji != 0 {
            reading.contents.push(Content {
                meaning: emoji,
                circle: emoji,
                traits: 0,
                role: 0,
                bound: false,
                at: 0,
            });
        }
        reading.repeats =
            terms.iter().filter(|term| !term.dropped).count() > reading.contents.len();
        if english {
            let question = reading.question;
            for content in &mut reading.contents {
                content.meaning = LEXICON.under_question(content.meaning, question);
            }
            reading.name_what_is_asked(&terms);
            reading.cores = Cores::of(&terms, &reading.contents);
            act_first(&mut reading);
        }
        reading
    }
}

impl Reading {
    /// Drops "how much" where another word says it, and puts a word in the place of the question word, so that "why did it fail" and "the cause of its failure" agree.
    fn name_what_is_asked(&mut self, terms: &[Term]) {
        let is_amount = |content: &Content| content.meaning == LEXICON.amount();
        let says_amount = |content: &Content| {
            content.traits & is::SIGN != 0 || LEXICON.answers(content.meaning, AMOUNT)
        };
        if self.contents.iter().any(is_amount) && self.contents.iter().any(says_amount) {
            self.contents.retain(|content| !is_amount(content));
        }
        let question = self.question;
        let Some(asked) = LEXICON.asked_by(question) else {
            return;
        };
        let is_question = |term: &Term| term.word.is(is::ASKS) && term.word.meaning == question;
        let said = |content: &Content| LEXICON.answers(content.meaning, question);
        if !self.contents.iter().any(said) {
            let at = terms.iter().position(is_question).unwrap_or(0);
            let place = self.contents.partition_point(|content| content.at < at);
            let word = Content {
                meaning: asked,
                circle: LEXICON.circle(asked),
                traits: 0,
                role: 0,
                bound: false,
                at,
            };
            self.contents.insert(place, word);
        }
        self.question = 0;
    }
}

/// Reads over breaks and words with these traits, and nothing else.
fn drop_only(terms: &mut [Term], traits: u32) {
    for term in terms {
        term.dropped = term.kind.is_break() || term.word.is(traits);
    }
}

/// Takes the words of meaning with the preposition they stand under, each meaning once.
fn contents(terms: &[Term]) -> Vec<Content> {
    let mut contents: Vec<Content> = Vec::with_capacity(terms.len());
    let mut role = 0;
    for (at, term) in terms.iter().enumerate() {
        if !term.dropped {
            let role = if term.word.role == 0 {
                role
            } else {
                term.word.role
            };
            let seen = contents.iter().any(|c| c.meaning == term.word.meaning);
            if !seen || term.word.is(is::NUMBER | is::SIGN) {
                contents.push(Content {
                    meaning: term.word.meaning,
                    circle: term.word.circle,
                    traits: term.word.traits,
                    role,
                    bound: at > 0 && contents.last().is_some_and(|last| last.at + 1 == at),
                    at,
                });
            }
        } else if term.kind.is_break() || term.word.role != 0 {
            // "Than on Mars" still compares.
            let compares = role == THAN && at > 0 && terms[at - 1].word.role == THAN;
            if !compares || term.kind.is_break() {
                role = term.word.role;
            }
        } else if !term.word.is(is::OPEN) {
            role = 0;
        }
    }
    contents
}

/// Brings a passive into the order of its active: who acts, what is done, to whom.
fn act_first(reading: &mut Reading) {
    let contents = &reading.contents;
    let Some(by) = contents.iter().position(|c| c.role == BY) else {
        return;
    };
    let end = by + contents[by..].iter().take_while(|c| c.role == BY).count();
    if by < 2 || reading.contents.len() > 63 {
        return;
    }
    // [done-to.. verb][actor..] becomes [actor..][verb][done-to..].
    let mut order: Vec<usize> = (by..end).collect();
    order.push(by - 1);
    order.extend(0..by - 1);
    order.extend(end..contents.len());
    reading.contents = order.iter().map(|&at| reading.contents[at]).collect();
    // The verb and what it is done to have new neighbours.
    let verb = end - by;
    for at in [0, verb, verb + 1] {
        if let Some(content) = reading.contents.get_mut(at) {
            content.bound = false;
        }
    }
    reading.cores.reorder(&order);
}
