//! How close the limits come to the best that could be done, against simulated providers under paused time.
//! `benches/limits.rs` prints the figures; here are the bounds that they keep.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use topicloom::llm::layers::{Adaptive, ConcurrencyLimited, RateLimiter, Retrying};
use topicloom::llm::{ChatRequest, LlmClient, Message};

use crate::simulator::{Service, Simulator, scenarios};

#[tokio::test(start_paused = true)]
async fn every_condition_is_met_at_nearly_the_optimum_with_little_waste() {
    for scenario in scenarios() {
        let figures = scenario.run(1).await;
        let name = scenario.name;
        let least = match scenario.by_chance {
            // The longest answers take half of what is waited for, with nothing in line.
            0.0 if name.contains("20 s an answer") => 0.9,
            0.0 => 0.95,
            _ => 0.9,
        };
        let most = match scenario.by_chance {
            0.0 if name.contains("20 s an answer") => 0.08,
            0.0 if name.contains("hardly less") => 0.02,
            // A limit behind chance is only told from it where more is refused.
            share if name.contains("requests a minute") && share > 0.0 => share + 0.035,
            share => share + 0.01,
        };
        assert!(figures.throughput >= least, "{name}: {figures:?}");
        assert!(figures.wasted <= most, "{name}: {figures:?}");
        if scenario.by_chance == 0.0 {
            let most = if name.contains("double") { 80 } else { 50 };
            assert!(figures.wasted_early <= most, "{name}: {figures:?}");
        }
        if scenario.outage_ends.is_some() {
            let recovered = |after: Option<Duration>| {
                after.is_some_and(|after| after <= Duration::from_secs(5))
            };
            assert!(recovered(figures.recovery), "{name}: {figures:?}");
            assert!(recovered(figures.first_answer), "{name}: {figures:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_run_is_near_the_ideal_from_its_first_call() {
    for (calls, at_once, milliseconds) in [(600, 32, 150), (5_000, 64, 50), (2_000, 64, 500)] {
        let service = Service {
            first_token: Duration::from_millis(milliseconds),
            per_token: Duration::ZERO,
            ..Service::default()
        };
        let provider = Simulator::new(1).with_service(service);
        let client = ConcurrencyLimited::new(provider, Arc::new(Semaphore::new(at_once)));
        let client = Adaptive::new(client, Arc::new(RateLimiter::new("test/quick")), at_once);
        let client = Retrying::new(client);
        let request = ChatRequest::new(vec![Message::user("a question")]);
        let started = Instant::now();
        let answers = join_all((0..calls).map(|_| client.complete(&request))).await;
        assert!(answers.iter().all(Result::is_ok));
        #[allow(clippy::cast_precision_loss)]
        let rounds = f64::from(calls) / at_once as f64;
        let share = rounds * service.first_token.as_secs_f64() / started.elapsed().as_secs_f64();
        assert!(
            share >= 0.93,
            "{calls} calls of {milliseconds} ms: {share:.3} of the ideal"
        );
    }
}
