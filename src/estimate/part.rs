//! Calls for one purpose, as ranges: how many, what each takes, and what they cost.

use serde::Serialize;

use crate::llm::Usage;
use crate::llm::price::{Price, Usd};

/// Calls for each record asked for, if a tenth of all calls fails or is unusable, and a tenth of all records
/// repeats another.
pub(super) const LIKELY_CALLS: f64 = 1.25;

/// The same where two calls of three give nothing. Where more do, a filter refuses most of what the model writes.
pub(super) const MOST_CALLS: f64 = 3.0;

/// A range and the number to bet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Spread<N> {
    /// No less, if all goes well.
    pub low: N,
    /// The number to bet on.
    pub likely: N,
    /// No more, unless an assumption does not hold.
    pub high: N,
}

impl<N> Spread<N> {
    pub(super) fn new(low: N, likely: N, high: N) -> Self {
        Self { low, likely, high }
    }

    pub(super) fn each<M>(self, mut change: impl FnMut(N) -> M) -> Spread<M> {
        Spread::new(change(self.low), change(self.likely), change(self.high))
    }

    /// Puts together what two ranges say at each place.
    pub(super) fn with(self, other: Self, join: impl Fn(N, N) -> N) -> Self {
        Self::new(
            join(self.low, other.low),
            join(self.likely, other.likely),
            join(self.high, other.high),
        )
    }
}

/// Calls for one purpose, and the tokens of each that is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) calls: Spread<f64>,
    pub(super) answered: Spread<f64>,
    pub(super) input: Spread<f64>,
    pub(super) output: Spread<f64>,
    /// Prompt tokens that a provider's prefix cache may serve.
    pub(super) cached: f64,
}

impl Part {
    /// Returns what the part costs: at best all prompts come from the cache of the cheapest model; at worst the
    /// dearest model writes them all into its cache.
    pub(super) fn cost(&self, prices: &[(Price, f64)]) -> Spread<Usd> {
        let (input, output) = (self.input.each(count), self.output.each(count));
        let cheapest = prices.iter().map(|(price, _)| {
            let plain = Usage::new(input.low, output.low);
            let mut cached = plain;
            cached.cached_input_tokens = input.low;
            price.cost(&plain).min(price.cost(&cached))
        });
        let dearest = prices
            .iter()
            .map(|(price, _)| price.most(input.high, output.high));
        let mut usage = Usage::new(input.likely, output.likely);
        usage.cached_input_tokens = count(self.cached).min(input.likely);
        let likely: f64 = prices
            .iter()
            .map(|(price, share)| nano(price.cost(&usage)) * share)
            .sum();
        Spread::new(
            amount(self.answered.low * nano(cheapest.min().unwrap_or_default())),
            amount(self.answered.likely * likely),
            amount(self.answered.high * nano(dearest.max().unwrap_or_default())),
        )
    }
}

/// Returns whole numbers that lie no further in.
pub(super) fn whole(spread: Spread<f64>) -> Spread<u64> {
    Spread::new(
        count(spread.low.floor()),
        count(spread.likely.round()),
        count(spread.high.ceil()),
    )
}

// Estimates need no more than the 52 bits that a float holds, and a cast stops at the ends.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn count(number: f64) -> u64 {
    number as u64
}

fn amount(nano: f64) -> Usd {
    Usd::from_nano(count(nano))
}

#[allow(clippy::cast_precision_loss)] // As above.
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

fn nano(amount: Usd) -> f64 {
    float(amount.nano())
}
