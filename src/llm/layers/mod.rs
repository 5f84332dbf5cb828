//! Layers around a client: each adds one policy to the single attempt that a client makes.
//!
//! # The order
//!
//! From the outside in, as the pipeline stacks them:
//!
//! | layer | why there |
//! |--|--|
//! | [`Weighted`] | the seed of a request chooses the model, before anything else |
//! | [`Fallback`] | the next model is asked when all below has failed, with layers of its own |
//! | [`Laddered`] | a refused schema is not the fault of the attempt |
//! | [`Retrying`] | nothing below is held while a retry waits |
//! | [`Budgeted`] | each attempt may cost, and is sent only with its cost reserved |
//! | [`Adaptive`] or [`RateLimited`] | waits in the lane, with nothing in flight |
//! | [`ConcurrencyLimited`] | a permit covers one attempt in flight |
//! | [`Metered`] | reports each attempt, with the provider's own latency |
//! | [`Traced`] | a span covers one attempt, as the provider saw it |
//! | [`TimedOut`] | times the attempt, not the waiting |
//! | client | makes one attempt |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tokio::sync::Semaphore;
//! use topicloom::llm::layers::{CallOutcome, ConcurrencyLimited, Metered, Retrying, TimedOut};
//! # use topicloom::llm::LlmClient;
//! # fn example(client: impl LlmClient) {
//! let client = TimedOut::new(client, Duration::from_secs(60));
//! let client = Metered::new(client, Arc::new(|_: &CallOutcome<'_>| {}));
//! let client = ConcurrencyLimited::new(client, Arc::new(Semaphore::new(10)));
//! let client = Retrying::new(client);
//! # }
//! ```

mod adaptive;
mod budget;
mod budgeted;
mod cached;
mod concurrency_limited;
mod fallback;
mod in_line;
mod laddered;
mod lane;
mod metered;
mod rate_limited;
mod recorded;
mod request_key;
mod retrying;
#[cfg(test)]
mod test_client;
mod timed_out;
mod traced;
mod weighted;
mod worst_case;

pub use adaptive::Adaptive;
pub use budget::{Budget, Spending};
pub use budgeted::Budgeted;
pub use cached::Cached;
pub use concurrency_limited::ConcurrencyLimited;
pub use fallback::Fallback;
pub use laddered::Laddered;
pub use lane::{Lane, LaneStatus};
pub use metered::{CallEnd, CallObserver, CallOutcome, Metered};
pub use rate_limited::RateLimited;
pub use recorded::{Recorded, Replayed};
pub use retrying::Retrying;
pub use timed_out::TimedOut;
pub use traced::Traced;
pub use weighted::Weighted;

use crate::llm::Capabilities;

/// What several clients have in common: their capabilities where they agree, and else the conservative ones.
fn common_capabilities(mut all: impl Iterator<Item = Capabilities>) -> Capabilities {
    let first = all.next().unwrap_or_default();
    if all.all(|other| other == first) {
        first
    } else {
        Capabilities::default()
    }
}
