//! What a run does differently than it was asked to, told as soon as it is known and again in the report.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::Observer;
use crate::event::RunEvent;
use crate::llm::layers::Warn;

/// Tells observers of a warning, once, and keeps it for the report.
#[derive(Default)]
pub(super) struct Warnings {
    said: Mutex<Vec<String>>,
    observers: Vec<Observer>,
}

impl Warnings {
    pub(super) fn new(observers: Vec<Observer>) -> Self {
        Self {
            said: Mutex::default(),
            observers,
        }
    }

    /// Returns what layers warn through.
    pub(super) fn listener(self: &Arc<Self>) -> Warn {
        let warnings = Arc::clone(self);
        Arc::new(move |warning| warnings.add(warning))
    }

    fn add(&self, warning: &str) {
        {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.iter().any(|known| known == warning) {
                return;
            }
            said.push(warning.to_owned());
        }
        warn!("{warning}");
        for observer in &self.observers {
            observer(&RunEvent::Warned { warning });
        }
    }

    /// Returns all of it.
    pub(super) fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}
