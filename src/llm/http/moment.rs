//! Delays and points in time as providers write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads a number of seconds, which may be fractional. Negative, infinite and unreadable numbers are none.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    // A number too large for a `Duration` is a very long delay and not an unreadable one.
    if seconds.is_finite() && seconds >= 0.0 {
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    } else {
        None
    }
}

/// Reads a delay such as `6m0s`, `1h2m`, `1.5s`, `20ms` (as Go prints durations) or a number of seconds.
pub(crate) fn delay(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(delay) = seconds(text) {
        return Some(delay);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_seconds = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.saturating_add(
            Duration::try_from_secs_f64(number * unit_seconds).unwrap_or(Duration::MAX),
        );
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// Returns how far `then` lies ahead of `now`, or nothing of a delay where it has passed.
pub(crate) fn until(then: SystemTime, now: SystemTime) -> Duration {
    then.duration_since(now).unwrap_or(Duration::ZERO)
}

/// Reads an HTTP date as servers have to write it (RFC 9110, 5.6.7), such as
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let day = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let year = parts.next()?.parse().ok()?;
    let time = clock(parts.next()?)?;
    (parts.next() == Some("GMT")).then_some(())?;
    point(year, u32::try_from(month).ok()?, day, time)
}

/// Reads a date as in RFC 3339, such as `2026-11-20T10:00:00Z` or `2026-11-20T10:00:00.5+02:00`.
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.trim().split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let local = point(year, month, day, clock(time)?)?;
    if zone.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let ahead = zone.starts_with('+');
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(())?;
    let offset = Duration::from_secs(hours * 3_600 + minutes * 60);
    if ahead {
        local.checked_sub(offset)
    } else {
        local.checked_add(offset)
    }
}

/// Reads a date, or a number of seconds or milliseconds since the beginning of 1970.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    /// As seconds the year 2001, and as milliseconds 5138: every date of today lies between.
    const SECONDS: f64 = 1e9;
    const MILLISECONDS: f64 = 1e11;
    let Ok(number) = text.trim().parse::<f64>() else {
        return rfc3339(text);
    };
    let seconds = if number >= MILLISECONDS {
        number / 1_000.0
    } else {
        number
    };
    let since = Duration::try_from_secs_f64(seconds).ok();
    UNIX_EPOCH.checked_add(since.filter(|_| seconds >= SECONDS)?)
}

fn clock(text: &str) -> Option<Duration> {
    let mut parts = text.splitn(3, ':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let rest = seconds(parts.next()?)?;
    // A leap second is written as 60.
    (hours < 24 && minutes < 60 && rest < Duration::from_secs(61)).then_some(())?;
    Some(Duration::from_secs(hours * 3_600 + minutes * 60) + rest)
}

fn point(year: u64, month: u32, day: u64, time: Duration) -> Option<SystemTime> {
    // Rate limits lie in the near future; four digits of year keep the sums below from overflowing.
    let in_range =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    in_range.then_some(())?;
    // Days since 1 March of year 0, with the leap day last in the year, less those until 1970-01-01.
    let (year, month) = if month > 2 {
        (year, u64::from(month) - 3)
    } else {
        (year - 1, u64::from(month) + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400) + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(time: Option<SystemTime>) -> Option<u64> {
        time.map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn delays_are_read_in_every_form_providers_write() {
        for (text, milliseconds) in [
            ("6m0s", 360_000),
            ("1h2m3s", 3_723_000),
            ("20ms", 20),
            ("7.66s", 7_660),
            ("1.5", 1_500),
            ("0", 0),
            ("1d", 86_400_000),
        ] {
            assert_eq!(
                delay(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in ["", "soon", "-1", "5x", "ms", "inf", "NaN", "1.2.3s"] {
            assert_eq!(delay(text), None, "{text}");
        }
        assert_eq!(seconds("1e300"), Some(Duration::MAX));
    }

    #[test]
    fn dates_are_read_in_both_forms() {
        assert_eq!(
            unix(http_date("Sun, 06 Nov 1994 08:49:37 GMT")),
            Some(784_111_777)
        );
        assert_eq!(unix(rfc3339("1994-11-06T08:49:37Z")), Some(784_111_777));
        assert_eq!(
            unix(rfc3339("1994-11-06T10:49:37.25+02:00")),
            Some(784_111_777)
        );
        assert_eq!(unix(rfc3339("2024-02-29T00:00:00Z")), Some(1_709_164_800));
        for text in [
            "",
            "tomorrow",
            "Sun, 06 Nov 1994",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "1994-11-06",
            "1994-13-06T00:00:00Z",
            "99999999999999999999-01-01T00:00:00Z",
            "1994-11-06T08:49:37+18446744073709551615:59",
        ] {
            assert_eq!(http_date(text).or_else(|| rfc3339(text)), None, "{text}");
        }
    }

    /// Nearly a delay, nearly a date.
    const SHAPED: &str = "[0-9]{1,20}[-dhms:. ]{0,3}[0-9]{0,20}[T+:-]?[0-9]{0,20}:?[0-9Zz]{0,3}";

    proptest::proptest! {
        #[test]
        fn no_header_makes_a_reader_panic(text in "\\PC*", shaped in SHAPED) {
            for text in [text, shaped] {
                let _ = (seconds(&text), delay(&text), http_date(&text), rfc3339(&text));
            }
        }

        #[test]
        fn a_date_written_by_the_rules_is_read_back(at in 0_u64..253_402_300_800) {
            let (days, rest) = (at / 86_400, at % 86_400);
            let (year, month, day) = civil(days);
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
                rest / 3_600,
                rest / 60 % 60,
                rest % 60
            );
            proptest::prop_assert_eq!(unix(rfc3339(&text)), Some(at));
        }
    }

    /// The date this many days after 1970-01-01, found by counting.
    fn civil(mut days: u64) -> (u64, u64, u64) {
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut year = 1970;
        while days >= 365 + u64::from(is_leap(year)) {
            days -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u64::from(is_leap(year));
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        (year, month, days + 1)
    }
}
