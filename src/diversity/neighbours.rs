//! How alike records are: by words to the one they are most alike, and by embeddings all to all.

/// Records that are compared: each with each other takes about a millisecond.
const MOST: usize = 512;

/// Words of a record that are looked at; what tells short records apart comes in the first sentences.
const MOST_WORDS: usize = 96;

/// Returns the mean, over the first 512 of a random sample, of the similarity (Jaccard of their words) of a record to the nearest
/// other one.
#[allow(clippy::cast_precision_loss)] // Counts of a hundred.
pub(super) fn mean_nearest(sample: &[Box<[u32]>]) -> Option<f64> {
    let sample: Vec<Vec<u32>> = sample
        .iter()
        .take(MOST)
        .map(|words| first_words(words))
        .collect();
    if sample.len() < 2 {
        return None;
    }
    // Those that share a word are found by that word; most records share few, and most pairs none.
    let mut holders: Vec<(u32, usize)> = Vec::new();
    for (record, words) in sample.iter().enumerate() {
        holders.extend(words.iter().map(|&word| (word, record)));
    }
    holders.sort_unstable();
    let mut by_record = vec![Vec::new(); sample.len()];
    for of_one_word in holders.chunk_by(|one, other| one.0 == other.0) {
        for &(_, record) in of_one_word {
            by_record[record].push(of_one_word);
        }
    }
    let mut shared = vec![0_usize; sample.len()];
    let nearest = by_record.iter().enumerate().map(|(one, its_words)| {
        shared.fill(0);
        for &(_, other) in its_words.iter().copied().flatten() {
            shared[other] += 1;
        }
        let size = |record: usize| sample[record].len();
        let similarity = |other: usize| {
            let all = size(one) + size(other) - shared[other];
            shared[other] as f64 / all.max(1) as f64
        };
        let others = (0..shared.len()).filter(|&other| other != one);
        others.map(similarity).fold(0.0_f64, f64::max)
    });
    Some(nearest.sum::<f64>() / sample.len() as f64)
}
/// Returns the first words of a record, each once.
fn first_words(words: &[u32]) -> Vec<u32> {
    let mut first = words[..words.len().min(MOST_WORDS)].to_vec();
    first.sort_unstable();
    first.dedup();
    first
}

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
    use crate::diversity::metrics::words;

    fn mean(texts: &[&str]) -> Option<f64> {
        let sample: Vec<_> = texts.iter().map(|text| words(text)).collect();
        mean_nearest(&sample)
    }

    #[test]
    fn each_record_is_compared_with_the_one_most_like_it() {
        assert_eq!(mean(&["alone"]), None);
        assert_eq!(mean(&["a b", "c d"]), Some(0.0));
        assert_eq!(mean(&["a b", "B a!", "c"]), Some(2.0 / 3.0));
        // The first two share two of four words; the third shares one of four with the second.
        assert_eq!(
            mean(&["a b c", "a b d", "d x"]),
            Some((0.5 + 0.5 + 0.25) / 3.0)
        );
        assert_eq!(mean(&["", ""]), Some(0.0));
    }

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
            items in proptest::collection::vec(proptest::collection::vec(1..=100_u8, 5), 1..40),
        ) {
            let items: Vec<Vec<f32>> =
                items.iter().map(|item| item.iter().copied().map(f32::from).collect()).collect();
            let most = f64::from(u32::try_from(items.len()).unwrap());
            let score = vendi(&items);
            prop_assert!(score >= 1.0 - 1e-6 && score <= most + 1e-6);
        }
    }
}
