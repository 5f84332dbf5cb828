//! A direction in one byte a dimension.

/// The longest vector. Products of bytes of more dimensions could leave 32 bits; the largest models have 8192.
pub(crate) const MOST_DIMENSIONS: usize = 1 << 16;

/// Rounds each coordinate to 1/127 of the largest one; `None` where a number is not finite or there are too many.
///
/// That moves a coordinate by at most 0.4 % of the largest, and the cosine of two vectors of 384 dimensions by 0.0002 on
/// average and at most 0.0012 in 100 000 pairs with cosines from 0.8 to 1 (`benches/semantic`). Vectors with few large
/// coordinates lose more.
pub(crate) fn quantised(vector: &[f32]) -> Option<Vec<i8>> {
    if vector.len() > MOST_DIMENSIONS || !vector.iter().all(|x| x.is_finite()) {
        return None;
    }
    let largest = vector
        .iter()
        .fold(0.0_f32, |largest, x| largest.max(x.abs()));
    // All zero stays all zero.
    let scale = 127.0 / f64::from(largest).max(f64::MIN_POSITIVE);
    #[allow(clippy::cast_possible_truncation)] // It lies between -127 and 127.
    let bytes = vector
        .iter()
        .map(|x| (f64::from(*x) * scale).round() as i8)
        .collect();
    Some(bytes)
}
