//! Processes that die while they write a journal. The process that dies is this test program, told by its
//! environment what to do.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use topicloom::journal::{Answer, Entry, FileJournal, Journal, JournalReader};

const PATH: &str = "TEST_JOURNAL_PATH";

/// Entries that the dying process tries to append.
const ENTRIES: u64 = 40;

fn answer(task: u64) -> Answer {
    let response = json!({"text": format!("the answer to task {task}")});
    let answer = json!({"task": task, "topic": 0, "wanted": 1, "round": 0, "model": "test/loom", "response": response});
    serde_json::from_value(answer).expect("it is an answer")
}

/// Appends entries from several tasks, and tells each number once the journal has promised to keep it.
#[test]
#[ignore = "is run by the other tests, to die"]
fn dies() {
    let path = std::env::var(PATH).expect("the parent says where");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let journal = Arc::new(FileJournal::open(path).expect("the parent leaves it open to us"));
        let tasks = (0..4).map(|first| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                for task in (first..ENTRIES).step_by(4) {
                    let entry = Entry::Answered(answer(task));
                    let number = journal.append(entry).await.expect("the disk works");
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "kept {number} {task}").expect("the parent listens");
                    out.flush().expect("the parent listens");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no task panics");
        }
        journal.close().await.expect("the disk works");
    });
}

fn dying(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program is a file"));
    command
        .args([
            "--exact",
            "journal_crashes::dies",
            "--ignored",
            "--nocapture",
        ])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Returns what a process was told to be kept, as number and task, after `until` so many or all there are.
fn kept(child: &mut Child, until: usize) -> Vec<(usize, u64)> {
    let output = child.stdout.take().expect("it is piped");
    let mut kept = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        // The harness writes the name of the test in front of the first line.
        let Some((_, told)) = line.split_once("kept ") else {
            continue;
        };
        let (number, task) = told.split_once(' ').expect("two numbers are told");
        kept.push((
            number.parse().expect("a number"),
            task.parse().expect("a number"),
        ));
        if kept.len() == until {
            break;
        }
    }
    kept
}

/// Checks that everything kept is there, and that the journal can be written on.
fn check(path: &Path, kept: &[(usize, u64)]) -> usize {
    let journal = FileJournal::open(path).expect("a crash leaves no damage");
    drop(journal);
    let found: Result<Vec<Entry>, _> = JournalReader::open(path).expect("it is there").collect();
    let found = found.expect("a crash leaves no damage");
    for (number, task) in kept {
        assert_eq!(found[*number], Entry::Answered(answer(*task)));
    }
    found.len()
}

#[test]
fn a_process_that_aborts_at_any_write_loses_nothing_it_was_told_is_kept() {
    let directory = tempfile::tempdir().expect("there is room");
    let mut aborted = 0;
    for write in 1..=ENTRIES + 1 {
        let path = directory.path().join(format!("run{write}.journal"));
        let mut child = dying(&path)
            .env("TOPICLOOM_ABORT_AFTER_WRITES", write.to_string())
            .spawn()
            .expect("this program starts");
        let kept = kept(&mut child, usize::MAX);
        let whole = child.wait().expect("it ends").success();
        let found = check(&path, &kept);
        if whole {
            assert_eq!((kept.len() as u64, found as u64), (ENTRIES, ENTRIES));
            break;
        }
        aborted += 1;
        // What was written and not told is one write: the mark of the end, or at most one entry of each task.
        let untold = found as u64 - kept.len() as u64;
        assert!(untold <= 4 && (untold > 0 || found as u64 == ENTRIES));
    }
    assert!(
        aborted >= ENTRIES / 4,
        "each write holds at most one entry of each task"
    );
}

#[test]
fn a_killed_process_loses_nothing_it_was_told_is_kept() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("run.journal");
    let mut before = 0;
    for until in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut child = dying(&path).spawn().expect("this program starts");
        let kept = kept(&mut child, until);
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        assert_eq!(kept.len(), until);
        assert!(kept.iter().all(|(number, _)| *number >= before));
        before = check(&path, &kept);
    }
}
