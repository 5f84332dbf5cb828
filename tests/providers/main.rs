//! The provider clients over real sockets, against a server that plays the providers.

#![cfg(all(feature = "testing", feature = "providers"))]
// A helper of tests is a test, which clippy sees only where it has the attribute.
#![allow(clippy::unwrap_used)]

#[path = "../support/server/mod.rs"]
mod server;

mod answers;
mod common;
mod conformance;
mod environment;
mod errors;
mod faults;
mod leaks;
mod mutations;
mod over_http;
#[cfg(feature = "cli")]
mod proxies;
mod requests;
mod storm;
mod untidy;
