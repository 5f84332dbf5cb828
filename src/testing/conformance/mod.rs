//! What each plug point promises, as functions that check it on any implementation.

mod topics;

pub use topics::topics;
