//! Judges what an earlier process left in the log, ahead of its being settled.
//!
//! Judging looks at one answer alone, so it is spread over the runtime's threads; settling goes through the log in order.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, Stream};
use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinHandle};

use super::driver::panicked;
use super::judge::Judged;
use super::worker::Workshop;
use crate::error::Result;
use crate::journal::Entry;

/// Entries that are handed to a thread together, so that handing over costs nothing beside judging them.
const CHUNK: usize = 128;

/// Chunks that are judged or wait to be settled. More than there are threads on most machines, and with answers of
/// some kilobytes a few megabytes at most.
const CHUNKS_AHEAD: usize = 8;

/// An entry, and what is in it if it is an answer. The text of an answer that was judged is dropped.
pub(super) type Past<T> = (Entry, Option<Judged<T>>);

/// Returns the entries of the log in order and many at a time, judged as they would be by a worker. An error ends them.
pub(super) fn judged<'a, T>(
    past: BoxStream<'a, Result<Entry>>,
    workshop: &'a Arc<Workshop<T>>,
) -> impl Stream<Item = Vec<Result<Past<T>>>> + 'a
where
    T: DeserializeOwned + Send + 'static,
{
    past.chunks(CHUNK)
        .map(|chunk| {
            let chunk = judge_all(chunk, Arc::clone(workshop));
            let mut judging = Judging(tokio::spawn(chunk));
            async move { (&mut judging.0).await.unwrap_or_else(failed) }
        })
        .buffered(CHUNKS_AHEAD)
}

fn failed<T>(error: JoinError) -> Vec<Result<Past<T>>> {
    vec![Err(panicked(error))]
}

/// Judges entries up to the first error, which is the last of what is returned.
async fn judge_all<T>(
    entries: Vec<Result<Entry>>,
    workshop: Arc<Workshop<T>>,
) -> Vec<Result<Past<T>>>
where
    T: DeserializeOwned + 'static,
{
    let mut judged = Vec::with_capacity(entries.len());
    for entry in entries {
        let past = match entry {
            Ok(entry) => judge(entry, &workshop).await,
            Err(error) => Err(error),
        };
        let is_last = past.is_err();
        judged.push(past);
        if is_last {
            break;
        }
    }
    judged
}

async fn judge<T>(mut entry: Entry, workshop: &Workshop<T>) -> Result<Past<T>>
where
    T: DeserializeOwned + 'static,
{
    let Entry::Answered(answer) = &mut entry else {
        return Ok((entry, None));
    };
    let Some(topic) = workshop.topics.get(answer.topic) else {
        return Ok((entry, None));
    };
    let judged = workshop.judge.judge(topic.name(), &answer.response).await?;
    answer.response.text = String::new();
    Ok((entry, Some(judged)))
}

/// A chunk that is being judged; dropping it stops that, since a filter may cost money.
struct Judging<R>(JoinHandle<R>);

impl<R> Drop for Judging<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
