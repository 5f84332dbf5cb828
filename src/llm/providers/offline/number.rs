//! Numbers within bounds, in exact decimal arithmetic, since `0.1 + 0.2` must be a multiple of `0.1`.

use serde_json::{Map, Number, Value};

use crate::random::Random;

/// The most digits after the point that are told apart; a double holds about sixteen in all.
const MAX_SCALE: u32 = 18;
/// A bound as far out as this is none: far beyond what is drawn, and far from the limits of exact arithmetic.
const FAR: f64 = 1e18;

const BOUNDS: [&str; 4] = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];

/// Draws a number that fits a schema, in the usual range if it allows, or names the keyword that leaves none.
pub(super) fn draw(
    map: &Map<String, Value>,
    is_integer: bool,
    usual: Option<(i64, i64)>,
    random: &mut Random,
) -> Result<Value, &'static str> {
    let number = |keyword| map.get(keyword).and_then(Value::as_number);
    let mut decimals = [None; 4];
    for (index, keyword) in BOUNDS.into_iter().enumerate() {
        let sign = if index < 2 { -1.0 } else { 1.0 };
        let near = |number: &&Number| number.as_f64().is_some_and(|value| value * sign < FAR);
        if let Some(number) = number(keyword).filter(near) {
            decimals[index] = Some(decimal(number).ok_or(keyword)?);
        }
    }
    let multiple = number("multipleOf").map(|number| decimal(number).ok_or("multipleOf"));
    let multiple = multiple.transpose()?.filter(|(mantissa, _)| *mantissa > 0);
    let known = decimals.into_iter().chain([multiple]).flatten();
    let mut scale = known.map(|(_, scale)| scale).max().unwrap_or(0);
    if multiple.is_none() && !is_integer {
        // Two digits are how people write numbers; two more than a bound has leave room inside it.
        scale = (scale + 2).min(MAX_SCALE);
    }
    let one = 10_i128.pow(scale);
    let at = |(mantissa, finer): (i128, u32)| mantissa.checked_mul(10_i128.pow(scale - finer));
    let mut step = if is_integer { one } else { 1 };
    if let Some(multiple) = multiple {
        let multiple = at(multiple).ok_or("multipleOf")?;
        step = step / gcd(step, multiple) * multiple;
    }

    // What is drawn is `index * step / one`.
    let up = |value: i128| -(-value).div_euclid(step);
    let down = |value: i128| value.div_euclid(step);
    let [min, above, max, below] = decimals.map(|decimal| decimal.map(at));
    let [min, above] = [min, above].map(|bound| bound.map(|at| at.ok_or("minimum")));
    let [max, below] = [max, below].map(|bound| bound.map(|at| at.ok_or("maximum")));
    let above = above.transpose()?.map(|value| down(value) + 1);
    let below = below.transpose()?.map(|value| up(value) - 1);
    let lowest = min.transpose()?.map(up).max(above);
    let highest = [max.transpose()?.map(down), below]
        .into_iter()
        .flatten()
        .min();

    let (usual_low, usual_high) = usual.unwrap_or((0, 1_000));
    let low = up(i128::from(usual_low) * one);
    let high = down(i128::from(usual_high) * one).max(low);
    let inside = (
        lowest.map_or(low, |at| at.max(low)),
        highest.map_or(high, |at| at.min(high)),
    );
    let (low, high) = match (lowest, highest) {
        (Some(low), Some(high)) if low > high => {
            return Err(if multiple.is_some() {
                "multipleOf"
            } else {
                "maximum"
            });
        }
        (None, None) => (low, high),
        _ if usual.is_some() && inside.0 <= inside.1 => inside,
        (Some(low), Some(high)) => (low, high),
        (Some(lowest), None) => (lowest, lowest + (high - low)),
        (None, Some(highest)) => (
            if highest >= 0 {
                0
            } else {
                highest - (high - low)
            },
            highest,
        ),
    };
    let width = u64::try_from(high - low + 1).unwrap_or(u64::MAX);
    let drawn = (low + i128::from(random.below(width))) * step;
    let (whole, fraction) = (drawn.abs() / one, drawn.abs() % one);
    let number = if fraction == 0 {
        // Whole numbers are written without a point.
        Number::from_i128(drawn / one)
    } else {
        let (sign, width) = (if drawn < 0 { "-" } else { "" }, scale as usize);
        format!("{sign}{whole}.{fraction:0width$}")
            .parse()
            .ok()
            .and_then(Number::from_f64)
    };
    number.map(Value::Number).ok_or("maximum")
}

/// Returns a number as `(mantissa, scale)`, `mantissa / 10^scale`, unless it is too large or too fine to be exact.
fn decimal(number: &Number) -> Option<(i128, u32)> {
    // A double is displayed without an exponent.
    let double = number.as_f64().filter(|_| number.is_f64());
    let text = double.map_or_else(|| number.to_string(), |double| double.to_string());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let scale = u32::try_from(fraction.len()).ok()?;
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    (scale <= MAX_SCALE).then_some((mantissa, scale))
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
