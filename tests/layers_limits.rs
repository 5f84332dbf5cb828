//! How close the limits come to the best that could be done, against simulated providers under paused time.
//! `benches/limits.rs` prints the figures; here are the bounds that they keep.

#![cfg(feature = "testing")]

use std::time::Duration;

use topicloom::testing::simulator::scenarios;

#[tokio::test(start_paused = true)]
async fn every_condition_is_met_at_nearly_the_optimum_with_little_waste() {
    for scenario in scenarios() {
        let figures = scenario.run(1).await;
        let name = scenario.name;
        // Where nothing is saved up and nothing is told, each try for more costs what is then refused.
        let least = if name.contains("one at once") {
            0.94
        } else {
            0.95
        };
        assert!(figures.throughput >= least, "{name}: {figures:?}");
        assert!(figures.wasted <= 0.01, "{name}: {figures:?}");
        assert!(figures.wasted_early <= 50, "{name}: {figures:?}");
        if scenario.outage_ends.is_some() {
            let recovered = |after: Option<Duration>| {
                after.is_some_and(|after| after <= Duration::from_secs(5))
            };
            assert!(recovered(figures.recovery), "{name}: {figures:?}");
            assert!(recovered(figures.first_answer), "{name}: {figures:?}");
        }
    }
}
