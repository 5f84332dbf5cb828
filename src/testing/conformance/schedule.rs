//! What a scheduling policy promises.

use crate::schedule::{SchedulingPolicy, TopicProgress};
use crate::testing::simulate_schedule;

/// Checks a policy: it returns one of the open topics, decides the same way twice, finishes every quota, and goes on in a run that
/// is resumed where it was.
///
/// `make` creates a fresh policy. Runs on a simulated ledger, without a runtime, in milliseconds.
///
/// # Panics
///
/// If the policy breaks a promise, with a message that says which.
///
/// ```
/// use topicloom::pipeline::RoundRobin;
/// use topicloom::testing::conformance;
///
/// conformance::schedule(RoundRobin::default);
/// ```
pub fn schedule<P: SchedulingPolicy>(make: impl Fn() -> P) {
    let topics = [TopicProgress::new(3); 4];
    for open in [&[0][..], &[3, 1], &[2, 0, 3, 1]] {
        let pick = make().pick(&topics, open);
        assert!(
            open.contains(&pick),
            "the policy picked topic {pick}, and open are only {open:?}"
        );
    }
    let (mut first, mut second) = (make(), make());
    for _ in 0..5 {
        let picked = first.pick(&topics, &[2, 0, 3, 1]);
        second.replayed(picked);
    }
    assert_eq!(
        second.pick(&topics, &[2, 0, 3, 1]),
        first.pick(&topics, &[2, 0, 3, 1]),
        "the policy does not go on where it was in a run that is resumed"
    );
    for quotas in [&[1][..], &[5, 1, 7], &[100; 20]] {
        for seed in 0..5 {
            let picks = simulate_schedule(quotas, seed, &mut make());
            let picks = picks.unwrap_or_else(|error| panic!("the policy broke the run: {error}"));
            let again = simulate_schedule(quotas, seed, &mut make());
            assert!(
                again.is_ok_and(|again| again == picks),
                "the policy decides differently the second time"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{InOrder, RoundRobin};

    #[test]
    fn our_policies_keep_their_promises() {
        schedule(RoundRobin::default);
        schedule(|| InOrder);
    }

    #[test]
    #[should_panic(expected = "a run that is resumed")]
    fn a_policy_that_forgets_where_it_was_fails() {
        #[derive(Debug)]
        struct Forgetful(RoundRobin);
        impl SchedulingPolicy for Forgetful {
            fn pick(&mut self, topics: &[TopicProgress], open: &[usize]) -> usize {
                self.0.pick(topics, open)
            }
        }
        schedule(|| Forgetful(RoundRobin::default()));
    }

    #[test]
    #[should_panic(expected = "open are only")]
    fn a_policy_that_picks_a_closed_topic_fails() {
        #[derive(Debug)]
        struct AlwaysTheFirst;
        impl SchedulingPolicy for AlwaysTheFirst {
            fn pick(&mut self, _topics: &[TopicProgress], _open: &[usize]) -> usize {
                0
            }
        }
        schedule(|| AlwaysTheFirst);
    }
}
