//! What a journal promises.

use std::pin::pin;

use futures::future::{self, join_all, poll_immediate};
use futures::{Stream, StreamExt, TryStreamExt};
use serde_json::json;

use crate::error::{ErrorKind, Result};
use crate::journal::{
    Answer, CallFailure, CallNote, CallOf, Entry, Header, Journal, PromptChoice, TopicAnswer,
};
use crate::llm::price::Usd;
use crate::llm::{Attempt, ChatResponse, FinishReason, OutputMode, UnconfirmedCost, Usage};
use crate::outcome::Outcome;
use crate::plan::{PlanRequest, allocate};
use crate::schema::Dialect;

/// Appends at the same time: as many as a run with many calls in flight makes.
const CONCURRENT: u64 = 64;

/// Checks the promises of a [`Journal`].
///
/// `open` opens the same journal each time, which is empty at first; the one opened before is dropped by then.
///
/// ```
/// use topicloom::journal::FileJournal;
/// use topicloom::testing::conformance;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("run.journal");
/// conformance::journal(async || FileJournal::open(&path)).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If a promise is broken; the message says which.
pub async fn journal<J: Journal>(open: impl AsyncFn() -> Result<J>) {
    let mut entries = Vec::new();

    let first = reopened(&open, &entries).await;
    for entry in one_of_each() {
        append(&first, entry, &mut entries).await;
    }
    append_at_once(&first, &mut entries).await;
    close(&first).await;
    drop(first);

    // Closed, resumed, and then the process dies.
    let second = reopened(&open, &entries).await;
    append_at_once(&second, &mut entries).await;
    if let Err(error) = second.note(a_note()).await {
        panic!("a call cannot be noted: {error}");
    }
    append(&second, answer(1, "after the crowd"), &mut entries).await;
    drop(second);

    let third = reopened(&open, &entries).await;
    give_up_an_append(&third, &mut entries).await;
    close(&third).await;
    drop(third);

    // Replayed: read, and nothing appended.
    let fourth = reopened(&open, &entries).await;
    close(&fourth).await;
    drop(fourth);

    let fifth = reopened(&open, &entries).await;
    append_while_reading_again(&fifth, &mut entries).await;
    close(&fifth).await;
    drop(fifth);
    reopened(&open, &entries).await;
}

/// A run that goes on with another input reads its journal twice, and appends before it looks at the second stream.
async fn append_while_reading_again<J: Journal>(journal: &J, entries: &mut Vec<Entry>) {
    let before = entries.len();
    let again = match journal.read().await {
        Ok(again) => again,
        Err(error) => panic!("the journal cannot be read a second time: {error}"),
    };
    append(journal, answer(3, "while it is read again"), entries).await;
    let mut again = pin!(without_notes(again).take(before).enumerate());
    let mut found = 0;
    while let Some((number, entry)) = again.next().await {
        match entry {
            Ok(entry) => assert!(
                entry == entries[number],
                "read a second time, entry {number} is not what was appended:\n{entry:?}\n{:?}",
                entries[number]
            ),
            Err(error) => panic!("the journal cannot be read a second time: {error}"),
        }
        found += 1;
    }
    assert!(
        found == before,
        "read a second time, {found} entries are there, and {before} were before"
    );
}

/// A note that a call is about to be sent, which may be kept and is no entry with a number.
fn a_note() -> CallNote {
    let most = UnconfirmedCost::new(1, 600, Usd::from_nano(1));
    CallNote::new(CallOf::Task(u64::MAX), most)
}

fn without_notes<'a>(
    entries: impl Stream<Item = Result<Entry>> + 'a,
) -> impl Stream<Item = Result<Entry>> + 'a {
    entries.filter(|entry| {
        let is_note = matches!(entry, Ok(Entry::Called(note)) if *note == a_note());
        future::ready(!is_note)
    })
}

/// Opens the journal and finds the entries in it.
async fn reopened<J: Journal>(open: &impl AsyncFn() -> Result<J>, entries: &[Entry]) -> J {
    let journal = match open().await {
        Ok(journal) => journal,
        Err(error) => panic!("the journal cannot be opened: {error}"),
    };
    let found = match journal.read().await {
        Ok(found) => without_notes(found).try_collect::<Vec<_>>().await,
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => panic!("the journal cannot be read: {error}"),
    };
    assert!(
        found.len() == entries.len(),
        "{} entries were appended, and {} are there",
        entries.len(),
        found.len()
    );
    for (number, (found, entry)) in found.iter().zip(entries).enumerate() {
        assert!(
            found == entry,
            "entry {number} is not what was appended:\n{found:?}\n{entry:?}"
        );
    }
    journal
}

async fn append(journal: &impl Journal, entry: Entry, entries: &mut Vec<Entry>) {
    match journal.append(entry.clone()).await {
        Ok(number) => {
            let due = entries.len() as u64;
            assert!(
                number == due,
                "an entry got number {number}, and {due} was due"
            );
        }
        Err(error) => panic!("a plain entry was not appended: {error}"),
    }
    entries.push(entry);
}

async fn append_at_once(journal: &impl Journal, entries: &mut Vec<Entry>) {
    let crowd: Vec<Entry> = (0..CONCURRENT)
        .map(|task| answer(task, &format!("one of a crowd, no. {task}")))
        .collect();
    let numbers = join_all(crowd.iter().map(|entry| journal.append(entry.clone()))).await;
    let mut numbered: Vec<_> = numbers
        .into_iter()
        .zip(crowd)
        .map(|(number, entry)| match number {
            Ok(number) => (number, entry),
            Err(error) => panic!("one of {CONCURRENT} entries was not appended: {error}"),
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    for (number, entry) in numbered {
        let due = entries.len() as u64;
        assert!(
            number == due,
            "of {CONCURRENT} appends at once, one got number {number}, and {due} was due"
        );
        entries.push(entry);
    }
}

/// A run that is stopped drops the appends it waits for. They may have happened or not, but the numbers go on.
async fn give_up_an_append(journal: &impl Journal, entries: &mut Vec<Entry>) {
    let dropped = answer(1, "nobody waits for this");
    {
        let mut append = pin!(journal.append(dropped.clone()));
        let _ = poll_immediate(append.as_mut()).await;
    }
    let next = answer(2, "after one that was given up");
    match journal.append(next.clone()).await {
        Ok(number) if number == entries.len() as u64 => {}
        Ok(number) if number == entries.len() as u64 + 1 => entries.push(dropped),
        Ok(number) => panic!("after an append was dropped, the next one got number {number}"),
        Err(error) => panic!("after an append was dropped, the next one failed: {error}"),
    }
    entries.push(next);
}

async fn close(journal: &impl Journal) {
    if let Err(error) = journal.close().await {
        panic!("the journal cannot be closed: {error}");
    }
}

fn answer(task: u64, text: &str) -> Entry {
    Entry::Answered(Answer {
        task,
        topic: 1,
        wanted: 1,
        round: 0,
        model: "test/loom".into(),
        response: ChatResponse::new(text).with_usage(Usage::new(612, 95)),
        prompt: PromptChoice::default(),
        attempts: vec![Attempt::new(None)],
    })
}

/// Every kind of entry, with what is awkward to store.
fn one_of_each() -> Vec<Entry> {
    let input = json!({"num_records": 3, "topics": ["a \"b\"", {"ç\u{0}": 1}], "x": [null, -1, 0.5, u64::MAX]});
    let topics = ["trees", "\u{0}\n🧵"].map(Into::into);
    let mut request = PlanRequest::new(Some(3), 1);
    request.topics = Some(&topics);
    let plan = allocate(&request)
        .expect("two topics share three records")
        .complete(Vec::new())
        .expect("the plan is a plain one");
    let usage = Usage {
        input_tokens: u64::MAX,
        output_tokens: 1,
        cached_input_tokens: 3,
        cache_write_tokens: 0,
        reasoning_tokens: u64::MAX,
    };
    let uncertain = UnconfirmedCost::new(2, u64::MAX, Usd::from_nano(98_765_432_123_456));
    let failed = |kind| Attempt::new(Some(kind));
    let mut last = Attempt::new(None).with_unconfirmed(uncertain);
    (last.sent_at, last.took) = (Some(u64::MAX), Some(0));
    let attempts = vec![
        failed(ErrorKind::RateLimited),
        failed(ErrorKind::Timeout).with_unconfirmed(uncertain),
        last,
    ];
    let text = format!("{{\"a\": \"\\\"\"}}\u{0}\r\n🧵 {}", "long ".repeat(1 << 18));
    let response = ChatResponse {
        asked: Some((OutputMode::Strict, Dialect::OpenAiStrict)),
        ..ChatResponse::new(text)
            .with_usage(usage)
            .with_finish_reason(FinishReason::Length)
            .with_provider_model("loom-2")
    };
    vec![
        Entry::Started(Header::new(u64::MAX, input, u128::MAX)),
        Entry::TopicAnswered(TopicAnswer {
            seed: u64::MAX,
            model: "test/loom".into(),
            response: response.clone(),
            attempts: attempts.clone(),
        }),
        Entry::Planned(plan),
        answer(0, ""),
        Entry::Answered(Answer {
            task: u64::MAX,
            topic: usize::MAX,
            wanted: u64::MAX,
            round: u32::MAX,
            model: String::new(),
            prompt: PromptChoice::new([0, u64::MAX], Some("as a \"sailor\"\n"), Some(1)),
            response,
            attempts: attempts.clone(),
        }),
        Entry::Failed(CallFailure {
            task: 2,
            topic: 0,
            wanted: 7,
            round: 3,
            model: "test/loom".into(),
            kind: ErrorKind::Overloaded,
            message: "the \"model\"\nis busy".into(),
            attempts,
        }),
        Entry::Interrupted {
            unconfirmed: uncertain,
        },
        Entry::Finished {
            outcome: Outcome::Incomplete,
            uncertain,
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use futures::stream::{self, BoxStream};

    use super::*;
    use crate::journal::{Durability, FileJournal, MemoryJournal};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn our_own_journals_keep_their_promises() {
        let memory = MemoryJournal::default();
        journal(async || Ok(memory.clone())).await;

        let directory = tempfile::tempdir().unwrap();
        let soon = Durability::Within(std::time::Duration::from_millis(1));
        for (name, durability) in [
            ("synced", Durability::Synced),
            ("within", soon),
            ("system", Durability::System),
        ] {
            let path = directory.path().join(name);
            journal(async || Ok(FileJournal::open(&path)?.with_durability(durability))).await;
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Break {
        Nothing,
        StartsAtOne,
        RepeatsNumbers,
        NumbersInAnotherOrder,
        LosesTheLast,
        LosesWhatWasNotClosed,
        LosesTheUsage,
        StartsAnew,
        ReadsOnce,
        ReadsTheNewestFirst,
    }

    #[derive(Debug)]
    struct Broken {
        how: Break,
        was_read: AtomicBool,
        memory: MemoryJournal,
        open: MemoryJournal,
    }

    #[async_trait]
    impl Journal for Broken {
        async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
            let is_again = self.was_read.swap(true, Ordering::Relaxed);
            if is_again && self.how == Break::ReadsTheNewestFirst {
                let newest_first = stream::once(async {
                    let mut entries = self.open.entries();
                    entries.reverse();
                    stream::iter(entries).map(Ok)
                });
                return Ok(newest_first.flatten().boxed());
            }
            let mut entries = self.open.entries();
            match self.how {
                Break::ReadsOnce if is_again => entries.clear(),
                Break::LosesTheLast => drop(entries.pop()),
                Break::StartsAnew if !entries.is_empty() => entries.truncate(1),
                _ => {}
            }
            Ok(stream::iter(entries).map(Ok).boxed())
        }

        async fn append(&self, mut entry: Entry) -> Result<u64> {
            // Others get their turn in between.
            tokio::task::yield_now().await;
            if let (Break::LosesTheUsage, Entry::Answered(answer)) = (self.how, &mut entry) {
                answer.response.usage.reasoning_tokens = 0;
            }
            if self.how != Break::LosesWhatWasNotClosed {
                self.memory.append(entry.clone()).await?;
            }
            let number = self.open.append(entry).await?;
            Ok(match self.how {
                Break::StartsAtOne => number + 1,
                Break::RepeatsNumbers => number & !1,
                Break::NumbersInAnotherOrder if (8..64).contains(&number) => number ^ 1,
                _ => number,
            })
        }

        async fn close(&self) -> Result<()> {
            for entry in self.open.entries().split_off(self.memory.entries().len()) {
                self.memory.append(entry).await?;
            }
            Ok(())
        }
    }

    async fn check(how: Break) {
        let memory = MemoryJournal::default();
        journal(async || {
            Ok(Broken {
                how,
                was_read: AtomicBool::new(false),
                memory: memory.clone(),
                open: MemoryJournal::with_entries(memory.entries()),
            })
        })
        .await;
    }

    #[tokio::test]
    async fn the_broken_journal_is_whole_where_it_is_not_broken() {
        check(Break::Nothing).await;
    }

    #[tokio::test]
    #[should_panic(expected = "got number 1, and 0 was due")]
    async fn a_journal_that_starts_at_one_fails() {
        check(Break::StartsAtOne).await;
    }

    #[tokio::test]
    #[should_panic(expected = "got number 0, and 1 was due")]
    async fn a_journal_that_repeats_numbers_fails() {
        check(Break::RepeatsNumbers).await;
    }

    #[tokio::test]
    #[should_panic(expected = "is not what was appended")]
    async fn a_journal_that_numbers_in_another_order_than_it_reads_fails() {
        check(Break::NumbersInAnotherOrder).await;
    }

    #[tokio::test]
    #[should_panic(expected = "are there")]
    async fn a_journal_that_loses_the_last_entry_fails() {
        check(Break::LosesTheLast).await;
    }

    #[tokio::test]
    #[should_panic(expected = "are there")]
    async fn a_journal_that_loses_what_was_not_closed_fails() {
        check(Break::LosesWhatWasNotClosed).await;
    }

    #[tokio::test]
    #[should_panic(expected = "entry 4 is not what was appended")]
    async fn a_journal_that_loses_a_number_fails() {
        check(Break::LosesTheUsage).await;
    }

    #[tokio::test]
    #[should_panic(expected = "and 1 are there")]
    async fn a_journal_that_starts_anew_fails() {
        check(Break::StartsAnew).await;
    }

    #[tokio::test]
    #[should_panic(expected = "read a second time, 0 entries are there")]
    async fn a_journal_that_can_be_read_once_only_fails() {
        check(Break::ReadsOnce).await;
    }

    #[tokio::test]
    #[should_panic(expected = "read a second time, entry 0 is not what was appended")]
    async fn a_journal_whose_second_stream_begins_with_what_was_appended_since_fails() {
        check(Break::ReadsTheNewestFirst).await;
    }
}
