//! Compares two short texts word by word: what differs, and does the order change who does what to whom?

use super::lexicon::{DIRECTED, FROM, LEXICON, OF, ON, TO};

/// A word of meaning in 32 bits, as it is kept.
///
/// 24 bits of meaning, 4 of its role, one each for a number or an operator, for a word that weighs, for a word that
/// follows the one before it directly, and for a word of the clause that asks, beside another that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed(u32);

const ROLE_BITS: u32 = 4;
const NUMBER: u32 = 1 << 4;
const WEIGHS: u32 = 1 << 5;
const BOUND: u32 = 1 << 6;
const ASKED: u32 = 1 << 7;
const MEANING: u32 = !0xff;

/// Returns what is kept of a meaning.
pub(super) fn kept(meaning: u32) -> u32 {
    meaning & MEANING
}

impl Packed {
    pub(super) fn new(meaning: u32, role: u8, number: bool, weighs: bool) -> Self {
        let number = if number { NUMBER } else { 0 };
        let weighs = if weighs { WEIGHS } else { 0 };
        Self(meaning & MEANING | number | weighs | u32::from(role) & ((1 << ROLE_BITS) - 1))
    }

    /// Says that the word follows the one before it directly, as the head of a compound does.
    pub(super) fn bound(self, bound: bool) -> Self {
        Self(if bound {
            self.0 | BOUND
        } else {
            self.0 & !BOUND
        })
    }

    /// Says that the word stands in the clause that asks.
    pub(super) fn asked(self, asked: bool) -> Self {
        Self(if asked {
            self.0 | ASKED
        } else {
            self.0 & !ASKED
        })
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    fn meaning(self) -> u32 {
        self.0 & MEANING
    }

    fn role(self) -> u32 {
        self.0 & ((1 << ROLE_BITS) - 1)
    }

    pub(super) fn is_number(self) -> bool {
        self.0 & NUMBER != 0
    }

    fn is_asked(self) -> bool {
        self.0 & ASKED != 0
    }

    fn weighs(self) -> bool {
        self.0 & (WEIGHS | NUMBER) != 0
    }
}

/// How the words of two texts compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap {
    /// Words in both.
    pub(super) common: usize,
    /// Words in the first alone.
    pub(super) left: usize,
    /// Words in the second alone.
    pub(super) right: usize,
    /// Whether a word that is not in both weighs.
    pub(super) weighty: bool,
}

/// Counts what two texts have in common.
pub(super) fn overlap(a: &[Packed], b: &[Packed]) -> Overlap {
    let alone = |x: &[Packed], y: &[Packed]| {
        let missing = x
            .iter()
            .filter(|word| !y.iter().any(|other| other.meaning() == word.meaning()));
        missing.fold((0, false), |(count, weighty), word| {
            (count + 1, weighty | word.weighs())
        })
    };
    let (left, left_weighs) = alone(a, b);
    let (right, right_weighs) = alone(b, a);
    Overlap {
        common: a.len() - left,
        left,
        right,
        weighty: left_weighs || right_weighs,
    }
}

/// Returns the second text with the words of the first in the place of those that may stand for them, if each word that
/// is in one text alone has such a counterpart.
pub(super) fn in_words_of(a: &[Packed], b: &[Packed]) -> Option<Vec<Packed>> {
    let is_in = |word: &Packed, text: &[Packed]| text.iter().any(|w| w.meaning() == word.meaning());
    let mut alone: Vec<&Packed> = a.iter().filter(|word| !is_in(word, b)).collect();
    let mut said = b.to_vec();
    for word in said.iter_mut().filter(|word| !is_in(word, a)) {
        let at = alone.iter().position(|other| {
            !other.is_number() && LEXICON.stand_for_another(other.meaning(), word.meaning())
        })?;
        word.0 = word.0 & !MEANING | alone.swap_remove(at).meaning();
    }
    alone.is_empty().then_some(said)
}

/// What is known of the grammar of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    English,
    /// About how two things compare, whichever is named first.
    Symmetric,
    Unknown,
}

/// Returns whether the words two texts share stand in an order and in roles that say the same.
///
/// Ignored is the order of clauses, of lists and of names under the same preposition. Not ignored are the order of
/// numbers, two words that exchange what they are bound to, two that exchange their prepositions (from A to B, from B to A), and, unless the text is about
/// how two things compare, two words that exchange their places around a third (A causes B, B causes A). In an unknown
/// language words may only move to an end of the text.
pub(super) fn says_the_same(a: &[Packed], b: &[Packed], grammar: Grammar) -> bool {
    if a == b {
        return true;
    }
    // Where both have a clause that asks, it may stand in front or behind.
    let told = |text: &[Packed]| text.iter().any(|word| word.is_asked());
    let by_clause = told(a) && told(b);
    let same = if by_clause {
        same_numbers(a, b, |word| !word.is_asked()) && same_numbers(a, b, Packed::is_asked)
    } else {
        same_numbers(a, b, |_| true)
    };
    if !same {
        return false;
    }
    if exchanges_partners(a, b) || exchanges_units(a, b) || turns_around_relation(a, b) {
        return false;
    }
    let counterpart = |word: &Packed| b.iter().find(|other| other.meaning() == word.meaning());
    let pairs: Vec<(Packed, Packed)> = a
        .iter()
        .filter_map(|word| counterpart(word).map(|other| (*word, *other)))
        .collect();
    if asks_for_another(&pairs) || goes_back(&pairs) {
        return false;
    }
    match grammar {
        Grammar::Symmetric => return true,
        Grammar::Unknown if moves_inside(a, b) => return false,
        _ => {}
    }
    !exchanges_roles(&pairs) && !turns_around(&pairs, b) && !exchanges_places(&pairs, b)
}

/// Returns whether the numbers of two texts, as far as these are chosen, stand in the same order.
fn same_numbers(a: &[Packed], b: &[Packed], chosen: impl Fn(Packed) -> bool) -> bool {
    // A number in one alone was left out with its part, see `cores`.
    let shared = |x: &Packed, y: &[Packed]| {
        x.is_number() && y.iter().any(|other| other.meaning() == x.meaning())
    };
    let of_a = a.iter().filter(|word| shared(word, b) && chosen(**word));
    let of_b = b.iter().filter(|word| shared(word, a) && chosen(**word));
    of_a.map(|word| word.meaning())
        .eq(of_b.map(|word| word.meaning()))
}

/// Returns whether two words exchange what they belong to: red cars and blue bikes, blue cars and red bikes.
fn exchanges_partners(a: &[Packed], b: &[Packed]) -> bool {
    let pairs = |x: &[Packed]| -> Vec<(u32, u32)> {
        let bound = x.windows(2).filter(|pair| pair[1].0 & BOUND != 0);
        bound
            .map(|pair| (pair[0].meaning(), pair[1].meaning()))
            .collect()
    };
    let (left, right) = (pairs(a), pairs(b));
    let mut lost = left.iter().filter(|pair| !right.contains(pair));
    let first = lost.next();
    first.is_some_and(|(x, y)| {
        lost.any(|(v, w)| right.contains(&(*x, *w)) && right.contains(&(*v, *y)))
    })
}

/// Returns whether a number is of another unit, or of another thing, which both texts name: 5 euros in dollars, 5 dollars
/// in euros.
fn exchanges_units(a: &[Packed], b: &[Packed]) -> bool {
    let bound_to = |text: &[Packed], number: &Packed| {
        let pairs = text.windows(2).filter(|pair| pair[1].0 & BOUND != 0);
        let of = pairs.filter(|pair| pair[0].meaning() == number.meaning());
        let mut of = of.map(|pair| pair[1].meaning());
        of.next().filter(|_| of.next().is_none())
    };
    let names = |text: &[Packed], meaning| text.iter().any(|word| word.meaning() == meaning);
    a.iter().filter(|word| word.is_number()).any(|number| {
        let (one, other) = (bound_to(a, number), bound_to(b, number));
        matches!((one, other), (Some(one), Some(other))
            if one != other && names(b, one) && names(a, other))
    })
}

/// Returns whether two words exchange their sides of a word that relates what stands before it to what stands behind:
/// A causes B, B causes A; A before B, B before A; the effect of A on B, of B on A.
fn turns_around_relation(a: &[Packed], b: &[Packed]) -> bool {
    let is_behind = |text: &[Packed], pivot: usize, at: usize| {
        // "The effect of A on B", "what effect does A have on B".
        if text[pivot..].iter().any(|word| word.role() == ON) {
            text[at].role() == ON
        } else {
            at > pivot
        }
    };
    let place = |text: &[Packed], meaning| text.iter().position(|word| word.meaning() == meaning);
    let relates = |(_, word): &(usize, &Packed)| LEXICON.relates(word.meaning());
    a.iter().enumerate().filter(relates).any(|(pivot, word)| {
        let Some(other) = place(b, word.meaning()) else {
            return false;
        };
        let (mut to_front, mut to_back) = (false, false);
        for (at, word) in a.iter().enumerate().filter(|(at, _)| *at != pivot) {
            if let Some(there) = place(b, word.meaning()) {
                let (was, is) = (is_behind(a, pivot, at), is_behind(b, other, there));
                to_front |= was && !is;
                to_back |= !was && is;
            }
        }
        to_front && to_back
    })
}

/// Returns whether one text asks for what the other tells, and the other way round: how many cows, given the chickens;
/// how many chickens, given the cows.
fn asks_for_another(pairs: &[(Packed, Packed)]) -> bool {
    let only = |one: fn(&(Packed, Packed)) -> bool| pairs.iter().any(one);
    only(|(x, y)| x.is_asked() && !y.is_asked()) && only(|(x, y)| !x.is_asked() && y.is_asked())
}

/// Returns whether something is where the one text starts and where the other ends: from A, to A.
fn goes_back(pairs: &[(Packed, Packed)]) -> bool {
    let ends = [FROM, TO].map(u32::from);
    pairs
        .iter()
        .any(|(x, y)| x.role() != y.role() && ends.contains(&x.role()) && ends.contains(&y.role()))
}

/// Returns whether two words exchange their prepositions, wherever they stand.
fn exchanges_roles(pairs: &[(Packed, Packed)]) -> bool {
    let exchange = |(a, b): &(Packed, Packed), (c, d): &(Packed, Packed)| {
        a.role() != b.role() && a.role() == d.role() && b.role() == c.role()
    };
    let mut rest = pairs;
    while let [first, others @ ..] = rest {
        if others.iter().any(|other| exchange(first, other)) {
            return true;
        }
        rest = others;
    }
    false
}

/// Returns whether two words of one sort stand the other way round, and that changes what they do: both change their
/// preposition, one of them from a direction to another ("how much did A sell to B", "what was sold from B to A"), or who acted is acted on ("how did A influence
/// B", "what influence did B have on A").
fn turns_around(pairs: &[(Packed, Packed)], b: &[Packed]) -> bool {
    let place = |word: &Packed| b.iter().position(|other| other == word);
    let bare = |word: Packed| word.role() == 0;
    let turned = |x: &(Packed, Packed), y: &(Packed, Packed)| {
        if x.0.weighs() != y.0.weighs() || place(&x.1) < place(&y.1) {
            return false;
        }
        let changes = |word: &(Packed, Packed)| word.0.role() != word.1.role();
        let aimed = bare(x.0) && x.1.role() == ON && bare(y.0) && bare(y.1);
        let aimed_before = bare(y.1) && y.0.role() == ON && bare(x.0) && bare(x.1);
        let directed = |word: &(Packed, Packed)| {
            DIRECTED.contains(&word.0.role()) && DIRECTED.contains(&word.1.role())
        };
        let both = changes(x) && changes(y) && (directed(x) || directed(y));
        both || aimed || aimed_before
    };
    let mut rest = pairs;
    while let [first, others @ ..] = rest {
        if others.iter().any(|other| turned(first, other)) {
            return true;
        }
        rest = others;
    }
    false
}

/// Looks at words that stand under the same preposition in both texts, or under none: who acts, what is done, to whom.
fn exchanges_places(pairs: &[(Packed, Packed)], b: &[Packed]) -> bool {
    let mut seen = 0_u16;
    pairs.iter().any(|(x, y)| {
        let is_new = seen >> x.role() & 1 == 0;
        seen |= 1 << x.role();
        is_new && x.role() == y.role() && exchanges_places_under(x.role(), pairs, b)
    })
}

fn exchanges_places_under(role: u32, pairs: &[(Packed, Packed)], b: &[Packed]) -> bool {
    let under = |(_, (x, y)): &(usize, &(Packed, Packed))| x.role() == role && y.role() == role;
    let (places, same): (Vec<usize>, Vec<u32>) = pairs
        .iter()
        .enumerate()
        .filter(under)
        .map(|(place, (x, _))| (place, x.meaning()))
        .unzip();
    let other: Vec<u32> = b
        .iter()
        .map(|word| word.meaning())
        .filter(|meaning| same.contains(meaning))
        .collect();
    if same.len() != other.len() {
        return false;
    }
    let Some(from) = same.iter().zip(&other).position(|(x, y)| x != y) else {
        return false;
    };
    let alike = same.iter().rev().zip(other.iter().rev());
    let to = same.len() - alike.take_while(|(x, y)| x == y).count();
    let (same, other) = (&same[from..to], &other[from..to]);
    if is_exchange(same, other) {
        return true;
    }
    // "The rules of A for speakers of B": each is of something else then.
    let of = |text: &[u32], word: u32| {
        let at = text.iter().position(|other| *other == word)?;
        text[..at].last().copied()
    };
    let whole: Vec<u32> = pairs.iter().map(|(x, _)| x.meaning()).collect();
    let whole_other: Vec<u32> = b.iter().map(|word| word.meaning()).collect();
    let moves = |word: u32| of(&whole, word) != of(&whole_other, word);
    let second = same.iter().position(|word| Some(word) == other.first());
    let apart = second.is_some_and(|at| at > 0 && places[from + at] != places[from + at - 1] + 1);
    role == u32::from(OF)
        && apart
        && is_rotation(same, other)
        && [same, other]
            .iter()
            .all(|words| words.first().is_some_and(|word| moves(*word)))
}

/// Returns whether the second sequence is the first with its two parts exchanged.
fn is_rotation(a: &[u32], b: &[u32]) -> bool {
    let Some(at) = a.iter().position(|word| Some(word) == b.first()) else {
        return false;
    };
    let (head, tail) = a.split_at(at);
    b.strip_prefix(tail) == Some(head)
}

/// Returns whether words exchange their places within a text, and not only from one end to the other.
fn moves_inside(a: &[Packed], b: &[Packed]) -> bool {
    let meanings =
        |text: &[Packed]| -> Vec<u32> { text.iter().map(|word| word.meaning()).collect() };
    let (a, b) = (meanings(a), meanings(b));
    let (in_front, behind) = (a.first() == b.first(), a.last() == b.last());
    in_front && behind && a != b && a.len() == b.len()
}

/// Returns whether the second sequence is the first with its two ends exchanged around a middle.
fn is_exchange(a: &[u32], b: &[u32]) -> bool {
    // What stands last in the one starts the other.
    let Some(first) = a.iter().position(|word| Some(word) == b.first()) else {
        return false;
    };
    let Some(last) = b.iter().position(|word| Some(word) == a.first()) else {
        return false;
    };
    let (tail, head) = (&a[first..], &b[last..]);
    let middle = tail.len()..b.len().saturating_sub(head.len());
    !middle.is_empty()
        && b.starts_with(tail)
        && a.starts_with(head)
        && a.get(head.len()..first) == b.get(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(letters: &str) -> Vec<Packed> {
        // A letter followed by a digit stands under the preposition of that number.
        let mut words: Vec<Packed> = Vec::new();
        for c in letters.chars() {
            match c.to_digit(10) {
                Some(role) => {
                    let last = words.pop().expect("a letter in front");
                    words.push(Packed(last.0 | role));
                }
                None => words.push(Packed::new((c as u32) << 8, 0, c.is_uppercase(), false)),
            }
        }
        words
    }

    fn same(a: &str, b: &str) -> bool {
        says_the_same(&words(a), &words(b), Grammar::English)
    }

    #[test]
    fn clauses_and_lists_may_move() {
        assert!(same("abc", "abc"));
        assert!(same("abc", "cab"));
        assert!(same("ab", "ba"));
        assert!(same("abc1", "c1ab"));
        assert!(same("ab1c1", "ac1b1"));
    }

    #[test]
    fn who_does_what_to_whom_may_not_change() {
        assert!(!same("avb", "bva"));
        assert!(!same("aavbb", "bbvaa"));
        assert!(!same("xavb", "xbva"));
        assert!(!same("va1b2", "vb1a2"));
        assert!(!same("vab2", "vba2"));
        assert!(!same("vwa1b2", "v3wb1a2"));
        // A influences B, the influence that B has on A.
        assert!(!same("avb", "vba6"));
        assert!(same("avb", "vab6"));
        assert!(says_the_same(
            &words("avb"),
            &words("bva"),
            Grammar::Symmetric
        ));
    }

    #[test]
    fn numbers_may_not_change_places() {
        assert!(!same("AxB", "BxA"));
        assert!(!same("AB", "BA"));
    }

    #[test]
    fn a_difference_is_counted_and_weighed() {
        let found = overlap(&words("abc"), &words("abD"));
        assert_eq!(
            (found.common, found.left, found.right, found.weighty),
            (2, 1, 1, true)
        );
        assert!(!overlap(&words("abc"), &words("ab")).weighty);
    }
}
