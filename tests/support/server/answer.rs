//! What a server is told to answer.

use super::fault::ServerFault;

/// What a server is told to answer to one call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ServedAnswer {
    /// The model is done and said this.
    Text(String),
    /// The model ran into the output limit and said this much.
    CutOff(String),
    /// The model declined.
    Refusal,
    /// The content filter stopped the answer.
    Filtered,
    /// The call breaks in this way.
    Fault(ServerFault),
    /// Exactly this, whatever the format.
    Raw(RawReply),
}

impl From<String> for ServedAnswer {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ServedAnswer {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<ServerFault> for ServedAnswer {
    fn from(fault: ServerFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<RawReply> for ServedAnswer {
    fn from(reply: RawReply) -> Self {
        Self::Raw(reply)
    }
}

/// A reply given byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawReply {
    /// The status code.
    pub(crate) status: u16,
    /// Headers beside the length; `content-type: application/json` is added unless one is given.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl RawReply {
    /// Creates a reply of JSON.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}
