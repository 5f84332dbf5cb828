//! One topic after the other.

use super::{SchedulingPolicy, TopicProgress};

/// Finishes a topic before it starts the next, in the order of the plan.
///
/// Useful where neighbouring calls should share as much of their prompt as possible, or where complete
/// topics are worth more than a little of each when a run stops early.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOrder;

impl SchedulingPolicy for InOrder {
    fn pick(&mut self, _topics: &[TopicProgress], open: &[usize]) -> usize {
        open.iter()
            .copied()
            .min()
            .expect("the trait promises that one is open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_open_topic_of_the_plan_is_served() {
        let topics = [TopicProgress::new(9); 3];
        assert_eq!(InOrder.pick(&topics, &[2, 1]), 1);
    }
}
