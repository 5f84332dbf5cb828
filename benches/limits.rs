//! How close the limits come to the best that could be done, against simulated providers under paused time.
//!
//! `cargo bench --bench limits` prints the table of `docs/limits.md`: of ten seeds, the
//! worst figure in each column. `ONLY=queue` in the environment picks conditions by a part of their name.

#![allow(clippy::print_stdout)] // It is what this program is for.

#[path = "../tests/support/simulator/mod.rs"]
mod simulator;

use std::time::Duration;

use simulator::{Figures, Scenario, scenarios};

const SEEDS: u64 = 10;

fn main() {
    println!(
        "| condition | of the optimum | wasted, first 2 min | wasted after | recovery | first answer | most in flight |"
    );
    println!("|--|--|--|--|--|--|--|");
    let only = std::env::var("ONLY").unwrap_or_default();
    for scenario in scenarios().into_iter().filter(|it| it.name.contains(&only)) {
        let all: Vec<_> = (0..SEEDS).map(|seed| measure(&scenario, seed)).collect();
        let least =
            |share: fn(&Figures) -> f64| all.iter().map(share).fold(f64::INFINITY, f64::min);
        let most = |share: fn(&Figures) -> f64| all.iter().map(share).fold(0.0, f64::max);
        let count = |count: fn(&Figures) -> usize| all.iter().map(count).max().unwrap_or(0);
        let longest = |time: fn(&Figures) -> Option<Duration>| {
            all.iter()
                .map(time)
                .max()
                .flatten()
                .map_or_else(String::new, |time| format!("{:.1} s", time.as_secs_f64()))
        };
        println!(
            "| {} | {:.1} % | {} | {:.2} % | {} | {} | {} |",
            scenario.name,
            least(|figures| figures.throughput) * 100.0,
            count(|figures| figures.wasted_early),
            most(|figures| figures.wasted) * 100.0,
            longest(|figures| figures.recovery),
            longest(|figures| figures.first_answer),
            count(|figures| figures.most_in_flight),
        );
    }
}

fn measure(scenario: &Scenario, seed: u64) -> Figures {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing")
        .block_on(scenario.run(seed))
}
