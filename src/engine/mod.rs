//! What drives a run: the ledger decides, workers do, the driver loops.

mod breaker;
mod ledger;
mod open_topics;
