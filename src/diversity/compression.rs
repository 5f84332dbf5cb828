//! How much a compressor would save.

/// Estimates the size of a text after compression, as it comes in.
///
/// A greedy search for repeats of four bytes or more in the last 64 KB, as LZ77 compressors do it (Ziv and
/// Lempel, 1977): a repeat costs three bytes, and what is no repeat costs itself. The sizes are those of a fast
/// compressor; gzip, which codes its output by frequency too, comes to some two thirds of them. The first megabyte
/// is looked at whole, and of each further half megabyte the first 64 KB, which stand for the rest.
#[derive(Clone)]
pub(super) struct Compression {
    /// The latest bytes; the older half is dropped when it is full.
    window: Vec<u8>,
    /// Where four bytes were seen last, by their hash; 0 is nowhere.
    last: Box<[u32]>,
    bytes: u64,
    compressed: u64,
    /// All bytes, those that were not looked at too.
    passed: u64,
}

/// Bytes that are looked at whole.
const WHOLE: u64 = 1 << 20;

/// Behind them: bytes of which the first window is looked at.
const STRETCH: u64 = 1 << 19;

const WINDOW: usize = 1 << 16;
const TABLE_BITS: u32 = 13;
const SHORTEST: usize = 4;

/// A pair of distance (two bytes) and length (one).
const COST_OF_REPEAT: u64 = 3;
const LONGEST: usize = 255;

impl Compression {
    pub(super) fn new() -> Self {
        Self {
            window: Vec::new(),
            last: vec![0; 1 << TABLE_BITS].into_boxed_slice(),
            bytes: 0,
            compressed: 0,
            passed: 0,
        }
    }

    /// Adds a text, whose length the caller bounds, and a line break.
    pub(super) fn add(&mut self, text: &str) {
        let place = self.passed;
        self.passed += text.len() as u64 + 1;
        if place >= WHOLE && place % STRETCH >= WINDOW as u64 {
            return;
        }
        if self.window.len() + text.len() + 1 > WINDOW {
            self.make_room();
        }
        let start = self.window.len();
        self.window.extend_from_slice(text.as_bytes());
        self.window.push(b'\n');
        self.bytes += text.len() as u64 + 1;
        let mut at = start;
        while at + SHORTEST <= self.window.len() {
            let length = self.repeat_at(at);
            if length >= SHORTEST {
                self.compressed += COST_OF_REPEAT;
                at += length;
            } else {
                self.compressed += 1;
                at += 1;
            }
        }
        self.compressed += (self.window.len() - at) as u64;
    }

    /// Returns bytes before by bytes after; 1 for nothing.
    #[allow(clippy::cast_precision_loss)] // A ratio is shown with a few digits.
    pub(super) fn ratio(&self) -> f64 {
        if self.compressed == 0 {
            return 1.0;
        }
        self.bytes as f64 / self.compressed as f64
    }

    /// Looks up and remembers a place; returns the length of what is repeated there.
    fn repeat_at(&mut self, at: usize) -> usize {
        let four: [u8; SHORTEST] = self.window[at..at + SHORTEST]
            .try_into()
            .expect("a slice of four");
        // Knuth's multiplier, 2³² divided by the golden ratio.
        let hash = u32::from_le_bytes(four).wrapping_mul(2_654_435_761) >> (32 - TABLE_BITS);
        let place = &mut self.last[hash as usize];
        let earlier = *place as usize;
        *place = u32::try_from(at + 1).expect("the window is small");
        if earlier == 0 {
            return 0;
        }
        let (before, here) = (&self.window[earlier - 1..], &self.window[at..]);
        let same = here
            .iter()
            .zip(before)
            .take(LONGEST)
            .take_while(|(one, other)| one == other);
        same.count()
    }

    fn make_room(&mut self) {
        let dropped = self.window.len() / 2;
        self.window.drain(..dropped);
        for place in &mut self.last {
            *place = place.saturating_sub(u32::try_from(dropped).expect("the window is small"));
        }
    }
}

impl std::fmt::Debug for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compression")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn repeats_save_and_noise_does_not() {
        let mut same = Compression::new();
        (0..1000).for_each(|_| same.add("What is the capital of France? Paris."));
        assert!(same.ratio() > 8.0, "{}", same.ratio());

        let mut noise = Compression::new();
        let mut random = Random::new(1);
        for _ in 0..5000 {
            let text: String = (0..40)
                .map(|_| char::from(b' ' + u8::try_from(random.below(90)).unwrap()))
                .collect();
            noise.add(&text);
        }
        assert!((0.95..1.1).contains(&noise.ratio()), "{}", noise.ratio());
        assert!(noise.window.len() <= WINDOW && noise.window.capacity() <= 2 * WINDOW);
    }

    #[test]
    fn a_part_of_a_long_run_stands_for_all_of_it() {
        let mut compression = Compression::new();
        let text = |n: u64| {
            format!(
                "Question {n}: how many apples are {n} apples and {} pears?",
                n * 7
            )
        };
        let mut ratios = Vec::new();
        for n in 0..200_000 {
            compression.add(&text(n));
            if n == 10_000 {
                ratios.push(compression.ratio());
            }
        }
        ratios.push(compression.ratio());
        assert!(compression.bytes < compression.passed / 5);
        assert!((ratios[0] / ratios[1] - 1.0).abs() < 0.1, "{ratios:?}");
    }

    #[test]
    fn a_long_text_and_none_are_texts_too() {
        let mut compression = Compression::new();
        assert!((compression.ratio() - 1.0).abs() < 1e-9);
        compression.add("");
        compression.add(&"x".repeat(3 * WINDOW));
        compression.add("x");
        assert!(compression.ratio() > 50.0);
    }
}
