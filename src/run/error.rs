//! Why a run did not complete.

use std::fmt;

use super::Dataset;
use crate::error::{Error, ErrorKind};
use crate::outcome::Outcome;
use crate::record::JsonRecord;
use crate::report::Report;

/// Why a run did not complete, with everything it made until then.
///
/// ```
/// # use topicloom::GenerateByTopicInput;
/// # async fn example(input: GenerateByTopicInput) {
/// match topicloom::generate_by_topic(input).await {
///     Ok(dataset) => println!("all {} records", dataset.len()),
///     Err(error) => {
///         eprintln!("{error}");
///         for topic in &error.report().given_up.listed {
///             eprintln!("{topic}");
///         }
///         let so_far = error.into_dataset();
///         println!("{} records so far", so_far.len());
///     }
/// }
/// # }
/// ```
pub struct RunError<T = JsonRecord>(Box<(Error, Dataset<T>)>);

impl<T> RunError<T> {
    pub(crate) fn new(error: Error, dataset: Dataset<T>) -> Self {
        Self(Box::new((error, dataset)))
    }

    /// Creates the error of a run that never began.
    pub(crate) fn before_start(error: Error) -> Self {
        let mut report = Report::empty(Outcome::Failed);
        report.reason = Some(error.to_string());
        Self::new(
            error,
            Dataset {
                records: Vec::new(),
                report,
            },
        )
    }

    /// Returns why the run did not complete.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.0
    }

    /// Returns what kind of error that is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error().kind()
    }

    /// Returns the records that were accepted; of a run into a sink, those that the sink did not take.
    #[must_use]
    pub fn dataset(&self) -> &Dataset<T> {
        &self.0.1
    }

    /// Returns what the run did.
    #[must_use]
    pub fn report(&self) -> &Report {
        self.0.1.report()
    }

    /// Returns the records that were accepted, and leaves the error.
    #[must_use]
    pub fn into_dataset(self) -> Dataset<T> {
        self.0.1
    }

    /// Returns the error and the records that were accepted.
    #[must_use]
    pub fn into_parts(self) -> (Error, Dataset<T>) {
        *self.0
    }
}

impl<T> fmt::Display for RunError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (error, dataset) = &*self.0;
        write!(
            f,
            "{error}; {} of {} records were made",
            dataset.report.accepted, dataset.report.requested
        )?;
        match &dataset.report.kept_in {
            Some(place) => write!(f, " and are in {place}"),
            None => Ok(()),
        }
    }
}

/// Says what [`Display`](fmt::Display) says, and the causes: this is what a `main` that returns the error prints.
impl<T> fmt::Debug for RunError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<T> std::error::Error for RunError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_it_prints_sentences() {
        let error = Error::new(ErrorKind::Auth, "the key was refused")
            .with_source(std::io::Error::other("status 401"));
        let mut error = RunError::<JsonRecord>::before_start(error);
        error.0.1.report.requested = 5;
        error.0.1.report.kept_in = Some("data.jsonl.partial".to_owned());
        let error: Box<dyn std::error::Error> = Box::new(error);
        assert_eq!(
            format!("{error:?}"),
            "the key was refused (auth); 0 of 5 records were made and are in data.jsonl.partial\n  \
             caused by: status 401"
        );
    }
}
