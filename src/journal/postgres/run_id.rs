//! What a run is called, in the database.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};

/// The longest name of a run, in bytes: it is part of the key of every entry.
const LONGEST: usize = 200;

/// The name of a run. Data, wherever it goes: locks and channels are named after a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId(String);

/// What processes of a run tell one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// There is a call to make.
    Work,
    /// A call was answered, or failed.
    Done,
    /// The run ended, or a process left.
    State,
}

impl RunId {
    pub(crate) fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > LONGEST || id.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the id of a run is 1 to {LONGEST} bytes of text without control characters"
                ),
            ));
        }
        Ok(Self(id))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key of the lock that the writer holds.
    pub(crate) fn lock(&self) -> i64 {
        self.hash().cast_signed()
    }

    /// Returns the name of a channel. A name that another run shares by accident wakes for nothing, no more.
    pub(crate) fn channel(&self, channel: Channel) -> String {
        let what = match channel {
            Channel::Work => "work",
            Channel::Done => "done",
            Channel::State => "state",
        };
        format!("topicloom_{what}_{:016x}", self.hash())
    }

    fn hash(&self) -> u64 {
        xxh3_64(format!("topicloom run {}", self.0).as_bytes())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_run_is_any_short_text() {
        assert!(RunId::new("a'; DROP TABLE topicloom.runs; --").is_ok());
        for wrong in ["", "a\u{0}b", "line\nbreak", &"long".repeat(60)] {
            assert!(RunId::new(wrong).is_err());
        }
    }

    #[test]
    fn a_channel_is_named_after_a_hash() {
        let id = RunId::new("\"; DROP").unwrap();
        let name = id.channel(Channel::Work);
        assert!(name.len() < 63, "PostgreSQL cuts off longer names");
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        );
    }
}
