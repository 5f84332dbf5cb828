//! The provider clients over real sockets, against a server that plays the providers.

mod answers;
mod common;
mod conformance;
mod environment;
mod errors;
mod faults;
mod leaks;
mod requests;
mod storm;
