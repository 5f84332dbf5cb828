//! Whole runs, against models that a test answers for or that fail at seeded rates. Time is paused.

mod answers;
mod conversation;
mod endings;
#[cfg(feature = "providers")]
mod over_http;
mod resuming;
mod seeded;
