//! One task for each topic in turn.

use super::{SchedulingPolicy, TopicProgress};

/// Serves each open topic in turn, so that a run spreads over its topics from the start. The default.
#[derive(Debug, Clone, Default)]
pub struct RoundRobin {
    turn: usize,
}

impl SchedulingPolicy for RoundRobin {
    fn pick(&mut self, _topics: &[TopicProgress], open: &[usize]) -> usize {
        let topic = open[self.turn % open.len()];
        self.turn = self.turn.wrapping_add(1);
        topic
    }

    fn replayed(&mut self, _topic: usize) {
        self.turn = self.turn.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_open_topic_has_its_turn() {
        let topics = [TopicProgress::new(9); 3];
        let mut policy = RoundRobin::default();
        let picks: Vec<_> = (0..6).map(|_| policy.pick(&topics, &[2, 0, 1])).collect();
        assert_eq!(picks, [2, 0, 1, 2, 0, 1]);
    }
}
