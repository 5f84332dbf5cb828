//! Reads the log ahead of who judges it: whether an answer was judged, and what was asked about it, is written behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream::{self, BoxStream, Stream};

use super::RunParts;
use super::worker::WorkerContext;
use crate::error::{Error, Result};
use crate::journal::{Answer, CallOf, Entry, JudgedTasks, TopicAnswer};
use crate::llm::{Attempt, Purpose, UnconfirmedCost, failures};
use crate::report::CallStats;

/// Entries that wait at most for the word on the first of them, where going without it costs time alone.
const MOST_HELD: usize = 1_024;

/// The same where something might be asked again that was asked before: some megabytes.
const MOST_HELD_UNASKED: usize = 16_384;

/// Takes from an entry what it cost, and what need not be asked again.
pub(super) fn recall(entry: &Entry, parts: &RunParts, calls: &CallStats) {
    let budget = &parts.budget;
    let replay = |purpose, model: &str, attempts: &[Attempt], usage| {
        calls.replay(purpose, model, attempts, usage, budget);
    };
    match entry {
        Entry::TopicAnswered(TopicAnswer {
            model,
            attempts,
            response,
            ..
        }) => replay(Purpose::Topics, model, attempts, Some(response.usage)),
        Entry::Answered(Answer {
            model,
            attempts,
            response,
            ..
        }) => replay(Purpose::Records, model, attempts, Some(response.usage)),
        Entry::Failed(failure) => {
            replay(Purpose::Records, &failure.model, &failure.attempts, None);
        }
        Entry::SideCalled(call) if matches!(call.of, CallOf::Filters(_)) => {
            replay(Purpose::Filters, &call.model, &call.attempts, call.usage);
        }
        Entry::SideCalled(call) => {
            if let Some(usage) = &call.usage {
                budget.book(&call.model, usage);
            }
            budget.book_failed(failures(&call.attempts).count() as u64);
            budget.book_uncertain(&UnconfirmedCost::of(&call.attempts));
        }
        Entry::Finished { uncertain, .. } => budget.book_unattributed(uncertain),
        Entry::Interrupted { unconfirmed } => budget.book_unattributed(unconfirmed),
        Entry::Filtered(filtered) => parts.verdicts.recall(filtered),
        Entry::Embedded(embedding) => {
            if let Some(embedder) = &parts.embedder {
                embedder.recall(embedding);
            }
        }
        _ => {}
    }
}

/// What is still to be read of the log.
pub(super) struct Past<'a> {
    entries: BoxStream<'a, Result<Entry>>,
    /// Entries of the log that are read.
    read: usize,
    /// Whether all of it was read before, so that what it cost and what was asked is known.
    is_known: bool,
    /// Answers in what was read before.
    answers: u64,
}

impl<'a> Past<'a> {
    /// Goes on behind this many entries.
    pub(super) fn new(
        entries: BoxStream<'a, Result<Entry>>,
        read: usize,
        is_known: bool,
        answers: u64,
    ) -> Self {
        Self {
            entries,
            read,
            is_known,
            answers,
        }
    }

    async fn next(&mut self, context: &WorkerContext) -> Result<Option<Entry>> {
        let entry = self.entries.next().await;
        match &entry {
            Some(Ok(entry)) if !self.is_known => {
                self.read += 1;
                if matches!(entry, Entry::Answered(_)) {
                    context.unsettled.fetch_add(1, Ordering::Relaxed);
                }
                recall(entry, &context.parts, &context.clients.calls);
            }
            None if !self.is_known => {
                self.is_known = true;
                context.log.book_lost_calls(&context.parts.budget).await?;
            }
            _ => {}
        }
        entry.transpose()
    }

    /// Reads to the end, and then goes on from here once more.
    async fn look_at_the_rest(&mut self, context: &'a WorkerContext) -> Result<()> {
        let here = self.read;
        while self.next(context).await?.is_some() {}
        let again = context.log.past_again(self.read).await?;
        self.entries = again.skip(here).boxed();
        Ok(())
    }
}

/// An entry that is ready to be judged.
pub(super) struct Unjudged {
    pub(super) entry: Entry,
    /// Whether the answer in it was judged by the same rules, and found clean.
    pub(super) is_clean: Option<bool>,
}

/// The entries between the log and who judges them.
pub(super) struct LookAhead<'a> {
    past: Past<'a>,
    context: &'a Arc<WorkerContext>,
    held: VecDeque<Unjudged>,
    /// Whether anybody was asked about answers whose words are in the log too.
    asks: bool,
    has_ended: bool,
    /// What ended it, if not the end.
    error: Option<Error>,
}

impl<'a> LookAhead<'a> {
    pub(super) fn new(past: Past<'a>, context: &'a Arc<WorkerContext>) -> Self {
        context.unsettled.fetch_add(past.answers, Ordering::Relaxed);
        Self {
            past,
            context,
            held: VecDeque::new(),
            asks: context.judge.keeps_words(),
            has_ended: false,
            error: None,
        }
    }

    /// Returns what came of tasks, in order and this many at a time. An error is the last.
    pub(super) fn outcomes(self, at_once: usize) -> impl Stream<Item = Result<Vec<Unjudged>>> + 'a {
        stream::unfold(self, move |mut ahead| async move {
            let next = ahead.next(at_once).await?;
            Some((next, ahead))
        })
    }

    async fn next(&mut self, at_once: usize) -> Option<Result<Vec<Unjudged>>> {
        let mut next = Vec::with_capacity(at_once);
        while next.len() < at_once {
            if self.is_first_ready() {
                let Some(first) = self.held.pop_front() else {
                    break;
                };
                next.push(first);
            } else if let Err(error) = self.read().await {
                self.error = Some(error);
                self.has_ended = true;
            }
        }
        let any = (!next.is_empty()).then_some(Ok(next));
        any.or_else(|| self.error.take().map(Err))
    }

    /// Whether nothing is to be waited for before the first entry is judged.
    fn is_first_ready(&self) -> bool {
        let is_late = self.held.len() >= MOST_HELD && !self.waits_for_words();
        self.has_ended
            || self.held.front().is_some_and(|first| {
                is_late || first.is_clean.is_some() || !matches!(first.entry, Entry::Answered(_))
            })
    }

    fn waits_for_words(&self) -> bool {
        self.asks && !self.past.is_known
    }

    async fn read(&mut self) -> Result<()> {
        if self.waits_for_words() && self.held.len() >= MOST_HELD_UNASKED {
            return self.past.look_at_the_rest(self.context).await;
        }
        match self.past.next(self.context).await? {
            None => self.has_ended = true,
            Some(Entry::Judged(judged)) => self.tell(&judged),
            Some(
                Entry::SideCalled(_)
                | Entry::Embedded(_)
                | Entry::Filtered(_)
                | Entry::Called(_)
                | Entry::Finished { .. }
                | Entry::Interrupted { .. },
            ) => {}
            Some(entry) => self.held.push_back(Unjudged {
                entry,
                is_clean: None,
            }),
        }
        Ok(())
    }

    fn tell(&mut self, judged: &JudgedTasks) {
        if judged.by != self.context.judge.notes.by {
            return;
        }
        for held in &mut self.held {
            if let Entry::Answered(answer) = &held.entry
                && held.is_clean.is_none()
            {
                held.is_clean = judged.is_clean(answer.task);
            }
        }
    }
}
