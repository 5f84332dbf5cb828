//! An embedding, held in one byte a dimension.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base64;

/// The longest vector. Products of bytes of more dimensions could leave 32 bits; the largest models have 8192.
pub(super) const MOST_DIMENSIONS: usize = 1 << 16;

/// A direction in one byte a dimension, and whose it is compared with.
///
/// Each coordinate is rounded to 1/127 of the largest one of the vector. That moves a coordinate by at most 0.4 % of
/// the largest, and the cosine of two vectors of 384 dimensions by 0.0002 on average and at most 0.0012 in 100 000
/// pairs with cosines from 0.8 to 1 (`benches/semantic`). Vectors with few large coordinates lose more.
///
/// Serialises as text, four characters for three dimensions.
#[derive(Clone, PartialEq, Eq)]
pub struct SemanticFingerprint {
    /// Only what is of the same place is compared: the same scope, and the same details where they count.
    pub(super) place: u64,
    pub(super) vector: Vec<i8>,
}

impl SemanticFingerprint {
    /// Quantises a vector; `None` where a number is not finite or there are too many.
    pub(super) fn of(place: u64, vector: &[f32]) -> Option<Self> {
        if vector.len() > MOST_DIMENSIONS || !vector.iter().all(|x| x.is_finite()) {
            return None;
        }
        let largest = vector
            .iter()
            .fold(0.0_f32, |largest, x| largest.max(x.abs()));
        // All zero stays all zero.
        let scale = 127.0 / f64::from(largest).max(f64::MIN_POSITIVE);
        #[allow(clippy::cast_possible_truncation)] // It lies between -127 and 127.
        let vector = vector
            .iter()
            .map(|x| (f64::from(*x) * scale).round() as i8)
            .collect();
        Some(Self { place, vector })
    }
}

impl Serialize for SemanticFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let vector = self.vector.iter().map(|x| x.cast_unsigned());
        let bytes = self.place.to_le_bytes().into_iter().chain(vector);
        serializer.serialize_str(&base64::encode(bytes))
    }
}

impl<'de> Deserialize<'de> for SemanticFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = base64::decode(&String::deserialize(deserializer)?);
        let wrong = || D::Error::custom("not the fingerprint of an embedding");
        let bytes = bytes.ok_or_else(wrong)?;
        let (place, vector) = bytes.split_first_chunk().ok_or_else(wrong)?;
        if vector.len() > MOST_DIMENSIONS {
            return Err(wrong());
        }
        Ok(Self {
            place: u64::from_le_bytes(*place),
            vector: vector.iter().map(|x| x.cast_signed()).collect(),
        })
    }
}

/// Shows how long the vector is, since an embedding tells much of its text.
impl std::fmt::Debug for SemanticFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SemanticFingerprint")
            .field("dimensions", &self.vector.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_direction_counts() {
        let of = |vector: &[f32]| SemanticFingerprint::of(7, vector).unwrap();
        assert_eq!(of(&[3.0, -6.0, 0.0]).vector, [64, -127, 0]);
        assert_eq!(of(&[2.0, -6.0]), of(&[2.0e-39, -6.0e-39]));
        assert_eq!(of(&[2.0, -6.0]), of(&[1.0e38, -3.0e38]));
        assert_eq!(of(&[0.0, 0.0]).vector, [0, 0]);
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(SemanticFingerprint::of(0, &[1.0, x]).is_none());
        }
        assert!(SemanticFingerprint::of(0, &vec![1.0; MOST_DIMENSIONS + 1]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn it_survives_storage(place in 0..=u64::MAX, vector in proptest::collection::vec(-1.0_f32..1.0, 0..70)) {
            let print = SemanticFingerprint::of(place, &vector).unwrap();
            let stored = serde_json::to_string(&print).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<SemanticFingerprint>(&stored).unwrap(), print);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9+/]{0,40}") {
            let _ = serde_json::from_value::<SemanticFingerprint>(text.into());
        }
    }
}
