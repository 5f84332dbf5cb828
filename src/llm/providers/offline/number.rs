//! Numbers within bounds, in exact decimal arithmetic, since `0.1 + 0.2` must be a multiple of `0.1`.

use serde_json::{Number, Value};

use crate::random::Random;

/// The most digits after the point that are told apart; a double holds about sixteen in all.
const MAX_SCALE: u32 = 18;

/// A number as `mantissa / 10^scale`.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    mantissa: i128,
    scale: u32,
}

impl Decimal {
    /// Reads a JSON number, or returns `None` for one too large or too fine to be exact here.
    fn read(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        let mut mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
        let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
        if scale < 0 {
            mantissa = mantissa.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
            scale = 0;
        }
        let scale = u32::try_from(scale)
            .ok()
            .filter(|scale| *scale <= MAX_SCALE)?;
        Some(Self { mantissa, scale })
    }

    /// Returns the mantissa at a scale at least as fine as its own.
    fn at(self, scale: u32) -> Option<i128> {
        self.mantissa
            .checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }
}

/// A bound of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'s> {
    pub(super) number: &'s Number,
    /// Whether the number itself is outside.
    pub(super) is_exclusive: bool,
}

/// What a number has to be.
#[derive(Debug, Default)]
pub(super) struct NumberLimits<'s> {
    pub(super) is_integer: bool,
    pub(super) lower: Vec<Bound<'s>>,
    pub(super) upper: Vec<Bound<'s>>,
    pub(super) multiples: Vec<&'s Number>,
}

impl NumberLimits<'_> {
    /// Draws a number, within the usual range if the limits allow, or names the keyword that prevents it.
    pub(super) fn draw(
        &self,
        usual: Option<(i64, i64)>,
        random: &mut Random,
    ) -> Result<Number, &'static str> {
        let (scale, step) = self.grid()?;
        let one = 10_i128.pow(scale);
        // An infinite bound is no bound; one too large to be exact and in the way is refused.
        let mut lowest: Option<i128> = None;
        for bound in &self.lower {
            if let Some(at) = exact(bound, scale, Side::Below, "minimum")? {
                let index = if bound.is_exclusive {
                    at.div_euclid(step) + 1
                } else {
                    ceil(at, step)
                };
                lowest = Some(lowest.map_or(index, |lowest| lowest.max(index)));
            }
        }
        let mut highest: Option<i128> = None;
        for bound in &self.upper {
            if let Some(at) = exact(bound, scale, Side::Above, "maximum")? {
                let index = if bound.is_exclusive {
                    ceil(at, step) - 1
                } else {
                    at.div_euclid(step)
                };
                highest = Some(highest.map_or(index, |highest| highest.min(index)));
            }
        }
        let (usual_low, usual_high) = usual.unwrap_or((0, 1_000));
        let span = ((i128::from(usual_high) - i128::from(usual_low)) * one / step).max(1);
        let mut low = ceil(i128::from(usual_low) * one, step);
        let mut high = (i128::from(usual_high) * one).div_euclid(step).max(low);
        if let (Some(lowest), Some(highest)) = (lowest, highest)
            && lowest > highest
        {
            let keyword = if self.multiples.is_empty() {
                "maximum"
            } else {
                "multipleOf"
            };
            return Err(keyword);
        }
        if lowest.is_some_and(|lowest| lowest > low)
            || highest.is_some_and(|highest| highest < high)
        {
            // The usual range reaches over a bound: keep what is inside, or go to the bound.
            let inside_low = lowest.map_or(low, |lowest| lowest.max(low));
            let inside_high = highest.map_or(high, |highest| highest.min(high));
            if inside_low <= inside_high && usual.is_some() {
                (low, high) = (inside_low, inside_high);
            } else {
                (low, high) = match (lowest, highest) {
                    (Some(lowest), Some(highest)) => (lowest, highest),
                    (Some(lowest), None) => (lowest, lowest.saturating_add(span)),
                    (None, Some(highest)) if highest >= 0 => (0, highest),
                    (None, Some(highest)) => (highest.saturating_sub(span), highest),
                    (None, None) => (low, high),
                };
            }
        }
        let width = u64::try_from((high - low).saturating_add(1)).unwrap_or(u64::MAX);
        let index = low + i128::from(random.below(width));
        let mantissa = index.checked_mul(step).ok_or("multipleOf")?;
        write(mantissa, scale)
    }

    /// The grid of allowed numbers: every multiple of `step / 10^scale`.
    fn grid(&self) -> Result<(u32, i128), &'static str> {
        let mut multiples = Vec::with_capacity(self.multiples.len());
        for number in &self.multiples {
            multiples.push(
                Decimal::read(number)
                    .filter(|m| m.mantissa > 0)
                    .ok_or("multipleOf")?,
            );
        }
        let bounds = self.lower.iter().chain(&self.upper);
        let bounds = bounds.filter_map(|bound| Decimal::read(bound.number));
        let finest = multiples
            .iter()
            .copied()
            .chain(bounds)
            .map(|d| d.scale)
            .max()
            .unwrap_or(0);
        if multiples.is_empty() {
            return Ok(if self.is_integer {
                (finest, 10_i128.pow(finest))
            } else {
                // Two digits are how people write numbers; two more than a bound has leave room inside it.
                ((finest + 2).min(MAX_SCALE), 1)
            });
        }
        let mut step = if self.is_integer {
            10_i128.pow(finest)
        } else {
            1
        };
        for multiple in multiples {
            let at = multiple.at(finest).ok_or("multipleOf")?;
            step = (step / gcd(step, at)).checked_mul(at).ok_or("multipleOf")?;
        }
        Ok((finest, step))
    }
}

/// Writes `mantissa / 10^scale`, a whole number without a point.
fn write(mantissa: i128, scale: u32) -> Result<Number, &'static str> {
    let one = 10_i128.pow(scale);
    if mantissa % one == 0 {
        let whole = mantissa / one;
        if let Ok(whole) = i64::try_from(whole) {
            return Ok(whole.into());
        }
        return u64::try_from(whole)
            .map(Number::from)
            .map_err(|_| "maximum");
    }
    let (sign, digits) = (if mantissa < 0 { "-" } else { "" }, mantissa.unsigned_abs());
    let (whole, fraction) = (digits / one.unsigned_abs(), digits % one.unsigned_abs());
    let width = scale as usize;
    let value: f64 = format!("{sign}{whole}.{fraction:0width$}")
        .parse()
        .map_err(|_| "multipleOf")?;
    Number::from_f64(value).ok_or("maximum")
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Below,
    Above,
}

/// Returns a bound at this scale, `None` if it is too far away to matter.
fn exact(
    bound: &Bound<'_>,
    scale: u32,
    side: Side,
    keyword: &'static str,
) -> Result<Option<i128>, &'static str> {
    // Far beyond what a run draws, and far from the limits of exact arithmetic.
    const FAR: f64 = 1e18;
    let value = bound.number.as_f64().unwrap_or(0.0);
    let is_open = match side {
        Side::Below => value < -FAR,
        Side::Above => value > FAR,
    };
    match Decimal::read(bound.number).and_then(|decimal| decimal.at(scale.max(decimal.scale))) {
        _ if is_open => Ok(None),
        Some(at) => Ok(Some(at)),
        None => Err(keyword),
    }
}

/// Whether a number is a multiple of another; `true` where that cannot be told exactly.
pub(super) fn is_multiple(value: &Value, of: &Number) -> bool {
    let Some(number) = value.as_number() else {
        return true;
    };
    let exact = || {
        let (value, of) = (Decimal::read(number)?, Decimal::read(of)?);
        let scale = value.scale.max(of.scale);
        let of = of.at(scale).filter(|of| *of != 0)?;
        Some(value.at(scale)? % of == 0)
    };
    exact().unwrap_or(true)
}

fn ceil(value: i128, step: i128) -> i128 {
    -((-value).div_euclid(step))
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(
        is_integer: bool,
        lower: Option<(&str, bool)>,
        upper: Option<(&str, bool)>,
        multiples: &[&str],
    ) -> Result<f64, &'static str> {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        let lower = lower.map(|(text, is_exclusive)| (number(text), is_exclusive));
        let upper = upper.map(|(text, is_exclusive)| (number(text), is_exclusive));
        let multiples: Vec<_> = multiples.iter().map(|text| number(text)).collect();
        let bound = |end: &'_ Option<(Number, bool)>| {
            end.as_ref()
                .map(|(number, is_exclusive)| (number.clone(), *is_exclusive))
        };
        let (lower, upper) = (bound(&lower), bound(&upper));
        let limits = NumberLimits {
            is_integer,
            lower: lower
                .iter()
                .map(|(number, is_exclusive)| Bound {
                    number,
                    is_exclusive: *is_exclusive,
                })
                .collect(),
            upper: upper
                .iter()
                .map(|(number, is_exclusive)| Bound {
                    number,
                    is_exclusive: *is_exclusive,
                })
                .collect(),
            multiples: multiples.iter().collect(),
        };
        let drawn = limits.draw(None, &mut Random::new(1))?;
        Ok(drawn.as_f64().unwrap())
    }

    #[test]
    #[allow(clippy::float_cmp)] // Exact on purpose.
    fn narrow_ranges_are_met_exactly() {
        assert_eq!(
            draw(true, Some(("4", true)), Some(("6", true)), &[]),
            Ok(5.0)
        );
        assert_eq!(
            draw(true, Some(("4.2", false)), Some(("5.1", false)), &[]),
            Ok(5.0)
        );
        assert_eq!(
            draw(
                false,
                Some(("0.35", false)),
                Some(("0.45", false)),
                &["0.1"]
            ),
            Ok(0.4)
        );
        assert_eq!(
            draw(true, Some(("1", false)), Some(("20", false)), &["4", "6"]),
            Ok(12.0)
        );
        let between = draw(false, Some(("0.999", true)), Some(("1", true)), &[]).unwrap();
        assert!(between > 0.999 && between < 1.0, "{between}");
    }

    #[test]
    fn an_empty_range_names_the_keyword() {
        assert_eq!(
            draw(true, Some(("5", true)), Some(("6", true)), &[]),
            Err("maximum")
        );
        assert_eq!(
            draw(true, Some(("5", false)), Some(("6", false)), &["7"]),
            Err("multipleOf")
        );
    }

    #[test]
    fn bounds_beyond_all_numbers_are_no_bounds() {
        assert!(draw(false, Some(("-1e300", false)), Some(("1e300", false)), &[]).is_ok());
        assert!(draw(true, Some(("1e300", false)), None, &[]).is_err());
    }
}
