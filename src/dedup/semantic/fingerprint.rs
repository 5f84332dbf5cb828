//! An embedding, held in one byte a dimension.

use crate::dedup::near::Details;
use crate::embedding::quantised;

/// A direction in one byte a dimension, and whose it is compared with.
#[derive(Clone, PartialEq, Eq)]
pub struct SemanticFingerprint {
    /// Only what is of the same place is compared: the same scope, and the same numbers, signs and negations.
    pub(super) place: u64,
    pub(super) vector: Vec<i8>,
    /// The words, for what no embedding tells apart.
    pub(super) details: Option<Box<Details>>,
}

impl SemanticFingerprint {
    /// Quantises a vector; `None` where a number is not finite or there are too many.
    pub(super) fn of(place: u64, vector: &[f32]) -> Option<Self> {
        let vector = quantised(vector)?;
        Some(Self {
            place,
            vector,
            details: None,
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
        assert!(
            SemanticFingerprint::of(0, &vec![1.0; crate::embedding::MOST_DIMENSIONS + 1]).is_none()
        );
    }
}
