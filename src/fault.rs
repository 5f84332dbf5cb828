//! What is wrong with an input: every fault at once, each with its place and its cure.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InputFault {
    /// Where, as a path into the JSON form, such as `topics[2]`.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
    /// Where that was written, as far as it is known: `line 3, column 7`, or the flag of a command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
}

impl InputFault {
    /// Describes a fault.
    pub fn new(
        field: impl Into<String>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            advice: advice.into(),
            written: None,
        }
    }
}

impl fmt::Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.field, &self.written) {
            ("", None) => {}
            ("", Some(written)) => write!(f, "{written}: ")?,
            (field, None) => write!(f, "{field}: ")?,
            (field, Some(written)) => write!(f, "{field} ({written}): ")?,
        }
        f.write_str(&self.problem)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// The faults of one input, in the order they were found.
///
/// An [`Error`] made from them lists them in its message, and keeps them as its source; see [`of`](Self::of).
///
/// ```
/// use topicloom::{GenerateByTopicInput, InputFaults};
///
/// let text = r#"{"topic": ["tides"], "num_records": -1}"#;
/// let error = GenerateByTopicInput::from_json_str(text).unwrap_err();
/// let fields: Vec<_> = InputFaults::of(&error).map(|fault| fault.field.as_str()).collect();
/// assert_eq!(fields, ["topic", "num_records"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputFaults {
    kept: Vec<InputFault>,
    unlisted: usize,
}

impl InputFaults {
    /// Faults beyond this number are counted and not kept: nobody reads more, and ten megabytes of blank
    /// topics must not become a gigabyte of complaints.
    const MOST_KEPT: usize = 20;

    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault.
    pub fn push(&mut self, fault: InputFault) {
        if self.kept.len() < Self::MOST_KEPT {
            self.kept.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds all faults of another list.
    pub fn append(&mut self, other: Self) {
        self.unlisted += other.unlisted;
        for fault in other.kept {
            self.push(fault);
        }
    }

    /// Returns how many faults were found, listed or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len() + self.unlisted
    }

    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the faults that are listed, at most twenty.
    pub fn iter(&self) -> impl Iterator<Item = &InputFault> {
        self.kept.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut InputFault> {
        self.kept.iter_mut()
    }

    /// Returns the faults an error was made from; none for an error of another origin.
    pub fn of(error: &Error) -> impl Iterator<Item = &InputFault> {
        std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<Self>())
            .into_iter()
            .flat_map(Self::iter)
    }

    /// Returns the value if nothing is wrong, or else the faults.
    ///
    /// # Errors
    ///
    /// Where there is at least one fault.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

/// Says how many there are; the error made from them lists them.
impl fmt::Display for InputFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => f.write_str("the input has 1 fault"),
            number => write!(f, "the input has {number} faults"),
        }
    }
}

impl std::error::Error for InputFaults {}

impl From<InputFault> for InputFaults {
    fn from(fault: InputFault) -> Self {
        Self {
            kept: vec![fault],
            unlisted: 0,
        }
    }
}

impl From<InputFaults> for Error {
    fn from(faults: InputFaults) -> Self {
        let mut lines: Vec<String> = faults.iter().map(InputFault::to_string).collect();
        if faults.unlisted > 0 {
            lines.push(format!("and {} more", faults.unlisted));
        }
        let message = match &lines[..] {
            [line] => line.clone(),
            _ => format!("{faults}:\n- {}", lines.join("\n- ")),
        };
        Self::new(ErrorKind::InvalidInput, message).with_source(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_beyond_the_twentieth_are_counted_and_not_kept() {
        let mut faults = InputFaults::new();
        for index in 0..1_000 {
            faults.push(InputFault::new(
                format!("topics[{index}]"),
                "is blank",
                "name it",
            ));
        }
        assert_eq!(faults.len(), 1_000);
        assert_eq!(faults.iter().count(), 20);
        let error = Error::from(faults);
        assert!(error.message().ends_with("and 980 more"), "{error}");
        assert_eq!(InputFaults::of(&error).count(), 20);
    }

    #[test]
    fn an_error_of_another_origin_has_no_faults() {
        assert_eq!(
            InputFaults::of(&Error::new(ErrorKind::Network, "broken")).count(),
            0
        );
    }
}
