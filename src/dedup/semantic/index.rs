//! An approximate search, for more vectors than are searched exactly in a moment.
//!
//! The vectors of a place are divided into cells. Some of them are pivots, each vector lies in the cell of the pivot that
//! is nearest to it, and a search looks into the cells of the pivots nearest to what it seeks. A vector and its repeat
//! are so near to one another that they have nearly the same pivots around them; only where many pivots are about as
//! near as its own is a repeat missed.

use std::collections::HashMap;
use std::fmt;
use std::iter::repeat;

use super::fingerprint::SemanticFingerprint;
use super::flat_index::{FlatIndex, Query};

/// Cells that a search looks into. With 200 000 vectors in 384 dimensions 16 lost twice as many repeats, and 48 found no
/// more (`benches/semantic`).
const PROBES: usize = 32;

/// Vectors that are compared in the time that a pivot takes: a pivot's cosine is worked out, and a vector is mostly
/// dropped after the first of its lines. Half and twice as many pivots were slower.
const PER_PIVOT: usize = 5;

/// How many times its size a place may grow before its cells are replaced by more and smaller ones.
const GROWTH: usize = 4;

/// Vectors that go into new cells with each one that is added, until all are in them.
const AT_ONCE: usize = 2;

/// The cells of the places of a flat index.
pub(super) struct Index {
    /// A place of more vectors than this is searched by its cells.
    beyond: usize,
    places: HashMap<u64, Place>,
    /// Vectors of the flat index that have been looked at.
    seen: usize,
}

/// The vectors of one place.
struct Place {
    vectors: Vec<u32>,
    /// The number of vectors at which the next cells are to be whole.
    next: usize,
    growing: Option<Cells>,
    /// Cells that hold all vectors.
    whole: Option<Cells>,
}

struct Cells {
    /// What the vectors have in common. Embeddings of one model point into much the same direction, and pivots tell
    /// them apart by the rest.
    common: Vec<f32>,
    pivots: FlatIndex,
    /// The vectors in the cell of each pivot.
    members: Vec<Vec<u32>>,
    filled: usize,
}

impl Index {
    /// Creates an index that is used beyond this many vectors of one place.
    pub(super) fn new(beyond: usize) -> Self {
        Self {
            beyond,
            places: HashMap::new(),
            seen: 0,
        }
    }

    /// Takes in what was added to the flat index.
    pub(super) fn follow(&mut self, vectors: &FlatIndex) {
        for at in self.seen..vectors.len() {
            let place = self
                .places
                .entry(vectors.place(at))
                .or_insert_with(|| Place {
                    vectors: Vec::new(),
                    next: self.beyond,
                    growing: None,
                    whole: None,
                });
            let at = u32::try_from(at).expect("four billion vectors are more than memory holds");
            place.vectors.push(at);
            place.fill(vectors);
        }
        self.seen = vectors.len();
    }

    /// Returns whether this is to be asked, and not the exact search.
    pub(super) fn serves(&self, query: &Query) -> bool {
        let place = self.places.get(&query.place());
        // What has no direction is near to no pivot.
        place.is_some_and(|place| place.whole.is_some() && query.has_direction())
    }

    /// Returns what the exact search does, or another vector that reaches the threshold, or misses it.
    pub(super) fn nearest(
        &self,
        vectors: &FlatIndex,
        query: &Query,
        threshold: f32,
        fits: &dyn Fn(usize) -> bool,
    ) -> Option<(usize, f32)> {
        let cells = self.places.get(&query.place())?.whole.as_ref()?;
        vectors.nearest_of(query, threshold, fits, cells.around(query))
    }

    /// Returns the bytes in use.
    pub(super) fn bytes(&self) -> usize {
        let of_cells = |cells: &Cells| {
            let members = cells.members.iter().map(Vec::capacity);
            cells.pivots.bytes()
                + cells.members.len() * size_of::<Vec<u32>>()
                + members.sum::<usize>() * 4
        };
        let of_place = |place: &Place| {
            let cells = place.growing.iter().chain(&place.whole);
            place.vectors.capacity() * 4 + cells.map(of_cells).sum::<usize>()
        };
        self.places.values().map(of_place).sum()
    }
}

impl Place {
    fn fill(&mut self, vectors: &FlatIndex) {
        if let Some(whole) = &mut self.whole {
            whole.fill(vectors, &self.vectors, 1);
        }
        // From half the size on, so that two with each vector are enough.
        if self.growing.is_none() && self.vectors.len() > self.next / 2 {
            self.growing = Some(Cells::new(vectors, &self.vectors));
        }
        if let Some(growing) = &mut self.growing {
            growing.fill(vectors, &self.vectors, AT_ONCE);
            if growing.filled == self.vectors.len() && growing.filled > self.next {
                self.next = GROWTH * growing.filled;
                self.whole = self.growing.take();
            }
        }
    }
}

impl Cells {
    /// Creates empty cells around some of these vectors, for four times as many, which is about what there will be.
    fn new(vectors: &FlatIndex, of: &[u32]) -> Self {
        // With this many, a search spends as long on the pivots as on what is in the cells.
        let to_come = GROWTH * of.len();
        let count = (PROBES * to_come / PER_PIVOT).isqrt().min(of.len());
        let mut cells = Self {
            common: in_common(of.iter().map(|at| vectors.line_up(*at as usize))),
            pivots: FlatIndex::default(),
            members: vec![Vec::new(); count],
            filled: 0,
        };
        for pivot in 0..count {
            let at = of[pivot * of.len() / count];
            let pivot = cells.apart(&vectors.line_up(at as usize));
            cells.pivots.push(&pivot);
        }
        cells
    }

    /// Takes in the next of these vectors.
    fn fill(&mut self, vectors: &FlatIndex, of: &[u32], count: usize) {
        for at in of.iter().skip(self.filled).take(count) {
            let vector = self.apart(&vectors.line_up(*at as usize));
            let cosines = self.pivots.cosines(&vector).zip(0..);
            // The first of equals, for one.
            let (_, cell) = cosines
                .reduce(|best, next| if next.0 > best.0 { next } else { best })
                .expect("there are pivots as soon as there are vectors");
            self.members[cell].push(*at);
            self.filled += 1;
        }
    }

    /// Returns the vectors of the cells around a query, the nearest cell first.
    fn around(&self, query: &Query) -> impl Iterator<Item = &[u32]> {
        let query = self.apart(&query.line_up());
        let mut cells: Vec<(f32, usize)> = self.pivots.cosines(&query).zip(0..).collect();
        let nearer = |one: &(f32, usize), other: &(f32, usize)| {
            other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
        };
        if cells.len() > PROBES {
            cells.select_nth_unstable_by(PROBES, nearer);
            cells.truncate(PROBES);
        }
        cells.sort_unstable_by(nearer);
        cells.into_iter().map(|(_, cell)| &self.members[cell][..])
    }

    /// Returns a vector without what is common to all.
    fn apart(&self, (vector, length): &(Vec<i8>, f32)) -> Query {
        let parts = vector.iter().zip(self.common.iter().chain(repeat(&0.0)));
        let own: Vec<f32> = parts
            .map(|(x, common)| f32::from(*x) / length.max(1.0) - common)
            .collect();
        Query::new(&SemanticFingerprint::of(0, &own).expect("bytes are finite"))
    }
}

/// Returns the mean direction of vectors; nothing of a few, whose mean says little of those to come.
fn in_common(vectors: impl ExactSizeIterator<Item = (Vec<i8>, f32)>) -> Vec<f32> {
    const FEW: usize = 100;
    let count = vectors.len();
    if count < FEW {
        return Vec::new();
    }
    let mut sum: Vec<f64> = Vec::new();
    for (vector, length) in vectors.filter(|(_, length)| *length > 0.0) {
        sum.resize(vector.len(), 0.0);
        for (sum, x) in sum.iter_mut().zip(&vector) {
            *sum += f64::from(*x) / f64::from(length);
        }
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    // A mean, and a count below 2³².
    sum.iter().map(|sum| (sum / count as f64) as f32).collect()
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("beyond", &self.beyond)
            .field("places", &self.places.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::SemanticFingerprint;
    use super::*;
    use crate::random::Random;

    const DIMENSIONS: usize = 64;

    /// A direction near that of its subject; the places are two.
    fn print(random: &mut Random, subject: u64, place: u64) -> SemanticFingerprint {
        let mut about = Random::new(subject);
        let step = |random: &mut Random| random.unit_f64() as f32 - 0.5;
        let vector: Vec<f32> = (0..DIMENSIONS)
            .map(|_| step(&mut about) + 0.5 * step(random))
            .collect();
        SemanticFingerprint::of(place, &vector).expect("finite")
    }

    type Found = Option<(usize, f32)>;

    /// Admits vectors of 100 subjects to an exact and an approximate search; returns what both found.
    fn run(beyond: usize, candidates: u64) -> Vec<(Found, Found)> {
        let mut random = Random::new(7);
        let (mut vectors, mut index) = (FlatIndex::default(), Index::new(beyond));
        let mut found = Vec::new();
        for _ in 0..candidates {
            let (subject, place) = (random.below(100), random.below(2));
            let query = Query::new(&print(&mut random, subject, place));
            let exact = vectors.nearest(&query, 0.85, &|_| true);
            let approximate = if index.serves(&query) {
                index.nearest(&vectors, &query, 0.85, &|_| true)
            } else {
                exact
            };
            found.push((exact, approximate));
            if exact.is_none() {
                vectors.push(&query);
                index.follow(&vectors);
            }
        }
        found
    }

    #[test]
    fn nearly_all_repeats_are_found_and_nothing_is_invented() {
        let found = run(300, 2_500);
        let repeats = found.iter().filter(|(exact, _)| exact.is_some()).count();
        let same = found
            .iter()
            .filter(|(exact, own)| exact.is_some() && exact == own);
        let caught = found
            .iter()
            .filter(|(exact, own)| exact.is_some() && own.is_some());
        let (same, caught) = (same.count(), caught.count());
        assert!((500..2_400).contains(&repeats), "{repeats}");
        assert!(
            same * 100 >= repeats * 98 && caught * 1_000 >= repeats * 990,
            "{same} {caught} {repeats}"
        );
        assert!(
            found
                .iter()
                .all(|(exact, own)| exact.is_some() || own.is_none())
        );
    }

    #[test]
    fn the_same_vectors_in_the_same_order_get_the_same_verdicts() {
        assert_eq!(run(30, 600), run(30, 600));
    }

    #[test]
    fn each_place_has_cells_of_its_own_once_it_is_large() {
        const BEYOND: usize = 40;
        let mut random = Random::new(3);
        let (mut vectors, mut index) = (FlatIndex::default(), Index::new(BEYOND));
        for number in 0..130 {
            // Two of three are of one place.
            vectors.push(&Query::new(&print(
                &mut random,
                number,
                u64::from(number % 3 == 0),
            )));
            index.follow(&vectors);
            for (place, vectors) in &index.places {
                let all = vectors.vectors.len();
                if let Some(growing) = vectors.growing.as_ref().filter(|_| all <= BEYOND) {
                    let filled = all.min(AT_ONCE * (all - BEYOND / 2));
                    assert_eq!(growing.filled, filled, "a few at a time");
                } else {
                    assert!(all <= BEYOND / 2 || all > BEYOND, "{all}");
                }
                let query = Query::new(&print(&mut random, 1_000, *place));
                assert_eq!(index.serves(&query), all > BEYOND, "{all}");
            }
        }
        assert!(!index.serves(&Query::new(&print(&mut random, 1, 9))));
    }

    #[test]
    fn a_place_that_has_grown_gets_more_cells_which_hold_all_of_it() {
        let mut random = Random::new(4);
        let (mut vectors, mut index) = (FlatIndex::default(), Index::new(40));
        let mut counts = Vec::new();
        for number in 0..800 {
            vectors.push(&Query::new(&print(&mut random, number, 0)));
            index.follow(&vectors);
            let Some(whole) = &index.places[&0].whole else {
                continue;
            };
            assert_eq!(whole.filled, vectors.len());
            let mut members = whole.members.concat();
            members.sort_unstable();
            assert!(members.into_iter().eq(0..=u32::try_from(number).unwrap()));
            counts.push(whole.members.len());
        }
        counts.dedup();
        assert_eq!(counts.len(), 3, "{counts:?}");
        assert!(counts.is_sorted(), "{counts:?}");
    }

    #[test]
    fn what_has_no_direction_is_left_to_the_exact_search() {
        let (mut vectors, mut index) = (FlatIndex::default(), Index::new(0));
        let nothing = Query::new(&SemanticFingerprint::of(0, &[0.0; DIMENSIONS]).expect("finite"));
        for _ in 0..3 {
            vectors.push(&nothing);
            index.follow(&vectors);
        }
        assert!(!index.serves(&nothing));
        let query = Query::new(&print(&mut Random::new(1), 1, 0));
        assert!(index.serves(&query));
        assert_eq!(index.nearest(&vectors, &query, 0.9, &|_| true), None);
    }
}
