//! Money, counted exactly.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

const NANO_PER_DOLLAR: u64 = 1_000_000_000;

/// An amount of US dollars, counted in whole nano-dollars.
///
/// Sums are exact: no rounding creeps in over a million calls. An amount is never negative, and sums stop at
/// the largest amount (18 billion dollars) rather than wrap.
///
/// As JSON it is a number of dollars, which is exact up to a hundred thousand dollars.
///
/// ```
/// use topicloom::llm::price::Usd;
///
/// let cap = Usd::from_dollars(2.5)?;
/// assert_eq!(cap, Usd::from_nano(2_500_000_000));
/// assert_eq!(cap.to_string(), "$2.50");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd {
    nano: u64,
}

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self::from_nano(0);

    /// Creates an amount of billionths of a dollar.
    #[must_use]
    pub const fn from_nano(nano: u64) -> Self {
        Self { nano }
    }

    /// Creates an amount of dollars, to the nearest nano-dollar.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] where the number is negative, not finite, or above 18 billion.
    pub fn from_dollars(dollars: f64) -> Result<Self> {
        #[allow(clippy::cast_precision_loss)] // Both are exact powers of ten, or bounds.
        let (nano, most) = ((dollars * NANO_PER_DOLLAR as f64).round(), u64::MAX as f64);
        if !(0.0..most).contains(&nano) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{dollars} is no amount of dollars: it must be 0 or more, and finite"),
            ));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked above.
        Ok(Self::from_nano(nano as u64))
    }

    /// Returns the amount in billionths of a dollar.
    #[must_use]
    pub const fn nano(self) -> u64 {
        self.nano
    }

    /// Returns the amount in dollars, for display and charts: above 9 million dollars it is rounded.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Documented.
    pub fn as_dollars(self) -> f64 {
        self.nano as f64 / NANO_PER_DOLLAR as f64
    }

    /// Returns what is left after taking an amount away, or nothing if it is more than there is.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self::from_nano(self.nano.saturating_sub(other.nano))
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::from_nano(self.nano.saturating_add(other.nano))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Shows at least cents, and as many further digits as the amount has.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, rest) = (self.nano / NANO_PER_DOLLAR, self.nano % NANO_PER_DOLLAR);
        let digits = format!("{rest:09}");
        let digits = digits.trim_end_matches('0');
        write!(f, "${dollars}.{digits:0<2}")
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars).map_err(|error| serde::de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_shown_with_the_digits_they_have() {
        for (nano, shown) in [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (150_000_000, "$0.15"),
            (37_500_000, "$0.0375"),
            (12_000_000_000, "$12.00"),
        ] {
            assert_eq!(Usd::from_nano(nano).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for dollars in [-0.01, f64::NAN, f64::INFINITY, 2e10] {
            assert!(Usd::from_dollars(dollars).is_err(), "{dollars}");
        }
    }

    #[test]
    fn sums_stop_rather_than_wrap() {
        let most = Usd::from_nano(u64::MAX);
        assert_eq!(most + Usd::from_nano(1), most);
    }

    proptest! {
        #[test]
        fn json_keeps_every_nano_dollar(nano in 0..100_000_000_000_000_u64) {
            let amount = Usd::from_nano(nano);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }
    }
}
