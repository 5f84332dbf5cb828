//! The Vendi score of a set of embeddings.

/// Returns the Vendi score: how many entirely different items the set is worth, from 1 to its size.
///
/// It is the exponential of the Shannon entropy of the eigenvalues of K / n, where K holds the cosine similarities
/// of n items (Friedman and Dieng, "The Vendi Score", TMLR 2023). Items without direction, all zero or not finite,
/// are left out; without any item left the score is 0.
///
/// Takes time in proportion to n³ or, if that is less, n² times the dimension: about a tenth of a second for 512
/// items. Score a sample of a large set, and compare scores of samples of one size.
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
    if units.is_empty() {
        return 0.0;
    }
    let count = units.len() as f64;
    let matrix: Vec<Vec<f64>> = units
        .iter()
        .map(|one| units.iter().map(|other| dot(one, other) / count).collect())
        .collect();
    let entropy: f64 = eigenvalues(matrix)
        .into_iter()
        .filter(|&value| value > 0.0)
        .map(|value| -value * value.ln())
        .sum();
    entropy.exp()
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

/// Returns the eigenvalues of a symmetric matrix, in no order: Householder reflections make it tridiagonal, and
/// QL steps with implicit shifts make that diagonal (Golub and Van Loan, "Matrix Computations", 8.3).
fn eigenvalues(matrix: Vec<Vec<f64>>) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(matrix);
    diagonalised(diagonal, beside)
}

/// Returns the diagonal and the entries beside it of a tridiagonal matrix with the same eigenvalues.
#[allow(clippy::many_single_char_names)] // As in the book.
fn tridiagonal(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<f64>) {
    let n = a.len();
    let mut beside = Vec::with_capacity(n.saturating_sub(1));
    for k in 0..n.saturating_sub(2) {
        // The reflection that maps the rest of column k onto its first entry.
        let mut v: Vec<f64> = a[k][k + 1..].to_vec();
        let length = dot(&v, &v).sqrt();
        let head = if v[0] > 0.0 { -length } else { length };
        beside.push(head);
        v[0] -= head;
        let square = dot(&v, &v);
        if square <= f64::MIN_POSITIVE {
            continue;
        }
        let scale = 2.0 / square;
        // A ← H A H, as a rank-two update of what is below and right of k.
        let mut w: Vec<f64> = a[k + 1..]
            .iter()
            .map(|row| scale * dot(&row[k + 1..], &v))
            .collect();
        let half = 0.5 * scale * dot(&w, &v);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= half * v);
        for (i, row) in a[k + 1..].iter_mut().enumerate() {
            let (vi, wi) = (v[i], w[i]);
            let entries = row[k + 1..].iter_mut().zip(v.iter().zip(&w));
            entries.for_each(|(entry, (vj, wj))| *entry -= vi * wj + wi * vj);
        }
    }
    if n > 1 {
        beside.push(a[n - 2][n - 1]);
    }
    ((0..n).map(|i| a[i][i]).collect(), beside)
}

/// Returns the eigenvalues of a symmetric tridiagonal matrix.
#[allow(clippy::many_single_char_names)] // As in the book.
fn diagonalised(mut d: Vec<f64>, mut e: Vec<f64>) -> Vec<f64> {
    /// Two or three steps an eigenvalue are usual; what has not converged after fifty is rounding.
    const MOST_STEPS: usize = 50;
    let n = d.len();
    e.push(0.0);
    for l in 0..n {
        for _ in 0..MOST_STEPS {
            let negligible = |m: usize| {
                e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()) + f64::MIN_POSITIVE
            };
            let m = (l..n - 1).find(|&m| negligible(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut stopped = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    stopped = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
            }
            if !stopped {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    d
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn eigenvalues_are_those_of_the_textbook() {
        for (matrix, known) in [
            (vec![vec![5.0]], vec![5.0]),
            (vec![vec![2.0, 1.0], vec![1.0, 2.0]], vec![1.0, 3.0]),
            (
                vec![
                    vec![2.0, -1.0, 0.0],
                    vec![-1.0, 2.0, -1.0],
                    vec![0.0, -1.0, 2.0],
                ],
                vec![2.0 - 2.0_f64.sqrt(), 2.0, 2.0 + 2.0_f64.sqrt()],
            ),
            (vec![vec![1.0; 4]; 4], vec![0.0, 0.0, 0.0, 4.0]),
            (vec![vec![0.0; 3]; 3], vec![0.0; 3]),
        ] {
            for (value, known) in sorted(eigenvalues(matrix)).iter().zip(known) {
                assert!((value - known).abs() < 1e-9, "{value} {known}");
            }
        }
        assert!(eigenvalues(Vec::new()).is_empty());
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
        let known = (-(0.75_f64 * 0.75_f64.ln()) - 0.25 * 0.25_f64.ln()).exp();
        assert!((vendi(&pair) - known).abs() < 1e-5);
        // Unequal groups: exp of the entropy of (3/4, 1/4) as well.
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
        fn trace_and_square_sum_are_kept(entries in proptest::collection::vec(-3.0..3.0_f64, 64), n in 1..9_usize) {
            let matrix: Vec<Vec<f64>> = (0..n)
                .map(|i| (0..n).map(|j| entries[i.min(j) * 8 + i.max(j)]).collect())
                .collect();
            let trace: f64 = (0..n).map(|i| matrix[i][i]).sum();
            let squares: f64 = matrix.iter().flatten().map(|entry| entry * entry).sum();
            let values = eigenvalues(matrix);
            prop_assert!((values.iter().sum::<f64>() - trace).abs() < 1e-8);
            prop_assert!((values.iter().map(|value| value * value).sum::<f64>() - squares).abs() < 1e-7);
        }

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
