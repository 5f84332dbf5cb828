//! Numbers within bounds.

use serde_json::{Map, Value};

use crate::random::Random;

/// Draws a number that fits a schema, in the usual range if it allows, or names the keyword that leaves none. A bound that is
/// excluded may be drawn, and one of more digits than a double has is not kept exactly: somebody has to check it.
pub(super) fn draw(
    map: &Map<String, Value>,
    is_integer: bool,
    (low, high): (f64, f64),
    random: &mut Random,
) -> Result<Value, &'static str> {
    let bound = |keyword: &str| map.get(keyword).and_then(Value::as_f64);
    let bounds = |keywords: [&'static str; 2]| keywords.into_iter().filter_map(bound);
    let lowest = bounds(["minimum", "exclusiveMinimum"]).reduce(f64::max);
    let highest = bounds(["maximum", "exclusiveMaximum"]).reduce(f64::min);
    let multiple = bound("multipleOf").filter(|multiple| *multiple > 0.0);
    // Where only one end is given, the other is the usual one, or as far off as the usual ends are from one another.
    let least_room = multiple.unwrap_or(0.0);
    let room = (high - low).max(least_room);
    let (low, high) = match (lowest, highest) {
        (Some(lowest), None) if lowest + least_room > high => (lowest, lowest + room),
        (None, Some(highest)) if highest < low => (highest - room, highest),
        _ => (lowest.unwrap_or(low), highest.unwrap_or(high)),
    };
    let digits = match multiple {
        Some(multiple) => decimals(multiple),
        None if is_integer => 0,
        // Two digits are how people write numbers; two more than a bound has leave room beside it.
        None => decimals(low).max(decimals(high)) + 2,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Some hundred at most.
    let step = multiple.unwrap_or_else(|| 10_f64.powi(-(digits as i32)));
    // Doubles are not exact: 0.3 is a little less than three times 0.1.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    if first > last {
        return Err(multiple.map_or("maximum", |_| "multipleOf"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates as it should.
    let more = random.below(((last - first) as u64).saturating_add(1));
    #[allow(clippy::cast_precision_loss)] // Another number of the range does as well.
    let text = format!("{:.digits$}", (first + more as f64) * step);
    // Whole numbers are written without a point.
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    match whole.parse::<i64>() {
        Ok(whole) if fraction.bytes().all(|digit| digit == b'0') => Ok(whole.into()),
        _ if is_integer => Err("maximum"),
        _ => text.parse::<f64>().map(Value::from).map_err(|_| "maximum"),
    }
}

/// Returns how many digits a number has after the point: it is displayed without an exponent.
fn decimals(number: f64) -> usize {
    let text = number.to_string();
    text.split_once('.').map_or(0, |(_, digits)| digits.len())
}
