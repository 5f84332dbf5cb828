//! Which topic is served next.

mod in_order;
mod round_robin;

use std::fmt;

pub use in_order::InOrder;
pub use round_robin::RoundRobin;

/// Picks the topic the next task is for.
///
/// # For implementors
///
/// [`pick`](Self::pick) is called once per task, from one place, and must be cheap. It returns one of `open`;
/// anything else ends the run with an error. Decide from the arguments and your own state alone, so that a
/// seeded run repeats itself. A pipeline clones the policy for each run.
///
/// `testing::conformance::schedule` checks these promises on your implementation.
///
/// ```
/// use topicloom::pipeline::{SchedulingPolicy, TopicProgress};
///
/// /// Serves the topic that has the most left to do.
/// #[derive(Debug, Clone)]
/// struct MostOpen;
///
/// impl SchedulingPolicy for MostOpen {
///     fn pick(&mut self, topics: &[TopicProgress], open: &[usize]) -> usize {
///         *open.iter().max_by_key(|&&topic| topics[topic].open()).expect("one is open")
///     }
/// }
/// ```
pub trait SchedulingPolicy: fmt::Debug + Send + 'static {
    /// Returns one of `open`, which holds indices into `topics` and is never empty.
    ///
    /// `open` starts in the run's shuffled order; it is not kept sorted afterwards.
    fn pick(&mut self, topics: &[TopicProgress], open: &[usize]) -> usize;

    /// Takes note that an earlier process asked this topic: told once for each of its tasks in the journal, in that order and
    /// before the first pick. A policy that remembers what it picked goes on from there. The default forgets it.
    fn replayed(&mut self, topic: usize) {
        let _ = topic;
    }
}

/// The library's own policies, as an input names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheduling {
    /// [`RoundRobin`].
    #[default]
    RoundRobin,
    /// [`InOrder`].
    InOrder,
}

impl Scheduling {
    /// Returns the policy, at its beginning.
    #[must_use]
    pub fn policy(self) -> Box<dyn SchedulingPolicy> {
        match self {
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::InOrder => Box::new(InOrder),
        }
    }
}

/// How far a topic is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicProgress {
    /// Records the topic must give.
    pub quota: u64,
    /// Records it gave.
    pub accepted: u64,
    /// Records asked for and not yet answered.
    pub in_flight: u64,
    /// Attempts in a row that gave nothing.
    pub misses: u32,
    /// Whether it was given up.
    pub given_up: bool,
}

impl TopicProgress {
    /// Creates the progress of a topic that has not started.
    #[must_use]
    pub fn new(quota: u64) -> Self {
        Self {
            quota,
            ..Self::default()
        }
    }

    /// Returns how many records may still be asked for: quota less accepted less in flight.
    #[must_use]
    pub fn open(&self) -> u64 {
        if self.given_up {
            return 0;
        }
        self.quota
            .saturating_sub(self.accepted)
            .saturating_sub(self.in_flight)
    }
}
