//! Tells what a question is about from the words that only ask it.

use super::lexer::Kind;
use super::lexicon::{LEXICON, OF, WHETHER, trait_of as is};
use super::terms::Term;

/// Marks grammar, and the words that frame a question without saying what it is about.
pub(super) fn drop_frames(terms: &mut [Term]) {
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
    name_doing(stretch);
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
    let does = stretch[..from].iter().any(|term| term.word.is(is::DOES));
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

/// Takes the second "do" of "what does the liver do" for a word of meaning.
fn name_doing(stretch: &mut [Term]) {
    let mut before = stretch.iter();
    let what = before.any(|term| term.word.is(is::WHAT));
    if what && before.any(|term| term.word.is(is::DOES)) {
        let at = stretch.len() - before.len();
        if let Some(second) = stretch[at..].iter_mut().find(|term| term.word.is(is::DOES)) {
            second.word.meaning = LEXICON.role();
            second.dropped = false;
        }
    }
}

/// Returns the question word that narrows what is asked: the first one in front of what it asks about, unless it
/// opens a clause. Without one, a verb in front asks for a yes or a no.
pub(super) fn question(terms: &[Term]) -> u32 {
    let mut ahead = true;
    let mut what = false;
    let mut opened = 0;
    let mut whether = false;
    for (at, term) in terms.iter().enumerate() {
        if term.kind.is_break() {
            ahead = true;
            opened = 0;
            if matches!(term.kind, Kind::Stop | Kind::Ask) && (what || whether) {
                break;
            }
        } else if term.word.is(is::ASKS) {
            let last = terms.get(at + 1).is_none_or(|next| next.kind.is_break());
            if !ahead && (what || !last) {
                continue;
            }
            // "When water freezes, what happens": the second one asks.
            let asks = terms
                .get(at + 1)
                .is_some_and(|next| next.word.is(is::YES_NO));
            let clause = term.word.is(is::STRONG)
                && !asks
                && terms[at..].iter().any(|term| term.kind == Kind::Pause);
            if !clause {
                return term.word.meaning;
            }
            opened = term.word.meaning;
        } else if term.word.is(is::WHAT) {
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
