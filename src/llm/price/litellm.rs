//! Rows of LiteLLM's `model_prices_and_context_window.json`, which people keep up to date.

use serde_json::{Map, Value};

use super::{LongPrompt, Price, Rates, Usd};
use crate::llm::ModelName;

const PER_MILLION: f64 = 1e6;

/// Returns whether this is such a row.
pub(super) fn is_row(row: &Value) -> bool {
    row.get("litellm_provider").is_some() || row.get("input_cost_per_token").is_some()
}

/// Reads the price of a model and its name here, if the row has a price per token.
pub(super) fn price(name: &str, row: &Value) -> Option<(String, Price)> {
    let row = row.as_object()?;
    let tiers = tiers(row);
    let count = |key: &str| {
        let value = row.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let price = Price {
        rates: rates(row, "").or(tiers.first().map(|(_, rates)| *rates))?,
        long: long_prompt(row).or_else(|| above(tiers.get(1)?.0, &tiers[1..])),
        max_output_tokens: count("max_output_tokens").or_else(|| count("max_tokens")),
    };
    Some((name_of(name, row)?, price))
}

fn rates(row: &Map<String, Value>, end: &str) -> Option<Rates> {
    let output = dollars(row, &format!("output_cost_per_token{end}"))?;
    // Hidden reasoning is counted as output, so the dearer of the two holds for both.
    let reasoning = dollars(row, &format!("output_cost_per_reasoning_token{end}"));
    Some(Rates {
        input: dollars(row, &format!("input_cost_per_token{end}"))?,
        output: reasoning.map_or(output, |reasoning| output.max(reasoning)),
        cached_input: dollars(row, &format!("cache_read_input_token_cost{end}")),
        cache_write: dollars(row, &format!("cache_creation_input_token_cost{end}")),
    })
}

/// Reads `tiered_pricing`: where the prompts of each tier begin, and its rates.
fn tiers(row: &Map<String, Value>) -> Vec<(u64, Rates)> {
    let tiers = row.get("tiered_pricing").and_then(Value::as_array);
    let tiers = tiers.into_iter().flatten().filter_map(|tier| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It saturates.
        let from = tier.get("range")?.get(0)?.as_f64()? as u64;
        Some((from, rates(tier.as_object()?, "")?))
    });
    let mut tiers: Vec<_> = tiers.collect();
    tiers.sort_by_key(|(from, _)| *from);
    tiers
}

/// Reads `input_cost_per_token_above_200k_tokens` and what belongs to it.
fn long_prompt(row: &Map<String, Value>) -> Option<LongPrompt> {
    let bounds = row.keys().filter_map(|key| {
        let bound = key.strip_prefix("input_cost_per_token_above_")?;
        let bound: u64 = bound.strip_suffix("k_tokens")?.parse().ok()?;
        let rates = rates(row, &format!("_above_{bound}k_tokens"))?;
        Some((bound.saturating_mul(1_000), rates))
    });
    let bounds: Vec<_> = bounds.collect();
    let lowest = bounds.iter().map(|(bound, _)| *bound).min()?;
    above(lowest, &bounds)
}

/// The price of prompts above a bound, of several the highest, so that a cap holds.
fn above(bound: u64, rates: &[(u64, Rates)]) -> Option<LongPrompt> {
    let rates = rates.iter().map(|(_, rates)| *rates);
    let highest = rates.reduce(|one, other| Rates {
        input: one.input.max(other.input),
        output: one.output.max(other.output),
        cached_input: one.cached_input.max(other.cached_input),
        cache_write: one.cache_write.max(other.cache_write),
    })?;
    Some(LongPrompt {
        above: bound,
        rates: highest,
    })
}

fn dollars(row: &Map<String, Value>, key: &str) -> Option<Usd> {
    Usd::from_dollars(row.get(key)?.as_f64()? * PER_MILLION).ok()
}

/// Returns the name under which the model is asked for here: LiteLLM leaves the provider out of some.
fn name_of(name: &str, row: &Map<String, Value>) -> Option<String> {
    let provider = row.get("litellm_provider").and_then(Value::as_str);
    // `vertex_ai-language-models` and `bedrock_converse` are kinds of one provider.
    let provider = provider.map(|provider| match provider {
        vertex if vertex.starts_with("vertex_ai") => "vertex_ai",
        bedrock if bedrock.starts_with("bedrock") => "bedrock",
        provider => provider,
    });
    let whole = match provider {
        Some(provider) if !name.starts_with(&format!("{provider}/")) => {
            format!("{provider}/{name}")
        }
        _ => name.to_owned(),
    };
    Some(whole.parse::<ModelName>().ok()?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_that_models_are_asked_by() {
        for (name, provider, expected) in [
            ("gpt-6", "openai", "openai/gpt-6"),
            ("azure/gpt-6", "azure", "azure/gpt-6"),
            (
                "openrouter/openai/gpt-6",
                "openrouter",
                "openrouter/openai/gpt-6",
            ),
            (
                "gemini-3-pro",
                "vertex_ai-language-models",
                "vertex_ai/gemini-3-pro",
            ),
            (
                "anthropic.claude-5",
                "bedrock_converse",
                "bedrock/anthropic.claude-5",
            ),
            ("ollama/llama3", "ollama", "ollama/llama3"),
        ] {
            let row = json!({
                "litellm_provider": provider, "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
            });
            assert_eq!(price(name, &row).unwrap().0, expected);
        }
    }

    #[test]
    fn everything_that_a_cap_depends_on_is_read() {
        let row = json!({
            "litellm_provider": "gemini", "mode": "chat", "max_output_tokens": 65_536, "max_tokens": 1,
            "input_cost_per_token": 1.25e-6, "output_cost_per_token": 1e-5, "cache_read_input_token_cost": 3.1e-7,
            "output_cost_per_reasoning_token": 1.2e-5,
            "input_cost_per_token_above_200k_tokens": 2.5e-6, "output_cost_per_token_above_200k_tokens": 1.5e-5,
        });
        let (_, price) = price("gemini/gemini-9", &row).unwrap();
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        assert_eq!(price.rates.input, usd(1.25));
        assert_eq!(price.rates.output, usd(12.0));
        assert_eq!(price.rates.cached_input, Some(usd(0.31)));
        assert_eq!(price.max_output_tokens, Some(65_536));
        let long = price.long.unwrap();
        assert_eq!((long.above, long.rates.output), (200_000, usd(15.0)));
    }

    #[test]
    fn a_price_in_tiers_is_read() {
        let row = json!({"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"range": [0, 256_000.0], "input_cost_per_token": 5e-8, "output_cost_per_token": 4e-7},
            {"range": [1_000_000.0, 2e6], "input_cost_per_token": 2e-7, "output_cost_per_token": 3e-6},
            {"range": [256_000.0, 1_000_000.0], "input_cost_per_token": 2.5e-7, "output_cost_per_token": 2e-6},
        ]});
        let (name, price) = price("dashscope/qwen-flash", &row).unwrap();
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        let long = price.long.unwrap();
        assert_eq!(
            (&*name, price.rates.input, long.above),
            ("dashscope/qwen-flash", usd(0.05), 256_000)
        );
        assert_eq!((long.rates.input, long.rates.output), (usd(0.25), usd(3.0)));
    }

    #[test]
    fn a_row_without_a_price_per_token_is_none() {
        let row = json!({"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 1e-8});
        assert!(is_row(&row) && price("dall-e-3", &row).is_none());
    }
}
