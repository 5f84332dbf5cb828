//! Caps hold in ten thousand seeded runs with random prices, usages, failures, cancellations and
//! concurrency, and the account agrees with the provider's own ledger.
#![allow(clippy::unwrap_used)] // In a test's helpers, as in the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use topicloom::llm::layers::{
    Budget, Budgeted, CallEnd, CallObserver, CallOutcome, ConcurrencyLimited, Metered, Retrying,
    TimedOut,
};
use topicloom::llm::price::{Price, PriceTable, Usd};
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient, Message, Parameters, Usage};
use topicloom::random::Random;
use topicloom::{Error, ErrorKind, Result};

const MODEL: &str = "test/model";
const RUNS: u64 = 10_000;

/// What the provider bills.
#[derive(Debug, Default, Clone, Copy)]
struct Ledger {
    calls: u64,
    tokens: u64,
    /// Billed for answers that arrived with their usage.
    told: Usd,
    /// Billed for answers that nobody heard, or without usage.
    untold: Usd,
}

#[derive(Debug)]
struct Provider {
    price: Price,
    chance: Mutex<Random>,
    ledger: Mutex<Ledger>,
}

enum Fate {
    Answers,
    AnswersWithoutUsage,
    Refuses(ErrorKind),
    BreaksOff { billed: bool },
    Hangs { billed: bool },
}

#[async_trait]
impl LlmClient for Provider {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let (usage, fate, takes) = self.decide(request);
        self.ledger.lock().unwrap().calls += 1;
        match fate {
            Fate::Answers => {
                let mut bill = Bill {
                    provider: self,
                    usage,
                    told: false,
                };
                sleep(takes).await;
                bill.told = true;
                Ok(ChatResponse::new("an answer").with_usage(usage))
            }
            Fate::AnswersWithoutUsage => {
                self.bill(usage, false);
                sleep(takes).await;
                Ok(ChatResponse::new("an answer"))
            }
            Fate::Refuses(kind) => {
                sleep(takes / 10).await;
                Err(Error::new(kind, "not now"))
            }
            Fate::BreaksOff { billed } => {
                if billed {
                    self.bill(usage, false);
                }
                sleep(takes).await;
                Err(Error::new(ErrorKind::Network, "the connection broke off"))
            }
            Fate::Hangs { billed } => {
                if billed {
                    self.bill(usage, false);
                }
                std::future::pending().await
            }
        }
    }

    fn model(&self) -> &'static str {
        MODEL
    }
}

impl Provider {
    fn decide(&self, request: &ChatRequest) -> (Usage, Fate, Duration) {
        let mut chance = self.chance.lock().unwrap();
        let bytes = request.last_text().len() as u64;
        let most = request.parameters.max_tokens.expect("set by the test");
        // The worst a tokenizer does is a token for each byte, plus a template of a few tokens.
        let mut usage = Usage::new(chance.below(bytes + 20), 1 + chance.below(most));
        usage.cached_input_tokens = chance.below(usage.input_tokens + 1);
        usage.cache_write_tokens = chance.below(usage.input_tokens + 1);
        let billed = chance.below(2) == 0;
        let fate = match chance.below(20) {
            0..12 => Fate::Answers,
            12 => Fate::AnswersWithoutUsage,
            13 => Fate::Refuses(ErrorKind::RateLimited),
            14 => Fate::Refuses(ErrorKind::Overloaded),
            15..17 => Fate::BreaksOff { billed },
            _ => Fate::Hangs { billed },
        };
        (usage, fate, Duration::from_millis(chance.below(3_000)))
    }

    fn bill(&self, usage: Usage, told: bool) {
        let mut ledger = self.ledger.lock().unwrap();
        let cost = self.price.cost(&usage);
        ledger.tokens += usage.total();
        *if told {
            &mut ledger.told
        } else {
            &mut ledger.untold
        } += cost;
    }
}

/// Bills an answer, whether or not anybody listens to its end.
struct Bill<'a> {
    provider: &'a Provider,
    usage: Usage,
    told: bool,
}

impl Drop for Bill<'_> {
    fn drop(&mut self) {
        self.provider.bill(self.usage, self.told);
    }
}

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    ended: [AtomicU64; 3],
}

impl CallObserver for Counts {
    fn started(&self, _model: &str, _request: &ChatRequest) -> u64 {
        self.started.fetch_add(1, Ordering::Relaxed)
    }

    fn finished(&self, call: &CallOutcome<'_>) {
        let way = match call.end {
            CallEnd::Answered { .. } => 0,
            CallEnd::Failed { .. } => 1,
            _ => 2,
        };
        self.ended[way].fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
struct Caps {
    cost: Option<Usd>,
    tokens: Option<u64>,
    calls: Option<u64>,
}

impl Caps {
    /// Room for a few calls, for none, or no cap at all.
    fn random(chance: &mut Random, most_of_a_call: Usd) -> Self {
        let cost = chance.below(1 + 8 * most_of_a_call.nano());
        Self {
            cost: (chance.below(4) > 0).then_some(Usd::from_nano(cost)),
            tokens: (chance.below(3) == 0).then(|| chance.below(20_000)),
            calls: (chance.below(3) == 0).then(|| chance.below(12)),
        }
    }

    fn budget(self, prices: PriceTable) -> Budget {
        let mut budget = Budget::new(prices);
        if let Some(cost) = self.cost {
            budget = budget.max_cost(cost);
        }
        if let Some(tokens) = self.tokens {
            budget = budget.max_tokens(tokens);
        }
        if let Some(calls) = self.calls {
            budget = budget.max_calls(calls);
        }
        budget
    }
}

fn random_price(chance: &mut Random) -> Price {
    #[allow(clippy::cast_precision_loss)]
    let mut dollars = |most: u64| chance.below(most * 1_000) as f64 / 1_000.0;
    Price::per_million(dollars(50), dollars(100))
        .and_then(|price| price.with_cached_input(dollars(50)))
        .and_then(|price| price.with_cache_write(dollars(80)))
        .unwrap()
}

#[derive(Default)]
struct Tally {
    stopped_by_a_cap: u64,
    cancelled_calls: u64,
    uncertain_calls: u64,
}

async fn run(seed: u64, tally: &mut Tally) {
    let mut chance = Random::new(seed);
    let price = random_price(&mut chance);
    let max_tokens = 1 + chance.below(2_000);
    let prompt = "p".repeat(chance.index(1_000));
    let caps = Caps::random(
        &mut chance,
        price.most(prompt.len() as u64 + 80, max_tokens),
    );
    let budget = Arc::new(caps.budget(PriceTable::empty().with(MODEL, price)));

    let provider = Arc::new(Provider {
        price,
        chance: Mutex::new(chance.fork("provider")),
        ledger: Mutex::default(),
    });
    let counts = Arc::new(Counts::default());
    let permits = Arc::new(Semaphore::new(1 + chance.index(8)));
    let client = TimedOut::new(Arc::clone(&provider), Duration::from_secs(2));
    let client = Metered::new(client, Arc::clone(&counts) as Arc<dyn CallObserver>);
    let client = ConcurrencyLimited::new(client, permits);
    let client = Budgeted::new(client, Arc::clone(&budget));
    let client = Retrying::new(client).max_attempts(3).seed(seed);

    let mut parameters = Parameters::default();
    parameters.max_tokens = Some(max_tokens);
    let request = ChatRequest::new(vec![Message::user(prompt)]).with_parameters(parameters);
    let tasks = (0..=chance.below(11)).map(|_| {
        let patience = match chance.below(4) {
            0 => Duration::from_millis(chance.below(4_000)),
            _ => Duration::from_secs(3_600),
        };
        timeout(patience, client.complete(&request))
    });
    let tasks = join_all(tasks);
    let run_ends = match chance.below(5) {
        0 => Duration::from_millis(chance.below(6_000)),
        _ => Duration::from_secs(86_400),
    };
    let results = timeout(run_ends, tasks).await.unwrap_or_default();
    let refused = results
        .iter()
        .any(|result| matches!(result, Ok(Err(error)) if error.kind() == ErrorKind::Budget));

    let (spent, billed) = (budget.spending(), *provider.ledger.lock().unwrap());
    if let Some(cap) = caps.cost {
        assert!(
            spent.cost + spent.uncertain_cost <= cap,
            "seed {seed}: {spent:?} over {cap}"
        );
        assert!(
            billed.told + billed.untold <= cap,
            "seed {seed}: {billed:?} over {cap}"
        );
    }
    assert!(
        caps.tokens.is_none_or(|cap| billed.tokens <= cap),
        "seed {seed}: {billed:?}"
    );
    assert!(
        caps.calls.is_none_or(|cap| billed.calls <= cap),
        "seed {seed}: {billed:?}"
    );
    assert_eq!(
        budget.reserved(),
        Usd::ZERO,
        "seed {seed}: a reservation is left"
    );
    assert_eq!(
        spent.cost, billed.told,
        "seed {seed}: the account differs from the ledger"
    );
    assert!(
        billed.untold <= spent.uncertain_cost,
        "seed {seed}: {billed:?} {spent:?}"
    );
    let [answered, failed, cancelled] = counts
        .ended
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    assert_eq!(spent.calls, billed.calls, "seed {seed}");
    assert_eq!(spent.calls, answered + failed + cancelled, "seed {seed}");
    assert_eq!(
        spent.calls,
        counts.started.load(Ordering::Relaxed),
        "seed {seed}"
    );

    tally.stopped_by_a_cap += u64::from(refused);
    tally.cancelled_calls += cancelled;
    tally.uncertain_calls += spent.uncertain_calls;
}

#[tokio::test(start_paused = true)]
async fn no_run_exceeds_its_caps_and_the_account_agrees_with_the_ledger() {
    let mut tally = Tally::default();
    for seed in 0..RUNS {
        run(seed, &mut tally).await;
    }
    // The runs are worth something only if they meet what they are about.
    assert!(
        tally.stopped_by_a_cap > RUNS / 5,
        "{}",
        tally.stopped_by_a_cap
    );
    assert!(
        tally.cancelled_calls > RUNS / 5,
        "{}",
        tally.cancelled_calls
    );
    assert!(
        tally.uncertain_calls > RUNS / 5,
        "{}",
        tally.uncertain_calls
    );
}
