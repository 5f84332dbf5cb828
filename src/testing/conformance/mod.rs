//! What each plug point promises, as functions that check it on any implementation.

mod sink;
mod topics;

pub use sink::sink;
pub use topics::topics;
