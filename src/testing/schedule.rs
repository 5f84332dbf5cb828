//! A run without models.

use crate::error::Result;
use crate::input::RecordsPerRequest;
use crate::ledger::{Ledger, LedgerRules};
use crate::outcome::{EmptyAttempt, Rejection};
use crate::random::Random;
use crate::schedule::SchedulingPolicy;

/// Runs a ledger to its end, without models or a runtime, and returns the topics in the order they were picked.
///
/// A third of the answers give nothing, and eight tasks are in flight; the seed decides which.
///
/// # Errors
///
/// Where the policy picks a topic that is not open.
///
/// ```
/// use topicloom::pipeline::RoundRobin;
/// use topicloom::testing::simulate_schedule;
///
/// let picks = simulate_schedule(&[10, 20], 7, &mut RoundRobin::default())?;
/// assert!(picks.len() >= 15, "two records are asked for at a time");
/// # Ok::<(), topicloom::Error>(())
/// ```
pub fn simulate_schedule(
    quotas: &[u64],
    seed: u64,
    policy: &mut dyn SchedulingPolicy,
) -> Result<Vec<usize>> {
    let rules = LedgerRules {
        miss_threshold: Some(1000),
        records_per_request: RecordsPerRequest::Fixed(2),
        concurrency: 8,
        most_tasks: 8,
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
            ledger.answered(
                &task,
                Some(EmptyAttempt::Rejected(Rejection::Duplicate)),
                None,
                0,
            );
        } else {
            (0..task.wanted).for_each(|_| ledger.accept(task.topic));
            ledger.answered(&task, None, None, 0);
        }
    }
    Ok(picks)
}
