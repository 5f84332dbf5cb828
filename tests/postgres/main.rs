//! The journal in PostgreSQL, against a server that the tests start themselves.

#![cfg(all(feature = "postgres", feature = "testing", unix))]
#![allow(clippy::unwrap_used)] // The helpers are part of the tests.

mod journal;
mod outages;
#[path = "../support/proxy.rs"]
mod proxy;
mod shared;
#[path = "../support/postgres.rs"]
#[allow(dead_code)] // Each test uses some of it.
mod support;
#[cfg(feature = "postgres-tls")]
mod tls;
