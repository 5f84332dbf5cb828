//! Counts who is inside at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts who entered, who is inside, and the most that ever were inside at once.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    entered: AtomicUsize,
    inside: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    /// Counts the caller as inside until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Inside {
        self.entered.fetch_add(1, Ordering::Relaxed);
        let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(inside, Ordering::Relaxed);
        Inside(Arc::clone(self))
    }

    pub(super) fn entered(&self) -> usize {
        self.entered.load(Ordering::Relaxed)
    }

    pub(super) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// Being inside.
#[derive(Debug)]
pub(super) struct Inside(Arc<Gauge>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}
