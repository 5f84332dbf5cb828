//! Bounds of the tokens that a call can use, from the request alone.

use std::io;

use serde::Serialize;
use serde_json::Value;

use crate::llm::{ChatRequest, OutputFormat, Parameters};

/// What a chat template adds to a message: role, separators. Public templates add 3 to 10.
const PER_MESSAGE: u64 = 16;

/// What a provider adds to a request: start and end markers, a date, a short hidden instruction.
const PER_REQUEST: u64 = 64;

/// What a provider adds to make a model follow a schema or call a tool. Anthropic documents up to 804
/// tokens, depending on the model; others less or nothing.
const PER_SCHEMA: u64 = 1_024;

/// JSON may be shown to the model with indentation or with `\u` escapes: at most six bytes where there were two.
const JSON_GROWS: u64 = 3;

/// Returns a number of tokens that the prompt does not exceed.
///
/// A token of the byte-pair and byte-fallback tokenizers in use covers at least one byte of text, so bytes
/// bound tokens in every language; real text has three to four bytes a token. To that comes what providers
/// wrap around messages and schemas.
pub(super) fn input_tokens(request: &ChatRequest) -> u64 {
    let messages: u64 = request
        .messages
        .iter()
        .map(|message| message.text.len() as u64 + PER_MESSAGE)
        .sum();
    let schema = match &request.output {
        OutputFormat::Text | OutputFormat::Json => 0,
        OutputFormat::Schema(schema) => {
            PER_SCHEMA + schema.name.len() as u64 + JSON_GROWS * json_len(&schema.schema)
        }
    };
    // What is passed through may hold text for the model, such as tools.
    let passed_through = match &request.parameters.extra {
        none if none.is_empty() => 0,
        extra => JSON_GROWS * json_len(extra),
    };
    PER_REQUEST + messages + schema + passed_through
}

/// Returns a number of tokens that the answer does not exceed, hidden reasoning included, if there is one:
/// the limit that is sent, or else the model's own.
pub(super) fn output_tokens(parameters: &Parameters, most: Option<u64>) -> Option<u64> {
    const ANSWERS: [&str; 4] = ["n", "best_of", "candidate_count", "candidateCount"];

    let number = |name: &&str| parameters.extra(name).and_then(Value::as_u64);
    // Where several are given, which one the provider obeys is not known.
    let asked = Parameters::LIMITS
        .iter()
        .filter_map(number)
        .chain(parameters.max_tokens)
        .max();
    let one = match (asked, most) {
        (Some(asked), Some(most)) => asked.min(most),
        (asked, most) => asked.or(most)?,
    };
    let answers = ANSWERS.iter().filter_map(number).max().unwrap_or(1).max(1);
    Some(one.saturating_mul(answers))
}

/// The length as JSON, counted without building it.
fn json_len(value: &impl Serialize) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("JSON values have string keys");
    count.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::llm::{Message, OutputMode, OutputSchema};

    fn parameters(max_tokens: Option<u64>, extra: Value) -> Parameters {
        Parameters {
            max_tokens,
            extra: serde_json::from_value(extra).unwrap(),
            ..Parameters::default()
        }
    }

    #[test]
    fn every_byte_that_reaches_the_model_counts() {
        let plain = ChatRequest::new(vec![Message::system("be brief"), Message::user("日本語")]);
        assert_eq!(input_tokens(&plain), 64 + (8 + 16) + (9 + 16));

        let schema = OutputSchema::new("qa", json!({"type": "object"}), OutputMode::Strict);
        let structured = plain
            .clone()
            .with_output(OutputFormat::Schema(Arc::new(schema)));
        assert_eq!(
            input_tokens(&structured),
            input_tokens(&plain) + 1_024 + 2 + 3 * 17
        );

        let tools = json!({"tools": "x".repeat(100)});
        let passing = plain.clone().with_parameters(parameters(None, tools));
        assert!(input_tokens(&passing) >= input_tokens(&plain) + 100);
    }

    #[test]
    fn the_answer_is_bounded_by_the_limit_sent_or_by_the_model() {
        let none = parameters(None, json!({}));
        let some = parameters(Some(200), json!({}));
        assert_eq!(output_tokens(&none, None), None);
        assert_eq!(output_tokens(&none, Some(4_096)), Some(4_096));
        assert_eq!(output_tokens(&some, Some(4_096)), Some(200));
        assert_eq!(output_tokens(&some, Some(100)), Some(100));
    }

    #[test]
    fn limits_passed_through_and_several_answers_are_seen() {
        let through = parameters(None, json!({"max_completion_tokens": 500}));
        assert_eq!(output_tokens(&through, None), Some(500));
        let both = parameters(Some(200), json!({"max_completion_tokens": 500}));
        assert_eq!(output_tokens(&both, None), Some(500));
        let three = parameters(Some(200), json!({"n": 3}));
        assert_eq!(output_tokens(&three, Some(300)), Some(600));
    }
}
