//! What the body of a refusal says of asking again, where headers say nothing: in fields, or in numbers and units.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::llm::http::{delay, moment, until};

/// A limit that is over later than this is final: no run waits so long, and neither does a rate limiter.
pub(super) const TOO_LONG: Duration = Duration::from_secs(600);

/// Between the word for trying again and the number stand few words, as in "retry the call after 6 s".
const WORDS_BETWEEN: usize = 4;

/// A time that is longer than a run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Day,
    Longer,
}

/// What a body says of asking again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BodyHint {
    /// The delay asked for.
    pub(super) after: Option<Duration>,
    /// Whether a field says that the limit is a day's.
    pub(super) is_daily: bool,
    /// Whether a field says that the limit is over only much later.
    pub(super) is_far: bool,
    /// How long a time the message says that the limit is for.
    pub(super) named: Option<Period>,
}

impl BodyHint {
    /// Reads a body, and the message in lower case that was found in it.
    pub(super) fn read(body: &Value, message: &str, now: SystemTime) -> Self {
        let names = |words: &[&str]| words.iter().any(|words| message.contains(words));
        let mut hint = Self {
            after: wait_in_words(message),
            is_daily: false,
            is_far: false,
            named: match () {
                () if names(&["per day", "per-day", "/ day", "daily"]) => Some(Period::Day),
                () if names(&["weekly", "per week", "monthly", "per month", "/ month"]) => {
                    Some(Period::Longer)
                }
                () => None,
            },
        };
        visit(body, &mut |key, value| match key {
            "retryDelay" => hint.after = value.as_str().and_then(delay).or(hint.after),
            "quotaId" => {
                let quota = value.as_str().unwrap_or_default();
                hint.is_daily |= quota.to_lowercase().contains("perday");
            }
            _ if key.to_lowercase().contains("reset") => {
                let then = value.as_str().map_or(value.to_string(), str::to_owned);
                hint.is_far |= moment(&then).is_some_and(|then| until(then, now) > TOO_LONG);
            }
            _ => {}
        });
        hint
    }
}

/// Shows every field of a value, however deep.
pub(super) fn visit<'a>(value: &'a Value, see: &mut impl FnMut(&'a str, &'a Value)) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| visit(value, see)),
        Value::Object(object) => {
            for (key, value) in object {
                see(key, value);
                visit(value, see);
            }
        }
        _ => {}
    }
}

/// Finds numbers with a unit of time that follow a word for trying again or waiting, and adds up those of one delay, as in "1
/// minute and 5 seconds".
fn wait_in_words(message: &str) -> Option<Duration> {
    let words: Vec<&str> = message
        .split(|c: char| c.is_whitespace() || "-\"'()".contains(c))
        .map(|word| word.trim_end_matches(['.', ',', ';', ':', '!']))
        .filter(|word| !word.is_empty())
        .collect();
    let asks = |word: &&str| ["again", "retry", "wait"].contains(word);
    let mut starts = (0..words.len()).filter(|place| asks(&words[*place]));
    starts.find_map(|start| {
        let mut rest = &words[start + 1..];
        let number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let first = rest.iter().take(WORDS_BETWEEN).position(number)?;
        rest = &rest[first..];
        let mut sum = None;
        while let Some((length, found)) = one_delay(rest) {
            sum = Some(found.saturating_add(sum.unwrap_or_default()));
            rest = &rest[length..];
            rest = rest.strip_prefix(&["and"]).unwrap_or(rest);
        }
        sum
    })
}

/// Reads a delay at the start, such as `1m2.5s` or `4 seconds`, and returns how many words it takes.
fn one_delay(words: &[&str]) -> Option<(usize, Duration)> {
    let number = words.first()?;
    if number.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return Some((1, delay(number)?));
    }
    let unit = match *words.get(1)? {
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "ms" | "millisecond" | "milliseconds" => "ms",
        _ => return None,
    };
    Some((2, delay(&format!("{number}{unit}"))?))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_wait_in_words_is_a_number_with_a_unit_behind_a_word_for_it() {
        for (message, milliseconds) in [
            ("please try again in 1m2.5s. visit https://x", Some(62_500)),
            ("try again in 20s.", Some(20_000)),
            ("please try again in 350ms", Some(350)),
            ("please retry after 6 seconds. go here", Some(6_000)),
            ("try again in 4 seconds, thanks", Some(4_000)),
            ("wait 1 minute and 5 seconds", Some(65_000)),
            ("retry-after: 3 s", Some(3_000)),
            (
                "limit 7000, used 0, requested ~12903. try again later",
                None,
            ),
            ("please retry 3 times", None),
            ("retry after 6", None),
            ("1 hour ago we said: retry", None),
        ] {
            let found = wait_in_words(message).map(|delay| delay.as_millis());
            assert_eq!(found, milliseconds, "{message}");
        }
    }

    #[test]
    fn fields_are_read_wherever_they_are() {
        let now = UNIX_EPOCH + Duration::from_secs(1_796_000_000);
        let read = |body: Value| BodyHint::read(&body, "", now);
        let delay = json!([{"error": {"details": [{"retryDelay": "4.5s"}]}}]);
        assert_eq!(read(delay).after, Some(Duration::from_millis(4_500)));
        for (field, is_spent) in [
            (json!({"quotaId": "RequestsPerDayPerProject"}), true),
            (json!({"quotaId": "RequestsPerMinutePerProject"}), false),
            (json!({"X-RateLimit-Reset": "1796169600000"}), true),
            (json!({"resets_at": 1_796_169_600}), true),
            (json!({"resets_at": "2026-12-02T00:00:00Z"}), true),
            (json!({"reset": 1_796_000_060}), false),
            (json!({"reset": 86_400}), false),
        ] {
            let found = read(json!({"error": {"metadata": field}}));
            assert_eq!(found.is_daily || found.is_far, is_spent, "{field}");
        }
    }
}
