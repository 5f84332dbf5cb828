//! Whole runs, against models that a test answers for or that fail at seeded rates. Time is paused.

#[path = "../support/server/mod.rs"]
mod server;

mod adopting;
mod answers;
#[cfg(feature = "providers")]
mod caching;
mod conversation;
mod crossed;
mod embedding;
mod endings;
mod hooks;
#[cfg(all(feature = "formats", feature = "providers"))]
mod jobs;
mod judged;
mod judging;
#[cfg(feature = "providers")]
mod leaks;
mod money;
#[cfg(feature = "providers")]
mod over_http;
mod provenance;
mod rehearsing;
mod resuming;
mod rows;
mod seeded;
mod sizes;
mod steering;
#[cfg(feature = "providers")]
mod untidy_servers;
