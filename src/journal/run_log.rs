//! Gives each entry its place in the order of settling, durably where there is a journal.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{CallNote, Entry, Journal, LostCalls};
use crate::error::{Error, ErrorKind, Result};
use crate::llm::layers::Budget;
use crate::llm::{TaskRef, UnconfirmedCost};
use crate::outcome::Outcome;
use crate::stop_signal::StopSignal;

/// A place in a line: who has it waits for the one before, and lets the next one go.
pub(crate) struct Turn {
    before: oneshot::Receiver<()>,
    /// Dropped when the turn is over.
    _done: oneshot::Sender<()>,
}

/// The end of a line, where the next place is.
pub(crate) struct Line(oneshot::Receiver<()>);

impl Turn {
    /// Waits for the one before; an error says that it was stopped.
    pub(crate) async fn comes(&mut self) {
        if !self.before.is_terminated() {
            (&mut self.before).await.ok();
        }
    }
}

impl Line {
    pub(crate) fn new() -> Self {
        // Who stands first waits for nobody.
        Self(oneshot::channel().1)
    }

    pub(crate) fn stand(&mut self) -> Turn {
        let (done, next) = oneshot::channel();
        let before = std::mem::replace(&mut self.0, next);
        Turn {
            before,
            _done: done,
        }
    }
}

/// The journal of a run, or mere numbers where it has none.
pub(crate) struct Log {
    journal: Option<Arc<dyn Journal>>,
    next: AtomicU64,
    appended: AtomicBool,
    /// The numbers of entries that settle nothing.
    asides: Mutex<BTreeSet<u64>>,
    /// Whether the last entry of an earlier process that was read is an end.
    ended: AtomicBool,
    /// Calls of earlier processes of which nothing but a note is known.
    lost: Mutex<LostCalls>,
    stop: StopSignal,
    /// Whether the run ended without an answer of the journal, which is waited for once.
    is_silent: AtomicBool,
    /// When it is looked again whether the journal is still there.
    next_look: Mutex<Instant>,
}

/// Time between two looks whether the journal is still there: what is lost meanwhile is little, and looking costs a call to the
/// system.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl Log {
    pub(crate) fn new(journal: Option<Arc<dyn Journal>>, stop: StopSignal) -> Self {
        Self {
            journal,
            next: AtomicU64::new(0),
            appended: AtomicBool::new(false),
            asides: Mutex::default(),
            ended: AtomicBool::new(true),
            lost: Mutex::default(),
            stop,
            is_silent: AtomicBool::new(false),
            next_look: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the journal, but not much longer than the run goes on.
    async fn answered<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let silence = async {
            if !self.is_silent.load(Ordering::Relaxed) {
                self.stop.is_due_for_the_journal().await;
                self.is_silent.store(true, Ordering::Relaxed);
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = silence => Err(Error::new(
                ErrorKind::Journal,
                "the journal did not answer before the run was to end; what it had not confirmed may be lost",
            )),
        }
    }

    /// Returns what an earlier process appended.
    pub(crate) async fn past(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        let mut read = 0;
        match &self.journal {
            Some(journal) => Ok(self
                .answered(journal.read())
                .await?
                .inspect(move |entry| {
                    if let Ok(entry) = entry {
                        self.lost().take(entry);
                    }
                    if !matches!(entry, Ok(Entry::Called(_))) {
                        read += 1;
                        // More than that, where judging has appended something meanwhile.
                        self.next.fetch_max(read, Ordering::Relaxed);
                    }
                    let is_end = matches!(entry, Ok(Entry::Finished { .. }));
                    self.ended.store(is_end, Ordering::Relaxed);
                })
                .fuse()
                .boxed()),
            None => Ok(futures::stream::empty().boxed()),
        }
    }

    /// Returns the first this many entries once more, whatever is appended meanwhile.
    pub(crate) async fn past_again(&self, entries: usize) -> Result<BoxStream<'_, Result<Entry>>> {
        match &self.journal {
            Some(journal) => Ok(self
                .answered(journal.read())
                .await?
                .take(entries)
                .fuse()
                .boxed()),
            None => Ok(futures::stream::empty().boxed()),
        }
    }

    /// Returns whether an earlier process ended without saying so, once all it appended is read.
    fn was_cut_short(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// Books the calls that the process before this one had in flight when it was killed, once all it appended is read.
    pub(crate) async fn book_lost_calls(&self, budget: &Budget) -> Result<()> {
        let most = self.lost().most();
        if most.is_none() {
            return Ok(());
        }
        let interrupted = Entry::Interrupted { unconfirmed: most };
        self.lost().take(&interrupted);
        budget.book_unattributed(&most);
        self.append_aside(|| interrupted).await
    }

    /// Notes that a call is about to be sent.
    pub(crate) async fn note(&self, call: impl FnOnce() -> CallNote) -> Result<()> {
        match &self.journal {
            Some(journal) => self.answered(journal.note(call())).await,
            None => Ok(()),
        }
    }

    /// Returns whether what an earlier process had in flight when it was killed is in no account.
    pub(crate) fn lost_without_notes(&self) -> bool {
        self.was_cut_short() && !self.lost().has_notes()
    }

    /// Returns what calls may have cost that were in flight when earlier processes were killed.
    pub(crate) fn killed_calls(&self) -> UnconfirmedCost {
        self.lost().killed()
    }

    fn lost(&self) -> MutexGuard<'_, LostCalls> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tasks of an earlier process whose calls go on.
    pub(crate) async fn outstanding(&self) -> Result<Vec<TaskRef>> {
        match &self.journal {
            Some(journal) => self.answered(journal.outstanding()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns the number that the next entry gets, while nobody else appends.
    pub(crate) fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Appends an entry and returns its number, once it is as durable as the journal promises.
    pub(crate) async fn append(&self, entry: impl FnOnce() -> Entry) -> Result<u64> {
        let Some(journal) = &self.journal else {
            return Ok(self.next.fetch_add(1, Ordering::Relaxed));
        };
        let number = self.answered(journal.append(entry())).await?;
        self.appended.store(true, Ordering::Relaxed);
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        Ok(number)
    }

    /// Appends an entry that settles nothing, where there is a journal: nobody waits for its number.
    pub(crate) async fn append_aside(&self, entry: impl FnOnce() -> Entry) -> Result<()> {
        if self.journal.is_some() {
            let number = self.append(entry).await?;
            self.asides().insert(number);
        }
        Ok(())
    }

    /// Returns the first number from this one on that is not of an aside.
    pub(crate) fn behind_asides(&self, mut number: u64) -> u64 {
        let mut asides = self.asides();
        while asides.remove(&number) {
            number += 1;
        }
        number
    }

    fn asides(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.asides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an entry behind those whose turn is before, where there is a turn.
    pub(crate) async fn append_in_turn(
        &self,
        turn: Option<Turn>,
        entry: impl FnOnce() -> Entry,
    ) -> Result<u64> {
        let Some(mut turn) = turn else {
            return self.append(entry).await;
        };
        turn.comes().await;
        let mut append = pin!(self.append(entry));
        // Entries are taken in the order in which a journal is first asked, and made durable together.
        let appended = futures::poll!(append.as_mut());
        drop(turn);
        match appended {
            std::task::Poll::Ready(number) => number,
            std::task::Poll::Pending => append.await,
        }
    }

    /// Returns whether the journal's entries can no longer be found.
    pub(crate) fn is_lost(&self) -> bool {
        self.journal
            .as_ref()
            .is_some_and(|journal| journal.is_lost())
    }

    /// The same, if it is time to look.
    pub(crate) fn is_found_lost(&self) -> bool {
        let now = Instant::now();
        let mut next = self
            .next_look
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if now < *next {
            return false;
        }
        *next = now + BETWEEN_LOOKS;
        drop(next);
        self.is_lost()
    }

    /// Writes how the run ended and what no other entry tells of, unless there is nothing new since it last ended; and
    /// closes the journal. `last` goes before the end.
    pub(crate) async fn finish(
        &self,
        last: Option<Entry>,
        outcome: Outcome,
        uncertain: UnconfirmedCost,
    ) -> Result<()> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let is_new =
            self.appended.load(Ordering::Relaxed) || !uncertain.is_none() || last.is_some();
        let end = is_new.then_some(Entry::Finished { outcome, uncertain });
        let finish = async {
            // Both are on their way before either is waited for, so that they share a write.
            let entries = last.into_iter().chain(end);
            let written = try_join_all(entries.map(|entry| journal.append(entry))).await;
            let written = written.map(drop);
            // What holds the journal is let go however the run ended.
            let closed = journal.close().await;
            written.and(closed)
        };
        self.answered(finish).await
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// A journal that takes this many entries, and one run at a time.
    #[derive(Debug)]
    struct Small {
        room: AtomicU64,
        is_open: AtomicBool,
    }

    #[async_trait]
    impl Journal for Small {
        async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
            Ok(futures::stream::empty().boxed())
        }

        async fn append(&self, _: Entry) -> Result<u64> {
            let room = self.room.load(Ordering::Relaxed);
            let left = room
                .checked_sub(1)
                .ok_or_else(|| Error::new(ErrorKind::Journal, "the disk is full"))?;
            self.room.store(left, Ordering::Relaxed);
            Ok(left)
        }

        async fn close(&self) -> Result<()> {
            self.is_open.store(false, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_journal_is_closed_although_the_end_could_not_be_written() {
        let outcome = Outcome::Complete;
        for room in [1, 2] {
            let journal = Arc::new(Small {
                room: room.into(),
                is_open: true.into(),
            });
            let log = Log::new(
                Some(Arc::<Small>::clone(&journal) as _),
                StopSignal::default(),
            );
            let uncertain = UnconfirmedCost::default();
            log.append(|| Entry::Finished { outcome, uncertain })
                .await
                .expect("there is room for one");
            let finished = log.finish(None, outcome, uncertain).await;
            assert_eq!(finished.is_ok(), room == 2);
            assert!(!journal.is_open.load(Ordering::Relaxed));
        }
    }
}
