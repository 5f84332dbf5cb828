//! An approximate search, for more vectors than can be searched exactly in a moment.
//!
//! Only vectors of the same place are compared, so each place that has grown large gets a graph of its own, and nothing
//! of other places is in the way of a search. A graph is filled a little with each new vector, from half the size on
//! from which it is needed.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter::repeat;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::shelf::{Query, Shelf};

/// Neighbours of a vector in each layer of its graph; the lowest has twice as many. With more, both
/// searching and filling cost more and little more is found: see `benches/semantic`.
const NEIGHBOURS: usize = 12;

/// Layers at most. One in twelve vectors is in the second, one in 144 in the third, and so on.
const LAYERS: usize = 16;

/// Candidates that are kept in mind when a vector's neighbours are looked for.
const CANDIDATES_TO_INSERT: usize = 60;

/// Candidates that are kept in mind when the nearest is looked for.
const CANDIDATES_TO_FIND: usize = 64;

/// Vectors that a search returns. They are compared exactly, since the graph's cosines are rounded.
const FOUND: usize = 4;

/// Vectors that go into a graph with each new one until it has caught up.
const AT_ONCE: usize = 2;

/// The graphs of the places of a shelf.
pub(super) struct Index {
    /// A place of more vectors than this is searched by its graph.
    beyond: usize,
    places: HashMap<u64, Place>,
    /// Vectors of the shelf that have been looked at.
    seen: usize,
}

/// The vectors of one place.
#[derive(Default)]
struct Place {
    vectors: usize,
    graph: Option<Graph>,
}

struct Graph {
    hnsw: Hnsw<'static, i8, Angle>,
    /// What the vectors have in common. Embeddings of one model point into much the same direction, and a graph of
    /// directions that differ less than they might finds its way worse: without this it misses ten times as many.
    common: Vec<f32>,
    /// Vectors that are not in it yet, in order.
    backlog: VecDeque<usize>,
}

impl Index {
    /// Creates an index that is used beyond so many vectors of one place.
    pub(super) fn new(beyond: usize) -> Self {
        Self {
            beyond,
            places: HashMap::new(),
            seen: 0,
        }
    }

    /// Takes in what was added to the shelf.
    pub(super) fn follow(&mut self, vectors: &Shelf) {
        for at in self.seen..vectors.len() {
            let place = self.places.entry(vectors.place(at)).or_default();
            place.vectors += 1;
            if place.graph.is_none() && place.vectors > self.beyond / 2 {
                let same = (0..at).filter(|other| vectors.place(*other) == vectors.place(at));
                place.graph = Some(Graph::new(self.beyond, vectors, same.collect()));
            }
            if let Some(graph) = &mut place.graph {
                graph.backlog.push_back(at);
                graph.catch_up(vectors);
            }
        }
        self.seen = vectors.len();
    }

    /// Returns whether this is to be asked, and not the exact search.
    pub(super) fn serves(&self, query: &Query) -> bool {
        let place = self.places.get(&query.place());
        place.is_some_and(|place| {
            let is_whole = |graph: &Graph| graph.backlog.is_empty();
            // What has no direction has no place in a graph of directions.
            place.vectors > self.beyond
                && place.graph.as_ref().is_some_and(is_whole)
                && query.has_direction()
        })
    }

    /// Returns what the exact search does, or another vector that reaches the threshold, or misses it.
    pub(super) fn nearest(
        &self,
        vectors: &Shelf,
        query: &Query,
        threshold: f32,
    ) -> Option<(usize, f32)> {
        let graph = self.places.get(&query.place())?.graph.as_ref()?;
        let own = graph.own(&query.line_up());
        let found = graph.hnsw.search(&own, FOUND, CANDIDATES_TO_FIND);
        let cosines = found
            .iter()
            .map(|neighbour| (neighbour.d_id, vectors.cosine(query, neighbour.d_id)))
            .filter(|(_, cosine)| *cosine >= f64::from(threshold));
        // The first of equals, as the exact search has it.
        let nearest = cosines.max_by(|(one, cosine), (other, of_other)| {
            cosine.total_cmp(of_other).then(other.cmp(one))
        });
        #[allow(clippy::cast_possible_truncation)] // It is about 1 at most.
        nearest.map(|(at, cosine)| (at, (cosine as f32).min(1.0)))
    }
}

impl Graph {
    fn new(expected: usize, vectors: &Shelf, backlog: VecDeque<usize>) -> Self {
        Self {
            hnsw: Hnsw::new(NEIGHBOURS, expected, LAYERS, CANDIDATES_TO_INSERT, Angle),
            common: in_common(backlog.iter().map(|at| vectors.line_up(*at))),
            backlog,
        }
    }

    fn catch_up(&mut self, vectors: &Shelf) {
        for _ in 0..AT_ONCE {
            if let Some(at) = self.backlog.pop_front() {
                let own = self.own(&vectors.line_up(at));
                self.hnsw.insert((&own, at));
            }
        }
    }

    /// Returns a vector as the graph has it: without what is common to all, in bytes, and one divided by its length
    /// behind them as a number of 32 bits.
    fn own(&self, (vector, length): &(Vec<i8>, f32)) -> Vec<i8> {
        let parts = vector.iter().zip(self.common.iter().chain(repeat(&0.0)));
        let own: Vec<f32> = parts
            .map(|(x, common)| f32::from(*x) / length.max(1.0) - common)
            .collect();
        let largest = own
            .iter()
            .fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
        #[allow(clippy::cast_possible_truncation)] // From -127 to 127.
        let mut own: Vec<i8> = own.iter().map(|x| (x / largest * 127.0) as i8).collect();
        let square: f32 = own.iter().map(|x| f32::from(*x).powi(2)).sum();
        let inverse = if square > 0.0 {
            square.sqrt().recip()
        } else {
            0.0
        };
        own.extend(inverse.to_le_bytes().map(u8::cast_signed));
        own
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

/// Bytes behind a vector in a graph, for its length.
const TAIL: usize = 4;

/// 1 − cosine.
struct Angle;

impl Distance<i8> for Angle {
    fn eval(&self, one: &[i8], other: &[i8]) -> f32 {
        let (Some((one, length)), Some((other, of_other))) = (
            one.split_last_chunk::<TAIL>(),
            other.split_last_chunk::<TAIL>(),
        ) else {
            return 1.0;
        };
        let inverse = |bytes: &[i8; TAIL]| f32::from_le_bytes(bytes.map(i8::cast_unsigned));
        let products = one.iter().zip(other);
        // Both halves of a product fit 16 bits, so that processors multiply and add many at once.
        let sum: i32 = products
            .map(|(x, y)| i32::from(i16::from(*x)) * i32::from(i16::from(*y)))
            .sum();
        #[allow(clippy::cast_precision_loss)] // What is found is compared exactly.
        let cosine = sum as f32 * inverse(length) * inverse(of_other);
        // The crate takes distances to be positive.
        (1.0 - cosine).max(0.0)
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
        let (mut vectors, mut index) = (Shelf::default(), Index::new(beyond));
        let mut found = Vec::new();
        for _ in 0..candidates {
            let (subject, place) = (random.below(100), random.below(2));
            let query = Query::new(&print(&mut random, subject, place));
            let exact = vectors.nearest(&query, 0.85);
            let approximate = if index.serves(&query) {
                index.nearest(&vectors, &query, 0.85)
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
    fn each_place_has_a_graph_of_its_own_once_it_is_large() {
        let mut random = Random::new(3);
        let (mut vectors, mut index) = (Shelf::default(), Index::new(40));
        for number in 0..130 {
            // Two of three are of one place.
            let place = u64::from(number % 3 == 0);
            vectors.push(&Query::new(&print(&mut random, number, place)));
            index.follow(&vectors);
            let backlog = |place| {
                let graph = index.places.get(&place)?.graph.as_ref()?;
                Some((graph.hnsw.get_nb_point(), graph.backlog.len()))
            };
            let count = |place| index.places.get(&place).map_or(0, |place| place.vectors);
            for place in [0, 1] {
                let (all, half) = (count(place), 20);
                match backlog(place) {
                    None => assert!(all <= half, "{all}"),
                    Some((filled, left)) => {
                        assert_eq!(filled + left, all);
                        assert_eq!(
                            filled,
                            all.min(AT_ONCE * (all - half)),
                            "a little at a time"
                        );
                    }
                }
                let query = Query::new(&print(&mut random, 1_000, place));
                assert_eq!(index.serves(&query), all > 40, "{all}");
            }
        }
        assert!(!index.serves(&Query::new(&print(&mut random, 1, 9))));
    }

    #[test]
    fn what_has_no_direction_is_left_to_the_exact_search() {
        let (mut vectors, mut index) = (Shelf::default(), Index::new(0));
        let nothing = Query::new(&SemanticFingerprint::of(0, &[0.0; DIMENSIONS]).expect("finite"));
        for _ in 0..3 {
            vectors.push(&nothing);
            index.follow(&vectors);
        }
        assert!(!index.serves(&nothing));
        let query = Query::new(&print(&mut Random::new(1), 1, 0));
        assert!(index.serves(&query));
        assert_eq!(index.nearest(&vectors, &query, 0.9), None);
    }
}
