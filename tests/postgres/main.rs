//! The journal in PostgreSQL, against a server that the tests start themselves.

#![cfg(all(feature = "postgres", feature = "testing", unix))]

mod journal;
mod shared;
#[path = "../support/postgres.rs"]
mod support;
