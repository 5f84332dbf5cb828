//! What a server was asked and answered, by its own count.

use std::collections::BTreeMap;

use super::ServerFault;
use crate::llm::Usage;

/// What a [`ProviderServer`](super::ProviderServer) was asked and answered.
/// `calls = answers + faults + abandoned + in flight`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerBooks {
    /// Calls that arrived whole.
    pub calls: u64,
    /// Calls that were answered as the responder said.
    pub answers: u64,
    /// Calls that were broken, by the name of the fault.
    pub faults: BTreeMap<&'static str, u64>,
    /// Calls whose caller hung up before the answer was ready.
    pub abandoned: u64,
    /// Tokens that the server put on the bill: those of every answer it sent whole.
    pub usage: Usage,
    /// The most calls that were ever being answered at the same time.
    pub peak_concurrency: usize,
    /// Connections that were opened.
    pub connections: u64,
    /// Calls that came without a key where the provider's format has one.
    pub without_key: u64,
}

impl ServerBooks {
    /// Returns how many calls broke, in whatever way.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Returns how many calls broke in this way.
    #[must_use]
    pub fn broken_by(&self, fault: &ServerFault) -> u64 {
        self.faults.get(fault.name()).copied().unwrap_or(0)
    }
}
