//! What a decision of the ledger costs, and that it does not grow with the records already made.
//!
//! ```text
//! cargo bench --features testing --bench ledger
//! ```
//!
//! A simulated run issues tasks, has a third of the answers give nothing, and books the rest; eight tasks are in
//! flight. A decision is one step: a task issued, or an answer booked. The machine's noise is the same for all rows.

// Numbers of decisions are far below what a double holds exactly.
#![allow(clippy::cast_precision_loss)]

use std::time::Instant;

use topicloom::pipeline::RoundRobin;
use topicloom::testing::simulate_schedule;

fn main() {
    // `cargo test --benches` runs this without `--bench`: prove that it works, and measure nothing.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    println!("topics    records   decisions   ns per decision");
    for (topics, records) in [
        (1, 100_000),
        (1_000, 1_000),
        (1_000, 10_000),
        (1_000, 100_000),
        (1_000, 1_000_000),
        (10_000, 100_000),
    ] {
        let records = if is_test { topics } else { records };
        let quotas = vec![records / topics; usize::try_from(topics).expect("a small number")];
        let started = Instant::now();
        let picks = simulate_schedule(&quotas, 7, &mut RoundRobin::default());
        let elapsed = started.elapsed();
        // Each task is issued once and booked once.
        let decisions = 2 * picks.expect("round robin picks open topics").len();
        println!(
            "{topics:>6} {records:>10} {decisions:>11} {:>17.0}",
            elapsed.as_nanos() as f64 / decisions as f64
        );
    }
}
