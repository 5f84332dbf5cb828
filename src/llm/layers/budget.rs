//! Caps on money, tokens and calls that hold under any concurrency.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

use super::in_line::InLine;
use super::worst_case;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::price::{Price, PriceTable, Usd};
use crate::llm::{
    AttemptLog, ChatRequest, ChatResponse, Message, Parameters, Role, UnconfirmedCost, Usage,
};

/// Caps on money, tokens and calls, shared by all clients of a run, and the account of what was spent.
///
/// Before a call is sent, the most that it can cost is reserved; when it ends, the reservation is replaced by
/// what it did cost. Spent and reserved together never exceed a cap, so neither does what is spent, however
/// many calls are in flight. A call that does not fit *now* waits for those in flight to be settled; one that
/// cannot fit any more is refused with [`ErrorKind::Budget`], which ends the run.
///
/// # What a call is charged
///
/// | how it ended | charged |
/// |--|--|
/// | answered | the usage that the provider reported, at the model's price |
/// | answered without usage | the most it can have cost, as *uncertain* |
/// | answered with half of it (no input tokens, or no output tokens for some text) | that half, and the most that the other can have cost, as *uncertain* |
/// | refused before the model ran (rate limit, overload, key, bad request, unknown model, quota) | nothing |
/// | timed out, broke off, cancelled after sending, unreadable, empty, stopped by a filter, too long | the most it can have cost, as *uncertain*: the provider may bill it |
/// | cancelled while it waited in line here | nothing, and it is not a call |
///
/// # What is not promised
///
/// The bound of a prompt's tokens counts one token for each byte, and more for what a provider adds. It holds
/// for the tokenizers in use; a provider that reports more than the bound is booked in full, which may
/// overrun a cap by that difference, once: the next call is refused.
///
/// ```
/// use std::sync::Arc;
/// use topicloom::llm::layers::{Budget, Budgeted};
/// use topicloom::llm::price::{PriceTable, Usd};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) -> topicloom::Result<()> {
/// let budget = Arc::new(
///     Budget::new(PriceTable::known())
///         .max_cost(Usd::from_dollars(2.50)?)
///         .max_calls(1_000),
/// );
/// let client = Budgeted::new(client, Arc::clone(&budget));
/// println!("spent {}", budget.spending().cost);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Budget {
    prices: PriceTable,
    /// The price that was looked up last: most calls of a run are of one model.
    latest_price: Mutex<Option<(Box<str>, Option<Price>)>>,
    caps: Caps,
    account: Mutex<Account>,
    // Calls reserve one after the other, so that a dear call is not overtaken forever by cheap ones.
    turn: Semaphore,
    settled: Notify,
}

/// What was spent so far.
///
/// The true cost lies between [`cost`](Self::cost) and `cost + uncertain_cost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spending {
    /// Calls that were sent, whatever became of them.
    pub calls: u64,
    /// Tokens of the answered calls, as the provider counted them.
    pub usage: Usage,
    /// Cost of the answered calls.
    pub cost: Usd,
    /// Answered calls of models without a price; their cost is not in [`cost`](Self::cost).
    pub unpriced_calls: u64,
    /// Calls of unknown cost.
    pub uncertain_calls: u64,
    /// The most tokens that the calls of unknown cost can have used.
    pub uncertain_tokens: u64,
    /// The most that the calls of unknown cost can have cost.
    pub uncertain_cost: Usd,
}

impl Budget {
    /// Creates a budget without caps, which only keeps the account.
    #[must_use]
    pub fn new(prices: PriceTable) -> Self {
        Self {
            prices,
            latest_price: Mutex::default(),
            caps: Caps::default(),
            account: Mutex::default(),
            turn: Semaphore::new(1),
            settled: Notify::new(),
        }
    }

    /// Caps the cost. Every model that is used then needs a price, and every call a bound of its answer:
    /// `max_tokens`, or the model's own limit in the price table.
    #[must_use]
    pub fn max_cost(mut self, cost: Usd) -> Self {
        self.caps.cost = Some(cost);
        self
    }

    /// Caps prompt and answer tokens together, hidden reasoning included. Every call then needs a bound of
    /// its answer, as with [`max_cost`](Self::max_cost).
    #[must_use]
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.caps.tokens = Some(tokens);
        self
    }

    /// Caps how many calls are sent, retries and failures included.
    #[must_use]
    pub fn max_calls(mut self, calls: u64) -> Self {
        self.caps.calls = Some(calls);
        self
    }

    /// Returns what was spent so far, without what is reserved for calls in flight.
    #[must_use]
    pub fn spending(&self) -> Spending {
        self.account().spent
    }

    /// Returns what is reserved for calls in flight. Nothing, once they all ended.
    #[must_use]
    pub fn reserved(&self) -> Usd {
        self.account().reserved.cost
    }

    /// Books a call that was answered earlier, such as one read back from a journal. Where its usage is not known, that
    /// it was made is all that is booked here; see [`book_uncertain`](Self::book_uncertain).
    pub fn book(&self, model: &str, usage: &Usage) {
        if usage.total() == 0 {
            self.account().spent.calls += 1;
        } else {
            self.account().answered(usage, self.price(model));
        }
    }

    /// Returns what a call costs that used this much; `None` where the model has no price.
    pub(crate) fn cost_of(&self, model: &str, usage: &Usage) -> Option<Usd> {
        let price = self.price(model)?;
        Some(price.cost(usage))
    }

    fn price(&self, model: &str) -> Option<Price> {
        let latest = self.latest_price.lock();
        let mut latest = latest.unwrap_or_else(PoisonError::into_inner);
        let known = latest.as_ref().filter(|(name, _)| **name == *model);
        if let Some((_, price)) = known {
            return *price;
        }
        let price = self.prices.get(model);
        *latest = Some((model.into(), price));
        price
    }

    /// Books that this many calls were made earlier and failed.
    pub fn book_failed(&self, calls: u64) {
        if calls > 0 {
            self.account().spent.calls += calls;
        }
    }

    /// Books the most that earlier calls can have used, of those that are booked as made.
    pub fn book_uncertain(&self, uncertain: &UnconfirmedCost) {
        if !uncertain.is_none() {
            self.account().uncertain(*uncertain);
        }
    }

    /// Books earlier calls that were made and whose cost is unknown.
    pub fn book_unattributed(&self, cost: &UnconfirmedCost) {
        self.book_failed(cost.calls + cost.free_calls);
        self.book_uncertain(cost);
    }

    /// Books what calls may have cost that no entry of the journal will tell of.
    pub(crate) fn leave_unattributed(&self, cost: UnconfirmedCost) {
        self.account().unattributed.add(cost);
    }

    /// Takes what calls may have cost that belong to no answer and no failure.
    pub(crate) fn take_unattributed(&self) -> UnconfirmedCost {
        std::mem::take(&mut self.account().unattributed)
    }

    /// Checks that the caps can hold for calls to this model: where cost is capped its price must be known,
    /// and where cost or tokens are, the length of its answers must be bounded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where one is not.
    pub fn check(&self, model: &str, parameters: &Arc<Parameters>) -> Result<()> {
        let request = ChatRequest::default().with_parameters(Arc::clone(parameters));
        self.most(model, self.price(model), &request).map(drop)
    }

    /// Returns the most that a call can cost, as far as that is known.
    pub(crate) fn most_of(&self, model: &str, request: &ChatRequest) -> UnconfirmedCost {
        let need = self.most(model, self.price(model), request);
        let (_, need) = need.unwrap_or_default();
        UnconfirmedCost::new(1, need.tokens, need.cost)
    }

    /// Reserves the most that the call can cost, waiting for calls in flight to be settled where the caps
    /// leave no room before that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Budget`] where there will be no room, [`ErrorKind::Config`] where a cap cannot hold
    /// because price or bound are unknown.
    pub(super) async fn reserve(
        &self,
        model: &str,
        request: &ChatRequest,
    ) -> Result<Reservation<'_>> {
        let price = self.price(model);
        let (input, need) = self.most(model, price, request)?;
        let _turn = self.turn.acquire().await.expect("it is never closed");
        loop {
            let room = self.account().reserve(&self.caps, need);
            match room {
                Room::Now => break,
                Room::Later => self.settled.notified().await,
                Room::Never(cap) => {
                    let said = self.no_room(cap, need);
                    return Err(Error::new(ErrorKind::Budget, said).with_context("model", model));
                }
            }
        }
        Ok(Reservation {
            budget: self,
            price,
            input,
            need,
            attempts: request.attempts.clone(),
            in_line: InLine::default(),
            outcome: None,
        })
    }

    /// Checks that the caps can hold for calls to a model whose answers are not paid for.
    pub(crate) fn check_input_only(&self, model: &str) -> Result<()> {
        self.check(model, &Arc::new(no_answer()))
    }

    /// Reserves the most that a call can cost whose answer is not paid for, such as one for embeddings.
    pub(crate) async fn reserve_input(
        &self,
        model: &str,
        texts: &[&str],
    ) -> Result<Reservation<'_>> {
        let messages = texts.iter().map(|text| Message::new(Role::User, *text));
        let request = ChatRequest::new(messages.collect()).with_parameters(Arc::new(no_answer()));
        self.reserve(model, &request).await
    }

    /// Says what a call would need, what is left, and what to set.
    fn no_room(&self, cap: Cap, need: Need) -> String {
        let spent = self.spending();
        let name = match cap {
            Cap::Cost => "cost",
            Cap::Tokens => "tokens",
            Cap::Calls => "calls",
        };
        let why = match cap {
            Cap::Cost => format!(
                "{} of {} is spent, and a call may cost up to {}; raise `max_cost_usd`, or set a lower `max_tokens`",
                spent.cost + spent.uncertain_cost,
                self.caps.cost.unwrap_or_default(),
                need.cost,
            ),
            Cap::Tokens => format!(
                "{} of {} are used, and a call may use up to {}; raise `max_tokens_total`, or set a lower `max_tokens`",
                spent.usage.total().saturating_add(spent.uncertain_tokens),
                self.caps.tokens.unwrap_or_default(),
                need.tokens,
            ),
            Cap::Calls => format!("{} are made; raise `max_calls`", spent.calls),
        };
        format!("the cap on {name} leaves no room for another call: {why}")
    }

    /// Returns the most tokens of the prompt, and the most of everything.
    fn most(
        &self,
        model: &str,
        price: Option<Price>,
        request: &ChatRequest,
    ) -> Result<(u64, Need)> {
        let cannot_hold = |message: &'static str| {
            Err(Error::new(ErrorKind::Config, message).with_context("model", model))
        };
        if self.caps.cost.is_some() && price.is_none() {
            return cannot_hold(
                "cost is capped, but the price of the model is not known; give its price in `prices` or with `--prices`",
            );
        }
        let input = worst_case::input_tokens(request);
        let own_limit = price.and_then(|price| price.max_output_tokens);
        let Some(output) = worst_case::output_tokens(&request.parameters, own_limit) else {
            if self.caps.cost.is_some() || self.caps.tokens.is_some() {
                return cannot_hold(
                    "cost or tokens are capped, but nothing bounds the answer; set max_tokens",
                );
            }
            let need = Need {
                calls: 1,
                ..Need::default()
            };
            return Ok((input, need));
        };
        let need = Need {
            calls: 1,
            tokens: input.saturating_add(output),
            cost: price.map_or(Usd::ZERO, |price| price.most(input, output)),
        };
        Ok((input, need))
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_answer() -> Parameters {
    Parameters {
        max_tokens: Some(0),
        ..Parameters::default()
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Caps {
    cost: Option<Usd>,
    tokens: Option<u64>,
    calls: Option<u64>,
}

/// What is reserved, for one call or for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Need {
    calls: u64,
    tokens: u64,
    cost: Usd,
}

#[derive(Debug, Default)]
struct Account {
    spent: Spending,
    reserved: Need,
    /// What calls may have cost whose requests nobody follows, and those that were dropped.
    unattributed: UnconfirmedCost,
}

#[derive(Debug, PartialEq, Eq)]
enum Room {
    Now,
    /// Once calls in flight are settled, perhaps.
    Later,
    Never(Cap),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    Cost,
    Tokens,
    Calls,
}

impl Account {
    fn reserve(&mut self, caps: &Caps, need: Need) -> Room {
        let (spent, reserved) = (&self.spent, &self.reserved);
        let cost = (spent.cost + spent.uncertain_cost + need.cost, reserved.cost);
        let tokens = spent.usage.total().saturating_add(spent.uncertain_tokens);
        let tokens = (tokens.saturating_add(need.tokens), reserved.tokens);
        let calls = (spent.calls.saturating_add(need.calls), reserved.calls);
        for room in [
            room(
                Cap::Cost,
                caps.cost.map(Usd::nano),
                cost.0.nano(),
                cost.1.nano(),
            ),
            room(Cap::Tokens, caps.tokens, tokens.0, tokens.1),
            room(Cap::Calls, caps.calls, calls.0, calls.1),
        ] {
            if room != Room::Now {
                return room;
            }
        }
        self.reserved.calls += need.calls;
        self.reserved.tokens = self.reserved.tokens.saturating_add(need.tokens);
        self.reserved.cost += need.cost;
        Room::Now
    }

    fn release(&mut self, need: Need) {
        self.reserved.calls -= need.calls;
        self.reserved.tokens = self.reserved.tokens.saturating_sub(need.tokens);
        self.reserved.cost = self.reserved.cost.saturating_sub(need.cost);
    }

    fn answered(&mut self, usage: &Usage, price: Option<Price>) {
        self.spent.calls += 1;
        self.spent.usage += *usage;
        match price {
            Some(price) => self.spent.cost += price.cost(usage),
            None => self.spent.unpriced_calls += 1,
        }
    }

    fn uncertain(&mut self, uncertain: UnconfirmedCost) {
        let spent = &mut self.spent;
        spent.uncertain_calls += uncertain.calls;
        spent.uncertain_tokens = spent.uncertain_tokens.saturating_add(uncertain.tokens);
        spent.uncertain_cost += uncertain.cost;
    }
}

/// Caps in order of what a reader would look at first; the tightest answer wins in [`Account::reserve`].
fn room(name: Cap, cap: Option<u64>, with_this: u64, reserved: u64) -> Room {
    match cap {
        Some(cap) if with_this > cap => Room::Never(name),
        Some(cap) if with_this.saturating_add(reserved) > cap => Room::Later,
        _ => Room::Now,
    }
}

/// What is set aside for one call, until it is settled or dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    budget: &'a Budget,
    price: Option<Price>,
    /// The most tokens of the prompt.
    input: u64,
    need: Need,
    attempts: Option<AttemptLog>,
    pub(super) in_line: InLine,
    outcome: Option<Charge>,
}

/// What a call that was sent is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    Usage(Usage),
    /// One half of the usage was told. Says whether the other is that of the prompt.
    Half(Usage, bool),
    Nothing,
    Most,
}

impl Reservation<'_> {
    /// Replaces the reservation by what the call did cost.
    pub(super) fn settle(mut self, result: &Result<ChatResponse>) {
        self.outcome = Some(Charge::of(result));
    }

    /// Returns the most that the half of a usage can be which was not told.
    fn other_half(&self, told: &Usage, prompt: bool) -> UnconfirmedCost {
        let tokens = if prompt {
            self.input
        } else {
            self.need.tokens.saturating_sub(self.input)
        };
        let (input, output) = (told.input_tokens, told.output_tokens);
        let cost = self.price.map_or(Usd::ZERO, |price| {
            let both = if prompt {
                price.most(tokens, output)
            } else {
                price.most(input, tokens)
            };
            both.saturating_sub(price.most(input, output))
        });
        UnconfirmedCost::new(1, tokens, cost)
    }
}

impl Reservation<'_> {
    /// Returns what is set aside.
    pub(crate) fn most(&self) -> UnconfirmedCost {
        UnconfirmedCost::new(self.need.calls, self.need.tokens, self.need.cost)
    }

    /// Books a call whose answer is not paid for and whose usage is not told: at the most it can have been.
    pub(crate) fn settle_input(mut self, was_answered: bool) {
        let usage = Usage::new(self.need.tokens, 0);
        self.outcome = Some(if was_answered {
            Charge::Usage(usage)
        } else {
            Charge::Nothing
        });
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut account = self.budget.account();
        account.release(self.need);
        if !self.in_line.get() {
            let uncertain = match self.outcome.unwrap_or(Charge::Most) {
                Charge::Usage(usage) => {
                    account.answered(&usage, self.price);
                    None
                }
                Charge::Half(usage, prompt) => {
                    account.answered(&usage, self.price);
                    Some(self.other_half(&usage, prompt))
                }
                Charge::Nothing => {
                    account.spent.calls += 1;
                    None
                }
                Charge::Most => {
                    account.spent.calls += 1;
                    Some(UnconfirmedCost::new(1, self.need.tokens, self.need.cost))
                }
            };
            if let Some(uncertain) = uncertain {
                account.uncertain(uncertain);
                match &self.attempts {
                    Some(attempts) => attempts.charge(uncertain),
                    None => account.unattributed.add(uncertain),
                }
            }
        }
        drop(account);
        self.budget.settled.notify_one();
    }
}

impl Charge {
    fn of(result: &Result<ChatResponse>) -> Self {
        match result {
            Ok(response) if response.usage.total() == 0 => Self::Most,
            Ok(response) if response.usage.input_tokens == 0 => Self::Half(response.usage, true),
            Ok(response) if response.usage.output_tokens == 0 && !response.text.is_empty() => {
                Self::Half(response.usage, false)
            }
            Ok(response) => Self::Usage(response.usage),
            Err(error) if may_be_billed(error.kind()) => Self::Most,
            Err(_) => Self::Nothing,
        }
    }
}

/// Whether the model ran, or may have run. Azure says that it bills prompts which its filter or its input limit
/// stopped (learn.microsoft.com, "Plan to manage costs for Azure OpenAI").
fn may_be_billed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Timeout
            | ErrorKind::Network
            | ErrorKind::Malformed
            | ErrorKind::Empty
            | ErrorKind::ContentFilter
            | ErrorKind::ContextLength
            | ErrorKind::Cancelled
            | ErrorKind::Plugin
    )
}
