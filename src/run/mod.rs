//! One execution: its stream of records, and the data set it ends in.

mod dataset;
mod error;

use std::marker::PhantomData;
use std::panic;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use dataset::Dataset;
pub use error::RunError;

use crate::engine::RunEnd;
use crate::error::{Error, ErrorKind, Result};
use crate::outcome::Outcome;
use crate::record::{DecodedRecord, JsonRecord, Record};
use crate::report::Report;
use crate::sink::Sink;
use crate::stop_signal::StopSignal;

/// A run that is going on: a stream of records in the order of acceptance.
///
/// An `Err` in the stream is the reason why the run did not complete, and the last item; the records before it
/// are good. Dropping the run stops the calls, and so the spending. A slow consumer is waited for: no more is
/// asked of the model while records are waiting to be taken.
///
/// ```
/// use futures::StreamExt;
/// # use topicloom::{GenerateByTopicInput, Pipeline};
/// # async fn example(input: GenerateByTopicInput) -> topicloom::Result<()> {
/// let mut run = Pipeline::from_input(&input)?.run(input)?;
/// while let Some(record) = run.next().await {
///     println!("{}", record?.topic);
/// }
/// println!("{} calls", run.report().expect("the run has ended").record_calls.made);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Run<T = JsonRecord> {
    batches: mpsc::Receiver<Vec<DecodedRecord>>,
    /// What is left of the batch that was taken last.
    batch: vec::IntoIter<DecodedRecord>,
    record: PhantomData<fn() -> T>,
    state: State,
    stop: StopSignal,
}

#[derive(Debug)]
enum State {
    Running(JoinHandle<RunEnd>),
    Ended(Option<Box<Report>>),
}

impl<T: 'static> Run<T> {
    pub(crate) fn new(
        batches: mpsc::Receiver<Vec<DecodedRecord>>,
        driver: JoinHandle<RunEnd>,
        stop: StopSignal,
    ) -> Self {
        Self {
            batches,
            batch: Vec::new().into_iter(),
            record: PhantomData,
            state: State::Running(driver),
            stop,
        }
    }

    /// Returns a handle that stops the run from elsewhere, such as a signal handler.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// Returns what the run did, once the stream has ended.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &self.state {
            State::Running(_) => None,
            State::Ended(report) => report.as_deref(),
        }
    }

    /// Takes all records.
    ///
    /// # Errors
    ///
    /// Where the run does not complete. The error holds every record that was accepted, and the report.
    pub async fn collect(mut self) -> Result<Dataset<T>, RunError<T>> {
        let mut records = Vec::new();
        let mut failure = None;
        while let Some(item) = self.next().await {
            match item {
                Ok(record) => records.push(record),
                Err(error) => failure = Some(error),
            }
        }
        let dataset = Dataset {
            records,
            report: self.take_report(),
        };
        match failure {
            None => Ok(dataset),
            Some(error) => Err(RunError::new(error, dataset)),
        }
    }

    /// Writes all records into a sink as they are accepted, and finishes it once the run is complete. At any other end the sink
    /// sets aside what was made, and the error and its report say where.
    ///
    /// Where the sink cannot take a record, the run is stopped: it makes no further call, and waits for those in flight.
    ///
    /// ```
    /// use topicloom::sink::JsonlSink;
    /// # use topicloom::Run;
    /// # async fn example(run: Run) -> topicloom::Result<()> {
    /// let mut sink = JsonlSink::create("questions.jsonl")?;
    /// match run.write_to(&mut sink).await {
    ///     Ok(report) => println!("all {} records", report.accepted),
    ///     // Whatever ended the run, the records are in `questions.jsonl.partial`; only if the sink failed are the rest here.
    ///     Err(error) => println!("{error}; {} not written", error.dataset().len()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where the run does not complete, or the sink fails, which then is the error. It holds the report, and the
    /// records that the sink did not take.
    pub async fn write_to<S>(mut self, sink: &mut S) -> Result<Report, RunError<T>>
    where
        S: Sink<T> + ?Sized,
    {
        let mut untaken = Vec::new();
        let mut run_error = None;
        let mut sink_error = None;
        while let Some(item) = self.next().await {
            match item {
                Err(error) => run_error = Some(error),
                Ok(record) if sink_error.is_some() => untaken.push(record),
                Ok(record) => {
                    if let Err(error) = sink.write(&record).await {
                        self.stop.after_calls.cancel();
                        sink_error = Some(error);
                        untaken.push(record);
                    }
                }
            }
        }
        let mut report = self.take_report();
        if let Some(error) = &sink_error {
            // The run was stopped by the sink and not by the caller.
            report.outcome = Outcome::Failed;
            report.reason = Some(error.to_string());
        } else if run_error.is_none() {
            sink_error = sink.finish().await.err();
        }
        if sink_error.is_some() || run_error.is_some() {
            match sink.set_aside().await {
                Ok(place) => report.kept_in = place,
                Err(error) => {
                    sink_error.get_or_insert(error);
                }
            }
        }
        match sink_error.or(run_error) {
            None => Ok(report),
            Some(error) => {
                let records = untaken;
                Err(RunError::new(error, Dataset { records, report }))
            }
        }
    }

    fn take_report(&mut self) -> Report {
        let report = match &mut self.state {
            State::Ended(report) => report.take(),
            State::Running(_) => None,
        };
        report.map_or_else(|| Report::empty(Outcome::Failed), |report| *report)
    }
}

/// The records are read through a channel, so nothing in a run is pinned.
impl<T> Unpin for Run<T> {}

impl<T: 'static> Stream for Run<T> {
    type Item = Result<Record<T>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.batch.next() {
                return Poll::Ready(Some(Ok(record.into_typed())));
            }
            match ready!(self.batches.poll_recv(context)) {
                Some(batch) => self.batch = batch.into_iter(),
                None => break,
            }
        }
        let State::Running(driver) = &mut self.state else {
            return Poll::Ready(None);
        };
        let (report, error) = match ready!(driver.poll_unpin(context)) {
            Ok(ending) => (Some(Box::new(ending.report)), ending.error),
            // A bug of ours: what a caller's part does wrong is an error.
            Err(lost) if lost.is_panic() => panic::resume_unwind(lost.into_panic()),
            Err(_) => (
                None,
                Some(Error::new(
                    ErrorKind::Cancelled,
                    "the runtime was shut down",
                )),
            ),
        };
        self.state = State::Ended(report);
        Poll::Ready(error.map(Err))
    }
}

impl<T> Drop for Run<T> {
    fn drop(&mut self) {
        self.stop.at_once.cancel();
    }
}

/// Stops a run from elsewhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopHandle(StopSignal);

impl StopHandle {
    /// Drops the calls in flight and ends the run with what was accepted.
    pub fn stop(&self) {
        self.0.at_once.cancel();
    }

    /// Makes no further call, waits for those in flight, which are paid for, and ends the run with what was accepted.
    ///
    /// A call takes no longer than `task_runner_timeout`; a failed one is not made again. [`stop`](Self::stop) ends the
    /// waiting.
    pub fn stop_after_calls(&self) {
        self.0.after_calls.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Decoded, RecordMeta};
    use crate::sink::sink_fn;
    use crate::topic::Topic;

    /// A run that makes `made` of 10 records and ends as it is stopped, or short.
    fn run_of(made: u64) -> Run<u64> {
        let (sender, batches) = mpsc::channel(1);
        let stop = StopSignal::default();
        let stopped = stop.after_calls.clone();
        let driver = tokio::spawn(async move {
            for ordinal in 0..made {
                let meta = RecordMeta::new(ordinal, ordinal, "test/loom");
                let data = Decoded::Typed(Box::new(ordinal));
                let record = Record::new(Topic::new("graphs"), data, meta);
                if stopped.is_cancelled() || sender.send(vec![record]).await.is_err() {
                    break;
                }
            }
            let (outcome, kind) = match (made, stopped.is_cancelled()) {
                (_, true) => (Outcome::Cancelled, Some(ErrorKind::Cancelled)),
                (10, false) => (Outcome::Complete, None),
                (_, false) => (Outcome::Incomplete, Some(ErrorKind::Incomplete)),
            };
            let mut report = Report::empty(outcome);
            (report.requested, report.accepted) = (10, made);
            let error = kind.map(|kind| Error::new(kind, "it ended early"));
            RunEnd { report, error }
        });
        Run::new(batches, driver, stop)
    }

    #[derive(Default)]
    struct Books {
        taken: Vec<u64>,
        finished: u32,
        set_aside: u32,
        room: usize,
        fails_at_finish: bool,
    }

    #[async_trait::async_trait]
    impl Sink<u64> for Books {
        async fn write(&mut self, record: &Record<u64>) -> Result<()> {
            if self.taken.len() == self.room {
                return Err(Error::new(ErrorKind::Sink, "the books are full"));
            }
            self.taken.push(record.data);
            Ok(())
        }

        async fn finish(&mut self) -> Result<()> {
            self.finished += 1;
            if self.fails_at_finish {
                return Err(Error::new(ErrorKind::Sink, "the books do not close"));
            }
            Ok(())
        }

        async fn set_aside(&mut self) -> Result<Option<String>> {
            self.set_aside += 1;
            Ok(Some("the drawer".to_owned()))
        }
    }

    fn books(room: usize) -> Books {
        Books {
            room,
            ..Books::default()
        }
    }

    #[tokio::test]
    async fn a_sink_gets_all_records_and_is_finished() {
        let mut sink = books(10);
        let report = run_of(10).write_to(&mut sink).await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        assert_eq!(
            (sink.taken.len(), sink.finished, sink.set_aside),
            (10, 1, 0)
        );
    }

    #[tokio::test]
    async fn a_short_run_does_not_finish_its_sink_and_says_where_the_records_are() {
        let mut sink = books(10);
        let error = run_of(7).write_to(&mut sink).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Incomplete);
        assert_eq!(error.report().outcome, Outcome::Incomplete);
        assert!(error.dataset().is_empty(), "the sink has them all");
        let said = error.to_string();
        assert!(
            said.ends_with("7 of 10 records were made and are in the drawer"),
            "{said}"
        );
        assert_eq!(error.report().kept_in.as_deref(), Some("the drawer"));
        assert_eq!((sink.taken.len(), sink.finished, sink.set_aside), (7, 0, 1));
    }

    #[tokio::test]
    async fn a_sink_that_fails_stops_the_run_and_loses_no_record() {
        let mut sink = books(3);
        let error = run_of(10).write_to(&mut sink).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Sink);
        assert_eq!(error.report().outcome, Outcome::Failed);
        assert_eq!((sink.finished, sink.set_aside), (0, 1));
        let left = error.into_dataset().into_records();
        assert!((1..7).contains(&left.len()), "the run was stopped");
        let all = sink
            .taken
            .into_iter()
            .chain(left.iter().map(|record| record.data));
        assert!(all.eq(0..3 + left.len() as u64));
    }

    #[tokio::test]
    async fn a_sink_that_does_not_finish_says_where_the_records_are() {
        let mut sink = books(10);
        sink.fails_at_finish = true;
        let error = run_of(10).write_to(&mut sink).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Sink);
        assert_eq!(error.report().kept_in.as_deref(), Some("the drawer"));
    }

    #[tokio::test]
    async fn closures_and_vectors_are_sinks() {
        let mut sum = 0;
        let mut closure = sink_fn(|record: &Record<u64>| {
            sum += record.data;
            Ok(())
        });
        run_of(10).write_to(&mut closure).await.unwrap();
        assert_eq!(sum, 45);
        let mut vec = Vec::new();
        run_of(10).write_to(&mut vec).await.unwrap();
        assert_eq!(vec.len(), 10);
    }
}
