//! How close the limits come to the best that could be done, against simulated providers under paused time.
//! `benches/limits.rs` prints the figures; here are the bounds that they keep.

#![cfg(feature = "testing")]

use std::time::Duration;

use topicloom::testing::simulator::scenarios;

#[tokio::test(start_paused = true)]
async fn every_condition_is_met_at_nearly_the_optimum_and_with_little_waste() {
    for scenario in scenarios() {
        if std::env::var("ONLY").is_ok_and(|only| !scenario.name.contains(&only)) {
            continue;
        }
        let figures = scenario.run().await;
        println!("{:55} {figures:?}", scenario.name);
    }
}
