//! How a database is dealt with.

use std::time::Duration;

/// How a database is dealt with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How long a server that went away is waited for. The default is 60 seconds: a restart takes a few, a fail-over
    /// about half a minute. It must be there when a process begins.
    pub patience: Duration,
    /// How long a connection or a statement may take before it is given up and tried again. The default is 10 seconds:
    /// a server that is at work needs milliseconds.
    pub statement_timeout: Duration,
}

impl PostgresOptions {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self {
            patience: Duration::from_secs(60),
            statement_timeout: Duration::from_secs(10),
        }
    }

    /// Sets how long a server that went away is waited for.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long a connection or a statement may take before it is given up and tried again.
    #[must_use]
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit;
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}
