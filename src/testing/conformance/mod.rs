//! What each plug point promises, as functions that check it on any implementation.

mod journal;
mod sink;
mod topics;

pub use journal::journal;
pub use sink::sink;
pub use topics::topics;
