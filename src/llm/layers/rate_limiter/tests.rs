//! A rate limiter as its callers see it.

use futures::FutureExt;
use futures::future::{join_all, select_all};
use tokio::time::timeout;

use super::*;
use crate::error::{Error, ErrorKind, Retry};
use crate::llm::layers::test_client::{TestClient, request};
use crate::llm::layers::{Adaptive, RateLimited};
use crate::llm::{LlmClient, RateSnapshot, Usage};

const SECOND: Duration = Duration::from_secs(1);

fn limiter() -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new("test/model"))
}

fn refused(kind: ErrorKind, retry: Retry) -> Result<ChatResponse> {
    Err(Error::new(kind, "not now").with_retry(retry))
}

#[tokio::test(start_paused = true)]
async fn given_requests_are_spread_over_the_minute() {
    let limiter = limiter();
    limiter.limit_requests(120);
    let client = RateLimited::new(TestClient::default(), limiter);
    let (start, request) = (Instant::now(), request());
    join_all((0..21).map(|_| client.complete(&request))).await;
    // One at once, then two a second.
    assert_eq!(start.elapsed().as_millis() / 100, 95);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_estimated_and_not_used_are_given_back() {
    // Sixty tokens a second, and an estimate of 500 for the first answer.
    let answer = || Ok(ChatResponse::new("x").with_usage(Usage::new(10, 20)));
    let client = TestClient::answering((0..41).map(|_| answer()).collect());
    let limiter = limiter();
    limiter.limit_tokens(3_600);
    let client = RateLimited::new(client, limiter);
    let start = Instant::now();
    for _ in 0..41 {
        client.complete(&request()).await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    // Thirty tokens a call are two calls a second.
    assert!((19.0..20.5).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_is_asked_for_pauses_everyone() {
    let script = vec![refused(ErrorKind::RateLimited, Retry::After(7 * SECOND))];
    let limiter = limiter();
    let first = RateLimited::new(TestClient::answering(script), Arc::clone(&limiter));
    let other_run = Adaptive::new(TestClient::default(), Arc::clone(&limiter), 4);
    let start = Instant::now();
    assert!(first.complete(&request()).await.is_err());
    assert_eq!(limiter.status().paused_for, Some(7 * SECOND));
    assert!(other_run.complete(&request()).await.is_ok());
    assert_eq!(start.elapsed(), 7 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_patience_ends_the_run_instead_of_hanging() {
    for delay in [3_600 * SECOND, Duration::MAX] {
        give_up_after(delay).await;
    }
}

async fn give_up_after(delay: Duration) {
    let script = vec![refused(ErrorKind::RateLimited, Retry::After(delay))];
    let client = Adaptive::new(TestClient::answering(script), limiter(), 4);
    let start = Instant::now();
    assert!(!client.complete(&request()).await.unwrap_err().is_fatal());
    let error = client.complete(&request()).await.unwrap_err();
    assert_eq!(
        (error.kind(), start.elapsed()),
        (ErrorKind::Unavailable, Duration::ZERO)
    );
    assert!(error.is_fatal());
}

#[tokio::test(start_paused = true)]
async fn an_outage_beyond_patience_ends_the_run() {
    let script = (0..10_000)
        .map(|_| refused(ErrorKind::Overloaded, Retry::Backoff))
        .collect();
    let limiter = limiter();
    limiter.set_patience(60 * SECOND);
    let client = Adaptive::new(TestClient::answering(script), limiter, 4);
    let start = Instant::now();
    let error = loop {
        match client.complete(&request()).await.unwrap_err() {
            error if error.is_fatal() => break error,
            _ => {}
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_reports_is_kept() {
    let mut rate = RateSnapshot::default();
    (rate.requests_limit, rate.requests_remaining) = (Some(60), Some(0));
    let script = vec![Ok(ChatResponse::new("x").with_rate(Some(rate)))];
    let limiter = limiter();
    let client = RateLimited::new(TestClient::answering(script), Arc::clone(&limiter));
    let start = Instant::now();
    client.complete(&request()).await.unwrap();
    assert_eq!(limiter.status().requests_per_minute, Some(60.0));
    client.complete(&request()).await.unwrap();
    // One request is back in a second, and a hundredth of sixty is left as a margin.
    assert_eq!(start.elapsed().as_millis(), 1_600);
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_for_good_those_in_line_are_not_sent() {
    let mut script: Vec<_> = (0..4).map(|_| Ok(ChatResponse::new("x"))).collect();
    script.extend((0..2).map(|_| refused(ErrorKind::Quota, Retry::Never)));
    let client = TestClient::answering(script).taking(SECOND);
    let client = Adaptive::new(client, limiter(), 64);
    let request = request();
    let results = join_all((0..64).map(|_| client.complete(&request))).await;
    let answered = results.iter().filter(|result| result.is_ok()).count();
    let errors = results.iter().filter_map(|result| result.as_ref().err());
    assert!(
        errors
            .clone()
            .all(|error| error.kind() == ErrorKind::Quota && error.is_fatal())
    );
    assert_eq!(answered + errors.count(), 64);
    assert_eq!(
        answered + 2,
        client.inner().calls(),
        "of all those in line, not one was sent"
    );
    // A later run finds out with one call whether there is credit again.
    let before = client.inner().calls();
    client
        .inner()
        .answer_next(refused(ErrorKind::Quota, Retry::Never));
    let later = join_all((0..8).map(|_| client.complete(&request))).await;
    assert!(later.iter().all(Result::is_err));
    assert_eq!(client.inner().calls(), before + 1);
    let again = join_all((0..8).map(|_| client.complete(&request))).await;
    assert!(again.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_taken_before_is_not_doubted_for_one_refusal() {
    let mut script: Vec<_> = (0..8).map(|_| Ok(ChatResponse::new("x"))).collect();
    script.push(refused(ErrorKind::Auth, Retry::Never));
    let client = Adaptive::new(TestClient::answering(script).taking(SECOND), limiter(), 64);
    let request = request();
    let results = join_all((0..64).map(|_| client.complete(&request))).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_by_chance_take_nothing_from_the_window() {
    let stray = |number: u32| match number % 25 {
        24 => refused(ErrorKind::RateLimited, Retry::Backoff),
        _ => Ok(ChatResponse::new("x")),
    };
    let client = TestClient::answering((0..2_000).map(stray).collect()).taking(SECOND);
    let limiter = limiter();
    let client = Adaptive::new(client, Arc::clone(&limiter), 64);
    let (request, start) = (request(), Instant::now());
    join_all((0..2_000).map(|_| client.complete(&request))).await;
    assert!(limiter.status().window >= 64, "{:?}", limiter.status());
    // Without refusals it takes 33 s, two doublings included; two trials are a fifth of some hundred calls each.
    assert!(start.elapsed() <= 36 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn calls_dropped_in_line_or_in_flight_leave_nothing_behind() {
    let limiter = limiter();
    let client = Adaptive::new(
        TestClient::default().taking(SECOND),
        Arc::clone(&limiter),
        16,
    );
    let request = request();
    for _ in 0..50 {
        let all = join_all((0..16).map(|_| client.complete(&request)));
        assert!(timeout(SECOND / 2, all).await.is_err());
        assert_eq!(limiter.status().in_flight, 0);
    }
    // The first to end wins; all others are dropped.
    let all = (0..16).map(|_| client.complete(&request).boxed());
    assert!(select_all(all).await.0.is_ok());
    assert_eq!(limiter.status().in_flight, 0);
    assert!(client.complete(&request).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_are_sent_in_the_order_they_came() {
    let limiter = limiter();
    limiter.limit_requests(60);
    let client = Arc::new(RateLimited::new(TestClient::default(), limiter));
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls = (0..10).map(|number| {
        let (client, order) = (Arc::clone(&client), Arc::clone(&order));
        async move {
            client.complete(&request()).await.unwrap();
            order.lock().unwrap().push(number);
        }
    });
    join_all(calls).await;
    assert!(order.lock().unwrap().is_sorted());
}

#[test]
fn all_runs_of_a_process_share_a_models_lane() {
    let limiter = RateLimiter::shared("test/shared");
    assert!(Arc::ptr_eq(&limiter, &RateLimiter::shared("test/shared")));
    assert!(!Arc::ptr_eq(&limiter, &RateLimiter::shared("test/other")));
}
