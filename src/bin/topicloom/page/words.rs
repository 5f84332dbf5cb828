//! Numbers and times as people read them.

use topicloom::llm::layers::Spending;
use topicloom::llm::price::Usd;

/// Writes a count with a space between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push('\u{202f}');
        }
        words.push(digit);
    }
    words
}

pub(super) fn dollars(amount: f64) -> String {
    let digits = if amount >= 0.095 || amount == 0.0 {
        2
    } else {
        4
    };
    format!("${amount:.digits$}")
}

/// Writes a share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Writes milliseconds in the two largest units.
pub(crate) fn span(milliseconds: u64) -> String {
    let seconds = (milliseconds + 500) / 1000;
    let two = |large: u64, large_name, small: u64, small_name| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..10 if !milliseconds.is_multiple_of(1000) => {
            format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
        }
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Writes milliseconds since the beginning of 1970 as a date and a time of day.
pub(super) fn moment(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    // Days since the first of March of the year 0, so that a leap day ends a year (Howard Hinnant's `civil_from_days`).
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute) = (seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Says what is known of what the calls cost.
pub(crate) fn cost(spending: &Spending) -> String {
    match (spending.cost, spending.unpriced_calls) {
        (cost, 0) => cost.to_string(),
        (Usd::ZERO, _) => "not known".to_owned(),
        (cost, calls) => format!("{cost}, and {calls} calls without a known price"),
    }
}

/// Returns the beginning of a text, with a mark where there is more.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_in_words() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (count(999), count(1_000)),
            ("999".to_owned(), "1\u{202f}000".to_owned())
        );
        assert_eq!(
            (dollars(0.0123), dollars(1.5)),
            ("$0.0123".to_owned(), "$1.50".to_owned())
        );
        for (milliseconds, words) in [
            (450, "450 ms"),
            (1_500, "1.5 s"),
            (9_000, "9 s"),
            (59_600, "1 min"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(span(milliseconds), words);
        }
        for (seconds, words) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_041_320, "2026-11-30 12:22 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
        ] {
            assert_eq!(moment(seconds * 1000), words);
        }
        assert_eq!(
            (cut("aé日x", 3), cut("aé日", 3)),
            ("aé日…".to_owned(), "aé日".to_owned())
        );
    }
}
