//! The Vendi score of a set of embeddings.

/// Returns the Vendi score of order 2: how many entirely different items the set is worth, from 1 to its size.
///
/// It is one by the sum of the squared eigenvalues of K / n, where K holds the cosine similarities of n items: one by
/// the mean of all squared similarities (Pasarkar and Dieng, "Cousins of the Vendi Score", AISTATS 2024). Of n items
/// that are alike in k groups of one size, it is k. Items without direction, all zero or not finite, are left out;
/// without any item left the score is 0.
///
/// Takes time in proportion to n² times the dimension. Score a sample of a large set, and compare scores of samples of
/// one size.
///
/// ```
/// use topicloom::diversity::vendi;
///
/// let same = vec![vec![1.0, 2.0]; 5];
/// assert!((vendi(&same) - 1.0).abs() < 1e-6);
/// let different = [vec![1.0, 0.0], vec![0.0, 3.0]];
/// assert!((vendi(&different) - 2.0).abs() < 1e-6);
/// ```
#[must_use]
#[allow(clippy::cast_precision_loss)] // A sample has a few thousand items at most.
pub fn vendi(embeddings: &[Vec<f32>]) -> f64 {
    let units: Vec<Vec<f64>> = embeddings.iter().filter_map(|item| unit(item)).collect();
    let pairs = units
        .iter()
        .flat_map(|one| units.iter().map(move |other| dot(one, other)));
    let squares: f64 = pairs.map(|similarity| similarity * similarity).sum();
    if units.is_empty() {
        0.0
    } else {
        (units.len() * units.len()) as f64 / squares
    }
}

fn unit(item: &[f32]) -> Option<Vec<f64>> {
    let item: Vec<f64> = item.iter().copied().map(f64::from).collect();
    let length = dot(&item, &item).sqrt();
    (length > 0.0 && length.is_finite()).then(|| item.iter().map(|value| value / length).collect())
}

/// The product over the coordinates that both have.
fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_scores() {
        // k groups of the same size, each of equal items, count k.
        let mut groups = Vec::new();
        for group in 0..4_usize {
            let mut item = vec![0.0_f32; 6];
            item[group] = 2.0;
            groups.extend(vec![item; 10]);
        }
        assert!((vendi(&groups) - 4.0).abs() < 1e-6);
        // Two items at 60 degrees: eigenvalues 3/4 and 1/4.
        let pair = [vec![1.0, 0.0], vec![0.5, 0.866_025_4]];
        let known = 1.0 / (0.75 * 0.75 + 0.25 * 0.25);
        assert!((vendi(&pair) - known).abs() < 1e-5);
        // Unequal groups: eigenvalues 3/4 and 1/4 as well.
        let groups = [
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![1.0, 0.0],
            vec![0.0, 1.0],
        ];
        assert!((vendi(&groups) - known).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_is_left_out() {
        assert!(vendi(&[]).abs() < 1e-12);
        assert!(vendi(&[vec![0.0, 0.0], vec![]]).abs() < 1e-12);
        assert!(
            (vendi(&[
                vec![f32::NAN, 1.0],
                vec![1.0, 1.0],
                vec![f32::INFINITY, 0.0]
            ]) - 1.0)
                .abs()
                < 1e-9
        );
    }

    proptest! {
        #[test]
        fn a_score_is_between_one_and_the_number_of_items(
            items in proptest::collection::vec(proptest::collection::vec(0.1..1.0_f32, 5), 1..40),
        ) {
            let most = f64::from(u32::try_from(items.len()).unwrap());
            let score = vendi(&items);
            prop_assert!(score >= 1.0 - 1e-6 && score <= most + 1e-6);
        }
    }
}
