//! Reads a short text: which of its words carry meaning, in which roles, and which parts could be left out.

use super::asked::asking_clause;
use super::cores::Cores;
use super::frames::{drop_frames, question};
use super::lexer::{Kind, Lexemes};
use super::lexicon::{AMOUNT, BY, LEXICON, THAN, trait_of as is};
use super::order::kept;
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
    /// Whether it stands in the clause that asks, beside another that does not.
    pub(super) asked: bool,
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
                asked: false,
                at: 0,
            });
        }
        reading.repeats =
            terms.iter().filter(|term| !term.dropped).count() > reading.contents.len();
        if english {
            mark_asked(&mut reading.contents, &terms);
            let question = reading.question;
            for content in &mut reading.contents {
                content.meaning = LEXICON.under_question(content.meaning, question);
            }
            reading.name_what_is_asked(&terms);
            name_joints(&mut reading.contents, &terms);
            reading.cores = Cores::of(&terms, &reading.contents, true);
            put_time_last(&mut reading, &terms);
            act_first(&mut reading);
        } else {
            reading.cores = Cores::of(&terms, &reading.contents, false);
        }
        reading
    }
}

impl Reading {
    /// Brings the words of meaning into another order.
    fn reorder(&mut self, order: &[usize]) {
        self.contents = order.iter().map(|&at| self.contents[at]).collect();
        self.cores.reorder(order);
    }

    /// Drops "how much" where another word says it, and puts a word in the place of the question word, so that "why did it fail" and "the cause of its failure" agree.
    fn name_what_is_asked(&mut self, terms: &[Term]) {
        let is_amount = |content: &Content| content.meaning == LEXICON.amount();
        let says_amount = |content: &Content| {
            content.traits & is::SIGN != 0 || LEXICON.answers(content.meaning, AMOUNT)
        };
        let asks_amount = self.contents.first().is_some_and(is_amount);
        if asks_amount && self.contents.iter().any(says_amount) {
            self.contents.remove(0);
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
                asked: false,
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
            // "By France's rulers" still acts.
            let role = if role == 0 { term.word.role } else { role };
            let mut meaning = term.word.meaning;
            let mut seen = contents.iter().any(|c| c.meaning == meaning);
            if seen && term.word.is(is::NEGATION) {
                // Another "not" turns another statement around.
                meaning = meaning.rotate_left(5);
                seen = contents.iter().any(|c| c.meaning == meaning);
            }
            if seen && LEXICON.relates(kept(meaning)) {
                // "The reason that A causes B": the second stands between the two.
                contents.retain(|content| content.meaning != meaning);
                seen = false;
            }
            if !seen || term.word.is(is::NUMBER | is::SIGN) {
                contents.push(Content {
                    meaning,
                    circle: term.word.circle,
                    traits: term.word.traits,
                    role,
                    bound: at > 0 && contents.last().is_some_and(|last| last.at + 1 == at),
                    asked: false,
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

/// Marks the words that stand in the clause that asks.
fn mark_asked(contents: &mut [Content], terms: &[Term]) {
    let Some((from, to)) = asking_clause(terms) else {
        return;
    };
    for content in contents {
        let is_it = |term: &Term| !term.dropped && term.word.meaning == content.meaning;
        content.asked = if content.traits & (is::NUMBER | is::SIGN) == 0 {
            terms[from..to].iter().any(is_it)
        } else {
            (from..to).contains(&content.at)
        };
    }
}

/// Adds what two words of grammar say beside it: "or", where nothing is compared, and "than" in front of a number.
fn name_joints(contents: &mut Vec<Content>, terms: &[Term]) {
    let any = |(_, term): &(usize, &Term)| term.word.meaning == LEXICON.any();
    let compares = contents
        .iter()
        .any(|content| LEXICON.is_symmetric(content.meaning));
    let bounds = |content: &&Content| content.role == THAN && content.traits & is::NUMBER != 0;
    let than = contents.iter().find(bounds);
    let mut joints: Vec<(usize, u32)> = than
        .map(|number| (number.at, LEXICON.than()))
        .into_iter()
        .collect();
    if !compares {
        let each = (0..).zip(terms).filter(any).zip(0..);
        joints.extend(each.map(|((at, any), nth)| (at, any.word.meaning.rotate_left(5 * nth))));
    }
    // Behind all words, so that they do not come between those that exchange their places.
    contents.extend(joints.into_iter().map(|(at, meaning)| Content {
        meaning,
        circle: meaning,
        traits: is::NEGATION,
        role: 0,
        bound: false,
        asked: false,
        at,
    }));
}

/// Brings a clause such as "before A, B" to the end, where it stands in "B before A".
fn put_time_last(reading: &mut Reading, terms: &[Term]) {
    let contents = &reading.contents;
    let Some(first) = contents.first() else {
        return;
    };
    let opens = first.traits & is::WEIGHTY != 0 && LEXICON.relates(kept(first.meaning));
    let pause = (first.at..terms.len()).find(|&at| terms[at].kind == Kind::Pause);
    let Some(pause) = pause.filter(|_| opens) else {
        return;
    };
    let length = contents
        .iter()
        .take_while(|content| content.at < pause)
        .count();
    if length == contents.len() || contents.len() > 63 {
        return;
    }
    let order: Vec<usize> = (length..contents.len()).chain(0..length).collect();
    reading.reorder(&order);
    let behind = reading.contents.len() - length;
    reading.contents[behind].bound = false;
}

/// Brings a passive into the order of its active: who acts, what is done, to whom.
fn act_first(reading: &mut Reading) {
    let contents = &reading.contents;
    let Some(by) = contents.iter().position(|c| c.role == BY) else {
        return;
    };
    let end = by + contents[by..].iter().take_while(|c| c.role == BY).count();
    // "By three goals" names nobody who acts.
    let amount = contents[by].traits & is::NUMBER != 0;
    if by < 2 || amount || reading.contents.len() > 63 {
        return;
    }
    // [done-to.. verb][actor..] becomes [actor..][verb][done-to..].
    let mut order: Vec<usize> = (by..end).collect();
    order.push(by - 1);
    order.extend(0..by - 1);
    order.extend(end..contents.len());
    reading.reorder(&order);
    // The verb and what it is done to have new neighbours.
    let verb = end - by;
    for at in [0, verb, verb + 1] {
        if let Some(content) = reading.contents.get_mut(at) {
            content.bound = false;
        }
    }
}
