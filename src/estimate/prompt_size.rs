//! From bytes of text to tokens.

use super::part::{Spread, float};

/// Bytes of text that a token covers. English prose has four to five, JSON and code three to four, and scripts that
/// tokenizers know less of two to three; long known words have six.
const BYTES: Spread<f64> = Spread {
    low: 6.0,
    likely: 4.0,
    high: 2.0,
};

/// What a chat template adds around the messages of a request: public ones add 3 to 10 tokens a message.
const TEMPLATE: f64 = 40.0;

/// Returns how many tokens a text of this many bytes may have.
pub(super) fn tokens(bytes: u64) -> Spread<f64> {
    BYTES.each(|of_a_token| float(bytes) / of_a_token)
}

/// Returns how many tokens a prompt may have. What enforces the schema is added or not, as the provider does it.
pub(super) fn prompt(bytes: u64, schema_bytes: u64) -> Spread<f64> {
    let (text, schema) = (tokens(bytes), tokens(schema_bytes));
    Spread {
        low: text.low,
        likely: text.likely + schema.likely,
        // Anthropic documents up to 804 tokens around a tool's schema.
        high: text.high + schema.high + 804.0 + TEMPLATE,
    }
}
