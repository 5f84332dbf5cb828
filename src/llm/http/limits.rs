//! Rate limits that providers announce in headers.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName};

use super::moment::{delay, rfc3339, until};
use crate::llm::RateSnapshot;

/// Returns what headers announce in one of the ways that are known here.
pub(crate) fn announced_limits(headers: &HeaderMap, now: SystemTime) -> Option<RateSnapshot> {
    // Most servers announce none, and this is asked of every answer.
    let announces = |name: &HeaderName| name.as_str().contains("ratelimit");
    if !headers.keys().any(announces) {
        return None;
    }
    rate_openai(headers).or_else(|| rate_anthropic(headers, now))
}

/// Reads `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, as OpenAI, Azure, Groq, Together, Fireworks
/// and others send them; resets are delays such as `6m0s`.
///
/// Groq's numbers of requests are per day and those of tokens per minute
/// (<https://console.groq.com/docs/rate-limits>).
fn rate_openai(headers: &HeaderMap) -> Option<RateSnapshot> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let count = |name: &str| text(name).and_then(number);
    some(RateSnapshot {
        requests_limit: count("x-ratelimit-limit-requests"),
        requests_remaining: count("x-ratelimit-remaining-requests"),
        requests_reset: text("x-ratelimit-reset-requests").and_then(delay),
        tokens_limit: count("x-ratelimit-limit-tokens"),
        tokens_remaining: count("x-ratelimit-remaining-tokens"),
        tokens_reset: text("x-ratelimit-reset-tokens").and_then(delay),
    })
}

/// Reads `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`; resets are dates. `tokens` are those
/// of the tightest token limit in force; where they are missing, the input tokens stand in
/// (<https://docs.anthropic.com/en/api/rate-limits#response-headers>).
fn rate_anthropic(headers: &HeaderMap, now: SystemTime) -> Option<RateSnapshot> {
    let text = |what: &str, part: &str| {
        headers
            .get(format!("anthropic-ratelimit-{what}-{part}"))
            .and_then(|value| value.to_str().ok())
    };
    let count = |what: &str, part: &str| text(what, part).and_then(number);
    let reset = |what: &str| -> Option<Duration> {
        text(what, "reset")
            .and_then(rfc3339)
            .map(|then| until(then, now))
    };
    let tokens = if text("tokens", "limit").is_some() {
        "tokens"
    } else {
        "input-tokens"
    };
    some(RateSnapshot {
        requests_limit: count("requests", "limit"),
        requests_remaining: count("requests", "remaining"),
        requests_reset: reset("requests"),
        tokens_limit: count(tokens, "limit"),
        tokens_remaining: count(tokens, "remaining"),
        tokens_reset: reset(tokens),
    })
}

/// Returns how long to wait after a refusal that says so only in its limits: until what is used up is whole again.
///
/// Limits are per minute, and some buckets refill bit by bit, so that a longer reset is no delay anybody asked for.
pub(crate) fn wait_for_limits(rate: &RateSnapshot) -> Option<Duration> {
    const WINDOW: Duration = Duration::from_secs(60);
    [
        (rate.requests_remaining, rate.requests_reset),
        (rate.tokens_remaining, rate.tokens_reset),
    ]
    .into_iter()
    .filter(|(remaining, _)| *remaining == Some(0))
    .filter_map(|(_, reset)| reset)
    .max()
    .filter(|reset| *reset <= WINDOW)
}

fn some(rate: RateSnapshot) -> Option<RateSnapshot> {
    (!rate.is_empty()).then_some(rate)
}

/// Reads a count. A negative one, which some gateways send for a debt, is nothing left.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix('-') {
        Some(debt) => debt.parse::<u64>().ok().map(|_| 0),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn openai_headers_are_read() {
        let rate = rate_openai(&headers(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "-1"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "many"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]))
        .unwrap();
        assert_eq!(rate.requests_limit, Some(500));
        assert_eq!(rate.requests_remaining, Some(0));
        assert_eq!(rate.requests_reset, Some(Duration::from_millis(120)));
        assert_eq!(rate.tokens_limit, Some(30_000));
        assert_eq!(rate.tokens_remaining, None);
        assert_eq!(rate.tokens_reset, Some(Duration::from_secs(360)));
    }

    #[test]
    fn anthropic_headers_are_read() {
        let rate = rate_anthropic(
            &headers(&[
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:30Z"),
                ("anthropic-ratelimit-input-tokens-limit", "40000"),
                (
                    "anthropic-ratelimit-input-tokens-reset",
                    "1970-01-01T00:00:05Z",
                ),
            ]),
            UNIX_EPOCH + Duration::from_secs(10),
        )
        .unwrap();
        assert_eq!(rate.requests_remaining, Some(49));
        assert_eq!(rate.requests_reset, Some(Duration::from_secs(20)));
        assert_eq!(rate.tokens_limit, Some(40_000));
        assert_eq!(rate.tokens_reset, Some(Duration::ZERO));
    }

    #[test]
    fn only_what_is_used_up_is_waited_for() {
        let mut rate = RateSnapshot {
            requests_remaining: Some(3),
            requests_reset: Some(Duration::from_secs(50)),
            tokens_remaining: Some(0),
            tokens_reset: Some(Duration::from_secs(7)),
            ..RateSnapshot::default()
        };
        assert_eq!(wait_for_limits(&rate), Some(Duration::from_secs(7)));
        rate.requests_remaining = Some(0);
        assert_eq!(wait_for_limits(&rate), Some(Duration::from_secs(50)));
        rate.requests_reset = Some(Duration::from_secs(3_600));
        assert_eq!(wait_for_limits(&rate), None);
        assert_eq!(wait_for_limits(&RateSnapshot::default()), None);
    }

    #[test]
    fn silence_is_no_snapshot() {
        assert_eq!(rate_openai(&HeaderMap::new()), None);
        assert_eq!(rate_anthropic(&HeaderMap::new(), UNIX_EPOCH), None);
    }
}
