#![doc = include_str!("../../../docs/layers.md")]

/// Passes on what a layer around one client does not change.
macro_rules! passes_on_the_rest {
    () => {
        fn model(&self) -> &str {
            self.inner.model()
        }

        fn capabilities(&self) -> $crate::llm::Capabilities {
            self.inner.capabilities()
        }
    };
}

mod adaptive;
mod budget;
mod budgeted;
mod cached;
mod concurrency_limited;
mod fallback;
mod first_answer;
mod in_line;
mod metered;
mod output_modes;
mod parameter_fallback;
mod rate_limited;
mod rate_limiter;
mod recorded;
mod request_key;
mod retrying;
#[cfg(test)]
mod test_client;
mod timed_out;
mod traced;
mod trust;
mod weighted;
mod worst_case;

pub use adaptive::Adaptive;
pub use budget::{Budget, Spending};
pub use budgeted::Budgeted;
pub use cached::Cached;
pub use concurrency_limited::ConcurrencyLimited;
pub use fallback::Fallback;
pub(crate) use first_answer::{FirstAnswer, FirstAnswers};
pub use metered::{CallEnd, CallObserver, CallOutcome, Metered};
pub(crate) use output_modes::UnprovenModes;
pub use output_modes::{OutputModeFallback, OutputModes};
pub use parameter_fallback::ParameterFallback;
pub use rate_limited::RateLimited;
pub(crate) use rate_limiter::first_calls;
pub use rate_limiter::{RateLimiter, RateLimiterStatus};
pub use recorded::{Recorded, Replayed};
pub use retrying::Retrying;
pub use timed_out::TimedOut;
pub use traced::Traced;
pub use weighted::Weighted;

use std::sync::Arc;

use crate::llm::Capabilities;

/// Is told in words what a layer does differently than it was asked to.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// What several clients have in common: their capabilities where they agree, and else the conservative ones.
fn common_capabilities(mut all: impl Iterator<Item = Capabilities>) -> Capabilities {
    let first = all.next().unwrap_or_default();
    if all.all(|other| other == first) {
        first
    } else {
        Capabilities::default()
    }
}
