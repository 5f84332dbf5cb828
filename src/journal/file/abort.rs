//! Dies in the middle of a run, for tests of crashes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// After this many writes the process aborts.
const VARIABLE: &str = "TOPICLOOM_ABORT_AFTER_WRITES";

/// Aborts the process if this was the last write it may make: written, but not on the disk, and nobody told.
pub(super) fn after_write() {
    static LIMIT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var(VARIABLE).ok()?.parse().ok());
    static WRITES: AtomicU64 = AtomicU64::new(0);
    if *LIMIT == Some(WRITES.fetch_add(1, Ordering::Relaxed) + 1) {
        std::process::abort();
    }
}
