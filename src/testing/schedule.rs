//! A run without models.

use crate::engine::simulate;
use crate::error::Result;
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
/// use topicloom::schedule::RoundRobin;
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
    simulate(quotas, seed, policy)
}
