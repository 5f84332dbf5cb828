//! How many different things there were, counted in little memory.

/// Counts different hashes to within about one percent, in 8 KB: `HyperLogLog` (Flajolet et al., 2007) with the
/// estimator of Ertl ("New cardinality estimation algorithms for `HyperLogLog` sketches", 2017), which needs no
/// corrections for small or large counts.
#[derive(Debug, Clone)]
pub(super) struct Distinct {
    registers: Box<[u8]>,
}

/// 2¹³ registers: the standard error is 1.04 / √8192 = 1.15 %.
const BITS: u32 = 13;
const REGISTERS: usize = 1 << BITS;

/// The highest value a register can have.
const HIGHEST: usize = 64 - BITS as usize + 1;

impl Distinct {
    pub(super) fn new() -> Self {
        Self {
            registers: vec![0; REGISTERS].into_boxed_slice(),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // The lowest bits are what is asked for.
    pub(super) fn add(&mut self, hash: u64) {
        let register = &mut self.registers[hash as usize % REGISTERS];
        // The bit at the top ends the count of zeros where the rest of the hash is zero.
        let zeros = (hash >> BITS | 1 << (64 - BITS)).trailing_zeros() as u8;
        *register = (*register).max(zeros + 1);
    }

    pub(super) fn estimate(&self) -> f64 {
        let mut counts = [0_u32; HIGHEST + 1];
        for &register in &self.registers {
            counts[usize::from(register)] += 1;
        }
        let m = f64::from(1_u32 << BITS);
        let mut z = m * tau(1.0 - f64::from(counts[HIGHEST]) / m);
        for &count in counts[1..HIGHEST].iter().rev() {
            z = 0.5 * (z + f64::from(count));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        // 0.7213… = 1 / (2 ln 2).
        m * m / (2.0 * std::f64::consts::LN_2) / z
    }
}

/// Σ x^(2^k) 2^(k−1), what empty registers contribute.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

/// What full registers contribute.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn counts_are_right_to_within_a_few_percent() {
        for count in [0_u32, 1, 10, 1_000, 8_000, 20_000, 40_000, 300_000] {
            let mut distinct = Distinct::new();
            let mut random = Random::new(count.into());
            for _ in 0..count {
                let hash = random.next_u64();
                distinct.add(hash);
                distinct.add(hash);
            }
            let error = (distinct.estimate() - f64::from(count)).abs();
            // Three standard errors.
            assert!(
                error <= f64::from(count) * 0.035 + 0.5,
                "{count}: {}",
                distinct.estimate()
            );
        }
    }

    #[test]
    fn a_hash_of_zeros_is_counted() {
        let mut distinct = Distinct::new();
        distinct.add(0);
        assert!((distinct.estimate() - 1.0).abs() < 0.01);
    }
}
