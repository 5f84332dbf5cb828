//! The library's search for embeddings and a graph of hnsw_rs on the same records, in the same run.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare-semantic/Cargo.toml -- 50000
//! ```

#[path = "../../semantic/index.rs"]
mod index;
#[path = "../../semantic/vectors.rs"]
mod vectors;

use hnsw_rs::prelude::{DistCosine, Hnsw};
use index::{Ours, Search, header, measure};
use vectors::Subjects;

/// The threshold that the library has by default.
const THRESHOLD: f32 = 0.93;

/// Layers at most, as the crate's documentation has it.
const LAYERS: usize = 16;

fn main() {
    let size = std::env::args()
        .find_map(|size| size.parse().ok())
        .unwrap_or(50_000);
    let set = Subjects::draw(size);
    header(size);
    measure("exact", Ours::new(usize::MAX), &set);
    measure("by cells from half of them on", Ours::new(size / 2), &set);
    for (neighbours, to_insert, to_find) in [(12, 60, 64), (16, 200, 200)] {
        let name =
            format!("hnsw_rs, {neighbours} neighbours, {to_insert} and {to_find} candidates");
        measure(
            &name,
            Graph::new(neighbours, to_insert, to_find, size),
            &set,
        );
    }
}

/// A graph that is asked and filled one vector after the other.
struct Graph {
    hnsw: Hnsw<'static, f32, DistCosine>,
    to_find: usize,
}

impl Graph {
    fn new(neighbours: usize, to_insert: usize, to_find: usize, size: usize) -> Self {
        Self {
            hnsw: Hnsw::new(neighbours, size, LAYERS, to_insert, DistCosine {}),
            to_find,
        }
    }
}

impl Search for Graph {
    fn admit(&mut self, vector: &[f32]) -> bool {
        let nearest = self.hnsw.search(vector, 1, self.to_find);
        if nearest
            .first()
            .is_some_and(|found| 1.0 - found.distance >= THRESHOLD)
        {
            return false;
        }
        self.hnsw.insert((vector, self.hnsw.get_nb_point()));
        true
    }

    fn bytes(&self) -> Option<usize> {
        None
    }
}
