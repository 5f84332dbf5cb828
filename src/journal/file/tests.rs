//! Crashes, damage and failing disks.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::json;

use super::codec::{Decoder, Encoder};
use super::frame::{MAGIC, put_number};
use super::open::continue_at_end;
use super::storage::Storage;
use super::*;
use crate::error::{Error, ErrorKind};
use crate::journal::{Answer, CallNote, CallOf, Header, PromptChoice};
use crate::llm::price::Usd;
use crate::llm::{Attempt, ChatResponse, FinishReason, UnconfirmedCost, Usage};
use crate::outcome::Outcome;

/// A disk in memory that can be full or broken.
#[derive(Clone, Default)]
struct FakeDisk(Arc<Mutex<FakeDiskState>>);

#[derive(Default)]
struct FakeDiskState {
    bytes: Vec<u8>,
    room: Option<usize>,
    fails_to_sync: bool,
    syncs: u32,
    /// Tells that a sync began, and waits for leave to end it.
    gate: Option<(Sender<()>, Receiver<()>)>,
}

impl Storage for FakeDisk {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let state = self.0.lock().unwrap();
        let there = &state.bytes[usize::try_from(offset).unwrap()..];
        // Less than asked for, as a file may give.
        let count = there.len().min(bytes.len()).min(1 + bytes.len() / 2);
        bytes[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        assert_eq!(state.bytes.len() as u64, offset, "only the end is written");
        let room = state.room.unwrap_or(usize::MAX) - state.bytes.len();
        state
            .bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.0.lock().unwrap().bytes.truncate(length);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let gate = {
            let mut state = self.0.lock().unwrap();
            if state.fails_to_sync {
                return Err(io::Error::other("the disk is gone"));
            }
            state.syncs += 1;
            state.gate.take()
        };
        if let Some((began, leave)) = gate {
            began.send(()).unwrap();
            leave.recv().unwrap();
        }
        Ok(())
    }
}

impl FakeDisk {
    fn of(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().bytes = bytes.to_vec();
        disk
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    fn open(&self) -> Result<Arc<Committer>> {
        let length = self.0.lock().unwrap().bytes.len() as u64;
        let disk = Box::new(self.clone());
        continue_at_end(Path::new("a"), Durability::Synced, disk, length).map(Arc::new)
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        all(&*self.open()?)
    }
}

fn all(committer: &Committer) -> Result<Vec<Entry>> {
    let mut entries = committer.entries();
    std::iter::from_fn(|| committer.read(&mut entries)).collect()
}

fn answer(task: u64) -> Entry {
    let usage = Usage {
        reasoning_tokens: task % 2,
        ..Usage::new(100, 200 + task)
    };
    Entry::Answered(Answer {
        task,
        topic: 0,
        wanted: 1,
        round: 0,
        model: format!("test/{}", task % 3),
        response: ChatResponse::new(format!("answer {task}")).with_usage(usage),
        prompt: PromptChoice::default(),
        attempts: Vec::new(),
    })
}

fn entries(answers: u64) -> Vec<Entry> {
    let started = Entry::Started(Header::new(7, json!({"num_records": 3}), 42));
    let outcome = Outcome::Complete;
    std::iter::once(started)
        .chain((0..answers).map(answer))
        .chain([Entry::Finished {
            outcome,
            uncertain: UnconfirmedCost::default(),
        }])
        .collect()
}

/// A journal of some entries, each in a write of its own. Without a runtime, an append is over at once.
fn journal_of(entries: &[Entry], closed: bool) -> Vec<u8> {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    for entry in entries {
        committer
            .append(entry.clone())
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    if closed {
        committer.close().now_or_never().unwrap().unwrap();
    }
    disk.bytes()
}

fn names_a_byte(error: &Error) -> bool {
    error.kind() == ErrorKind::Journal && error.context().any(|(name, _)| name == "byte")
}

#[test]
fn a_flipped_byte_is_an_error_that_names_the_place_or_costs_the_last_write() {
    let entries = entries(6);
    for closed in [false, true] {
        let bytes = journal_of(&entries, closed);
        let end = bytes.len();
        let last_write = end - journal_of(&entries[entries.len() - 1..], false).len() + MAGIC.len();
        for place in 0..end {
            for flip in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[place] ^= flip;
                match FakeDisk::of(&bytes).entries() {
                    Err(error) => assert!(names_a_byte(&error), "{place}: {error}"),
                    Ok(found) if closed => {
                        assert_eq!(found, entries, "{place}");
                        assert!(place > last_write, "only the mark of the end may be lost");
                    }
                    Ok(found) => {
                        assert_eq!(found, entries[..entries.len() - 1], "{place}");
                        assert!(place >= last_write);
                    }
                }
            }
        }
    }
}

#[test]
fn a_journal_cut_off_anywhere_goes_on_with_what_is_whole() {
    let entries = entries(4);
    let bytes = journal_of(&entries, true);
    let mut whole = Vec::new();
    for end in 0..=bytes.len() {
        let disk = FakeDisk::of(&bytes[..end]);
        let found = disk.entries().unwrap();
        assert_eq!(found, entries[..found.len()]);
        whole.push(found.len());

        let committer = disk.open().unwrap();
        let number = committer.append(answer(9)).now_or_never().unwrap().unwrap();
        assert_eq!(number, found.len() as u64);
        drop(committer);
        let mut expected = found;
        expected.push(answer(9));
        assert_eq!(disk.entries().unwrap(), expected, "cut off at {end}");
    }
    assert!(whole.is_sorted());
    assert_eq!(whole.last(), Some(&entries.len()));
}

#[test]
fn a_hole_in_the_last_write_is_a_crash_and_in_an_earlier_one_damage() {
    let disk = FakeDisk::of(&journal_of(&entries(1), false));
    let whole = disk.bytes().len();
    let committer = disk.open().unwrap();
    let found = all(&committer).unwrap();
    drop(committer);
    let mut encoder = Encoder::new(Decoder::default(), whole as u64);
    let mut group = Vec::new();
    encoder.encode(answer(10), &mut group).unwrap();
    let first = group.len();
    encoder.encode(answer(13), &mut group).unwrap();
    let mut bytes = disk.bytes();
    bytes.extend_from_slice(&group);
    // The sector with the first of the two did not reach the disk, the one with the second did.
    bytes[whole..whole + first].fill(0);

    let crashed = FakeDisk::of(&bytes);
    assert_eq!(crashed.entries().unwrap(), found);
    assert_eq!(crashed.bytes().len(), whole, "the torn write is cut off");

    let mut next = Vec::new();
    encoder.encode(answer(16), &mut next).unwrap();
    bytes.extend_from_slice(&next);
    let error = FakeDisk::of(&bytes).entries().unwrap_err();
    let place = error.context().find(|(name, _)| *name == "byte").unwrap().1;
    assert_eq!(place, whole.to_string());
}

#[test]
fn what_is_no_journal_is_left_alone() {
    for bytes in [&b"{\"a\": 1}\n"[..], b"topicloom journal 2\n", &[0; 100]] {
        let disk = FakeDisk::of(bytes);
        assert_eq!(disk.entries().unwrap_err().kind(), ErrorKind::Journal);
        assert_eq!(disk.bytes(), bytes);
    }
}

#[test]
fn a_full_disk_keeps_what_was_appended_and_nothing_of_what_was_not() {
    let all = entries(6);
    let size = journal_of(&all, true).len();
    for room in MAGIC.len()..size {
        let disk = FakeDisk::default();
        let committer = disk.open().unwrap();
        disk.0.lock().unwrap().room = Some(room);
        let appended = all
            .iter()
            .take_while(|entry| {
                committer
                    .append((*entry).clone())
                    .now_or_never()
                    .unwrap()
                    .is_ok()
            })
            .count();
        let error = committer.append(answer(1)).now_or_never().unwrap();
        let closed = committer.close().now_or_never().unwrap();
        if appended < all.len() {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Journal);
            assert!(error.to_string().contains("no storage space"), "{error}");
            assert!(closed.is_err());
            assert_eq!(disk.entries().unwrap(), all[..appended], "{room}");
        }
    }
}

#[test]
fn what_could_not_be_synced_does_not_show_up_later() {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    committer.append(answer(0)).now_or_never().unwrap().unwrap();
    disk.0.lock().unwrap().fails_to_sync = true;
    committer
        .append(answer(1))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    disk.0.lock().unwrap().fails_to_sync = false;
    committer
        .append(answer(2))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(disk.entries().unwrap(), [answer(0)]);
}

#[tokio::test]
async fn appends_that_arrive_during_a_sync_share_the_next() {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    let (began, has_begun) = channel();
    let (let_go, leave) = channel();
    let before = {
        let mut state = disk.0.lock().unwrap();
        state.gate = Some((began, leave));
        state.syncs
    };
    let mut appends: Vec<_> = (0..64)
        .map(|task| committer.append(answer(task)).boxed())
        .collect();
    assert!((&mut appends[0]).now_or_never().is_none());
    has_begun.recv().unwrap();
    for append in &mut appends[1..] {
        assert!(append.now_or_never().is_none());
    }
    let_go.send(()).unwrap();
    let numbers: Result<Vec<u64>> = join_all(appends).await.into_iter().collect();
    assert!(numbers.unwrap().into_iter().eq(0..64));
    assert_eq!(disk.0.lock().unwrap().syncs - before, 2);
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_keeps_its_number() {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    let dropped = committer.append(answer(0)).boxed().now_or_never();
    assert!(dropped.is_none_or(|number| number.unwrap() == 0));
    assert_eq!(committer.append(answer(1)).await.unwrap(), 1);
    assert_eq!(disk.entries().unwrap(), [answer(0), answer(1)]);
}

#[test]
fn a_runtime_that_is_gone_leaves_nobody_waiting() {
    let committer = FakeDisk::default().open().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let _inside = handle.enter();
    let error = committer
        .append(answer(0))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert!(error.message().contains("runtime was shut down"), "{error}");
    assert!(committer.append(answer(1)).now_or_never().unwrap().is_err());
    assert!(committer.close().now_or_never().unwrap().is_err());
}

#[tokio::test]
async fn a_relaxed_journal_syncs_later_and_when_it_is_closed() {
    for (durability, after_append) in [
        (Durability::Synced, 1),
        (Durability::Within(Duration::from_secs(3600)), 0),
        (Durability::System, 0),
    ] {
        let disk = FakeDisk::default();
        let committer = disk.open().unwrap();
        committer.set_durability(durability);
        let before = disk.0.lock().unwrap().syncs;
        committer.append(answer(0)).await.unwrap();
        assert_eq!(
            disk.0.lock().unwrap().syncs - before,
            after_append,
            "{durability:?}"
        );
        committer.close().await.unwrap();
        assert_eq!(disk.0.lock().unwrap().syncs - before, 1, "{durability:?}");
    }
}

#[tokio::test]
async fn a_relaxed_journal_syncs_on_its_own_and_while_it_is_kept_busy() {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    committer.set_durability(Durability::Within(Duration::from_millis(1)));
    let before = disk.0.lock().unwrap().syncs;
    committer.append(answer(0)).await.unwrap();
    while disk.0.lock().unwrap().syncs == before {
        tokio::task::yield_now().await;
    }
    let before = disk.0.lock().unwrap().syncs;
    while disk.0.lock().unwrap().syncs == before {
        join_all((0..16).map(|task| committer.append(answer(task)))).await;
    }
}

#[test]
fn a_relaxed_journal_that_is_dropped_syncs_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.journal");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let hour = Durability::Within(Duration::from_secs(3600));
    let journal = FileJournal::open(&path).unwrap().with_durability(hour);
    runtime.block_on(journal.append(answer(0))).unwrap();
    drop(journal);
    // Waits for whatever is still running.
    drop(runtime);
    FileJournal::open(&path).unwrap();
}

#[tokio::test]
async fn one_run_at_a_time_has_the_journal_and_anybody_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.journal");
    let journal = FileJournal::open(&path).unwrap();
    journal.append(answer(0)).await.unwrap();
    let error = FileJournal::open(&path).unwrap_err();
    assert!(error.message().contains("another run"), "{error}");
    let read: Result<Vec<Entry>> = JournalReader::open(&path).unwrap().collect();
    assert_eq!(read.unwrap(), [answer(0)]);

    journal.close().await.unwrap();
    journal.close().await.unwrap();
    assert!(journal.append(answer(1)).await.is_err());
    let other = FileJournal::open(&path).unwrap();
    other.append(answer(2)).await.unwrap();
    drop(other);

    // A pipeline that keeps its journal runs once more.
    let read: Vec<_> = journal.read().await.unwrap().collect().await;
    let read: Result<Vec<Entry>> = read.into_iter().collect();
    assert_eq!(read.unwrap(), [answer(0), answer(2)]);
    assert_eq!(journal.append(answer(3)).await.unwrap(), 2);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing").join("run.journal");
    for path in [&missing, directory.path(), Path::new("/dev/null")] {
        let error = FileJournal::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Journal);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn more_manners_than_are_remembered_are_written_out() {
    let disk = FakeDisk::default();
    let committer = disk.open().unwrap();
    let served = |task: u64| {
        let Entry::Answered(mut answer) = answer(task) else {
            unreachable!("it is an answer")
        };
        answer.response.provider_model = Some(format!("server {}", task % 1500));
        Entry::Answered(answer)
    };
    let (first, second): (Vec<_>, Vec<_>) = (
        (0..1600).map(served).collect(),
        (0..1600).map(served).collect(),
    );
    for entry in &first {
        committer
            .append(entry.clone())
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    drop(committer);
    let committer = disk.open().unwrap();
    for entry in &second {
        committer
            .append(entry.clone())
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    assert_eq!(all(&committer).unwrap(), [first, second].concat());
}

fn any_answer() -> impl Strategy<Value = Entry> {
    let numbers = (any::<u64>(), any::<usize>(), any::<u64>(), any::<u32>());
    let usage = prop_oneof![Just([0; 3]), any::<[u64; 3]>()];
    (
        numbers,
        usage,
        ".{0,40}",
        prop::option::of("[a-c]"),
        prop::bool::ANY,
    )
        .prop_map(
            |((task, topic, wanted, round), details, text, provider_model, truncated)| {
                let [cached_input_tokens, cache_write_tokens, reasoning_tokens] = details;
                let usage = Usage {
                    cached_input_tokens,
                    cache_write_tokens,
                    reasoning_tokens,
                    ..Usage::new(task, wanted)
                };
                let mut response = ChatResponse::new(text).with_usage(usage);
                response.provider_model = provider_model;
                if truncated {
                    response.finish_reason = FinishReason::Length;
                }
                // JSON keeps sums of up to a million dollars exactly.
                let cost = Usd::from_nano(task >> 16);
                let unconfirmed = UnconfirmedCost::new(wanted, u64::from(round), cost);
                let mut attempts = vec![Attempt::new(None)];
                let mut prompt = PromptChoice::default();
                if truncated {
                    let failed = Attempt::new(Some(ErrorKind::Network));
                    attempts.insert(0, failed.with_unconfirmed(unconfirmed));
                    prompt = PromptChoice::new([task, wanted], Some("a"), Some(wanted));
                }
                Entry::Answered(Answer {
                    task,
                    topic,
                    wanted,
                    round,
                    model: "test/loom".into(),
                    response,
                    prompt,
                    attempts,
                })
            },
        )
}

proptest! {
    #[test]
    fn answers_are_read_as_they_were_appended(answers in prop::collection::vec(any_answer(), 0..20)) {
        let disk = FakeDisk::of(&journal_of(&answers, true));
        prop_assert_eq!(disk.entries().unwrap(), answers);
    }

    #[test]
    fn damage_of_any_kind_never_changes_an_entry(
        place in any::<prop::sample::Index>(), removed in 0..40_usize, put in prop::collection::vec(any::<u8>(), 0..40),
        from in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let entries = entries(5);
        let mut bytes = journal_of(&entries, true);
        let place = place.index(bytes.len());
        // Bytes of nobody, or bytes of the journal itself in another place.
        let put = from.map_or(put, |from| bytes[from.index(bytes.len())..].iter().copied().take(40).collect());
        let end = (place + removed).min(bytes.len());
        bytes.splice(place..end, put);
        match FakeDisk::of(&bytes).entries() {
            Err(error) => prop_assert!(names_a_byte(&error)),
            Ok(found) => prop_assert_eq!(&found[..], &entries[..found.len()]),
        }
    }
}

#[test]
fn a_note_is_written_without_waiting_for_the_disk_and_marks_nothing_as_safe() {
    let disk = FakeDisk::of(&journal_of(&[], false));
    let committer = disk.open().unwrap();
    let before = disk.0.lock().unwrap().syncs;
    let note = CallNote::new(CallOf::Task(7), UnconfirmedCost::new(1, 600, Usd::ZERO));
    let noted = committer.note(note).now_or_never();
    noted.expect("nobody is waited for").unwrap();
    assert_eq!(disk.0.lock().unwrap().syncs, before);
    let behind_the_note = disk.bytes().len();
    let entry = answer(1);
    let appended = committer.append(entry.clone()).now_or_never();
    assert_eq!(appended.unwrap().unwrap(), 0, "a note has no number");
    assert_eq!(all(&committer).unwrap(), [Entry::Called(note), entry]);
    // The note may be lost in a power failure although what is behind it is not: that is a cut end, not damage.
    let mut bytes = disk.bytes();
    bytes[behind_the_note - 1] ^= 1;
    assert_eq!(FakeDisk::of(&bytes).entries().unwrap(), []);
}

#[test]
fn an_answer_of_version_1_keeps_how_its_calls_failed_and_what_they_may_have_cost() {
    let meta = json!({"model": "test/loom", "finish_reason": "stop", "failed_calls": ["timeout", "network"]});
    let meta = meta.to_string();
    let mut body = vec![b'U', 0];
    put_number(&mut body, meta.len() as u64);
    body.extend_from_slice(meta.as_bytes());
    // The task and what was asked, tokens, counts of cached and reasoning tokens, and what two calls may have cost.
    for number in [7, 1, 3, 1, 612, 95, 20, 0, 30, 2, 1_600, 98_000] {
        put_number(&mut body, number);
    }
    body.extend_from_slice(b"[]");
    let Ok(Some(Entry::Answered(answer))) = Decoder::default().decode(&body) else {
        panic!("it is an answer");
    };
    assert_eq!(
        (answer.task, answer.response.usage.reasoning_tokens),
        (7, 30)
    );
    let failed: Vec<ErrorKind> = crate::llm::failures(&answer.attempts).collect();
    assert_eq!(failed, [ErrorKind::Timeout, ErrorKind::Network]);
    let unconfirmed = UnconfirmedCost::of(&answer.attempts);
    assert_eq!(
        unconfirmed,
        UnconfirmedCost::new(2, 1_600, Usd::from_nano(98_000))
    );
}
