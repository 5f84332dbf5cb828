//! HTTP as the provider clients share it: one connection pool, one way to send, one way to read an answer.

mod body;
mod endpoint;
mod limits;
mod moment;
mod pool;
mod retry_hint;
mod transport;
mod unreached;
mod words;

pub(crate) use body::json_values;
pub(crate) use endpoint::Endpoint;
pub(crate) use limits::{announced_limits, wait_for_limits};
pub(crate) use moment::{delay, moment, until};
pub use pool::http_client_builder;
pub(crate) use retry_hint::retry_hint;
pub(crate) use transport::{Reply, Transport};
