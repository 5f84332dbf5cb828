//! Tokens as servers count them, under all their names.

use serde_json::{Map, Value};

use crate::llm::Usage;

/// The counts that a body tells, each once or, in a stream, as it grows.
///
/// A count that is negative, fractional or a text is none. Of a count that nobody told, [`Usage`] says zero.
#[derive(Debug, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    written: Option<u64>,
    reasoning: Option<u64>,
    /// Whether what the cache served and took is not part of the input.
    cache_beside: bool,
    /// Whether reasoning is not part of the output.
    reasoning_beside: bool,
}

impl Counts {
    /// Reads the counts of an answer or an event of a stream.
    pub(super) fn learn(&mut self, answer: &Map<String, Value>) {
        // Ollama's stand at the top.
        let own = [("prompt_eval_count", "eval_count")];
        for (input, output) in own {
            set(&mut self.input, answer.get(input));
            set(&mut self.output, answer.get(output));
        }
        let usage = ["usage", "usageMetadata"]
            .into_iter()
            .find_map(|key| answer.get(key));
        let Some(usage @ Value::Object(_)) = usage else {
            return;
        };
        for name in ["prompt_tokens", "input_tokens", "promptTokenCount"] {
            set(&mut self.input, usage.get(name));
        }
        for name in ["completion_tokens", "output_tokens", "candidatesTokenCount"] {
            set(&mut self.output, usage.get(name));
        }
        for name in ["total_tokens", "totalTokenCount"] {
            set(&mut self.total, usage.get(name));
        }
        for path in [
            "cache_read_input_tokens",
            "cachedContentTokenCount",
            // DeepSeek's.
            "prompt_cache_hit_tokens",
            "input_tokens_details/cached_tokens",
            "prompt_tokens_details/cached_tokens",
        ] {
            set(&mut self.cached, at(usage, path));
        }
        for path in [
            "cache_creation_input_tokens",
            "prompt_tokens_details/cache_write_tokens",
        ] {
            set(&mut self.written, at(usage, path));
        }
        for path in [
            "thoughtsTokenCount",
            "output_tokens_details/reasoning_tokens",
            "completion_tokens_details/reasoning_tokens",
        ] {
            set(&mut self.reasoning, at(usage, path));
        }
        // Anthropic's way; LiteLLM's proxy sends these names with OpenAI's counts, which hold them.
        self.cache_beside |= usage.get("cache_read_input_tokens").is_some()
            || usage.get("cache_creation_input_tokens").is_some();
        self.cache_beside &= usage.get("prompt_tokens").is_none();
        // Gemini's way, and both are billed as output.
        self.reasoning_beside |= usage.get("thoughtsTokenCount").is_some();
    }

    /// Returns what can be believed of the counts.
    pub(super) fn usage(&self) -> Usage {
        let (cached, written) = (self.cached.unwrap_or(0), self.written.unwrap_or(0));
        let reasoning = self.reasoning.unwrap_or(0);
        let input = self.input.map(|input| {
            let beside = if self.cache_beside {
                cached.saturating_add(written)
            } else {
                0
            };
            input.saturating_add(beside)
        });
        let output = self.output.map(|output| {
            // xAI counts reasoning beside the output too, which only the total tells.
            let total = input
                .unwrap_or(0)
                .saturating_add(output)
                .saturating_add(reasoning);
            let beside = self.reasoning_beside || self.total == Some(total) || reasoning > output;
            output.saturating_add(if beside { reasoning } else { 0 })
        });
        let rest = |half: Option<u64>| self.total?.checked_sub(half?);
        let (input, output) = (
            input.or_else(|| rest(output)),
            output.or_else(|| rest(input)),
        );
        let output = output.or(self.reasoning.filter(|_| self.reasoning_beside));
        let mut usage = Usage::new(input.unwrap_or(0), output.unwrap_or(0));
        usage.cached_input_tokens = cached.min(usage.input_tokens);
        usage.cache_write_tokens = written.min(usage.input_tokens - usage.cached_input_tokens);
        usage.reasoning_tokens = reasoning.min(usage.output_tokens);
        usage
    }
}

/// Returns the value at keys with `/` between them. They are plain, so nothing is to be unescaped as in a JSON pointer.
fn at<'a>(usage: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(usage, |value, key| value.get(key))
}

/// Replaces a count by a later one, if that is a count.
fn set(count: &mut Option<u64>, value: Option<&Value>) {
    *count = value.and_then(whole).or(*count);
}

/// Reads a count, which some servers write as `50.0`.
fn whole(value: &Value) -> Option<u64> {
    /// Above it, a fraction could not be seen.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let count = value.as_f64()?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        ((0.0..EXACT).contains(&count) && count.fract() == 0.0).then_some(count as u64)
    })
}
