//! What the next prompt of a topic is told of its earlier answers.

use std::collections::VecDeque;
use std::mem;

use serde_json::{Map, Value};

/// The most characters of a record that a prompt shows: enough to tell it from others, and little enough that
/// a handful of them costs less than the answer.
const GIST_CHARS: usize = 200;

/// The most notes on what was wrong that one prompt carries. More than a few are not read.
const MOST_NOTES: usize = 4;

/// What to do about an answer that was declined.
const HARMLESS: &str =
    "Choose another aspect of the topic, one that is plainly harmless, and write about that.";

/// What is remembered of each topic: some accepted records, and what was wrong with the last answer.
#[derive(Debug)]
pub(super) struct Recollection {
    topics: Vec<TopicMemory>,
    keep: usize,
}

#[derive(Debug, Clone, Default)]
struct TopicMemory {
    accepted: VecDeque<String>,
    notes: Vec<String>,
    /// How many answers the model or a filter declined.
    declined: u32,
}

impl Recollection {
    /// Creates the memory of so many topics, which keeps so many accepted records of each.
    pub(super) fn new(topics: usize, keep: usize) -> Self {
        Self {
            topics: vec![TopicMemory::default(); topics],
            keep,
        }
    }

    /// Remembers an accepted record, and forgets the oldest one if there are too many.
    pub(super) fn accepted(&mut self, topic: usize, gist: String) {
        let accepted = &mut self.topics[topic].accepted;
        if accepted.len() >= self.keep {
            accepted.pop_front();
        }
        if self.keep > 0 {
            accepted.push_back(gist);
        }
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

    /// Remembers a record that was refused because it repeats another.
    pub(super) fn repeated(&mut self, topic: usize, gist: &str) {
        self.note(
            topic,
            format!("this one repeats a record that already exists: {gist}"),
        );
    }

    /// Returns the accepted records to show, oldest first.
    pub(super) fn avoid(&self, topic: usize) -> Vec<String> {
        self.topics[topic].accepted.iter().cloned().collect()
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
    let mut gist = String::with_capacity(GIST_CHARS);
    let mut room = GIST_CHARS;
    for text in data.values().filter_map(Value::as_str) {
        if !gist.is_empty() {
            gist.push_str(" | ");
        }
        let mut after_space = true;
        for character in text.chars() {
            let is_space = character.is_whitespace();
            if is_space && after_space {
                continue;
            }
            if room == 0 {
                gist.push('…');
                return gist;
            }
            gist.push(if is_space { ' ' } else { character });
            after_space = is_space;
            room -= 1;
        }
        gist.truncate(gist.trim_end().len());
    }
    gist
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
    fn the_latest_records_are_shown_and_notes_only_once() {
        let mut recollection = Recollection::new(1, 2);
        for gist in ["a", "b", "c"] {
            recollection.accepted(0, gist.to_owned());
        }
        assert_eq!(recollection.avoid(0), ["b", "c"]);
        recollection.note(0, "not JSON".to_owned());
        recollection.note(0, "not JSON".to_owned());
        assert_eq!(recollection.take_feedback(0).as_deref(), Some("not JSON"));
        assert_eq!(recollection.take_feedback(0), None);
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
