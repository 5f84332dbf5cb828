//! A run without models, for the conformance of scheduling policies.

use super::ledger::{Ledger, Rules};
use crate::error::Result;
use crate::outcome::{Miss, Rejection};
use crate::random::Random;
use crate::schedule::SchedulingPolicy;

/// Runs a ledger to its end, with a third of the answers giving nothing, and returns which topics were picked.
///
/// # Errors
///
/// Where the policy picks a topic that is not open.
pub(crate) fn simulate(
    quotas: &[u64],
    seed: u64,
    policy: &mut dyn SchedulingPolicy,
) -> Result<Vec<usize>> {
    let rules = Rules {
        miss_threshold: 1000,
        records_per_request: 2,
        breaker_rounds: 3,
        reallocate: false,
        seed,
    };
    let mut ledger = Ledger::new(quotas, rules);
    let mut random = Random::new(seed);
    let mut picks = Vec::new();
    let mut in_flight = Vec::new();
    while !ledger.is_complete() {
        match ledger.issue(policy)? {
            Some(task) if in_flight.len() < 8 => {
                picks.push(task.topic);
                in_flight.push(task);
                continue;
            }
            Some(task) => {
                picks.push(task.topic);
                in_flight.push(task);
            }
            None => {}
        }
        let task = in_flight.swap_remove(random.index(in_flight.len()));
        if random.below(3) == 0 {
            ledger.answered(&task, Some(Miss::Rejected(Rejection::Duplicate)), None, 0);
        } else {
            (0..task.wanted).for_each(|_| ledger.accept(task.topic));
            ledger.answered(&task, None, None, 0);
        }
    }
    Ok(picks)
}
