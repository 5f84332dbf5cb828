//! Finds the clause of a text that asks, beside others that only tell.

use super::lexer::Kind;
use super::lexicon::trait_of as is;
use super::terms::Term;

/// Returns from where to where the only clause reaches that asks, if there are others with words of meaning.
pub(super) fn asking_clause(terms: &[Term]) -> Option<(usize, usize)> {
    let ends = |at: usize| {
        terms.get(at).is_none_or(|term| {
            matches!(
                term.kind,
                Kind::Stop | Kind::Ask | Kind::Pause | Kind::Colon
            ) || term.word.is(is::STRONG) && !asks_at(terms, at)
        })
    };
    let mut inner = 1..terms.len().saturating_sub(1);
    if !inner.any(ends) {
        return None;
    }
    let mut clauses = Vec::new();
    let mut from = 0;
    while from < terms.len() {
        let to = (from + 1..terms.len())
            .find(|&at| ends(at))
            .unwrap_or(terms.len());
        if terms[from..to].iter().any(|term| !term.dropped) {
            clauses.push((from, to));
        }
        from = to;
    }
    if clauses.len() < 2 {
        return None;
    }
    let only = |chosen: &dyn Fn(usize, usize) -> bool| {
        let mut asking = clauses.iter().filter(|(from, to)| chosen(*from, *to));
        asking.next().filter(|_| asking.next().is_none()).copied()
    };
    let closes = |term: &&Term| matches!(term.kind, Kind::Stop | Kind::Ask);
    let marked = |to: usize| {
        terms[to..]
            .iter()
            .find(closes)
            .is_some_and(|end| end.kind == Kind::Ask)
    };
    let asks = |from, to| asks(terms, from, to);
    // "How many are there?" is known as a phrase and has no question word left.
    let opens = |from: usize| !terms[from].word.is(is::STRONG);
    only(&|from, to| marked(to) && asks(from, to))
        .or_else(|| only(&|from, to| marked(to) && opens(from)))
        .or_else(|| only(&asks))
}

/// Returns whether a clause asks: with a question word, or with a verb or a command in front.
fn asks(terms: &[Term], from: usize, to: usize) -> bool {
    let clause = &terms[from..to];
    let first = clause.iter().find(|term| !term.kind.is_break());
    first.is_some_and(|first| first.word.is(is::YES_NO | is::COMMAND))
        || (from..to).any(|at| terms[at].word.is(is::WHAT) || asks_at(terms, at))
}

/// Returns whether a question word asks here, and does not open a clause: "when did it start", but not "when it starts".
fn asks_at(terms: &[Term], at: usize) -> bool {
    let next = terms.get(at + 1);
    terms[at].word.is(is::ASKS)
        && (!terms[at].word.is(is::STRONG) || next.is_some_and(|next| next.word.is(is::YES_NO)))
}
