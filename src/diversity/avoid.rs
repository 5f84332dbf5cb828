//! Which records a prompt shows as not to be repeated.

use std::fmt;
use std::mem;
use std::sync::OnceLock;

use super::kept::{Kept, Weighed, first};
use super::words::WordSet;

/// Refusals after which an earlier one counts half: what a topic repeats changes as it is steered.
const HALF_LIFE: f64 = 64.0;

/// Two texts that share this part of their words are about the same thing, and below it mostly of the same language.
const RELATED: f64 = 0.25;

/// Two texts that share this part of their words say the same: showing both tells the model nothing more.
const ALIKE: f64 = 0.8;

/// Words of a text that are looked at; an excerpt of 200 characters has about forty.
const MOST_WORDS: usize = 48;

/// What one topic has given and repeated, as far as it takes to choose an avoid list.
///
/// Holds a bounded number of excerpts: those that were repeated, the latest, and a random rest. What was copied is
/// left out once. Pure: the same history gives the same list.
///
/// ```
/// use topicloom::diversity::{AvoidBudget, AvoidMemory};
///
/// let mut topic = AvoidMemory::new(256);
/// for (ordinal, excerpt) in ["What is a tide?", "Why is the sea salty?", "How deep is the sea?"].iter().enumerate() {
///     topic.accepted(ordinal as u64, excerpt);
/// }
/// topic.repeated(Some(1), "Why is sea water salty?");
/// let shown = topic.choose(&AvoidBudget::default().with_records(1));
/// assert_eq!(shown, [(1, "Why is the sea salty?".to_owned())]);
/// ```
#[derive(Clone)]
pub struct AvoidMemory {
    /// Each weighs how much was repeated that is like it.
    entries: Kept<Entry>,
    /// What the next refusal counts. It grows by each, so that earlier ones need not be counted down.
    weight: f64,
    /// The room of an excerpt that is forgotten, for the next one: giving it back and asking for more takes longer than to copy a
    /// text.
    spare: String,
    /// What was copied since the last candidate that was not.
    resting: Vec<u64>,
}

#[derive(Clone)]
struct Entry {
    excerpt: String,
    /// Made when it is first compared: most are forgotten before, and are small until then.
    words: OnceLock<Box<WordSet>>,
    ordinal: u64,
}

/// How much of a prompt an avoid list may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AvoidBudget {
    /// The most tokens, estimated as a quarter of the characters of ASCII text and one for each other
    /// character. 600 by default: at the usual fourth of the price of output that is worth two short records,
    /// less than what a few duplicates cost.
    pub tokens: usize,
    /// The most records. 24 by default: a longer list is skimmed.
    pub records: usize,
}

impl Entry {
    fn words(&self) -> &WordSet {
        self.words
            .get_or_init(|| Box::new(WordSet::new(&self.excerpt, MOST_WORDS)))
    }
}

impl Default for AvoidBudget {
    fn default() -> Self {
        Self {
            tokens: 600,
            records: 24,
        }
    }
}

impl AvoidBudget {
    /// Sets the most tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: usize) -> Self {
        self.tokens = tokens;
        self
    }

    /// Sets the most records.
    #[must_use]
    pub fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }
}

impl AvoidMemory {
    /// Creates the memory of one topic, of up to this many excerpts.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            entries: Kept::new(keep),
            weight: 1.0,
            spare: String::new(),
            resting: Vec::new(),
        }
    }

    /// Returns how many excerpts each of this many topics may keep, so that together they take little memory.
    ///
    /// 256 for up to 256 topics; with more, 65 536 are shared out, some 30 MB, though no topic gets fewer than 16.
    #[must_use]
    pub fn fair_share(topics: usize) -> usize {
        (65_536 / topics.max(1)).clamp(16, 256)
    }

    /// Remembers an accepted record.
    pub fn accepted(&mut self, ordinal: u64, excerpt: &str) {
        self.resting.clear();
        self.insert(excerpt, ordinal, 0.0);
    }

    /// Remembers that a candidate repeats a record although its prompt showed that, or because it did. It says nothing of what else the
    /// topic repeats, and the record is not shown again before another candidate came.
    pub fn copied(&mut self, ordinal: u64) {
        self.resting.push(ordinal);
    }

    /// Remembers that a candidate was refused because it repeats a record: `of` is its ordinal, or `None` where it
    /// repeats something else, such as given material, which is not shown.
    pub fn repeated(&mut self, of: Option<u64>, excerpt: &str) {
        self.repeated_record(of, excerpt, Some(excerpt));
    }

    /// As [`repeated`](Self::repeated), with what stands for the record where it is another topic's, or forgotten.
    pub(super) fn repeated_record(
        &mut self,
        of: Option<u64>,
        excerpt: &str,
        stands_for: Option<&str>,
    ) {
        self.resting.clear();
        let repeated = WordSet::new(excerpt, MOST_WORDS);
        let mut known = false;
        let counts = self.weight;
        self.entries.reweigh(|entry, repeats| {
            let overlap = entry.words().overlap_above(&repeated, RELATED);
            if Some(entry.ordinal) == of || overlap >= ALIKE {
                known = true;
                repeats + counts
            } else {
                repeats + counts * overlap
            }
        });
        if let Some((of, excerpt)) = of.zip(stands_for).filter(|_| !known) {
            self.insert(excerpt, of, self.weight);
        }
        self.weight *= 0.5_f64.powf(-1.0 / HALF_LIFE);
        if self.weight > 1e100 {
            let counts = self.weight;
            self.entries.reweigh(|_, repeats| repeats / counts);
            self.weight = 1.0;
        }
    }

    /// Chooses what to show: in turns what is most like what was repeated, and what came last. Once something was
    /// repeated, none that says the same as another; before that, records are as different as they can be told. In the order in which they came, so that prompts change little from one to the next.
    ///
    /// Each comes with its ordinal.
    #[must_use]
    pub fn choose(&self, budget: &AvoidBudget) -> Vec<(u64, String)> {
        let by_repeats = |one: &Weighed<'_, Entry>, other: &Weighed<'_, Entry>| {
            let latest_first = other.arrival.cmp(&one.arrival);
            other.weight.total_cmp(&one.weight).then(latest_first)
        };
        let is_awake = |entry: &Weighed<'_, Entry>| !self.resting.contains(&entry.thing.ordinal);
        let repeated = self.entries.iter().filter(|entry| entry.weight > 0.0);
        let repeated = repeated.filter(is_awake);
        let repeated: Vec<Weighed<'_, Entry>> = repeated.collect();
        let any_repeated = !repeated.is_empty();
        let most = budget.records.saturating_mul(LOOKED_AT);
        let repeated = first(repeated, most, by_repeats);
        let latest = self.entries.latest(most);
        let latest = latest.filter(is_awake);

        let mut chosen: Vec<Weighed<'_, Entry>> = Vec::new();
        let mut tokens = budget.tokens;
        let (mut repeated, mut latest) = (repeated.into_iter(), latest);
        for turn in 0_usize.. {
            if chosen.len() == budget.records {
                break;
            }
            let next = if turn % TURNS == TURNS - 1 {
                latest.next().or_else(|| repeated.next())
            } else {
                repeated.next().or_else(|| latest.next())
            };
            let Some(next) = next else { break };
            let entry = next.thing;
            let says_more = |other: &Weighed<'_, Entry>| {
                entry.words().overlap_above(other.thing.words(), ALIKE) == 0.0
            };
            let its_tokens = tokens_of(&entry.excerpt);
            if its_tokens <= tokens && (!any_repeated || chosen.iter().all(says_more)) {
                tokens -= its_tokens;
                chosen.push(next);
            }
        }
        chosen.sort_unstable_by_key(|entry| entry.arrival);
        chosen
            .into_iter()
            .map(|entry| (entry.thing.ordinal, entry.thing.excerpt.clone()))
            .collect()
    }

    fn insert(&mut self, excerpt: &str, ordinal: u64, repeats: f64) {
        if self.entries.most() == 0 {
            return;
        }
        let mut kept = mem::take(&mut self.spare);
        kept.push_str(excerpt);
        let entry = Entry {
            excerpt: kept,
            words: OnceLock::new(),
            ordinal,
        };
        if let Some(gone) = self.entries.add(entry, repeats) {
            self.spare = gone.excerpt;
            self.spare.clear();
        }
    }
}

/// Shows how much there is, and no text.
impl fmt::Debug for AvoidMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvoidMemory")
            .field("entries", &self.entries.len())
            .field("keep", &self.entries.most())
            .finish_non_exhaustive()
    }
}

/// Of each this many places of a list go to the latest record, the others to what was repeated: what is repeated tells
/// more, and the latest record is what a model in the same state of mind says again.
const TURNS: usize = 4;

/// For each record that is shown, this many are looked at: where a topic says the same all the time, looking on costs
/// much and finds little.
const LOOKED_AT: usize = 4;

fn tokens_of(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    // One byte of each character is none that goes on with it.
    let starts = text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
    let other = starts - ascii;
    // Two for the dash and the line break around it.
    2 + usize::div_ceil(ascii, 4) + other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(excerpts: &[&str]) -> AvoidMemory {
        let mut memory = AvoidMemory::new(64);
        for (excerpt, ordinal) in excerpts.iter().zip(0..) {
            memory.accepted(ordinal, excerpt);
        }
        memory
    }

    fn texts(memory: &AvoidMemory, budget: &AvoidBudget) -> Vec<String> {
        let chosen = memory.choose(budget);
        chosen.into_iter().map(|(_, excerpt)| excerpt).collect()
    }

    #[test]
    fn what_was_copied_is_left_out_until_something_else_comes() {
        let mut memory = memory(&["red apples", "blue whales", "green seas"]);
        memory.repeated(Some(1), "blue whales");
        memory.copied(1);
        let shown = |memory: &AvoidMemory| texts(memory, &AvoidBudget::default());
        assert_eq!(shown(&memory), ["red apples", "green seas"]);
        memory.accepted(3, "old towers");
        assert_eq!(shown(&memory).len(), 4);
    }

    #[test]
    fn what_is_repeated_is_shown_before_what_is_not() {
        let mut memory = memory(&["red apples", "blue whales", "green seas", "old towers"]);
        memory.repeated(Some(0), "red apple fruit");
        for _ in 0..2 {
            memory.repeated(None, "green waves in green seas");
        }
        let two = AvoidBudget::default().with_records(2);
        assert_eq!(texts(&memory, &two), ["red apples", "green seas"]);
        let five = AvoidBudget::default().with_records(5);
        assert_eq!(memory.choose(&five).len(), 4);
    }

    #[test]
    fn the_latest_has_its_place() {
        let names: Vec<String> = (0..20).map(|n| format!("record number{n}x")).collect();
        let mut memory = memory(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for (name, ordinal) in names[..10].iter().zip(0..) {
            memory.repeated(Some(ordinal), name);
        }
        let shown = memory.choose(&AvoidBudget::default().with_records(4));
        assert!(shown.contains(&(19, names[19].clone())), "{shown:?}");
    }

    #[test]
    fn the_budget_holds_and_a_long_text_makes_room_for_short_ones() {
        let long = "word ".repeat(200);
        let memory = memory(&["short one", "another thing", &long]);
        let shown = texts(&memory, &AvoidBudget::default().with_tokens(20));
        assert_eq!(shown, ["short one", "another thing"]);
        assert!(
            memory
                .choose(&AvoidBudget::default().with_tokens(0))
                .is_empty()
        );
        assert!(
            memory
                .choose(&AvoidBudget::default().with_records(0))
                .is_empty()
        );
        assert_eq!(tokens_of("four"), 3);
        assert_eq!(tokens_of("海洋学"), 5);
    }

    #[test]
    fn the_same_in_other_words_is_shown_once() {
        let mut memory = memory(&[
            "why is the sea so salty",
            "Why is the SEA so salty?",
            "tides",
        ]);
        assert_eq!(memory.choose(&AvoidBudget::default()).len(), 3);
        memory.repeated(Some(2), "the tides");
        assert_eq!(memory.choose(&AvoidBudget::default()).len(), 2);
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_repeated() {
        let mut memory = AvoidMemory::new(32);
        memory.accepted(0, "the first of all");
        memory.repeated(Some(0), "the first of all");
        for ordinal in 1..1000 {
            memory.accepted(ordinal, &format!("w{ordinal} x{ordinal}"));
        }
        assert_eq!(memory.entries.len(), 32);
        let kept: Vec<u64> = memory
            .entries
            .iter()
            .map(|entry| entry.thing.ordinal)
            .collect();
        assert!(kept.contains(&0) && kept.contains(&999), "{kept:?}");
        assert!(
            kept.iter().any(|&ordinal| (1..800).contains(&ordinal)),
            "a random rest: {kept:?}"
        );
        AvoidMemory::new(0).accepted(0, "nothing is kept");
    }

    #[test]
    fn what_is_repeated_of_late_counts_more() {
        let mut memory = memory(&["old habit", "new custom"]);
        (0..200).for_each(|_| memory.repeated(Some(0), "old habit"));
        (0..100).for_each(|_| memory.repeated(Some(1), "new custom"));
        let one = AvoidBudget::default().with_records(1);
        assert_eq!(texts(&memory, &one), ["new custom"]);
        (0..100_000).for_each(|_| memory.repeated(Some(0), "old habit"));
        assert_eq!(texts(&memory, &one), ["old habit"]);
        assert!(memory.entries.iter().all(|entry| entry.weight.is_finite()));
    }

    #[test]
    fn shares_are_fair() {
        for (topics, share) in [(0, 256), (10, 256), (1_000, 65), (1_000_000, 16)] {
            assert_eq!(AvoidMemory::fair_share(topics), share);
        }
    }
}
