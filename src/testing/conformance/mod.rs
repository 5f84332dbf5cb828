//! What each plug point promises, as functions that check it on any implementation.
//!
//! Each panics with a message that says which promise is broken, so that it is the whole body of a test;
//! [`llm`](fn@llm), of which not everything can always be checked, returns a [`Report`] instead.

mod dedup;
mod embedder;
mod filter;
mod journal;
mod llm;
mod prompts;
mod report;
mod schedule;
mod schema_renderer;
mod sink;
mod topics;

pub use dedup::{dedup, dedup_with};
pub use embedder::embedder;
pub use filter::{filter, model_filter};
pub use journal::journal;
pub use llm::{LlmBackend, Scene, Situation, llm};
pub use prompts::prompts;
pub use report::Report;
pub use schedule::schedule;
pub use schema_renderer::schema_renderer;
pub use sink::{sink, sink_keeps};
pub use topics::topics;
