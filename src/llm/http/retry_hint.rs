//! Whether and when a provider wants to be asked again, from the headers of its refusal.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use super::moment::{http_date, seconds, until};
use crate::error::Retry;

/// What the headers of a refusal say about asking again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RetryHint {
    /// The delay asked for.
    pub(crate) after: Option<Duration>,
    /// `x-should-retry`, with which OpenAI and Anthropic overrule their status code.
    pub(crate) should_retry: Option<bool>,
}

impl RetryHint {
    /// Decides about a failure that is retried in the `usual` way when the provider gives no hint. The delay
    /// is passed on as it is; how long is too long is for the retrying layer to say.
    pub(crate) fn decide(self, usual: Retry) -> Retry {
        let usual = match (self.should_retry, usual) {
            (Some(false), _) => Retry::Never,
            (Some(true), Retry::Never) => Retry::Backoff,
            _ => usual,
        };
        match (usual, self.after) {
            (Retry::Never, _) => Retry::Never,
            // Zero says that a retry is fine, not that it should be hurried.
            (_, Some(delay)) if !delay.is_zero() => Retry::After(delay),
            (usual, _) => usual,
        }
    }
}

/// Reads `retry-after-ms`, then `retry-after` as seconds or date, and `x-should-retry`.
pub(crate) fn retry_hint(headers: &HeaderMap, now: SystemTime) -> RetryHint {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text("retry-after-ms")
        .and_then(seconds)
        .map(|thousandfold| thousandfold / 1_000)
        .or_else(|| {
            let value = text("retry-after")?;
            seconds(value).or_else(|| http_date(value).map(|then| until(then, now)))
        });
    let should_retry = match text("x-should-retry").map(str::trim) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    RetryHint {
        after,
        should_retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn hint(pairs: &[(&'static str, &'static str)]) -> RetryHint {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        retry_hint(&headers, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn every_form_of_delay_is_read_and_the_finest_wins() {
        for (pairs, milliseconds) in [
            (&[("retry-after-ms", "250.5")][..], Some(250)),
            (
                &[("retry-after-ms", "250"), ("retry-after", "9")][..],
                Some(250),
            ),
            (
                &[("retry-after-ms", "soon"), ("retry-after", "1.5")][..],
                Some(1_500),
            ),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")][..],
                Some(10_000),
            ),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")][..],
                Some(0),
            ),
            (&[("retry-after", "-3")][..], None),
            (&[][..], None),
        ] {
            let after = hint(pairs).after.map(|delay| delay.as_millis());
            assert_eq!(after, milliseconds, "{pairs:?}");
        }
    }

    #[test]
    fn a_delay_is_passed_on_however_long_it_is() {
        let decide = |seconds| hint(&[("retry-after", seconds)]).decide(Retry::Backoff);
        assert_eq!(decide("86400"), Retry::After(Duration::from_secs(86_400)));
        assert_eq!(decide("1e300"), Retry::After(Duration::MAX));
        assert_eq!(decide("0"), Retry::Backoff);
    }

    #[test]
    fn what_the_provider_says_about_retrying_is_obeyed() {
        let says = |value| hint(&[("x-should-retry", value)]);
        assert_eq!(says("false").decide(Retry::Backoff), Retry::Never);
        assert_eq!(says("true").decide(Retry::Never), Retry::Backoff);
        assert_eq!(says("maybe").decide(Retry::Never), Retry::Never);
    }
}
