//! How close the limits come to the best that could be done, against simulated providers under paused time.
//!
//! `cargo bench --bench limits --features testing` prints the table of `docs/limits.md`.

#![allow(clippy::print_stdout)] // It is what this program is for.

use topicloom::testing::simulator::scenarios;

fn main() {
    println!(
        "| condition | answers | of the optimum | wasted in warm-up | wasted after | recovery | first answer | most in flight |"
    );
    println!("|--|--|--|--|--|--|--|--|");
    for scenario in scenarios() {
        let figures = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing")
            .block_on(scenario.run());
        let seconds = |time: Option<std::time::Duration>| {
            time.map_or_else(String::new, |time| format!("{:.1} s", time.as_secs_f64()))
        };
        println!(
            "| {} | {} | {:.1} % | {} | {:.2} % | {} | {} | {} |",
            scenario.name,
            figures.answered,
            figures.throughput * 100.0,
            figures.wasted_early,
            figures.wasted * 100.0,
            seconds(figures.recovery),
            seconds(figures.first_answer),
            figures.most_in_flight,
        );
    }
}
