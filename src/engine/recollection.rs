//! What the next prompt of a topic is told of its earlier answers.

use std::mem;

use serde_json::{Map, Value};

use crate::diversity::{AvoidBudget, AvoidMemory};

/// The most characters of a record that a prompt shows: enough to tell it from others, and little enough that
/// a handful of them costs less than the answer.
const GIST_CHARS: usize = 200;

/// The most notes on what was wrong that one prompt carries. More than a few are not read.
const MOST_NOTES: usize = 4;

/// What to do about an answer that was declined.
const HARMLESS: &str =
    "Choose another aspect of the topic, one that is plainly harmless, and write about that.";

/// What is remembered of each topic: accepted records, repetitions, and what was wrong with the last answer.
#[derive(Debug)]
pub(super) struct Recollection {
    topics: Vec<TopicMemory>,
    budget: AvoidBudget,
}

#[derive(Debug, Clone)]
struct TopicMemory {
    avoid: AvoidMemory,
    notes: Vec<String>,
    /// How many answers the model or a filter declined.
    declined: u32,
}

impl Recollection {
    /// Creates the memory of so many topics, which shows so many records in a prompt.
    pub(super) fn new(topics: usize, shown: usize) -> Self {
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
        }
    }

    /// Remembers an accepted record.
    pub(super) fn accepted(&mut self, topic: usize, ordinal: u64, gist: &str) {
        self.topics[topic].avoid.accepted(ordinal, gist);
    }

    /// Remembers what was wrong with an answer, until the topic is asked again.
    pub(super) fn note(&mut self, topic: usize, note: String) {
        let notes = &mut self.topics[topic].notes;
        if notes.len() < MOST_NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Remembers that the model or a content filter declined, for as long as the topic is asked: no later prompt
    /// is word for word one that was declined.
    pub(super) fn declined(&mut self, topic: usize) {
        self.topics[topic].declined += 1;
    }

    /// Remembers a record that was refused because it repeats the one of this ordinal, or given material.
    pub(super) fn repeated(&mut self, topic: usize, of: Option<u64>, gist: &str) {
        self.topics[topic].avoid.repeated(of, gist);
        self.note(
            topic,
            format!("this one repeats a record that already exists: {gist}"),
        );
    }

    /// Returns the records to show: what is most like what the topic has been repeating, and the latest.
    pub(super) fn avoid(&self, topic: usize) -> Vec<String> {
        self.topics[topic].avoid.choose(&self.budget)
    }

    /// Takes what was wrong with the answers since the topic was last asked.
    pub(super) fn take_feedback(&mut self, topic: usize) -> Option<String> {
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
pub(super) fn gist(data: &Map<String, Value>) -> String {
    let mut gist = String::with_capacity(GIST_CHARS + ELLIPSIS.len());
    let mut room = GIST_CHARS;
    for text in data.values().filter_map(Value::as_str) {
        let mut separator = if gist.is_empty() { "" } else { " | " };
        for word in text.split_whitespace() {
            gist.push_str(separator);
            // What separates two texts does not count; between words it does.
            room = room.saturating_sub(usize::from(separator == " "));
            separator = " ";
            let (whole, length) = beginning(word, room);
            gist.push_str(whole);
            room -= length;
            if whole.len() < word.len() {
                gist.push_str(ELLIPSIS);
                return gist;
            }
        }
    }
    gist
}

const ELLIPSIS: &str = "…";

/// Returns as much of a word as there is room for, and its length in characters.
fn beginning(word: &str, room: usize) -> (&str, usize) {
    if word.len() <= room && word.is_ascii() {
        return (word, word.len());
    }
    match word.char_indices().nth(room) {
        Some((end, _)) => (&word[..end], room),
        None => (word, word.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gist_is_the_texts_of_a_record_on_one_line() {
        let data =
            json!({"question": "What is\n a  graph?", "level": 3, "answer": "Nodes and edges."});
        assert_eq!(
            gist(data.as_object().expect("an object")),
            "What is a graph? | Nodes and edges."
        );
    }

    #[test]
    fn a_gist_is_short_whatever_the_record_holds() {
        for text in ["word ".repeat(500), "x".repeat(5000), "字".repeat(5000)] {
            let data = json!({ "text": text });
            let length = gist(data.as_object().expect("an object")).chars().count();
            assert!(
                (GIST_CHARS - 10..=GIST_CHARS + 1).contains(&length),
                "{length}"
            );
        }
    }

    #[test]
    fn what_was_repeated_is_shown_and_notes_only_once() {
        let mut recollection = Recollection::new(1, 2);
        let gists = [
            "Why is the sea salty?",
            "What moves the tides?",
            "How deep is the ocean?",
            "Who sails?",
        ];
        for (ordinal, gist) in (0..).zip(gists) {
            recollection.accepted(0, ordinal, gist);
        }
        recollection.repeated(0, Some(0), "Why is the sea so salty?");
        assert_eq!(recollection.avoid(0), [gists[0], gists[3]]);
        recollection.note(0, "not JSON".to_owned());
        recollection.note(0, "not JSON".to_owned());
        let feedback = recollection.take_feedback(0).expect("there is some");
        assert_eq!(feedback.matches("not JSON").count(), 1);
        assert_eq!(recollection.take_feedback(0), None);
    }

    #[test]
    fn nothing_is_shown_where_nothing_is_to_be_shown() {
        let mut recollection = Recollection::new(1, 0);
        recollection.accepted(0, 0, "Why is the sea salty?");
        assert!(recollection.avoid(0).is_empty());
    }

    #[test]
    fn no_prompt_after_a_refusal_is_one_that_was_declined() {
        let mut recollection = Recollection::new(2, 0);
        let mut seen = vec![recollection.take_feedback(0)];
        for _ in 0..4 {
            recollection.declined(0);
            // Asked twice before the next refusal.
            let first = recollection.take_feedback(0);
            assert_eq!(recollection.take_feedback(0), first);
            assert!(!seen.contains(&first), "{first:?}");
            seen.push(first);
        }
        assert_eq!(recollection.take_feedback(1), None);
    }
}
