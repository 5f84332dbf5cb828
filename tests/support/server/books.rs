//! What a server was asked and answered, by its own count.

use std::collections::BTreeMap;

use super::ServerFault;
use topicloom::llm::Usage;

/// What a [`ProviderServer`](super::ProviderServer) was asked and answered.
/// `calls = answers + faults + abandoned + in flight`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerBooks {
    /// Calls that arrived whole.
    pub(crate) calls: u64,
    /// Calls that were answered as the responder said.
    pub(crate) answers: u64,
    /// Calls that were broken, by the name of the fault.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Calls whose caller hung up before the answer was ready.
    pub(crate) abandoned: u64,
    /// Tokens that the server put on the bill: those of every answer it sent whole.
    pub(crate) usage: Usage,
    /// The most calls that were ever being answered at the same time.
    pub(crate) peak_concurrency: usize,
    /// Connections that were opened.
    pub(crate) connections: u64,
    /// Calls that came without a key where the provider's format has one.
    pub(crate) without_key: u64,
}

impl ServerBooks {
    /// Returns how many calls broke, in whatever way.
    pub(crate) fn broken(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Returns how many calls broke in this way.
    pub(crate) fn broken_by(&self, fault: &ServerFault) -> u64 {
        self.faults.get(fault.name()).copied().unwrap_or(0)
    }
}
