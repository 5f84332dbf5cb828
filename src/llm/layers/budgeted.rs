//! Spends no more than a budget allows.

use std::sync::Arc;

use async_trait::async_trait;

use super::Budget;
use crate::error::Result;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};

/// Spends no more than a [`Budget`] allows, over all clients that share it.
///
/// Put it inside of [`Retrying`](super::Retrying), since each attempt may cost, and outside of the layers
/// that wait, so that a call is sent only with its cost reserved; see
/// [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use std::sync::Arc;
/// use topicloom::llm::layers::{Budget, Budgeted};
/// use topicloom::llm::price::{PriceTable, Usd};
/// # use topicloom::llm::LlmClient;
/// # fn example(writer: impl LlmClient, namer: impl LlmClient) -> topicloom::Result<()> {
/// let budget = Budget::new(PriceTable::known()).max_cost(Usd::from_dollars(2.50)?);
/// let budget = Arc::new(budget);
/// let writer = Budgeted::new(writer, Arc::clone(&budget));
/// let namer = Budgeted::new(namer, budget);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Budgeted<C> {
    inner: C,
    budget: Arc<Budget>,
}

impl<C> Budgeted<C> {
    /// Creates a layer that reserves from this budget before each attempt.
    pub fn new(inner: C, budget: Arc<Budget>) -> Self {
        Self { inner, budget }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Budgeted<C> {
    /// Makes one attempt when its cost is reserved.
    ///
    /// # Errors
    ///
    /// Those of the client; [`ErrorKind::Budget`](crate::ErrorKind::Budget) where a cap leaves no room, and
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) where a cap cannot hold, because the model has no
    /// price or nothing bounds the answer. Both end the run.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let reservation = self.budget.reserve(self.inner.model(), request).await?;
        let in_line = reservation.in_line.clone();
        let result = in_line.watch(self.inner.complete(request)).await;
        reservation.settle(&result);
        result
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::llm::layers::ConcurrencyLimited;
    use crate::llm::layers::test_client::{TestClient, request};
    use crate::llm::price::{Price, PriceTable, Usd};
    use crate::llm::{Parameters, Usage};

    const SECOND: Duration = Duration::from_secs(1);

    /// A dollar for each prompt token and for each answer token, so that amounts are easy to read.
    fn prices() -> PriceTable {
        let price = Price::per_million(1e6, 1e6).unwrap();
        PriceTable::empty().with("test/model", price)
    }

    fn dollars(dollars: u32) -> Usd {
        Usd::from_dollars(f64::from(dollars)).unwrap()
    }

    fn bounded(max_tokens: u64) -> ChatRequest {
        request().with_parameters(Parameters {
            max_tokens: Some(max_tokens),
            ..Parameters::default()
        })
    }

    /// The prompt's bound of [`request`]: 64 for the request, 16 for the message, 10 bytes.
    const PROMPT: u32 = 90;

    fn answers(count: usize, usage: Usage) -> TestClient {
        let answer = || Ok(ChatResponse::new("x").with_usage(usage));
        TestClient::answering((0..count).map(|_| answer()).collect()).taking(SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_others_to_be_settled_and_the_cap_holds() {
        // Each call may cost 100 and does cost 20: two fit at first, more as calls are settled.
        let budget = Arc::new(Budget::new(prices()).max_cost(dollars(200)));
        let client = Budgeted::new(answers(9, Usage::new(10, 10)), Arc::clone(&budget));
        let request = bounded(u64::from(100 - PROMPT));
        let results = join_all((0..9).map(|_| client.complete(&request))).await;
        let answered = results.iter().filter(|result| result.is_ok()).count();
        // After 5 settled calls 100 are spent, the sixth fits exactly, and the seventh does not.
        assert_eq!(answered, 6);
        assert_eq!(budget.spending().cost, dollars(120));
        assert_eq!(budget.reserved(), Usd::ZERO);
        assert_eq!(client.inner.most_at_once(), 2);
        let refused = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(refused.kind(), ErrorKind::Budget);
        assert!(refused.is_fatal());
        assert!(refused.message().contains("the cap on cost"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn caps_on_calls_and_tokens_hold_too() {
        let calls = Arc::new(Budget::new(PriceTable::empty()).max_calls(3));
        let client = Budgeted::new(answers(9, Usage::new(1, 1)), Arc::clone(&calls));
        let request = bounded(10);
        join_all((0..9).map(|_| client.complete(&request))).await;
        assert_eq!((client.inner.calls(), calls.spending().calls), (3, 3));
        assert_eq!(calls.spending().unpriced_calls, 3);

        let tokens = Arc::new(Budget::new(PriceTable::empty()).max_tokens(300));
        let client = Budgeted::new(answers(9, Usage::new(50, 40)), Arc::clone(&tokens));
        join_all((0..9).map(|_| client.complete(&request))).await;
        assert_eq!(tokens.spending().usage, Usage::new(150, 120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cap_that_cannot_hold_is_an_error_and_not_a_guess() {
        let unpriced = Budget::new(PriceTable::empty()).max_cost(dollars(1_000));
        let client = Budgeted::new(TestClient::default(), Arc::new(unpriced));
        let error = client.complete(&bounded(10)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("give its price"), "{error}");

        let unbounded = Budget::new(prices()).max_cost(dollars(1_000));
        let client = Budgeted::new(TestClient::default(), Arc::new(unbounded));
        let error = client.complete(&request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("max_tokens"), "{error}");
        assert_eq!(client.inner.calls(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_free_and_what_may_be_billed_stays_charged() {
        let script = vec![
            Err(Error::new(ErrorKind::RateLimited, "slow down")),
            Err(Error::new(ErrorKind::Timeout, "too late")),
            Ok(ChatResponse::new("an answer without usage")),
        ];
        let budget = Arc::new(Budget::new(prices()).max_cost(dollars(1_000)));
        let client = Budgeted::new(TestClient::answering(script), Arc::clone(&budget));
        for _ in 0..3 {
            let _ = client.complete(&bounded(10)).await;
        }
        let spent = budget.spending();
        assert_eq!((spent.calls, spent.uncertain_calls), (3, 2));
        assert_eq!(
            (spent.cost, spent.uncertain_cost),
            (Usd::ZERO, dollars(200))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_of_the_usage_that_is_not_told_stays_charged() {
        for (told, certain, uncertain) in [
            (Usage::new(20, 0), 20, 10),
            (Usage::new(0, 7), 7, PROMPT),
            (Usage::new(20, 7), 27, 0),
        ] {
            let budget = Arc::new(Budget::new(prices()).max_cost(dollars(1_000)));
            let client = Budgeted::new(answers(1, told), Arc::clone(&budget));
            assert!(client.complete(&bounded(10)).await.is_ok());
            let spent = budget.spending();
            assert_eq!((spent.calls, spent.usage), (1, told));
            assert_eq!(spent.cost, dollars(certain));
            assert_eq!(spent.uncertain_cost, dollars(uncertain));
            assert_eq!(spent.uncertain_tokens, u64::from(uncertain));
            assert_eq!(spent.uncertain_calls, u64::from(uncertain > 0));
            assert_eq!(budget.reserved(), Usd::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_dropped_in_line_is_free_and_one_dropped_after_sending_is_not() {
        let budget = Arc::new(Budget::new(prices()).max_cost(dollars(1_000)));
        let one =
            ConcurrencyLimited::new(answers(2, Usage::new(1, 1)), Arc::new(Semaphore::new(1)));
        let client = Budgeted::new(one, Arc::clone(&budget));
        let request = bounded(10);
        let both = join_all([client.complete(&request), client.complete(&request)]);
        let gone = timeout(SECOND / 2, both).await;
        assert!(gone.is_err());
        let spent = budget.spending();
        assert_eq!((spent.calls, spent.uncertain_calls), (1, 1));
        assert_eq!(spent.uncertain_cost, dollars(100));
        assert_eq!(budget.reserved(), Usd::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_call_that_is_dropped_lets_the_next_one_in() {
        let budget = Arc::new(Budget::new(prices()).max_cost(dollars(150)));
        let client = Budgeted::new(answers(3, Usage::new(1, 1)), Arc::clone(&budget));
        let request = bounded(10);
        let start = Instant::now();
        let first = client.complete(&request);
        let impatient = timeout(SECOND / 2, client.complete(&request));
        let patient = client.complete(&request);
        let (first, impatient, patient) = tokio::join!(first, impatient, patient);
        assert!(first.is_ok() && impatient.is_err() && patient.is_ok());
        assert_eq!(start.elapsed(), 2 * SECOND);
    }

    #[test]
    fn earlier_spending_counts() {
        let budget = Budget::new(prices());
        budget.book("test/model", &Usage::new(30, 12));
        assert_eq!(budget.spending().cost, dollars(42));
        assert_eq!(budget.spending().calls, 1);
    }
}
