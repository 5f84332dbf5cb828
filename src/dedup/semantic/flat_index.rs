//! Vectors of one length, and the exact search for the nearest.
//!
//! Vectors lie in lines of 64 bytes, all first lines together, then all second lines, and so on. A search adds up dot
//! products line by line over a block of vectors that stays in the processor's cache. What the lines to come can add
//! is at most the product of the lengths of both rests (Cauchy and Schwarz), so a vector that cannot reach the
//! threshold any more is dropped, and the result is still exact. At a threshold of 0.93 most strangers are dropped in
//! the first or second line, whatever the number of dimensions.

use super::fingerprint::SemanticFingerprint;

const LINE: usize = 64;

/// Vectors looked at in one go. Their dot products so far are 8 KiB, which leaves the first cache to the lines.
const BLOCK: usize = 1024;

/// What a bound may fall short by through rounding: sums of less than 2³⁰ as numbers of 24 bits, and square roots.
const SLACK: f64 = 1e-5;

type Line<T = i8> = [T; LINE];

/// All vectors of one length.
#[derive(Default)]
pub(super) struct FlatIndex {
    levels: Vec<Level>,
    places: Vec<u64>,
    /// The squared length of each vector: below 2³⁰, by the limit on dimensions.
    squares: Vec<u32>,
    lengths: Vec<f32>,
}

/// The same line of every vector.
#[derive(Default)]
struct Level {
    lines: Vec<Line>,
    /// The length of what follows the line.
    rests: Vec<f32>,
}

/// A vector as a search reads it.
pub(super) struct Query {
    place: u64,
    lines: Vec<Line>,
    rests: Vec<f32>,
    square: u32,
}

impl Query {
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    pub(super) fn has_direction(&self) -> bool {
        self.square > 0
    }

    /// Returns the vector's bytes, with zeros up to the end of its last line, and its length.
    pub(super) fn line_up(&self) -> (Vec<i8>, f32) {
        (self.lines.concat(), length(self.square))
    }

    /// Returns its lines as [`dot`] wants them.
    fn wide(&self) -> Vec<Line<i16>> {
        self.lines.iter().map(|line| line.map(i16::from)).collect()
    }

    pub(super) fn new(print: &SemanticFingerprint) -> Self {
        let lines: Vec<Line> = print
            .vector
            .chunks(LINE)
            .map(|part| {
                let mut line = [0; LINE];
                line[..part.len()].copy_from_slice(part);
                line
            })
            .collect();
        let mut square = 0;
        let mut rests: Vec<f32> = lines
            .iter()
            .rev()
            .map(|line| {
                let rest = length(square);
                square += line
                    .iter()
                    .map(|x| u32::from(x.unsigned_abs()).pow(2))
                    .sum::<u32>();
                rest
            })
            .collect();
        rests.reverse();
        Self {
            place: print.place,
            lines,
            rests,
            square,
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // To the nearest; the slack of the bounds covers it.
fn length(square: u32) -> f32 {
    f64::from(square).sqrt() as f32
}

#[allow(clippy::cast_precision_loss)] // Covered by the slack of the bounds.
fn bound(sum: i32, rests: f32) -> f32 {
    sum as f32 + rests
}

/// Both halves of a product fit 16 bits, so that processors multiply and add eight pairs and more at once.
fn dot(query: &Line<i16>, line: &Line) -> i32 {
    query
        .iter()
        .zip(line)
        .map(|(x, y)| i32::from(*x) * i32::from(*y))
        .sum()
}

impl FlatIndex {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns a vector, in steps of its quantisation, with zeros up to the end of its last line.
    pub(super) fn vector(&self, at: usize) -> Vec<f32> {
        let parts = self.levels.iter().flat_map(|level| level.lines[at]);
        parts.map(f32::from).collect()
    }

    /// Returns the place of a vector.
    pub(super) fn place(&self, at: usize) -> u64 {
        self.places[at]
    }

    /// Returns a vector's bytes, with zeros up to the end of its last line, and its length.
    pub(super) fn line_up(&self, at: usize) -> (Vec<i8>, f32) {
        let lines = self.levels.iter().flat_map(|level| level.lines[at]);
        (lines.collect(), self.lengths[at])
    }

    /// Returns the cosine of each vector, 0 where one of the two has no direction.
    pub(super) fn cosines(&self, query: &Query) -> impl Iterator<Item = f32> {
        let lines = query.wide();
        (0..self.len()).map(move |at| {
            let lines = lines.iter().zip(&self.levels);
            let sum: i32 = lines.map(|(line, level)| dot(line, &level.lines[at])).sum();
            let lengths = length(query.square) * self.lengths[at];
            #[allow(clippy::cast_precision_loss)] // Good enough to choose by.
            if lengths > 0.0 {
                sum as f32 / lengths
            } else {
                0.0
            }
        })
    }

    fn cosine_of(&self, query: &Query, at: usize, sum: i32) -> f64 {
        let squares = f64::from(query.square) * f64::from(self.squares[at]);
        f64::from(sum) / squares.sqrt()
    }

    pub(super) fn bytes(&self) -> usize {
        let level = |level: &Level| level.lines.capacity() * LINE + level.rests.capacity() * 4;
        self.levels.iter().map(level).sum::<usize>()
            + self.places.capacity() * 8
            + self.squares.capacity() * 4
            + self.lengths.capacity() * 4
    }

    /// Adds a vector of the length of all others.
    pub(super) fn push(&mut self, query: &Query) {
        self.levels.resize_with(query.lines.len(), Level::default);
        for ((level, line), rest) in self.levels.iter_mut().zip(&query.lines).zip(&query.rests) {
            level.lines.push(*line);
            level.rests.push(*rest);
        }
        self.places.push(query.place);
        self.squares.push(query.square);
        self.lengths.push(length(query.square));
    }

    /// Returns the vector of the same place with the largest cosine, the first of equals, and the cosine, if it
    /// reaches the threshold, of those that fit.
    pub(super) fn nearest(
        &self,
        query: &Query,
        threshold: f32,
        fits: &dyn Fn(usize) -> bool,
    ) -> Option<(usize, f32)> {
        if query.square == 0 {
            // No direction says nothing: there was no text, or the model cannot embed it.
            return None;
        }
        let in_place = |at: &usize| self.places[*at] == query.place;
        let blocks = (0..self.len()).step_by(BLOCK).map(|start| {
            let block = start..self.len().min(start + BLOCK);
            block.filter(in_place)
        });
        self.search(query, threshold, fits, blocks)
    }

    /// Returns the nearest of some vectors of the query's place, as [`nearest`](Self::nearest) does.
    pub(super) fn nearest_of<'a>(
        &self,
        query: &Query,
        threshold: f32,
        fits: &dyn Fn(usize) -> bool,
        some: impl Iterator<Item = &'a [u32]>,
    ) -> Option<(usize, f32)> {
        let blocks = some.flat_map(|some| some.chunks(BLOCK));
        let blocks = blocks.map(|block| block.iter().map(|at| *at as usize));
        self.search(query, threshold, fits, blocks)
    }

    fn search<B: Iterator<Item = usize>>(
        &self,
        query: &Query,
        threshold: f32,
        fits: &dyn Fn(usize) -> bool,
        blocks: impl Iterator<Item = B>,
    ) -> Option<(usize, f32)> {
        let lines = query.wide();
        let mut best: Option<(usize, f64)> = None;
        let mut left = Vec::with_capacity(BLOCK);
        for block in blocks {
            let bar = best.map_or(f64::from(threshold), |(_, cosine)| cosine);
            left.clear();
            left.extend(block.map(|at| (at, 0)));
            self.keep_near(query, &lines, bar, &mut left);
            for (at, sum) in &left {
                let cosine = self.cosine_of(query, *at, *sum);
                let is_nearer = best.map_or(cosine >= f64::from(threshold), |(other, best)| {
                    cosine.total_cmp(&best).then(other.cmp(at)).is_gt()
                });
                if is_nearer && fits(*at) {
                    best = Some((*at, cosine));
                }
            }
        }
        #[allow(clippy::cast_possible_truncation)] // It is about 1 at most.
        best.map(|(at, cosine)| (at, (cosine as f32).min(1.0)))
    }

    /// Keeps the vectors that may reach a cosine, and adds up their dot products.
    fn keep_near(
        &self,
        query: &Query,
        lines: &[Line<i16>],
        bar: f64,
        left: &mut Vec<(usize, i32)>,
    ) {
        #[allow(clippy::cast_possible_truncation)] // To the nearest; the slack covers it.
        let bar = ((bar - SLACK) * f64::from(query.square).sqrt()) as f32;
        for ((level, line), query_rest) in self.levels.iter().zip(lines).zip(&query.rests) {
            left.retain_mut(|(at, sum)| {
                *sum += dot(line, &level.lines[*at]);
                bound(*sum, level.rests[*at] * query_rest) >= bar * self.lengths[*at]
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn print(random: &mut Random, dimensions: usize) -> SemanticFingerprint {
        let place = random.below(2);
        let vector = (0..dimensions)
            .map(|_| (random.below(7) as i8) - 3)
            .collect();
        SemanticFingerprint {
            place,
            vector,
            details: None,
        }
    }

    fn cosine(one: &SemanticFingerprint, other: &SemanticFingerprint) -> f64 {
        let dot = |one: &[i8], other: &[i8]| -> f64 {
            one.iter()
                .zip(other)
                .map(|(x, y)| f64::from(*x) * f64::from(*y))
                .sum()
        };
        let squares = dot(&one.vector, &one.vector) * dot(&other.vector, &other.vector);
        if one.place == other.place {
            dot(&one.vector, &other.vector) / squares.sqrt()
        } else {
            f64::NAN
        }
    }

    #[test]
    fn the_search_finds_what_looking_at_all_finds() {
        let mut random = Random::new(5);
        let mut found = 0;
        for dimensions in [1, 3, 63, 64, 65, 200] {
            let all: Vec<_> = (0..BLOCK + 500)
                .map(|_| print(&mut random, dimensions))
                .collect();
            let mut index = FlatIndex::default();
            for one in &all {
                index.push(&Query::new(one));
            }
            for (at, threshold) in [(3, 0.05), (900, 0.2), (BLOCK + 70, 0.3), (40, 0.9)] {
                let mut query = all[at].clone();
                // Some steps away, so that another one may be nearer.
                for x in query.vector.iter_mut().step_by(2) {
                    *x = (random.below(7) as i8) - 3;
                }
                let mut expected: Option<(usize, f64)> = None;
                for (at, other) in all.iter().enumerate() {
                    let cosine = cosine(&query, other);
                    if cosine >= f64::from(threshold)
                        && expected.is_none_or(|(_, best)| cosine > best)
                    {
                        expected = Some((at, cosine));
                    }
                }
                let nearest = index.nearest(&Query::new(&query), threshold, &|_| true);
                if query.vector.iter().any(|x| *x != 0) {
                    assert_eq!(
                        nearest.map(|(at, _)| at),
                        expected.map(|(at, _)| at),
                        "{dimensions}"
                    );
                    found += usize::from(nearest.is_some());
                }
            }
        }
        assert!(found > 10, "{found}");
    }

    #[test]
    fn equal_vectors_have_a_cosine_of_exactly_one() {
        let mut random = Random::new(8);
        for dimensions in [1, 64, 1536] {
            let mut one = print(&mut random, dimensions);
            one.vector[0] = i8::MIN;
            let mut index = FlatIndex::default();
            index.push(&Query::new(&one));
            assert_eq!(
                index.nearest(&Query::new(&one), 1.0, &|_| true),
                Some((0, 1.0))
            );
        }
    }

    #[test]
    fn what_has_no_direction_is_like_nothing() {
        let of = |vector: &[i8]| {
            Query::new(&SemanticFingerprint {
                place: 1,
                vector: vector.to_vec(),
                details: None,
            })
        };
        let mut index = FlatIndex::default();
        index.push(&of(&[1, 2]));
        assert_eq!(index.nearest(&of(&[0, 0]), 0.0, &|_| true), None);
        index.push(&of(&[0, 0]));
        assert_eq!(index.nearest(&of(&[0, 0]), 0.0, &|_| true), None);
        assert_eq!(index.nearest(&of(&[-1, -2]), 0.5, &|_| true), None);
    }

    #[test]
    fn the_longest_vectors_do_not_overflow() {
        let longest = SemanticFingerprint {
            place: 0,
            vector: vec![i8::MIN; crate::embedding::MOST_DIMENSIONS],
            details: None,
        };
        let mut index = FlatIndex::default();
        index.push(&Query::new(&longest));
        assert_eq!(
            index.nearest(&Query::new(&longest), 1.0, &|_| true),
            Some((0, 1.0))
        );
    }
}
