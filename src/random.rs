//! Seeded randomness that stays the same across versions and platforms.
//!
//! Whatever the library leaves to chance (order of topics, jitter, sampling) comes from here, so that a
//! seeded run repeats itself. The generators of the `rand` crate that are called standard may change with
//! any of its releases; this one is part of this crate's promises, and a test pins its values.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A small generator of pseudo-random numbers; the same seed gives the same numbers, always.
///
/// It is `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014):
/// one addition and one mixing function, any seed is a good seed, it passes `BigCrush`, and its period of
/// 2⁶⁴ is far beyond what a run draws. It is not for secrets: three outputs tell all the others.
///
/// ```
/// use topicloom::random::Random;
///
/// let mut order = ["a", "b", "c", "d"];
/// Random::new(7).fork("topics").shuffle(&mut order);
/// let mut again = ["a", "b", "c", "d"];
/// Random::new(7).fork("topics").shuffle(&mut again);
/// assert_eq!(order, again);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Creates a generator.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// Creates a generator for one purpose, independent of this one and of forks with another label.
    ///
    /// It depends on this generator's seed and the label, not on how many numbers were drawn, so that
    /// drawing more in one place changes nothing in another.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        Self::new(xxh3_64_with_seed(label.as_bytes(), self.seed))
    }

    /// Creates a generator for the `index`-th of many alike things, such as the calls of a run.
    #[must_use]
    pub fn nth(&self, index: u64) -> Self {
        Self::new(xxh3_64_with_seed(&index.to_le_bytes(), self.seed))
    }

    /// Returns the next number; every value is equally likely.
    pub fn next_u64(&mut self) -> u64 {
        // Increment and mixing constants of the published SplitMix64.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to but not including `n`; every value is equally likely.
    ///
    /// # Panics
    ///
    /// If `n` is 0, since there is no such number.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        // Lemire: the high half of a product is uniform once the few low halves that come up once too
        // often are drawn again.
        let uneven = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            let (high, low) = halves(product);
            if low >= uneven {
                return high;
            }
        }
    }

    /// Returns an index into something of this length.
    ///
    /// # Panics
    ///
    /// If `len` is 0, since an empty thing has no index.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("it is below a usize")
    }

    /// Returns a number from 0 up to but not including 1, in steps of 2⁻⁵³.
    pub fn unit_f64(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let steps = (self.next_u64() >> 11) as f64;
        steps * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Returns one of the items, or `None` if there is none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        match items {
            [] => None,
            items => Some(&items[self.index(items.len())]),
        }
    }

    /// Puts the items into a random order; every order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.index(end + 1));
        }
    }
}

/// A random sample of what comes one by one, when nobody knows how much it will be: each of those that came is in it with the
/// same chance (Vitter's algorithm R).
///
/// ```
/// use topicloom::random::{Random, Reservoir};
///
/// let mut sample = Reservoir::new(2, Random::new(7));
/// (0..100).for_each(|number| sample.add(|| number));
/// assert_eq!((sample.kept().len(), sample.came()), (2, 100));
/// ```
#[derive(Debug, Clone)]
pub struct Reservoir<T> {
    kept: Vec<T>,
    most: usize,
    came: u64,
    random: Random,
}

impl<T> Reservoir<T> {
    /// Creates an empty sample of this many at most.
    #[must_use]
    pub fn new(most: usize, random: Random) -> Self {
        Self {
            kept: Vec::new(),
            most,
            came: 0,
            random,
        }
    }

    /// Takes the next one, which is made only if it is kept.
    pub fn add(&mut self, make: impl FnOnce() -> T) {
        self.came += 1;
        if self.kept.len() < self.most {
            self.kept.push(make());
            return;
        }
        let place = usize::try_from(self.random.below(self.came)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = make();
        }
    }

    /// Returns how many came.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.came
    }

    /// Returns those in the sample.
    #[must_use]
    pub fn kept(&self) -> &[T] {
        &self.kept
    }

    /// Returns those in the sample, to keep them.
    #[must_use]
    pub fn into_kept(self) -> Vec<T> {
        self.kept
    }
}

#[allow(clippy::cast_possible_truncation)] // The halves are what is asked for.
fn halves(product: u128) -> (u64, u64) {
    ((product >> 64) as u64, product as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        // Seed and values of the reference program, https://prng.di.unimi.it/splitmix64.c.
        let mut random = Random::new(1_234_567);
        let drawn: Vec<_> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn forks_are_pinned_across_versions() {
        let run = Random::new(42);
        assert_eq!(run.fork("topics").next_u64(), 10_117_100_753_081_344_808);
        assert_eq!(run.nth(3).next_u64(), 1_205_889_188_263_253_930);
    }

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn_before() {
        let mut run = Random::new(42);
        let before = run.fork("jitter");
        run.next_u64();
        assert_eq!(run.fork("jitter"), before);
        assert_ne!(run.fork("jitter"), run.fork("topics"));
        assert_ne!(run.nth(0), run.nth(1));
    }

    #[test]
    fn numbers_below_six_are_dice() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[random.index(6)] += 1;
        }
        // Six standard deviations (91) around the expected 10 000.
        assert!(
            counts.iter().all(|&count| count.abs_diff(10_000) < 550),
            "{counts:?}"
        );
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn large_bounds_are_not_biased_to_the_low_numbers() {
        // Taking a remainder would hit the lower half of this range with five eighths of all draws.
        let bound = 3 << 62;
        let mut random = Random::new(9);
        let low = (0..10_000)
            .filter(|_| random.below(bound) < bound / 2)
            .count();
        assert!(low.abs_diff(5_000) < 300, "{low}");
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_reaches_every_order() {
        let mut random = Random::new(5);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            random.shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.iter().all(|items| items.iter().sum::<i32>() == 6));
    }

    #[test]
    fn the_unit_interval_is_covered_and_open_at_one() {
        let mut random = Random::new(11);
        let drawn: Vec<_> = (0..10_000).map(|_| random.unit_f64()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
