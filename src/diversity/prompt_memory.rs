//! What the next prompt of a topic says of its earlier answers.

use std::collections::VecDeque;
use std::mem;

use serde_json::{Map, Value};

use super::words::for_each_word;
use super::{AvoidBudget, AvoidMemory, Brought, DelayedSteering, Steering};
use crate::random::Random;

/// The most characters of a record that a prompt shows: enough to tell it from others, and little enough that
/// a handful of them costs less than the answer.
const EXCERPT_CHARS: usize = 200;

/// The fewest characters of a record that was cut which tell it from others.
const FEWEST_CHARS: usize = 20;

/// The most notes on what was wrong that one prompt carries. More than a few are not read.
const MOST_NOTES: usize = 4;

/// What to do about an answer that was declined.
const HARMLESS: &str =
    "Choose another aspect of the topic, one that is plainly harmless, and write about that.";

/// What is remembered of each topic: accepted records, repetitions, and what was wrong with the last answer.
#[derive(Debug)]
pub(crate) struct PromptMemory {
    topics: Vec<TopicMemory>,
    /// How many records are shown, where the caller says so.
    fixed: Option<usize>,
    steering: DelayedSteering,
    latest: Latest,
    /// Whether the model repeats what a prompt says about its answers.
    parrots: bool,
}

/// What is known of a candidate that repeats something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// Whether it is known to differ from what it repeats.
    pub(crate) differs: bool,
    /// Whether its prompt showed what it repeats.
    pub(crate) is_copy: bool,
}

/// The latest records that were accepted, so that a repeat can be told of what it repeats.
#[derive(Debug, Default)]
struct Latest {
    excerpts: VecDeque<String>,
    /// The ordinal of the first of them.
    first: u64,
}

impl Latest {
    /// Models repeat what they wrote lately; this many take a megabyte or two.
    const MOST: usize = 8_192;

    fn push(&mut self, ordinal: u64, excerpt: &str) {
        if self.first + self.excerpts.len() as u64 != ordinal {
            self.excerpts.clear();
            self.first = ordinal;
        }
        let mut kept = String::new();
        if self.excerpts.len() == Self::MOST {
            // Its room is taken over, as in `AvoidMemory`.
            kept = self.excerpts.pop_front().unwrap_or_default();
            kept.clear();
            self.first += 1;
        }
        kept.push_str(excerpt);
        self.excerpts.push_back(kept);
    }

    fn get(&self, ordinal: u64) -> Option<&str> {
        let at = usize::try_from(ordinal.checked_sub(self.first)?).ok()?;
        self.excerpts.get(at).map(String::as_str)
    }
}

#[derive(Debug, Clone)]
struct TopicMemory {
    avoid: AvoidMemory,
    notes: Vec<Note>,
    /// How many answers the model or a filter declined.
    declined: u32,
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    text: String,
    /// Whether it shows a record, which some models copy.
    shows_record: bool,
}

impl PromptMemory {
    /// Creates the memory of this many topics, which shows `fixed` records in a prompt, or as many as it learns to.
    pub(crate) fn new(topics: usize, fixed: Option<u64>, ahead: u64) -> Self {
        let fixed = fixed.map(|records| usize::try_from(records).unwrap_or(usize::MAX));
        let keep = if fixed == Some(0) {
            0
        } else {
            AvoidMemory::fair_share(topics)
        };
        let memory = TopicMemory {
            avoid: AvoidMemory::new(keep),
            notes: Vec::new(),
            declined: 0,
        };
        Self {
            topics: vec![memory; topics],
            fixed,
            steering: DelayedSteering::new(Steering::new(), ahead),
            latest: Latest::default(),
            parrots: false,
        }
    }

    /// Takes note of what the answer to a task brought, whose prompt showed this many records.
    pub(crate) fn observe(&mut self, task: u64, shown: usize, brought: &Brought) {
        self.steering.observe(task, shown, brought);
    }

    /// Remembers that an answer repeated what the prompt said of the one before it: no later prompt says such things.
    pub(crate) fn parroted(&mut self) {
        self.parrots = true;
    }

    /// Remembers an accepted record.
    pub(crate) fn accepted(&mut self, topic: usize, ordinal: u64, excerpt: &str) {
        if let Some(shown) = shown(excerpt) {
            self.topics[topic].avoid.accepted(ordinal, shown);
        }
        self.latest.push(ordinal, excerpt);
    }

    /// Remembers what was wrong with an answer, until the topic is asked again.
    pub(crate) fn note(&mut self, topic: usize, note: String) {
        self.add(topic, note, false);
    }

    fn add(&mut self, topic: usize, text: String, shows_record: bool) {
        let notes = &mut self.topics[topic].notes;
        let note = Note { text, shows_record };
        if notes.len() < MOST_NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Remembers that the model or a content filter declined, for as long as the topic is asked: no later prompt
    /// is word for word one that was declined.
    pub(crate) fn declined(&mut self, topic: usize) {
        self.topics[topic].declined += 1;
    }

    /// Returns which of the records that a prompt showed a candidate is the copy of, if it ends where that was cut.
    pub(crate) fn cut_copy(&self, shown_before: &[u64], excerpt: &str) -> Option<u64> {
        let is_it = |ordinal: &u64| {
            let whole = self.latest.get(*ordinal)?;
            let cut = shown(whole).filter(|cut| cut.len() < whole.len())?;
            (cut.to_lowercase() == excerpt.to_lowercase()).then_some(*ordinal)
        };
        shown_before.iter().find_map(is_it)
    }

    /// Remembers a record that was refused because it repeats the one of this ordinal, or given material. `shown_before` are the
    /// records that its prompt showed.
    pub(crate) fn repeated(
        &mut self,
        topic: usize,
        of: Option<u64>,
        excerpt: &str,
        shown_before: &[u64],
    ) -> Repeat {
        let repeated = of.and_then(|of| self.latest.get(of)).map(str::to_owned);
        let copied = of.filter(|of| shown_before.contains(of));
        if let Some(copied) = copied {
            self.topics[topic].avoid.copied(copied);
        } else {
            // So what a prompt shows of a record is always the record's own.
            let stands_for = repeated.as_deref().and_then(shown);
            if let Some(shown) = shown(excerpt) {
                let avoid = &mut self.topics[topic].avoid;
                avoid.repeated_record(of, shown, stands_for);
            }
            let note = match &repeated {
                Some(repeated) => {
                    format!("one record repeats this one, which already exists: {repeated}")
                }
                None => format!("this one repeats a record that already exists: {excerpt}"),
            };
            self.add(topic, note, true);
        }
        Repeat {
            differs: repeated.is_some_and(|repeated| repeated != excerpt),
            is_copy: copied.is_some(),
        }
    }

    /// Chooses the records to show in the next prompt of a topic: what is most like what it has been repeating, and the latest.
    /// `None` where no record is to be shown.
    pub(crate) fn choose(
        &mut self,
        topic: usize,
        task: u64,
        random: &mut Random,
    ) -> Option<Vec<(u64, String)>> {
        let learned = || self.steering.choose(task, random);
        let most = self.fixed.unwrap_or_else(learned);
        if most == 0 {
            return None;
        }
        let budget = AvoidBudget::default().with_records(most);
        let shown = self.topics[topic].avoid.choose(&budget);
        self.steering.shows(task, shown.len());
        Some(shown)
    }

    /// Takes what was wrong with the answers since the topic was last asked. What shows a record is left out where the prompt
    /// shows none.
    pub(crate) fn take_feedback(&mut self, topic: usize, shows_records: bool) -> Option<String> {
        let memory = &mut self.topics[topic];
        let notes = mem::take(&mut memory.notes).into_iter();
        let notes = notes.filter(|note| !self.parrots && (shows_records || !note.shows_record));
        let mut notes: Vec<String> = notes.map(|note| note.text).collect();
        match memory.declined {
            0 => {}
            1 => notes.push(format!("An answer was declined. {HARMLESS}")),
            // The number tells this prompt from the one that was declined last.
            times => notes.push(format!("{times} answers were declined. {HARMLESS}")),
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    }
}

/// Returns what a prompt shows of a record that is not to be repeated.
pub(crate) fn shown_of(data: &Map<String, Value>) -> Option<String> {
    shown(&excerpt(data)).map(str::to_owned)
}

/// Returns as much of an excerpt as a prompt shows: all of it, or what is whole where it was cut. What ends in the middle of
/// a sentence is copied with its end missing.
fn shown(excerpt: &str) -> Option<&str> {
    let Some(cut) = excerpt.strip_suffix(ELLIPSIS) else {
        return (!excerpt.is_empty()).then_some(excerpt);
    };
    let mut behind = cut.len();
    let mut ends = std::iter::from_fn(|| {
        let before = &cut.as_bytes()[..behind];
        behind = before
            .iter()
            .rposition(|byte| MAY_END[usize::from(*byte)])?;
        Some(behind)
    })
    .filter_map(|at| {
        let mark = cut[at..].chars().next()?;
        let (before, with) = (&cut[..at], &cut[..at + mark.len_utf8()]);
        let after = &cut[with.len()..];
        let ends_here = match mark {
            '|' => return before.strip_suffix(' ').filter(|_| after.starts_with(' ')),
            '.' | '!' | '?' => after.is_empty() || after.starts_with(' '),
            '。' | '！' | '？' => true,
            _ => false,
        };
        ends_here.then_some(with)
    });
    let whole = ends.next()?;
    (whole.chars().count() >= FEWEST_CHARS).then_some(whole)
}

/// The first bytes of the marks that end what is whole. Those of the wide ones begin other characters too.
const MAY_END: [bool; 256] = {
    let mut may_end = [false; 256];
    let mut bytes: &[u8] = &[b'.', b'!', b'?', b'|', 0xe3, 0xef];
    while let [byte, rest @ ..] = bytes {
        may_end[*byte as usize] = true;
        bytes = rest;
    }
    may_end
};

/// Returns whether an answer says a sentence of the feedback on the one before it again.
pub(crate) fn parrots(feedback: &str, answer: &str) -> bool {
    /// Fewer words may be a record's own.
    const FEWEST_WORDS: usize = 5;
    let words = |text: &str| {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word));
        words
    };
    let said = words(answer);
    feedback.split(['\n', '.', ';']).any(|sentence| {
        let sentence = words(sentence);
        sentence.len() >= FEWEST_WORDS && said.windows(sentence.len()).any(|part| part == sentence)
    })
}

/// Returns the beginning of a record's texts, on one line.
pub(crate) fn excerpt(data: &Map<String, Value>) -> String {
    // With room for what separates the texts of a record of a few fields.
    let mut excerpt = String::with_capacity(EXCERPT_CHARS + 16);
    let mut room = EXCERPT_CHARS;
    for text in data.values().filter_map(Value::as_str) {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if !excerpt.is_empty() {
            excerpt.push_str(SEPARATOR);
        }
        // One character more than there is room for shows that the text goes on.
        let head = text.get(..=room).unwrap_or(text);
        let whole = if is_plain(head) {
            let fits = head.len().min(room);
            excerpt.push_str(&head[..fits]);
            room -= fits;
            fits == text.len()
        } else {
            push_on_one_line(&mut excerpt, text, &mut room)
        };
        if !whole {
            excerpt.push_str(ELLIPSIS);
            break;
        }
    }
    excerpt
}

const ELLIPSIS: &str = "…";

/// What stands between the texts of a record.
const SEPARATOR: &str = " | ";

/// Whether a text needs no look at its characters: it is ASCII, and white space in it is single spaces. Most are.
fn is_plain(text: &str) -> bool {
    // Both folds go to the end without a branch, so that many bytes are looked at together.
    let bytes = text.as_bytes();
    let not_plain = |byte: &u8| byte | byte.wrapping_sub(b' ');
    let unprintable = bytes.iter().fold(0, |any, byte| any | not_plain(byte)) & 0x80;
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    let from_spaces = pairs.map(|(one, next)| (one ^ b' ') | (next ^ b' '));
    unprintable == 0 && from_spaces.fold(u8::MAX, u8::min) > 0
}

/// Appends a text with single spaces for white space; returns whether there was room for all of it.
fn push_on_one_line(excerpt: &mut String, text: &str, room: &mut usize) -> bool {
    let mut after_space = false;
    for character in text.chars() {
        let is_space = character.is_whitespace();
        if is_space && after_space {
            continue;
        }
        if *room == 0 {
            return false;
        }
        excerpt.push(if is_space { ' ' } else { character });
        after_space = is_space;
        *room -= 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_excerpt_is_the_texts_of_a_record_on_one_line() {
        let data =
            json!({"question": "What is\n a  graph?", "level": 3, "answer": "Nodes and edges."});
        assert_eq!(
            excerpt(data.as_object().expect("an object")),
            "What is a graph? | Nodes and edges."
        );
    }

    #[test]
    fn an_excerpt_is_short_whatever_the_record_holds() {
        for text in ["word ".repeat(500), "x".repeat(5000), "字".repeat(5000)] {
            let data = json!({ "text": text });
            let length = excerpt(data.as_object().expect("an object"))
                .chars()
                .count();
            assert!(
                (EXCERPT_CHARS - 10..=EXCERPT_CHARS + 1).contains(&length),
                "{length}"
            );
        }
    }

    #[test]
    fn plain_texts_take_the_short_way_to_the_same_place() {
        let long = "w ".repeat(300);
        for text in [
            "plain words",
            "two  spaces",
            "tab\there",
            "dé jà",
            "",
            " ends ",
            &long,
        ] {
            let data = json!({ "text": text });
            let mut slow = String::new();
            let mut room = EXCERPT_CHARS;
            if !push_on_one_line(&mut slow, text.trim(), &mut room) {
                slow.push_str(ELLIPSIS);
            }
            assert_eq!(excerpt(data.as_object().expect("an object")), slow);
        }
    }

    #[test]
    fn an_excerpt_is_shown_up_to_where_it_is_whole() {
        for (excerpt, expected) in [
            (
                "What is a graph? | Nodes.",
                Some("What is a graph? | Nodes."),
            ),
            (
                "A tide is a long wave. It is caused by the moo…",
                Some("A tide is a long wave."),
            ),
            ("A tide is a wave of version 1.2 that is l…", None),
            (
                "A tide is a long wave. Why? It is not kn…",
                Some("A tide is a long wave. Why?"),
            ),
            (
                "Why is the sea so salty? | Since riv…",
                Some("Why is the sea so salty?"),
            ),
            (
                "The names of the seas | Since riv…",
                Some("The names of the seas"),
            ),
            (
                "潮汐是海水在月球和太阳引力作用下产生的运动。它每…",
                Some("潮汐是海水在月球和太阳引力作用下产生的运动。"),
            ),
            ("Yes. And then it goes on without an end to it…", None),
            ("", None),
        ] {
            assert_eq!(shown(excerpt), expected, "{excerpt}");
        }
    }

    #[test]
    fn what_was_repeated_is_shown_and_notes_only_once() {
        let mut memory = PromptMemory::new(1, Some(2), 0);
        let excerpts = [
            "Why is the sea salty?",
            "What moves the tides?",
            "How deep is the ocean?",
            "Who sails?",
        ];
        for (ordinal, excerpt) in (0..).zip(excerpts) {
            memory.accepted(0, ordinal, excerpt);
        }
        let repeat = memory.repeated(0, Some(0), "Why is the sea so salty?", &[1]);
        assert_eq!((repeat.differs, repeat.is_copy), (true, false));
        let shown = memory
            .choose(0, 0, &mut Random::new(1))
            .expect("records are shown");
        let shown: Vec<_> = shown
            .iter()
            .map(|(of, excerpt)| (*of, &**excerpt))
            .collect();
        assert_eq!(shown, [(0, excerpts[0]), (3, excerpts[3])]);
        memory.note(0, "not JSON".to_owned());
        memory.note(0, "not JSON".to_owned());
        let feedback = memory.take_feedback(0, true).expect("there is some");
        assert_eq!(feedback.matches("not JSON").count(), 1);
        assert!(feedback.contains("sea salty"));
        assert_eq!(memory.take_feedback(0, true), None);
    }

    #[test]
    fn a_copy_is_neither_shown_again_nor_told_of() {
        let mut memory = PromptMemory::new(1, Some(2), 0);
        memory.accepted(0, 0, "Why is the sea salty?");
        memory.accepted(0, 1, "What moves the tides?");
        let repeat = memory.repeated(0, Some(0), "Why is the sea salty?", &[0, 1]);
        assert_eq!((repeat.differs, repeat.is_copy), (false, true));
        let shown = memory.choose(0, 0, &mut Random::new(1));
        assert_eq!(shown, Some(vec![(1, "What moves the tides?".to_owned())]));
        assert_eq!(memory.take_feedback(0, true), None);
    }

    #[test]
    fn a_record_that_ends_where_a_shown_one_was_cut_is_a_copy() {
        let mut memory = PromptMemory::new(1, None, 0);
        memory.accepted(0, 0, "A tide is a long wave. It is caused by the moo…");
        memory.accepted(0, 1, "The sea is salty since rivers carry salt.");
        let copies = |shown: &[u64], excerpt| memory.cut_copy(shown, excerpt);
        assert_eq!(copies(&[1, 0], "A tide is a long wave."), Some(0));
        assert_eq!(copies(&[1], "A tide is a long wave."), None);
        assert_eq!(copies(&[0], "A tide is a wave."), None);
        // What was shown as a whole is for the deduplicator to tell.
        let whole = "The sea is salty since rivers carry salt.";
        assert_eq!(copies(&[1], whole), None);
    }

    #[test]
    fn a_model_that_repeats_what_it_is_told_is_told_no_more() {
        let feedback = "record 1: `answer` is shorter than 10 characters\nnot JSON";
        let parrot =
            r#"{"records": [{"question": "Record 1: answer is shorter than 10 characters?"}]}"#;
        assert!(parrots(feedback, parrot));
        assert!(!parrots(
            feedback,
            r#"{"records": [{"question": "What is not JSON?"}]}"#
        ));
        assert!(!parrots("", "anything"));

        let mut memory = PromptMemory::new(1, None, 0);
        memory.note(0, "not JSON".to_owned());
        memory.parroted();
        assert_eq!(memory.take_feedback(0, true), None);
        memory.declined(0);
        assert!(memory.take_feedback(0, true).is_some());
    }

    #[test]
    fn nothing_is_shown_where_nothing_is_to_be_shown() {
        let mut memory = PromptMemory::new(1, Some(0), 0);
        memory.accepted(0, 0, "Why is the sea salty?");
        memory.repeated(0, Some(0), "Why is the sea salty?", &[]);
        assert_eq!(memory.choose(0, 0, &mut Random::new(1)), None);
        assert_eq!(memory.take_feedback(0, false), None);
    }

    #[test]
    fn no_prompt_after_a_refusal_is_one_that_was_declined() {
        let mut memory = PromptMemory::new(2, Some(0), 0);
        let mut seen = vec![memory.take_feedback(0, false)];
        for _ in 0..4 {
            memory.declined(0);
            // Asked twice before the next refusal.
            let first = memory.take_feedback(0, false);
            assert_eq!(memory.take_feedback(0, false), first);
            assert!(!seen.contains(&first), "{first:?}");
            seen.push(first);
        }
        assert_eq!(memory.take_feedback(1, false), None);
    }
}
