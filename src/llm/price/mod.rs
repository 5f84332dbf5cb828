//! What calls cost: prices of models, and money counted exactly.

mod litellm;
mod table;
mod usd;

use serde::{Deserialize, Serialize};

pub use table::PriceTable;
pub use usd::Usd;

use crate::error::Result;
use crate::llm::Usage;

const PER_PRICE: u128 = 1_000_000;

/// What a model costs, per million tokens.
///
/// ```
/// use topicloom::llm::Usage;
/// use topicloom::llm::price::{Price, Usd};
///
/// let price = Price::per_million(0.15, 0.60)?.with_cached_input(0.075)?;
/// assert_eq!(price.cost(&Usage::new(1_000, 200)), Usd::from_dollars(0.00027)?);
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Price {
    /// The rates of a call.
    #[serde(flatten)]
    pub rates: Rates,
    /// The rates of a call with a long prompt, where the provider has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrompt>,
    /// The most tokens that an answer can have, hidden reasoning included; the bound of a call's cost where
    /// the caller gave no `max_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
}

/// Prices per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rates {
    /// Prompt tokens.
    pub input: Usd,
    /// Answer tokens, hidden reasoning included.
    pub output: Usd,
    /// Prompt tokens read from the provider's cache. As [`input`](Self::input) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Usd>,
    /// Prompt tokens written into the provider's cache. As [`input`](Self::input) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Usd>,
}

/// Rates for the whole call once its prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LongPrompt {
    /// They apply to prompts of more tokens than this.
    pub above: u64,
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
}

impl Price {
    /// Creates a price in dollars per million prompt tokens and per million answer tokens.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where a number is no amount of money.
    pub fn per_million(input: f64, output: f64) -> Result<Self> {
        Ok(Self {
            rates: Rates {
                input: Usd::from_dollars(input)?,
                output: Usd::from_dollars(output)?,
                ..Rates::default()
            },
            long: None,
            max_output_tokens: None,
        })
    }

    /// Sets the price per million prompt tokens read from the provider's cache.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the number is no amount of money.
    pub fn with_cached_input(mut self, dollars: f64) -> Result<Self> {
        self.rates.cached_input = Some(Usd::from_dollars(dollars)?);
        Ok(self)
    }

    /// Sets the price per million prompt tokens written into the provider's cache.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the number is no amount of money.
    pub fn with_cache_write(mut self, dollars: f64) -> Result<Self> {
        self.rates.cache_write = Some(Usd::from_dollars(dollars)?);
        Ok(self)
    }

    /// Sets the price of a call whose prompt has more tokens than this.
    #[must_use]
    pub fn with_long_prompt(mut self, above: u64, price: Self) -> Self {
        self.long = Some(LongPrompt {
            above,
            rates: price.rates,
        });
        self
    }

    /// Returns what a call cost, rounded up to a nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        match self.long {
            Some(long) if usage.input_tokens > long.above => long.rates.cost(usage),
            _ => self.rates.cost(usage),
        }
    }

    /// Returns the most that a call can cost, given bounds of its tokens: no usage within the bounds costs
    /// more, however much of the prompt is cached.
    #[must_use]
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let base = self.rates.most(input_tokens, output_tokens);
        match self.long {
            Some(long) if input_tokens > long.above => {
                base.max(long.rates.most(input_tokens, output_tokens))
            }
            _ => base,
        }
    }
}

impl Rates {
    fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let plain = usage.input_tokens - cached - written;
        amount(&[
            (plain, self.input),
            (cached, self.cached_input.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ])
    }

    fn most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let dearest = self
            .input
            .max(self.cached_input.unwrap_or_default())
            .max(self.cache_write.unwrap_or_default());
        amount(&[(input_tokens, dearest), (output_tokens, self.output)])
    }
}

/// Adds up before it divides, so that rounding happens once.
fn amount(parts: &[(u64, Usd)]) -> Usd {
    let sum = parts
        .iter()
        .map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.nano()))
        .fold(0, u128::saturating_add);
    Usd::from_nano(u64::try_from(sum.div_ceil(PER_PRICE)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
        let mut usage = Usage::new(input, output);
        usage.cached_input_tokens = cached;
        usage.cache_write_tokens = written;
        usage
    }

    #[test]
    fn each_kind_of_token_has_its_rate() {
        let price = Price::per_million(5.0, 25.0)
            .and_then(|price| price.with_cached_input(0.5))
            .and_then(|price| price.with_cache_write(6.25))
            .unwrap();
        // 1 000 at 5 + 2 000 at 0.5 + 3 000 at 6.25 + 400 at 25 dollars a million.
        let cost = price.cost(&usage(6_000, 2_000, 3_000, 400));
        assert_eq!(cost, Usd::from_dollars(0.034_75).unwrap());
    }

    #[test]
    fn a_long_prompt_changes_the_rates_of_the_whole_call() {
        let long = Price::per_million(2.5, 15.0).unwrap();
        let price = Price::per_million(1.25, 10.0)
            .unwrap()
            .with_long_prompt(200_000, long);
        assert_eq!(
            price.cost(&Usage::new(200_000, 0)),
            Usd::from_dollars(0.25).unwrap()
        );
        assert_eq!(
            price.cost(&Usage::new(200_001, 1_000)).nano(),
            500_002_500 + 15_000_000
        );
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_is_rounded_up_once() {
        let price = Price::per_million(0.0375, 0.0).unwrap();
        assert_eq!(price.cost(&Usage::new(1, 0)).nano(), 38);
        assert_eq!(price.cost(&Usage::new(2, 0)).nano(), 75);
    }

    #[test]
    fn absurd_counts_do_not_wrap() {
        let price = Price::per_million(1e9, 1e9).unwrap();
        assert_eq!(price.cost(&Usage::new(u64::MAX, u64::MAX)).nano(), u64::MAX);
        let more_cached_than_sent = usage(10, 20, 30, 0);
        assert_eq!(
            price.cost(&more_cached_than_sent),
            price.cost(&Usage::new(10, 0))
        );
    }

    fn usd() -> impl Strategy<Value = Usd> {
        (0..100_000_000_000_u64).prop_map(Usd::from_nano)
    }

    fn rates() -> impl Strategy<Value = Rates> {
        let maybe = || proptest::option::of(usd());
        (usd(), usd(), maybe(), maybe()).prop_map(|(input, output, cached_input, cache_write)| {
            Rates {
                input,
                output,
                cached_input,
                cache_write,
            }
        })
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bounds_costs_more_than_the_most(
            base in rates(),
            long in proptest::option::of((0..2_000_u64, rates())),
            bounds in (0..2_000_u64, 0..2_000_u64),
            share in (0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0_f64),
        ) {
            let price = Price {
                rates: base,
                long: long.map(|(above, rates)| LongPrompt { above, rates }),
                max_output_tokens: None,
            };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let part = |of: u64, share: f64| (of as f64 * share) as u64;
            let input = part(bounds.0, share.0);
            let used = usage(input, part(input, share.1), part(input, share.2), part(bounds.1, share.3));
            prop_assert!(price.cost(&used) <= price.most(bounds.0, bounds.1));
        }
    }
}
