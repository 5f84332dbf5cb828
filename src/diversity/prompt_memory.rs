//! What the next prompt of a topic is told of its earlier answers.

use std::collections::VecDeque;
use std::mem;

use serde_json::{Map, Value};

use super::{AvoidBudget, AvoidMemory};

/// The most characters of a record that a prompt shows: enough to tell it from others, and little enough that
/// a handful of them costs less than the answer.
const EXCERPT_CHARS: usize = 200;

/// The most notes on what was wrong that one prompt carries. More than a few are not read.
const MOST_NOTES: usize = 4;

/// What to do about an answer that was declined.
const HARMLESS: &str =
    "Choose another aspect of the topic, one that is plainly harmless, and write about that.";

/// What is remembered of each topic: accepted records, repetitions, and what was wrong with the last answer.
#[derive(Debug)]
pub(crate) struct PromptMemory {
    topics: Vec<TopicMemory>,
    budget: AvoidBudget,
    latest: Latest,
}

/// The latest records that were accepted, so that a repeat can be told of what it repeats.
#[derive(Debug, Default)]
struct Latest {
    excerpts: VecDeque<Box<str>>,
    /// The ordinal of the first of them.
    first: u64,
}

impl Latest {
    /// Models repeat what they wrote lately; so many take a megabyte or two.
    const MOST: usize = 8_192;

    fn push(&mut self, ordinal: u64, excerpt: &str) {
        if self.first + self.excerpts.len() as u64 != ordinal {
            self.excerpts.clear();
            self.first = ordinal;
        }
        if self.excerpts.len() == Self::MOST {
            self.excerpts.pop_front();
            self.first += 1;
        }
        self.excerpts.push_back(excerpt.into());
    }

    fn get(&self, ordinal: u64) -> Option<&str> {
        let at = usize::try_from(ordinal.checked_sub(self.first)?).ok()?;
        self.excerpts.get(at).map(|excerpt| &**excerpt)
    }
}

#[derive(Debug, Clone)]
struct TopicMemory {
    avoid: AvoidMemory,
    notes: Vec<String>,
    /// How many answers the model or a filter declined.
    declined: u32,
}

impl PromptMemory {
    /// Creates the memory of so many topics, which shows so many records in a prompt.
    pub(crate) fn new(topics: usize, shown: usize) -> Self {
        let keep = if shown == 0 {
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
            budget: AvoidBudget::default().with_records(shown),
            latest: Latest::default(),
        }
    }

    /// Remembers an accepted record.
    pub(crate) fn accepted(&mut self, topic: usize, ordinal: u64, excerpt: &str) {
        self.topics[topic].avoid.accepted(ordinal, excerpt);
        self.latest.push(ordinal, excerpt);
    }

    /// Remembers what was wrong with an answer, until the topic is asked again.
    pub(crate) fn note(&mut self, topic: usize, note: String) {
        let notes = &mut self.topics[topic].notes;
        if notes.len() < MOST_NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Remembers that the model or a content filter declined, for as long as the topic is asked: no later prompt
    /// is word for word one that was declined.
    pub(crate) fn declined(&mut self, topic: usize) {
        self.topics[topic].declined += 1;
    }

    /// Remembers a record that was refused because it repeats the one of this ordinal, or given material. Returns whether it is
    /// known to differ from what it repeats.
    pub(crate) fn repeated(&mut self, topic: usize, of: Option<u64>, excerpt: &str) -> bool {
        self.topics[topic].avoid.repeated(of, excerpt);
        let repeated = of.and_then(|of| self.latest.get(of)).map(str::to_owned);
        let note = match &repeated {
            Some(repeated) => {
                format!("one record repeats this one, which already exists: {repeated}")
            }
            None => format!("this one repeats a record that already exists: {excerpt}"),
        };
        self.note(topic, note);
        repeated.is_some_and(|repeated| repeated != excerpt)
    }

    /// Returns the records to show: what is most like what the topic has been repeating, and the latest.
    pub(crate) fn avoid(&self, topic: usize) -> Vec<(Option<u64>, String)> {
        self.topics[topic].avoid.choose_with_ordinals(&self.budget)
    }

    /// Takes what was wrong with the answers since the topic was last asked.
    pub(crate) fn take_feedback(&mut self, topic: usize) -> Option<String> {
        let memory = &mut self.topics[topic];
        let mut notes = mem::take(&mut memory.notes);
        match memory.declined {
            0 => {}
            1 => notes.push(format!("An answer was declined. {HARMLESS}")),
            // The number tells this prompt from the one that was declined last.
            times => notes.push(format!("{times} answers were declined. {HARMLESS}")),
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    }
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
            excerpt.push_str(" | ");
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
    fn what_was_repeated_is_shown_and_notes_only_once() {
        let mut memory = PromptMemory::new(1, 2);
        let excerpts = [
            "Why is the sea salty?",
            "What moves the tides?",
            "How deep is the ocean?",
            "Who sails?",
        ];
        for (ordinal, excerpt) in (0..).zip(excerpts) {
            memory.accepted(0, ordinal, excerpt);
        }
        memory.repeated(0, Some(0), "Why is the sea so salty?");
        let shown = memory.avoid(0);
        let shown: Vec<_> = shown
            .iter()
            .map(|(of, excerpt)| (*of, &**excerpt))
            .collect();
        assert_eq!(shown, [(Some(0), excerpts[0]), (Some(3), excerpts[3])]);
        memory.note(0, "not JSON".to_owned());
        memory.note(0, "not JSON".to_owned());
        let feedback = memory.take_feedback(0).expect("there is some");
        assert_eq!(feedback.matches("not JSON").count(), 1);
        assert_eq!(memory.take_feedback(0), None);
    }

    #[test]
    fn nothing_is_shown_where_nothing_is_to_be_shown() {
        let mut memory = PromptMemory::new(1, 0);
        memory.accepted(0, 0, "Why is the sea salty?");
        assert!(memory.avoid(0).is_empty());
    }

    #[test]
    fn no_prompt_after_a_refusal_is_one_that_was_declined() {
        let mut memory = PromptMemory::new(2, 0);
        let mut seen = vec![memory.take_feedback(0)];
        for _ in 0..4 {
            memory.declined(0);
            // Asked twice before the next refusal.
            let first = memory.take_feedback(0);
            assert_eq!(memory.take_feedback(0), first);
            assert!(!seen.contains(&first), "{first:?}");
            seen.push(first);
        }
        assert_eq!(memory.take_feedback(1), None);
    }
}
