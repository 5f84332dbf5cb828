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
    use super::super::RecordKind;
    use super::*;

    /// Says what comes of a chat as a model gives it: nothing where it is taken, `schema` where it does not fit, or the reason.
    fn verdict(chat: &Chat, record: &Value) -> &'static str {
        let kind = RecordKind::Chat(chat.clone());
        let schema = kind.schema().expect("it is a schema");
        let (record, _) = schema.drop_unknown_keys(record.clone());
        let (record, _) = crate::schema::read_json_texts(record, &schema);
        if schema.validate(&record).is_err() {
            return "schema";
        }
        kind.fault(record.as_object().expect("it is valid"))
            .unwrap_or_default()
    }

    fn chat(said: &[(&str, &str)]) -> Value {
        let said = said.iter();
        let said = said.map(|(role, content)| json!({"role": role, "content": content}));
        json!({"messages": said.collect::<Vec<_>>()})
    }

    #[test]
    fn chats_as_models_give_them() {
        const TURNS: &str = "user and assistant do not take turns, the user first";
        let hello = ("user", "My parcel has not come.");
        let reply = ("assistant", "I am sorry. What is its number?");
        let number = ("user", "It is 4711.");
        let found = ("assistant", "It is on its way, and comes tomorrow.");
        let system = ("system", "You help customers of a parcel service.");
        let plain = Chat {
            turns: (2, 4),
            ..Chat::default()
        };
        let led = Chat {
            system: SystemMessage::Required,
            ..plain.clone()
        };
        let may = Chat {
            system: SystemMessage::Optional,
            ..plain.clone()
        };
        let asks = Chat {
            last_speaker: Speaker::User,
            turns: (1, 3),
            ..Chat::default()
        };
        let open = Chat {
            last_speaker: Speaker::Either,
            ..plain.clone()
        };
        for (kind, said, expected) in [
            (&plain, chat(&[hello, reply]), ""),
            (&plain, chat(&[hello, reply, number, found]), ""),
            (
                &plain,
                chat(&[hello, reply, number]),
                "the last message is not the assistant's",
            ),
            (&plain, chat(&[hello]), "schema"),
            (&plain, chat(&[]), "schema"),
            (
                &plain,
                chat(&[
                    hello,
                    reply,
                    number,
                    found,
                    ("user", "Thanks!"),
                    ("assistant", "Gladly."),
                ]),
                "schema",
            ),
            // The assistant greets first, as in many support chats.
            (
                &plain,
                chat(&[("assistant", "How can I help?"), hello]),
                TURNS,
            ),
            // Two messages in a row, as people write.
            (
                &plain,
                chat(&[hello, ("user", "Hello?"), reply, found]),
                TURNS,
            ),
            (&plain, chat(&[system, hello, reply]), "schema"),
            (
                &plain,
                chat(&[("human", "My parcel has not come."), ("gpt", "I am sorry.")]),
                "schema",
            ),
            (
                &plain,
                chat(&[hello, ("assistant", " \n")]),
                "a message is blank",
            ),
            (
                &plain,
                chat(&[
                    ("user", "User: My parcel?"),
                    ("assistant", "Assistant: I am sorry."),
                ]),
                "a message begins with the name of its role",
            ),
            (
                &plain,
                chat(&[("user", "Assistants are what I ask about."), reply]),
                "",
            ),
            // No content beside a call of a tool.
            (
                &plain,
                json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": []}]}),
                "schema",
            ),
            // ShareGPT's names.
            (
                &plain,
                json!({"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}),
                "schema",
            ),
            // The list as a text, and keys of its own: both are set right before.
            (
                &plain,
                json!({"messages": chat(&[hello, reply])["messages"].to_string(), "id": 7}),
                "",
            ),
            (
                &plain,
                json!({"messages": [{"role": "user", "content": "x", "name": "Ann"}, {"role": "assistant", "content": "y"}]}),
                "",
            ),
            (&led, chat(&[system, hello, reply]), ""),
            (
                &led,
                chat(&[hello, reply, number, found]),
                "the chat does not begin with a system message",
            ),
            (
                &led,
                chat(&[system, hello, reply, number]),
                "the last message is not the assistant's",
            ),
            (
                &led,
                chat(&[hello, system, reply]),
                "the chat does not begin with a system message",
            ),
            (&may, chat(&[hello, reply]), ""),
            (&may, chat(&[system, hello, reply]), ""),
            (
                &may,
                chat(&[system, hello]),
                "the chat has too few messages",
            ),
            (
                &may,
                chat(&[hello, reply, number, found, ("user", "Thanks!")]),
                "the chat has too many messages",
            ),
            (&may, chat(&[hello, reply, system, number]), TURNS),
            (&asks, chat(&[hello]), ""),
            (&asks, chat(&[hello, reply, number]), ""),
            (
                &asks,
                chat(&[hello, reply]),
                "the last message is not the user's",
            ),
            (&open, chat(&[hello, reply, number]), ""),
        ] {
            assert_eq!(verdict(kind, &said), expected, "{said}");
        }
    }

    #[test]
    fn a_range_keeps_the_numbers_with_which_the_right_one_speaks_last() {
        let bounds = |turns, last_speaker| {
            Chat {
                turns,
                last_speaker,
                ..Chat::default()
            }
            .bounds()
        };
        assert_eq!(bounds((1, 5), Speaker::Assistant), Some((2, 4)));
        assert_eq!(bounds((2, 6), Speaker::User), Some((3, 5)));
        assert_eq!(bounds((1, 6), Speaker::Either), Some((1, 6)));
        assert_eq!(bounds((3, 3), Speaker::Assistant), None);
        assert_eq!(bounds((2, 2), Speaker::User), None);
    }
}
