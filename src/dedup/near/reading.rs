//! Reads a short text: which of its words carry meaning, in which roles, and which parts could be left out.

use super::lexer::{Kind, Lexemes};
use super::lexicon::{BY, LEXICON, OF, WHETHER, Word, own_meaning, shorten, trait_of as is};

/// A word that carries meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) meaning: u32,
    pub(super) traits: u32,
    /// The preposition it stands under, from 1; 0 for none.
    pub(super) role: u8,
    /// Whether it follows the one before it directly.
    pub(super) bound: bool,
    /// Where it stands among all terms.
    at: usize,
}

/// What a short text says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Its words of meaning in the order of the text, the one who acts in front.
    pub(super) contents: Vec<Content>,
    /// The question word that narrows what is asked, or 0.
    pub(super) question: u32,
    /// Pictographs, which may stand for meaning or for mood.
    pub(super) emoji: u32,
    /// For each part that could be left out, the words of meaning that are left, as bits over `contents`.
    pub(super) cores: Vec<u64>,
}

/// A word or a break.
#[derive(Debug, Clone, Copy)]
struct Term {
    kind: Kind,
    word: Word,
    /// Is read over: grammar, politeness, a frame around what is asked.
    dropped: bool,
}

/// At most so many shortened forms are remembered for a text: enough for a clause at either end and one in
/// parentheses, and a bound on memory.
const MOST_CORES: usize = 4;

impl Reading {
    /// Reads a text that was cut into pieces.
    pub(super) fn of(text: &Lexemes) -> Self {
        let mut emoji = 0;
        let english = is_english(text);
        let mut terms = terms(text, english, &mut emoji);
        if english {
            drop_frames(&mut terms);
        } else {
            for term in &mut terms {
                term.dropped = term.kind.is_break() || term.word.is(is::TAIL);
            }
            if terms.iter().all(|term| term.dropped) {
                terms
                    .iter_mut()
                    .for_each(|term| term.dropped = term.kind.is_break());
            }
        }
        let mut reading = Self {
            question: if english { question(&terms) } else { 0 },
            contents: contents(&terms),
            emoji,
            cores: Vec::new(),
        };
        // Nothing but frame and grammar, as in "what is an idea?": then these words are what there is.
        for kept in [is::FUNCTION | is::ASKS, 0] {
            if reading.contents.is_empty() {
                for term in &mut terms {
                    term.dropped = term.kind.is_break() || term.word.is(kept);
                }
                reading.contents = contents(&terms);
            }
        }
        if reading.contents.is_empty() && emoji != 0 {
            reading.contents.push(Content {
                meaning: emoji,
                traits: 0,
                role: 0,
                bound: false,
                at: 0,
            });
        }
        let question = reading.question;
        for content in &mut reading.contents {
            content.meaning = LEXICON.under_question(content.meaning, question);
        }
        if english {
            reading.cores = cores(&terms, &reading.contents);
            act_first(&mut reading);
        }
        reading
    }
}

/// Returns whether a text has a word that English alone has.
fn is_english(text: &Lexemes) -> bool {
    let mut known = text
        .pieces
        .iter()
        .filter_map(|piece| LEXICON.known(piece.hash));
    known.any(|word| word.is(is::ENGLISH))
}

/// Looks up words and phrases.
fn terms(text: &Lexemes, english: bool, emoji: &mut u32) -> Vec<Term> {
    let lexicon = &*LEXICON;
    let pieces = &text.pieces[label(text)..];
    let mut terms: Vec<Term> = Vec::with_capacity(pieces.len() + 2);
    let mut buffer = String::new();
    let mut sentence_start = true;
    let mut at = 0;
    while at < pieces.len() {
        let piece = pieces[at];
        if piece.kind.is_break() {
            sentence_start = matches!(piece.kind, Kind::Stop | Kind::Ask | Kind::Colon);
            terms.push(Term::of(piece.kind, Word::default()));
            at += 1;
            continue;
        }
        let mut phrase = None;
        if matches!(piece.kind, Kind::Word | Kind::Glyph) {
            let longest = lexicon.longest_phrase(piece.hash).min(pieces.len() - at);
            phrase = (1..=longest).rev().find_map(|length| {
                let words = &pieces[at..at + length];
                let whole = words.iter().all(|word| word.kind == piece.kind);
                let found = whole.then(|| lexicon.phrase(words.iter().map(|word| word.hash)));
                found.flatten().map(|stands_for| (length, stands_for))
            });
        }
        if let Some((length, stands_for)) = phrase {
            terms.extend(stands_for.iter().map(|word| Term::of(Kind::Word, *word)));
            at += length;
            continue;
        }
        let folded = text.folded(&piece);
        let after_number = terms.last().is_some_and(|term| term.kind == Kind::Number);
        let mut word = match piece.kind {
            Kind::Word if after_number && lexicon.unit(piece.hash).is_some() => {
                Word::meaning(lexicon.unit(piece.hash).unwrap_or_default())
            }
            Kind::Word if english => {
                let owner = folded
                    .strip_suffix("'s")
                    .or_else(|| folded.strip_suffix('\''));
                let owned = owner.unwrap_or(folded);
                let hash = if owner.is_some() {
                    super::lexer::hash(owned)
                } else {
                    piece.hash
                };
                let mut word = lexicon.word(hash, owned, &mut buffer);
                if owner.is_some() {
                    // "France's capital" is the capital of France.
                    word.role = OF;
                }
                word
            }
            Kind::Word => lexicon
                .known(piece.hash)
                .filter(|word| word.is(is::NUMBER))
                .unwrap_or_else(|| Word::meaning(shorten(piece.hash))),
            Kind::Number => Word::with(shorten(piece.hash), is::NUMBER),
            Kind::Sign => match lexicon.unit(piece.hash) {
                Some(unit) => Word::with(unit, is::SIGN),
                None => Word::with(shorten(piece.hash), is::SIGN),
            },
            Kind::Emoji => {
                *emoji = emoji.rotate_left(5).wrapping_mul(31) ^ shorten(piece.hash);
                at += 1;
                continue;
            }
            _ => Word::with(
                shorten(piece.hash),
                lexicon.known(piece.hash).map_or(0, |w| w.traits & is::TAIL),
            ),
        };
        if piece.kind == Kind::Word && folded.len() > 5 && folded.ends_with("ing") {
            word.traits |= is::PARTICIPLE;
        }
        let weighs = word.is(is::NO_ADVERB | is::WEIGHTY | is::NEGATION);
        if piece.kind == Kind::Word && folded.len() > 5 && folded.ends_with("ly") && !weighs {
            word.traits |= is::ADVERB;
        }
        if piece.capital && !sentence_start {
            word.traits |= is::CAPITAL;
        }
        sentence_start = false;
        terms.push(Term::of(piece.kind, word));
        at += 1;
    }
    join_glyphs(&mut terms);
    terms
}

/// Returns how many pieces in front only number or announce the text: `3.`, `Q:`, `Question 12:`, `(b)`.
fn label(text: &Lexemes) -> usize {
    let pieces = &text.pieces;
    let kind = |at: usize| pieces.get(at).map(|piece| piece.kind);
    let mut at = 0;
    while kind(at).is_some_and(Kind::is_break) {
        at += 1;
    }
    let start = at;
    while at < start + 2
        && pieces.get(at).is_some_and(|p| {
            p.kind == Kind::Word
                && (LEXICON.known(p.hash).is_some_and(|w| w.is(is::LABEL))
                    || numbered(text.folded(p)))
        })
    {
        at += 1;
    }
    let named = at > start;
    if kind(at) == Some(Kind::Number) {
        at += 1;
    }
    let numbered = at > start;
    match kind(at) {
        Some(Kind::Colon | Kind::Close) if numbered => at + 1,
        // A number and a full stop count as a label only if a text follows.
        Some(Kind::Stop) if numbered && at + 1 < pieces.len() && (!named || at == start + 2) => {
            at + 1
        }
        _ => 0,
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

/// Marks grammar, and the words that frame a question without saying what it is about.
fn drop_frames(terms: &mut [Term]) {
    for term in &mut *terms {
        term.dropped = term.kind.is_break() || term.word.is(is::FUNCTION | is::ASKS);
    }
    let mut start = 0;
    while start < terms.len() {
        let end = terms[start..]
            .iter()
            .position(|term| term.kind.is_break())
            .map_or(terms.len(), |length| start + length);
        drop_frame(&mut terms[start..end]);
        start = end + 1;
    }
}

/// Marks the frame of one stretch between breaks.
fn drop_frame(stretch: &mut [Term]) {
    let mut from = 0;
    let mut asked = false;
    while from < stretch.len() {
        let term = stretch[from];
        let before_of = stretch
            .get(from + 1)
            .is_some_and(|next| next.word.role == OF && next.dropped);
        // "How do I name a variable" is about naming.
        let frame = !asked && (term.word.is(is::LEAD) || term.word.is(is::LEAD_OF) && before_of);
        if !term.dropped && !frame {
            break;
        }
        asked |= term.word.is(is::ASKS);
        from += 1;
    }
    let does = stretch[..from]
        .iter()
        .any(|term| is_does(term.word.meaning));
    let mut to = stretch.len();
    while to > from && (stretch[to - 1].dropped || stretch[to - 1].word.is(is::TAIL)) {
        to -= 1;
    }
    let mut before = 0;
    for at in 0..stretch.len() {
        let next = stretch.get(at + 1).copied();
        let term = &mut stretch[at];
        if at < from || at >= to {
            term.dropped = true;
        } else if !term.dropped {
            let enough = match next {
                Some(next) => {
                    before > 0 && next.dropped && (next.word.role != 0 || next.word.is(is::STRONG))
                }
                None => before > 1,
            };
            let ranks =
                term.word.is(is::RANK) && next.is_some_and(|next| next.word.is(is::GENERAL));
            // "What does bias mean in statistics".
            let means = does && term.word.is(is::TAIL) && enough;
            if ranks || means || term.word.is(is::TAIL_OF_TWO) && enough {
                term.dropped = true;
            } else {
                before += 1;
            }
        }
    }
}

/// Returns the question word that narrows what is asked: the first one in front of what it asks about, unless it
/// opens a clause. Without one, a verb in front asks for a yes or a no.
fn question(terms: &[Term]) -> u32 {
    let mut ahead = true;
    let mut what = false;
    let mut opened = 0;
    let mut whether = false;
    for (at, term) in terms.iter().enumerate() {
        if term.kind.is_break() {
            ahead = true;
            if matches!(term.kind, Kind::Stop | Kind::Ask) && (what || whether) {
                break;
            }
        } else if term.word.is(is::ASKS) {
            let last = terms.get(at + 1).is_none_or(|next| next.kind.is_break());
            if what || !ahead && !last {
                continue;
            }
            // "When water freezes, what happens": the second one asks.
            let clause =
                term.word.is(is::STRONG) && terms[at..].iter().any(|term| term.kind == Kind::Pause);
            if !clause {
                return term.word.meaning;
            }
            opened = term.word.meaning;
        } else if is_what(term.word.meaning) {
            what |= ahead;
            opened = 0;
        } else if ahead && !what && !whether && opened == 0 && term.word.is(is::YES_NO) {
            whether = terms[..at]
                .iter()
                .rev()
                .take_while(|t| !t.kind.is_break())
                .all(|t| !t.word.is(is::LEAD | is::FUNCTION));
        } else if !term.dropped {
            ahead = false;
        }
    }
    if opened != 0 {
        opened
    } else if whether && !what {
        WHETHER
    } else {
        0
    }
}

fn is_does(meaning: u32) -> bool {
    use std::sync::LazyLock;
    static DOES: LazyLock<[u32; 3]> = LazyLock::new(|| ["do", "does", "did"].map(own_meaning));
    DOES.contains(&meaning)
}

fn is_what(meaning: u32) -> bool {
    use std::sync::LazyLock;
    static WHAT: LazyLock<[u32; 2]> = LazyLock::new(|| ["what", "which"].map(own_meaning));
    WHAT.contains(&meaning)
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
                    traits: term.word.traits,
                    role,
                    bound: at > 0 && contents.last().is_some_and(|last| last.at + 1 == at),
                    at,
                });
            }
        } else if term.kind.is_break() || term.word.role != 0 {
            role = term.word.role;
        } else if !is_article(term.word.meaning) {
            role = 0;
        }
    }
    contents
}

/// Returns whether a word leaves the reach of a preposition open: "from the city and the village".
fn is_article(meaning: u32) -> bool {
    use std::sync::LazyLock;
    static OPEN: LazyLock<[u32; 12]> = LazyLock::new(|| {
        [
            "a", "an", "the", "and", "or", "this", "that", "these", "its", "their", "your", "given",
        ]
        .map(own_meaning)
    });
    OPEN.contains(&meaning)
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
    for core in &mut reading.cores {
        let old = *core;
        *core = (0..)
            .zip(&order)
            .fold(0, |bits, (new, &at)| bits | (old >> at & 1) << new);
    }
}

/// Finds the parts that could be left out, and returns for each what would be left.
fn cores(terms: &[Term], contents: &[Content]) -> Vec<u64> {
    // Longer texts forgive a clause by the shares of their words that agree.
    if contents.len() > 63 || contents.len() < 2 {
        return Vec::new();
    }
    let sentences = sentences(terms);
    let mut cores = Cores {
        terms,
        contents,
        left: Vec::new(),
    };
    let asks = |stop: usize| terms.get(stop).is_some_and(|term| term.kind == Kind::Ask);
    let mut asking = sentences.iter().filter(|(_, stop)| asks(*stop));
    if let (Some(&(from, to)), None) = (asking.next(), asking.next()) {
        // One sentence asks: the others are talk around it.
        let around = [(0, from), (to, terms.len())];
        if sentences.len() > 1 {
            cores.leave_out(&around, 1);
        }
        clauses(terms, from, to, &around, &mut cores);
    } else {
        if let [(_, first), .., (last, _)] = sentences[..] {
            cores.leave_out(&[(last, terms.len())], 1);
            cores.leave_out(&[(0, first)], 1);
        }
        for &(from, to) in &sentences {
            clauses(terms, from, to, &[], &mut cores);
        }
    }
    cores.left
}

/// The shortened forms found so far.
struct Cores<'a> {
    terms: &'a [Term],
    contents: &'a [Content],
    left: Vec<u64>,
}

impl Cores<'_> {
    /// Leaves out some ranges of terms if they hold nothing that weighs and leave at least so many words.
    fn leave_out(&mut self, ranges: &[(usize, usize)], least: u32) {
        let range_of = |c: &Content| {
            ranges
                .iter()
                .find(|&&(from, to)| (from..to).contains(&c.at))
        };
        let weighs =
            |c: &Content| c.traits & (is::NUMBER | is::NEGATION | is::SIGN | is::CAPITAL) != 0;
        let about_answer = |from: usize, to: usize| {
            self.terms[from..to]
                .iter()
                .any(|term| term.word.is(is::ANSWER))
        };
        let plain = self.contents.iter().all(|c| match range_of(c) {
            Some(&(from, to)) => !weighs(c) || about_answer(from, to),
            None => true,
        });
        let left = (0..).zip(self.contents).fold(0, |bits, (at, c)| {
            bits | u64::from(range_of(c).is_none()) << at
        });
        let all = u64::MAX >> (64 - self.contents.len());
        let new = left != all && !self.left.contains(&left) && self.left.len() < MOST_CORES;
        if plain && new && left.count_ones() >= least {
            self.left.push(left);
        }
    }
}

/// Returns where sentences with words of meaning start and stop.
fn sentences(terms: &[Term]) -> Vec<(usize, usize)> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for stop in breaks(terms, 0, terms.len(), |kind| {
        matches!(kind, Kind::Stop | Kind::Ask)
    })
    .into_iter()
    .chain([terms.len()])
    {
        if terms[start..stop].iter().any(|term| !term.dropped) {
            sentences.push((start, stop));
        }
        start = stop + 1;
    }
    sentences
}

/// Finds the parts of one sentence that could be left out, together with what is around it.
fn clauses(
    terms: &[Term],
    from: usize,
    to: usize,
    around: &[(usize, usize)],
    cores: &mut Cores<'_>,
) {
    let mut leave_out = |ranges: &[(usize, usize)], least: u32| {
        let whole: Vec<(usize, usize)> = ranges.iter().chain(around).copied().collect();
        cores.leave_out(&whole, least);
    };
    let opens = |at: usize| {
        terms.get(at).is_some_and(|term| {
            term.dropped && !term.kind.is_break()
                || term
                    .word
                    .is(is::STRONG | is::WEAK | is::LEAD | is::PARTICIPLE)
        })
    };
    let pauses = breaks(terms, from, to, |kind| {
        matches!(kind, Kind::Pause | Kind::Colon)
    });
    let head = pauses.first().map(|&first| (from, first));
    // What follows a pause is left out only if it opens like a clause: a bare word is the next of a list.
    let tail = pauses
        .last()
        .filter(|&&last| opens(last + 1) && !joins_one(terms, last + 1, to))
        .map(|&last| (last, to));
    if let Some(head) = head {
        leave_out(&[head], 1);
    }
    if let Some(tail) = tail {
        leave_out(&[tail], 1);
    }
    if let (Some(head), Some(tail), true) = (head, tail, pauses.len() > 1) {
        leave_out(&[head, tail], 1);
    }
    for pair in pauses.windows(2) {
        if opens(pair[0] + 1) && pair[1] - pair[0] > 2 && !joins_one(terms, pair[0] + 1, pair[1]) {
            leave_out(&[(pair[0], pair[1])], 1);
        }
    }
    if let Some(open) = (from..to).find(|&at| terms[at].kind == Kind::Open) {
        let close = (open..to)
            .find(|&at| terms[at].kind == Kind::Close)
            .unwrap_or(to);
        leave_out(&[(open, close)], 1);
    }
    // The last clause first: what an addition leaves is most likely what was there before.
    let strong = |at: &usize| terms[*at].word.is(is::STRONG);
    let last = (from + 2..to).rev().find(strong);
    let first = (from + 2..to).find(strong);
    for at in last.into_iter().chain(first) {
        leave_out(&[(at, to)], 1);
    }
    let mut weak = (from + 1..to)
        .rev()
        .filter(|&at| terms[at].word.is(is::WEAK));
    // The sentence must say enough without its tail: "what is a pointer in C" does not.
    for _ in 0..2 {
        if let Some(at) = weak.next() {
            leave_out(&[(at, to)], 2);
        }
    }
}

/// Returns whether a stretch is the last of a list: "and" or "or" with a word or two.
fn joins_one(terms: &[Term], from: usize, to: usize) -> bool {
    use std::sync::LazyLock;
    static JOINING: LazyLock<[u32; 2]> = LazyLock::new(|| ["and", "or"].map(own_meaning));
    terms
        .get(from)
        .is_some_and(|term| JOINING.contains(&term.word.meaning))
        && !terms[from..to]
            .iter()
            .any(|term| term.word.is(is::ASKS) || term.word.meaning == own_meaning("what"))
}

fn breaks(terms: &[Term], from: usize, to: usize, wanted: impl Fn(Kind) -> bool) -> Vec<usize> {
    (from..to).filter(|&at| wanted(terms[at].kind)).collect()
}

impl Term {
    fn of(kind: Kind, word: Word) -> Self {
        Self {
            kind,
            word,
            dropped: false,
        }
    }
}
