//! Whole runs, against models that a test answers for or that fail at seeded rates. Time is paused.

#[path = "../cases/parse/corpus.rs"]
mod corpus;
#[cfg(unix)]
#[path = "../support/counted.rs"]
mod counted;
#[path = "../support/server/mod.rs"]
mod server;
#[path = "../support/simulator/mod.rs"]
mod simulator;

mod adopting;
mod answers;
#[cfg(feature = "providers")]
mod caching;
mod caps;
mod cassettes;
mod conversation;
#[cfg(all(feature = "cli", unix))]
mod crash;
mod crossed;
mod duplicates;
mod embedding;
mod endings;
mod hooks;
#[cfg(all(feature = "formats", feature = "providers"))]
mod jobs;
mod journal_crashes;
mod judged;
mod judging;
#[cfg(all(feature = "formats", feature = "providers"))]
mod kinds;
#[cfg(feature = "providers")]
mod leaks;
mod limits;
mod money;
#[cfg(feature = "providers")]
mod over_http;
mod parsing;
mod preview;
mod provenance;
#[cfg(feature = "providers")]
mod public_schemas;
mod resume_changed;
mod resuming;
mod rows;
mod seeded;
mod sizes;
mod steering;
#[cfg(feature = "providers")]
mod untidy_servers;
