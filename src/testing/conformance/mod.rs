//! What each plug point promises, as functions that check it on any implementation.
//!
//! Each panics with a message that says which promise is broken, so that it is the whole body of a test.

mod schedule;
mod schema_renderer;
mod topics;

pub use schedule::schedule;
pub use schema_renderer::schema_renderer;
pub use topics::topics;
