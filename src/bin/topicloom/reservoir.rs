//! A random sample of what comes one by one, when nobody knows how much it will be.

use topicloom::random::Random;

/// Keeps a number of things, each of those that came with the same chance (Vitter's algorithm R).
pub(crate) struct Reservoir<T> {
    kept: Vec<T>,
    most: usize,
    came: u64,
    random: Random,
}

impl<T> Reservoir<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most,
            came: 0,
            // A fixed seed: it decides only who is in the sample.
            random: Random::new(0),
        }
    }

    /// Takes the next one, which is made only if it is kept.
    pub(crate) fn add(&mut self, make: impl FnOnce() -> T) {
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
    pub(crate) fn came(&self) -> u64 {
        self.came
    }

    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }
}
