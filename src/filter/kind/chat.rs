//! Chats of a user and an assistant, in the form that models are trained on: `{"messages": [{"role", "content"}]}`.

use serde_json::{Map, Value, json};

use super::{in_words, is_blank};

/// What a chat has to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chat {
    /// The fewest and the most messages, without the system message.
    pub(crate) turns: (u64, u64),
    pub(crate) system: SystemMessage,
    pub(crate) last_speaker: Speaker,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            turns: (2, 10),
            system: SystemMessage::None,
            last_speaker: Speaker::Assistant,
        }
    }
}

/// Whether a chat begins with a system message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SystemMessage {
    None,
    Optional,
    Required,
}

/// Whose message is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Assistant,
    User,
    Either,
}

/// Names of roles that models write before what is said.
const NAMES: [&str; 6] = ["user:", "human:", "assistant:", "gpt:", "ai:", "system:"];

impl Chat {
    /// Returns the fewest and the most messages with which the right one is the last to speak; nothing where there is no such
    /// number.
    pub(crate) fn bounds(&self) -> Option<(u64, u64)> {
        // The user begins, so what the assistant ends has an even number.
        let odd = match self.last_speaker {
            Speaker::Assistant => 0,
            Speaker::User => 1,
            Speaker::Either => return Some(self.turns),
        };
        let (least, most) = self.turns;
        let (least, most) = (
            least + u64::from(least % 2 != odd),
            most.checked_sub(u64::from(most % 2 != odd))?,
        );
        (least.max(1) <= most).then_some((least, most))
    }

    pub(super) fn schema(&self) -> Value {
        let (least, most) = self.bounds().unwrap_or(self.turns);
        let (fewest_more, more) = match self.system {
            SystemMessage::None => (0, 0),
            SystemMessage::Optional => (0, 1),
            SystemMessage::Required => (1, 1),
        };
        let roles = ["system", "user", "assistant"];
        let message = json!({
            "type": "object",
            "properties": {"role": {"enum": roles[usize::from(more == 0)..]}, "content": {"type": "string"}},
            "required": ["role", "content"],
            "additionalProperties": false,
        });
        let messages = json!({
            "type": "array", "description": self.in_words((least, most)), "items": message, "minItems": least + fewest_more, "maxItems": most + more,
        });
        json!({
            "type": "object", "properties": {"messages": messages}, "required": ["messages"], "additionalProperties": false,
        })
    }

    /// Says to the model what a chat is like.
    fn in_words(&self, bounds: (u64, u64)) -> String {
        let system = match self.system {
            SystemMessage::None => "",
            SystemMessage::Optional => "A system message may come first. ",
            SystemMessage::Required => {
                "First a system message, which says how the assistant is to be. "
            }
        };
        let last = match self.last_speaker {
            Speaker::Assistant => ", the last from the assistant",
            Speaker::User => ", the last from the user",
            Speaker::Either => "",
        };
        let messages = in_words(bounds, "message");
        format!(
            "{system}User and assistant take turns, the user first: {messages}{last}. No message begins with the name of its role."
        )
    }

    /// Returns what is wrong with a chat that fits the schema.
    pub(super) fn fault(&self, record: &Map<String, Value>) -> Option<&'static str> {
        let messages = record.get("messages").and_then(Value::as_array);
        let messages = messages.map_or(&[][..], Vec::as_slice);
        let role = |message: &Value| message["role"].as_str().unwrap_or_default().to_owned();
        let has_system = messages
            .first()
            .is_some_and(|first| role(first) == "system");
        if self.system == SystemMessage::Required && !has_system {
            return Some("the chat does not begin with a system message");
        }
        let said = &messages[usize::from(has_system)..];
        let is_out_of_turn =
            |(place, message): (usize, &Value)| role(message) != ["user", "assistant"][place % 2];
        if said.iter().enumerate().any(is_out_of_turn) {
            return Some("user and assistant do not take turns, the user first");
        }
        let count = said.len() as u64;
        if count < self.turns.0 {
            return Some("the chat has too few messages");
        }
        if count > self.turns.1 {
            return Some("the chat has too many messages");
        }
        match (self.last_speaker, count % 2) {
            (Speaker::Assistant, 1) => return Some("the last message is not the assistant's"),
            (Speaker::User, 0) => return Some("the last message is not the user's"),
            _ => {}
        }
        if messages.iter().any(|message| is_blank(&message["content"])) {
            return Some("a message is blank");
        }
        let names_role = |message: &Value| {
            let text = message["content"].as_str().unwrap_or_default().trim_start();
            let start = |name: &str| text.get(..name.len()).map(str::to_ascii_lowercase);
            NAMES
                .iter()
                .any(|name| start(name).as_deref() == Some(name))
        };
        let named = messages.iter().any(names_role);
        named.then_some("a message begins with the name of its role")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_keeps_the_numbers_with_which_the_right_one_speaks_last() {
        for (turns, last_speaker, expected) in [
            ((1, 5), Speaker::Assistant, Some((2, 4))),
            ((2, 6), Speaker::User, Some((3, 5))),
            ((1, 6), Speaker::Either, Some((1, 6))),
            ((3, 3), Speaker::Assistant, None),
            ((2, 2), Speaker::User, None),
        ] {
            let system = SystemMessage::None;
            let chat = Chat {
                turns,
                system,
                last_speaker,
            };
            assert_eq!(chat.bounds(), expected);
        }
    }
}
