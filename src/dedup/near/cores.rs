//! Finds the parts of a short text that could be left out while the question stays the same.

use super::lexer::Kind;
use super::lexicon::{LEXICON, ON, THAN, trait_of as is};
use super::order::kept;
use super::reading::Content;
use super::terms::Term;

/// At most so many shortened forms are remembered for a text: enough for a clause at either end and one in
/// parentheses, and a bound on memory.
const MOST: usize = 5;

/// The shortened forms of a text: for each, the words of meaning that are left, as bits over its contents.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Cores {
    left: [u64; MOST],
    count: usize,
}

impl Cores {
    /// Finds the shortened forms of a text. Of one in an unknown language only whole sentences are left out.
    pub(super) fn of(terms: &[Term], contents: &[Content], english: bool) -> Self {
        // Longer texts forgive a clause by the shares of their words that agree.
        if contents.len() > 63 || contents.len() < 2 {
            return Self::default();
        }
        let relates = contents.iter().any(|c| u32::from(c.role) == ON)
            && contents.iter().any(|c| LEXICON.relates(kept(c.meaning)));
        let capital = if english { is::CAPITAL } else { 0 };
        let weighs = |c: &Content| {
            c.traits & capital != 0 || c.traits & (is::NUMBER | is::NEGATION | is::SIGN | is::UNIT) != 0
                // What something is compared with, or has an effect on.
                || c.role == THAN
                || relates && u32::from(c.role) == ON
        };
        let mut finder = Finder {
            terms,
            contents,
            weighs: bits(contents, weighs),
            cores: Self::default(),
        };
        if english {
            finder.sentences();
        } else {
            finder.talk();
        }
        finder.cores
    }

    /// Returns how many forms were found.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the forms found.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.left[..self.count].iter().copied()
    }

    /// Brings the bits into another order of the contents.
    pub(super) fn reorder(&mut self, order: &[usize]) {
        for left in &mut self.left {
            let old = *left;
            *left = (0..)
                .zip(order)
                .fold(0, |bits, (new, &at)| bits | (old >> at & 1) << new);
        }
    }
}

fn bits(contents: &[Content], chosen: impl Fn(&Content) -> bool) -> u64 {
    (0..).zip(contents).fold(0, |bits, (at, content)| {
        bits | u64::from(chosen(content)) << at
    })
}

/// A part that may go: words of meaning as bits, those that weigh and still may go with it among them.
#[derive(Clone, Copy, Default)]
struct Part {
    words: u64,
    forgiven: u64,
}

impl Part {
    fn and(self, other: Self) -> Self {
        Self {
            words: self.words | other.words,
            forgiven: self.forgiven | other.forgiven,
        }
    }
}

struct Finder<'a> {
    terms: &'a [Term],
    contents: &'a [Content],
    weighs: u64,
    cores: Cores,
}

impl Finder<'_> {
    /// Finds the only sentence that ends with a question mark, and the text without its first and its last sentence.
    fn talk(&mut self) {
        let end = self.terms.len();
        if let Some((start, stop)) = self.asking() {
            return self.leave_out(self.part(0, start).and(self.part(stop, end)), 1);
        }
        let ends = |term: &Term| matches!(term.kind, Kind::Stop | Kind::Ask | Kind::Colon);
        let first = self.terms.iter().position(ends).unwrap_or(end);
        let (head, tail) = (self.part(0, first), self.part(self.last(), end));
        for part in [tail, head, head.and(tail)] {
            self.leave_out(part, 1);
        }
    }

    fn sentences(&mut self) {
        let end = self.terms.len();
        let stop_after = |from: usize| {
            (from..end)
                .find(|&at| matches!(self.terms[at].kind, Kind::Stop | Kind::Ask))
                .unwrap_or(end)
        };
        let first = stop_after(0);
        if self.part(first, end).words == 0 {
            return self.clauses(0, first, Part::default());
        }
        if let Some((start, stop)) = self.asking() {
            // One sentence asks: the others are talk around it.
            let around = self.part(0, start).and(self.part(stop, end));
            if self.weighs(around) {
                // What the others tell belongs to the question, but for a greeting and a closing word.
                let (head, tail) = (self.part(0, first.min(start)), self.part(self.last(), end));
                let tail = if self.last() >= stop {
                    tail
                } else {
                    Part::default()
                };
                self.leave_out(head.and(tail), 1);
                self.leave_out(tail, 1);
                self.leave_out(head, 1);
            }
            self.leave_out(around, 1);
            self.clauses(start, stop, around);
            return;
        }
        self.leave_out(self.part(self.last(), end), 1);
        self.leave_out(self.part(0, first), 1);
        let mut start = 0;
        while start < end {
            let stop = (start..end)
                .find(|&at| matches!(self.terms[at].kind, Kind::Stop | Kind::Ask))
                .unwrap_or(end);
            self.clauses(start, stop, Part::default());
            start = stop + 1;
        }
    }

    /// Returns where the last sentence with words of meaning starts: behind the last stop but one.
    fn last(&self) -> usize {
        let closing = self.terms.iter().rposition(|term| !term.dropped);
        (0..closing.unwrap_or(0))
            .rev()
            .find(|&at| matches!(self.terms[at].kind, Kind::Stop | Kind::Ask))
            .unwrap_or(0)
    }

    /// Returns where the only sentence lies that asks: with a question mark or, if there is none, as a command that is
    /// not about the answer.
    fn asking(&self) -> Option<(usize, usize)> {
        let end = self.terms.len();
        let closes = |at: &usize| matches!(self.terms[*at].kind, Kind::Stop | Kind::Ask);
        let sentence = |stop: usize| {
            let start = (0..stop).rev().find(closes).map_or(0, |at| at + 1);
            (start, stop)
        };
        let mut asks = (0..end).filter(|&at| self.terms[at].kind == Kind::Ask);
        match (asks.next(), asks.next()) {
            (Some(stop), None) => return Some(sentence(stop)),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        let mut commands = (0..=end)
            .filter(|&at| at == end || closes(&at))
            .map(sentence)
            .filter(|&(start, stop)| self.commands(start, stop));
        match (commands.next(), commands.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Returns whether a stretch tells somebody to do something that is not about the answer.
    fn commands(&self, from: usize, to: usize) -> bool {
        let mut words = self.terms[from..to].iter();
        let about_answer = words.clone().any(|term| term.word.is(is::ANSWER));
        words
            .find(|term| !term.word.is(is::FUNCTION) && !term.kind.is_break())
            .is_some_and(|first| first.word.is(is::COMMAND) && !about_answer)
    }

    /// Finds the parts of one sentence, each together with what is around it.
    fn clauses(&mut self, from: usize, to: usize, around: Part) {
        let terms = self.terms;
        let mut pauses = [0; 8];
        let mut count = 0;
        for at in (from..to).filter(|&at| matches!(terms[at].kind, Kind::Pause | Kind::Colon)) {
            // Of a long list the first and the last matter.
            count = (count + 1).min(pauses.len());
            pauses[count - 1] = at;
        }
        let pauses = &pauses[..count];
        let head = pauses
            .first()
            .map(|&first| self.part(from, first).and(around));
        // What follows a pause is left out only if it opens like a clause: a bare word is the next of a list.
        let tail = pauses
            .last()
            .filter(|&&last| self.opens(last + 1, to))
            .map(|&last| self.part(last, to).and(around));
        for part in head.into_iter().chain(tail) {
            self.leave_out(part, 1);
        }
        if let (Some(head), Some(tail), true) = (head, tail, pauses.len() > 1) {
            self.leave_out(head.and(tail), 1);
        }
        for pair in pauses.windows(2) {
            if pair[1] - pair[0] > 2 && self.opens(pair[0] + 1, pair[1]) {
                self.leave_out(self.part(pair[0], pair[1]).and(around), 1);
            }
        }
        if let Some(open) = (from..to).find(|&at| terms[at].kind == Kind::Open) {
            let close = (open..to)
                .find(|&at| terms[at].kind == Kind::Close)
                .unwrap_or(to);
            self.leave_out(self.part(open, close).and(around), 1);
        }
        // The last clause first: what an addition leaves is most likely what was there before.
        let strong = |at: &usize| terms[*at].word.is(is::STRONG);
        let last = (from + 2..to).rev().find(strong);
        let first = (from + 2..to).find(strong);
        // "What is bias and why does it matter" asks the first question, too.
        let asks = |at: usize| {
            terms
                .get(at)
                .is_some_and(|term| term.word.is(is::ASKS | is::WHAT))
        };
        self.leave_out(self.kind_of_answer(from, to).and(around), 2);
        let light = bits(self.contents, |content| {
            (from..to).contains(&content.at) && content.traits & is::LIGHT != 0
        });
        let light = Part {
            words: light,
            forgiven: 0,
        };
        self.leave_out(light.and(around), 2);
        // "From your experience", "to my knowledge".
        let of_speaker = |at: &usize| {
            terms[*at].word.role != 0
                && terms
                    .get(at + 1)
                    .is_some_and(|next| next.word.is(is::SPEAKER))
        };
        if let Some(at) = (from + 1..to).find(of_speaker) {
            self.leave_out(self.part(at, to).and(around), 1);
        }
        let second = (from + 2..to).find(|&at| terms[at].word.is(is::JOINS) && asks(at + 1));
        for at in [last, first, second].into_iter().flatten() {
            self.leave_out(self.part(at, to).and(around), 1);
        }
        let adverb = (from..to).find(|&at| terms[at].word.is(is::ADVERB) && !terms[at].dropped);
        if let Some(at) = adverb {
            self.leave_out(self.part(at, at + 1).and(around), 1);
        }
        // The sentence must say enough without its tail: "what is a pointer in C" does not.
        for at in (from + 1..to)
            .rev()
            .filter(|&at| terms[at].word.is(is::WEAK))
            .take(2)
        {
            self.leave_out(self.part(at, to).and(around), 2);
        }
    }

    /// Returns what only names the kind of answer: the city in "which city is the capital of Peru".
    fn kind_of_answer(&self, from: usize, to: usize) -> Part {
        let terms = &self.terms[from..to];
        let what = terms.iter().position(|term| term.word.is(is::WHAT));
        let is_word = |at: usize| {
            terms
                .get(at)
                .is_some_and(|term| term.word.is(is::YES_NO) && !term.word.is(is::DOES))
        };
        match what {
            Some(what) if is_word(what + 2) => self.part(from + what + 1, from + what + 2),
            _ => Part::default(),
        }
    }

    /// Returns whether a stretch opens like a clause and is not the last of a list: "and" with a word or two.
    fn opens(&self, from: usize, to: usize) -> bool {
        let Some(first) = self.terms.get(from) else {
            return false;
        };
        let grammar = first.dropped && !first.kind.is_break();
        let joins = first.word.is(is::JOINS)
            && !self.terms[from..to]
                .iter()
                .any(|term| term.word.is(is::ASKS | is::WHAT));
        !joins
            && (grammar
                || first
                    .word
                    .is(is::STRONG | is::WEAK | is::LEAD | is::PARTICIPLE))
    }

    fn weighs(&self, part: Part) -> bool {
        part.words & self.weighs & !part.forgiven != 0
    }

    fn part(&self, from: usize, to: usize) -> Part {
        let terms = &self.terms[from..to];
        let words = bits(self.contents, |content| (from..to).contains(&content.at));
        // Numbers in "write two sentences" say nothing about the question.
        if terms.iter().any(|term| term.word.is(is::ANSWER)) {
            return Part {
                words,
                forgiven: words & self.weighs,
            };
        }
        // What something is compared with cannot go.
        let is_than = |term: &Term| term.word.meaning == LEXICON.than();
        let before = from.checked_sub(1).map(|at| &self.terms[at]);
        if terms.iter().chain(before).any(is_than) {
            return Part::default();
        }
        Part { words, forgiven: 0 }
    }

    /// Remembers the form without a part, if nothing in the part weighs and at least so many words are left.
    fn leave_out(&mut self, part: Part, least: u32) {
        let left = (u64::MAX >> (64 - self.contents.len())) & !part.words;
        let known = &self.cores.left[..self.cores.count];
        if part.words != 0
            && !self.weighs(part)
            && left.count_ones() >= least
            && !known.contains(&left)
            && known.len() < MOST
        {
            self.cores.left[self.cores.count] = left;
            self.cores.count += 1;
        }
    }
}
