//! What a prompt is about: the few lines of it that the stand-in reads.

use std::collections::HashSet;

use crate::llm::{ChatRequest, Role};

/// Words that introduce what an instruction is about.
const LEADS: [&str; 10] = [
    " about ",
    " regarding ",
    " covering ",
    " concerning ",
    " related to ",
    " in the field of ",
    " on ",
    " for ",
    " of ",
    " in ",
];

/// Words that say what is to be made rather than what it is about.
const HOLLOW: [&str; 34] = [
    "a",
    "an",
    "and",
    "answer",
    "answers",
    "concepts",
    "create",
    "data",
    "dataset",
    "diverse",
    "each",
    "examples",
    "generate",
    "give",
    "high-quality",
    "ideas",
    "items",
    "list",
    "make",
    "me",
    "pairs",
    "please",
    "produce",
    "q&a",
    "questions",
    "realistic",
    "records",
    "several",
    "some",
    "synthetic",
    "the",
    "topics",
    "various",
    "write",
];

/// The most words of a subject; a longer one would drown the topics made from it.
const SUBJECT_WORDS: usize = 4;

/// Returns what the last message's line `Topic: …` names.
pub(in super::super) fn topic_line(request: &ChatRequest) -> Option<&str> {
    labelled_line(request.last_text(), "topic:")
}

/// Labels of the line that holds the instruction; the second is the heading of the library's own prompts.
const INSTRUCTION_LABELS: [&str; 2] = ["instruction:", "# what the data set is about"];

/// Returns what the instruction is about: the line after one of its labels in the latest message that has
/// one, or else the first message of the user.
pub(in super::super) fn instruction_subject(request: &ChatRequest) -> Option<String> {
    let messages = || request.messages.iter().rev();
    let labelled = INSTRUCTION_LABELS
        .iter()
        .find_map(|label| messages().find_map(|message| labelled_line(&message.text, label)));
    let instruction = labelled.or_else(|| {
        let mut messages = request.messages.iter();
        let first = messages.find(|message| message.role == Role::User)?;
        Some(&*first.text)
    })?;
    subject_of(instruction)
}

/// Returns the names in all lines that start with `- `, in lower case.
pub(in super::super) fn topics_in_use(request: &ChatRequest) -> HashSet<String> {
    let lines = request
        .messages
        .iter()
        .flat_map(|message| message.text.lines());
    lines
        .filter_map(|line| line.trim_start().strip_prefix("- "))
        .map(|name| name.trim().to_lowercase())
        .collect()
}

fn labelled_line<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(start) = line.get(..label.len())
            && start.eq_ignore_ascii_case(label)
        {
            let rest = line[label.len()..].trim();
            if !rest.is_empty() {
                return Some(rest);
            }
            // The text may also begin below its label.
            return lines.map(str::trim).find(|line| !line.is_empty());
        }
    }
    None
}

fn subject_of(instruction: &str) -> Option<String> {
    let lower = instruction.to_ascii_lowercase();
    let after_lead = LEADS
        .iter()
        .find_map(|lead| Some(lower.find(lead)? + lead.len()));
    let phrase = &instruction[after_lead.unwrap_or(0)..];
    let end = phrase.find(['.', ',', ';', ':', '!', '?', '(', '\n', '"', '{']);
    let phrase = &phrase[..end.unwrap_or(phrase.len())];
    let is_hollow = |word: &&str| HOLLOW.contains(&word.to_ascii_lowercase().as_str());
    let mut words: Vec<&str> = phrase
        .split_whitespace()
        .skip_while(is_hollow)
        .take_while(|word| !["that", "which", "with", "to", "where"].contains(word))
        .take(SUBJECT_WORDS)
        .collect();
    while words.last().is_some_and(is_hollow) {
        words.pop();
    }
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Message;

    #[test]
    fn the_subject_of_an_instruction_is_its_noun_phrase() {
        for (instruction, expected) in [
            (
                "Generate Q&A pairs about machine learning concepts",
                "machine learning",
            ),
            (
                "Write product reviews for kitchen tools, in German.",
                "kitchen tools",
            ),
            ("Customer complaints", "Customer complaints"),
            ("medieval castles that were besieged", "medieval castles"),
        ] {
            assert_eq!(subject_of(instruction).as_deref(), Some(expected));
        }
        assert_eq!(subject_of("Generate some diverse questions."), None);
    }

    #[test]
    fn the_instruction_is_found_under_its_label_or_heading() {
        for text in [
            "Instruction: poems about rain",
            "Be brief.\n\n# What the data set is about\n\npoems about rain\n\n# Form\n\nJSON",
        ] {
            let request = ChatRequest::new(vec![Message::system(text), Message::user("Go on.")]);
            assert_eq!(instruction_subject(&request).as_deref(), Some("rain"));
        }
    }

    #[test]
    fn topic_and_names_in_use_are_read_from_their_lines() {
        let request = ChatRequest::new(vec![
            Message::user("Known:\n- Deep Learning\n- trees"),
            Message::user("Write 3 records.\nTopic: neural networks\n"),
        ]);
        assert_eq!(topic_line(&request), Some("neural networks"));
        let expected = ["deep learning", "trees"].map(String::from);
        assert_eq!(topics_in_use(&request), HashSet::from(expected));
    }
}
