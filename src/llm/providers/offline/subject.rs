//! What a prompt is about: the few lines of it that the stand-in reads.

use crate::llm::{ChatRequest, Role};

/// What introduces an instruction.
const LABELS: [&str; 2] = ["instruction:", "# what the data set is about"];

/// Words that introduce what an instruction is about.
const LEADS: [&str; 6] = [" about ", " covering ", " on ", " for ", " of ", " in "];

/// Words that say what is to be made rather than what it is about.
const HOLLOW: &str = " a an and answer answers concepts create data dataset diverse each examples generate give \
    high-quality ideas items list make me pairs please produce q&a questions realistic records several some synthetic \
    the topics various write ";

/// Returns what the last message's line `Topic: …` names.
pub(super) fn topic(request: &ChatRequest) -> Option<&str> {
    below(request.last_text(), "topic:")
}

/// Returns the sentences of the text that the last message shows under `text:`, on that line or moved in below it.
pub(super) fn sentences(request: &ChatRequest) -> Vec<String> {
    let mut lines = request.last_text().lines();
    let first = lines.find_map(|line| line.strip_prefix("text:"));
    let below = lines.take_while(|line| line.starts_with("    "));
    let sentences = first
        .into_iter()
        .chain(below)
        .flat_map(|line| line.split('.'));
    let sentences = sentences.map(|sentence| sentence.trim().to_owned());
    sentences
        .filter(|sentence| sentence.contains(' '))
        .collect()
}

/// Returns what the instruction is about: the line after its label or heading in the latest message that has one, or
/// else the user's first message.
pub(super) fn of_instruction(request: &ChatRequest) -> Option<String> {
    let latest_first = request.messages.iter().rev();
    let labelled = |label| {
        latest_first
            .clone()
            .find_map(|message| below(&message.text, label))
    };
    let mut by_user = request
        .messages
        .iter()
        .filter(|message| message.role == Role::User);
    let labelled = LABELS.into_iter().find_map(labelled);
    noun_phrase(labelled.or_else(|| by_user.next().map(|message| &*message.text))?)
}

/// Returns the names in all lines that start with `- `, in lower case.
pub(super) fn topics_in_use(request: &ChatRequest) -> impl Iterator<Item = String> {
    let messages = request.messages.iter();
    let lines = messages.flat_map(|message| message.text.lines());
    let names = lines.filter_map(|line| line.trim_start().strip_prefix("- "));
    names.map(|name| name.trim().to_lowercase())
}

/// Returns what follows a label on its line, or the first line below it.
fn below<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let mut lines = text.lines().map(str::trim);
    let rest = lines.find_map(|line| {
        let (start, rest) = line.split_at_checked(label.len())?;
        start.eq_ignore_ascii_case(label).then(|| rest.trim())
    })?;
    Some(rest)
        .filter(|rest| !rest.is_empty())
        .or_else(|| lines.find(|line| !line.is_empty()))
}

fn noun_phrase(instruction: &str) -> Option<String> {
    let lower = instruction.to_ascii_lowercase();
    let start = LEADS
        .iter()
        .find_map(|lead| Some(lower.find(lead)? + lead.len()));
    let phrase = &instruction[start.unwrap_or(0)..];
    let phrase = phrase
        .split(['.', ',', ';', ':', '!', '?', '(', '\n', '"', '{'])
        .next()?;
    let is_hollow = |word: &&str| HOLLOW.contains(&format!(" {} ", word.to_ascii_lowercase()));
    let words = phrase.split_whitespace().skip_while(is_hollow);
    let words = words.take_while(|word| !["that", "which", "with", "to", "where"].contains(word));
    // A longer one would drown the topics made from it.
    let mut words: Vec<&str> = words.take(4).collect();
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
            assert_eq!(noun_phrase(instruction).as_deref(), Some(expected));
        }
        assert_eq!(noun_phrase("Generate some diverse questions."), None);
    }

    #[test]
    fn the_instruction_is_found_under_its_label_or_heading() {
        for text in [
            "Instruction: poems about rain",
            "Be brief.\n\n# What the data set is about\n\npoems about rain\n\n# Form\n\nJSON",
        ] {
            let request = ChatRequest::new(vec![Message::system(text), Message::user("Go on.")]);
            assert_eq!(of_instruction(&request).as_deref(), Some("rain"));
        }
    }

    #[test]
    fn topic_and_names_in_use_are_read_from_their_lines() {
        let request = ChatRequest::new(vec![
            Message::user("Known:\n- Deep Learning\n- trees"),
            Message::user("Write 3 records.\nTopic: neural networks\n"),
        ]);
        assert_eq!(topic(&request), Some("neural networks"));
        let expected = ["deep learning", "trees"].map(String::from);
        assert_eq!(topics_in_use(&request).collect::<Vec<_>>(), expected);
    }
}
