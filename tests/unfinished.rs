//! What is on the disk however a run of the command ends, and that the same command goes on from there.
//!
//! The server answers a request with the first record of its topic that is not shown, so that a topic of quota `n` ends
//! with the same `n` records whatever happens.

#![cfg(all(feature = "cli", feature = "testing", unix))]

#[path = "support/counted.rs"]
mod counted;
#[path = "support/server/mod.rs"]
mod server;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{ProviderServer, Question, ServedAnswer, ServerFault, Wire};
use serde_json::{Value, json};
use tempfile::TempDir;
use topicloom::journal::{Entry, JournalReader};

use counted::{answer, random, text, texts};

/// How many processes are ended by a signal; a few by default.
const CRASHES: &str = "TOPICLOOM_CRASHES";

const CONCURRENCY: u64 = 4;
const TOPICS: u64 = 3;
const RECORDS: u64 = 30;

/// A folder with an input, and a server that answers it until its credit is used up.
struct Place {
    folder: TempDir,
    server: ProviderServer,
    credit: Arc<AtomicU64>,
}

impl Place {
    fn new(delay: Duration) -> Self {
        let credit = Arc::new(AtomicU64::new(u64::MAX));
        let left = Arc::clone(&credit);
        let server = ProviderServer::builder(Wire::OpenAi, move |question: &Question<'_>| {
            let spent = |left: u64| left.checked_sub(1);
            match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spent) {
                Ok(_) => ServedAnswer::Text(answer(question)),
                Err(_) => ServedAnswer::Fault(ServerFault::NoCredit),
            }
        });
        let place = Self {
            folder: tempfile::tempdir().expect("there is room"),
            server: server
                .delay(delay)
                .start_on_thread()
                .expect("a port is free"),
            credit,
        };
        place.write_input(&json!({}));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("there is room");
    }

    fn write_input(&self, settings: &Value) {
        let topics: Vec<String> = (0..TOPICS).map(|topic| format!("topic {topic}")).collect();
        let mut config = json!({"max_concurrency": CONCURRENCY, "avoid_examples": 100, "dead_queue_threshold": 100});
        for (key, value) in settings.as_object().expect("the test gives an object") {
            config[key] = value.clone();
        }
        let input = json!({
            "num_records": RECORDS, "topics": topics, "generation_model_name": "openai/counted",
            "output_schema": [{"name": "text", "type": "str"}], "data_factory_config": config,
        });
        self.write("in.json", &input.to_string());
    }

    /// Prepares the command that a shell would start in the folder, before which `before` is done there.
    fn shell(&self, before: &str, more: &str) -> Command {
        let binary = env!("CARGO_BIN_EXE_topicloom");
        let mut command = Command::new("sh");
        let line = format!(
            "{before} exec '{binary}' run in.json -o data.jsonl --report report.json {more}"
        );
        command
            .args(["-c", &line])
            .current_dir(self.folder.path())
            .env("OPENAI_BASE_URL", self.server.base_url())
            .env("OPENAI_API_KEY", "a key of no worth")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn calls_reach(&self, calls: u64, child: &mut Child) {
        while self.server.calls() < calls && child.try_wait().expect("it is ours").is_none() {
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Lets the command run until the server had so many more calls, and then sends it signals.
    fn interrupted(&self, mut command: Command, calls: u64, signals: &[&str]) -> Output {
        let mut child = command.spawn().expect("the command starts");
        self.calls_reach(self.server.calls() + calls, &mut child);
        for signal in signals {
            send(signal, &child);
            thread::sleep(Duration::from_millis(30));
        }
        child.wait_with_output().expect("it ends")
    }

    /// Returns the names of the files with records.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("it is there");
        let names = entries.map(|entry| entry.expect("it is there").file_name());
        let names = names.map(|name| name.into_string().expect("it is ours"));
        let mut files: Vec<String> = names
            .filter(|name| name == "data.jsonl" || name.starts_with("data.jsonl.partial"))
            .filter(|name| fs::metadata(self.path(name)).expect("it is there").len() > 0)
            .collect();
        files.sort();
        files
    }

    /// Returns the records in a file, without a line that a kill has cut off.
    fn records(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        let record = |line| -> Value { serde_json::from_str(line).expect("a line is a record") };
        lines
            .map(|line| {
                record(line)["text"]
                    .as_str()
                    .expect("it has its text")
                    .to_owned()
            })
            .collect()
    }

    fn all_records(&self) -> Vec<String> {
        let files = self.files();
        files.iter().flat_map(|file| self.records(file)).collect()
    }

    /// Returns the records in the answers that the journal holds.
    fn journalled(&self) -> BTreeSet<String> {
        let Ok(entries) = JournalReader::open(self.path("data.jsonl.journal")) else {
            return BTreeSet::new();
        };
        let answers = entries.filter_map(|entry| match entry.expect("no end leaves damage") {
            Entry::Answered(answer) => Some(answer.response.text),
            _ => None,
        });
        let text = |answer: String| -> String {
            let answer: Value = serde_json::from_str(&answer).expect("the server answers JSON");
            answer["records"][0]["text"]
                .as_str()
                .expect("it has its text")
                .to_owned()
        };
        answers.map(text).collect()
    }

    /// Returns the calls whose answers did not get into the journal, once the server is done with them.
    fn lost(&self) -> u64 {
        while self.server.in_flight() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let entries = JournalReader::open(self.path("data.jsonl.journal"))
            .into_iter()
            .flatten();
        let kept = entries.filter(|entry| matches!(entry, Ok(Entry::Answered(_))));
        self.server.calls() - kept.count() as u64
    }

    /// Runs the same command to its end, and checks that there is exactly what there must be.
    fn completes(&self) {
        self.credit.store(u64::MAX, Ordering::SeqCst);
        let output = self.shell("", "").output().expect("there is a shell");
        assert!(output.status.success(), "{}", said(&output));
        let made = fs::read(self.path("data.jsonl")).expect("it is complete");
        assert_eq!(texts(&made), expected());
    }
}

fn send(signal: &str, child: &Child) {
    let arguments = ["-s", signal, &child.id().to_string()];
    // A process that is over needs no signal.
    Command::new("kill")
        .args(arguments)
        .output()
        .expect("there is `kill`");
}

fn expected() -> Vec<String> {
    let topics = (0..TOPICS).map(|topic| format!("topic {topic}"));
    let mut texts: Vec<String> = topics
        .flat_map(|topic| (0..RECORDS / TOPICS).map(move |number| text(&topic, number)))
        .collect();
    texts.sort();
    texts
}

fn lines(topic: &str, number: u64) -> String {
    let line = |number| json!({"text": text(topic, number), "topic": topic}).to_string() + "\n";
    (0..number).map(line).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What there is before the run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// A data set, and a report.
    Whole,
    /// A data set, a report, and what a run without a journal left.
    Partial,
    /// A data set, and what the same command left when it was killed.
    Killed,
}

/// How the run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Complete,
    AtACap,
    NoCredit,
    FullDisk,
    NoKey,
    Interrupted,
    Terminated,
    HungUp,
    InterruptedTwice,
    Killed,
}

#[test]
fn however_a_run_ends_its_last_line_names_the_files_of_all_records_and_none_is_there_twice() {
    use Before::{Nothing, Partial, Whole};
    let mut endings = 0;
    for before in [Nothing, Whole, Partial, Before::Killed] {
        for end in [
            End::Complete,
            End::AtACap,
            End::NoCredit,
            End::FullDisk,
            End::NoKey,
            End::Interrupted,
            End::Terminated,
            End::HungUp,
            End::InterruptedTwice,
            End::Killed,
        ] {
            check(before, end);
            endings += 1;
        }
    }
    assert_eq!(endings, 40);
}

/// Runs the command to such an end.
fn ended(place: &Place, end: End) -> Output {
    match end {
        End::Complete => place.shell("", "").output().expect("there is a shell"),
        End::AtACap => {
            place.write_input(&json!({"max_calls": 20}));
            place.shell("", "").output().expect("there is a shell")
        }
        End::NoCredit => {
            place.credit.store(6, Ordering::SeqCst);
            place.shell("", "").output().expect("there is a shell")
        }
        // A limit to the size of files is a full disk that needs no rights to set up.
        End::FullDisk => {
            let limited = "ulimit -f 4;";
            place.shell(limited, "").output().expect("there is a shell")
        }
        End::NoKey => {
            let mut command = place.shell("", "");
            command
                .env_remove("OPENAI_API_KEY")
                .env_remove("OPENAI_BASE_URL");
            command.output().expect("there is a shell")
        }
        End::Interrupted => place.interrupted(place.shell("", ""), 9, &["INT"]),
        End::Terminated => place.interrupted(place.shell("", ""), 9, &["TERM"]),
        End::HungUp => place.interrupted(place.shell("", ""), 9, &["HUP"]),
        End::InterruptedTwice => place.interrupted(place.shell("", ""), 9, &["INT", "INT"]),
        End::Killed => place.interrupted(place.shell("", ""), 9, &["KILL"]),
    }
}

fn check(before: Before, end: End) {
    let case = format!("{before:?}, then {end:?}");
    let place = Place::new(Duration::from_millis(10));
    if before != Before::Nothing {
        place.write("data.jsonl", &lines("the past", 5));
        place.write("report.json", "{}");
    }
    if before == Before::Partial {
        place.write("data.jsonl.partial", &lines("the other past", 4));
    }
    if before == Before::Killed {
        place.interrupted(place.shell("", ""), 8, &["KILL"]);
    }
    let earlier = place.all_records();
    let whole = place.records("data.jsonl");
    let lost = place.lost();

    let output = ended(&place, end);
    let status = match end {
        End::Complete => Some(0),
        End::NoCredit | End::FullDisk => Some(1),
        End::NoKey => Some(2),
        End::Killed => None,
        _ => Some(3),
    };
    assert_eq!(output.status.code(), status, "{case}: {}", said(&output));

    // What was there is there still, except where a complete run was to replace it.
    let now = place.all_records();
    let kept: BTreeSet<&String> = now.iter().collect();
    assert_eq!(kept.len(), now.len(), "{case}: a record is there twice");
    let is_replaced = |record: &String| end == End::Complete && whole.contains(record);
    for record in earlier.iter().filter(|record| !is_replaced(record)) {
        assert!(kept.contains(record), "{case}: a record is lost");
    }
    if end != End::Complete {
        assert_eq!(place.records("data.jsonl"), whole, "{case}");
    }
    // What was paid for was written, except where that was the very trouble.
    let journalled = place.journalled();
    if !matches!(end, End::Killed | End::FullDisk | End::NoKey) {
        let written = journalled.iter().filter(|record| kept.contains(record));
        assert_eq!(
            written.count(),
            journalled.len(),
            "{case}: an answer was not written"
        );
    }
    if matches!(end, End::Interrupted | End::Terminated | End::HungUp) {
        assert_eq!(place.lost(), lost, "{case}: a call was dropped");
    }
    if end != End::Killed {
        check_last_line(&place, end, &said(&output), &case);
    }

    place.write_input(&json!({}));
    place.completes();
    let now = place.all_records();
    assert!(
        earlier
            .iter()
            .filter(|record| !whole.contains(record))
            .all(|record| now.contains(record)),
        "{case}: a record is lost in the end"
    );
    let left: u64 = if before == Before::Partial { 2 } else { 1 };
    assert_eq!(
        place.files().len() as u64,
        left,
        "{case}: {:?}",
        place.files()
    );
}

/// Checks that the last line names every file with records, and the command that goes on.
fn check_last_line(place: &Place, end: End, told: &str, case: &str) {
    let line = told.lines().last().unwrap_or_default();
    let (files, command) = line.split_once("go on with: ").unwrap_or((line, ""));
    let named: Vec<&str> = files.split([' ', ',', ';']).collect();
    for file in place.files() {
        assert!(
            named.contains(&&*file),
            "{case}: {file} is not named: {line}"
        );
    }
    if !matches!(end, End::Complete | End::NoKey) {
        let same = "topicloom run in.json -o data.jsonl --report report.json";
        assert_eq!(command, same, "{case}: {told}");
    }
}

#[test]
fn a_command_that_is_ended_at_any_moment_by_any_signal_goes_on_to_the_same_records() {
    let crashes = std::env::var(CRASHES).map_or(30, |number| number.parse().expect("a number"));
    let (mut ends, mut runs, mut repeated, mut chance) = (0, 0, 0, 11);
    while ends < crashes {
        let place = Place::new(Duration::from_millis(3));
        let mut lost = 0;
        loop {
            chance = random(chance);
            let signals: &[&str] = match (chance >> 36) % 5 {
                0 => &["KILL"],
                1 => &["INT"],
                2 => &["TERM"],
                3 => &["HUP"],
                _ => &["TERM", "INT"],
            };
            let calls = (chance >> 42) % 14;
            let output = place.interrupted(place.shell("", ""), calls, signals);
            let lost_now = place.lost() - lost;
            lost += lost_now;
            // Its tasks may have answers that have arrived and are not in the journal yet.
            assert!(lost_now <= 2 * CONCURRENCY, "{lost_now} calls are repeated");
            if output.status.success() {
                break;
            }
            ends += 1;
            if output.status.code() == Some(3) && signals.len() == 1 {
                assert_eq!(lost_now, 0, "after {signals:?}: {}", said(&output));
            }
        }
        place.completes();
        assert_eq!(place.files(), ["data.jsonl"]);
        runs += 1;
        repeated += lost;
    }
    println!("{ends} ends in {runs} runs; {repeated} calls repeated");
}

#[test]
fn a_second_signal_does_not_wait_for_calls_and_a_first_one_not_for_ever() {
    for (signals, timeout) in [(&["TERM", "TERM"][..], 60), (&["TERM"], 1)] {
        let place = Place::new(Duration::from_secs(20));
        place.write_input(&json!({"task_runner_timeout": timeout, "max_retries": 0}));
        let begun = Instant::now();
        let output = place.interrupted(place.shell("", ""), CONCURRENCY, signals);
        assert!(begun.elapsed() < Duration::from_secs(5), "{signals:?}");
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(
            said(&output).contains("SIGTERM: no further calls"),
            "{}",
            said(&output)
        );
        assert!(place.path("report.json").exists());
    }
}

#[test]
fn a_lost_terminal_ends_a_run_in_order_unless_nohup_is_at_work() {
    let place = Place::new(Duration::from_millis(5));
    // Nothing can be written to the terminal any more.
    let mut command = place.shell("", "");
    command.stderr(
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it"),
    );
    let output = place.interrupted(command, 6, &["HUP"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(place.path("report.json").exists());
    let output = place.interrupted(place.shell("trap '' HUP;", ""), 3, &["HUP"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(place.records("data.jsonl").len() as u64, RECORDS);
}

#[test]
fn changed_counts_go_on_and_another_schema_or_a_wish_begins_anew() {
    let place = Place::new(Duration::ZERO);
    place.completes();
    let calls = place.server.calls();
    place.completes();
    assert_eq!(place.server.calls(), calls, "all is in the journal");
    place.write_input(&json!({"dead_queue_threshold": 50, "max_concurrency": 2}));
    place.completes();
    assert_eq!(place.server.calls(), calls, "patience asks nothing again");

    let text = fs::read_to_string(place.path("in.json")).expect("it is there");
    place.write(
        "in.json",
        &text.replace("\"num_records\":30", "\"num_records\":33"),
    );
    let more = place.shell("", "").output().expect("there is a shell");
    assert!(more.status.success(), "{}", said(&more));
    assert_eq!(place.records("data.jsonl").len(), 33);
    assert!(
        place.server.calls() - calls <= 3 * 2,
        "the gap alone is asked for"
    );

    let journal = || place.path("data.jsonl.journal");
    for (change, told, moved) in [
        (
            "--seed 5",
            "seed changed: the journal that was there is now data.jsonl.journal.1",
            1,
        ),
        (
            "--fresh",
            "the journal that was there is now data.jsonl.journal.2",
            2,
        ),
    ] {
        let kept = fs::read(journal()).expect("it is there");
        let output = place.shell("", change).output().expect("there is a shell");
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains(told), "{}", said(&output));
        let name = format!("data.jsonl.journal.{moved}");
        assert_eq!(fs::read(place.path(&name)).expect("it was moved"), kept);
    }
}

#[test]
fn a_journal_is_kept_where_the_input_and_the_command_line_say() {
    for (storage, more, journals) in [
        (Value::Null, "", &["data.jsonl.journal"][..]),
        (Value::Null, "--no-journal", &[]),
        (Value::Null, "--offline", &[]),
        (json!("in_memory"), "", &[]),
        (json!("local"), "", &["data.jsonl.journal"]),
        (json!("local"), "--offline", &["data.jsonl.journal"]),
        (
            json!({"local": "kept/here"}),
            "",
            &["kept/here/data.jsonl.journal"],
        ),
        (json!({"local": "kept"}), "--no-journal", &[]),
        (json!({"local": "kept"}), "--journal mine", &["mine"]),
        (json!("in_memory"), "--journal mine", &["mine"]),
    ] {
        let place = Place::new(Duration::ZERO);
        place.write_input(&json!({"storage": storage}));
        let output = place.shell("", more).output().expect("there is a shell");
        assert!(output.status.success(), "{}", said(&output));
        let known = [
            "data.jsonl.journal",
            "kept/here/data.jsonl.journal",
            "kept/data.jsonl.journal",
            "mine",
        ];
        let found: Vec<&str> = known
            .into_iter()
            .filter(|name| place.path(name).exists())
            .collect();
        assert_eq!(found, journals, "{storage} {more}");
        for name in found {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(place.path(name))
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[test]
fn a_journal_that_vanishes_under_the_run_is_told() {
    let place = Place::new(Duration::from_millis(10));
    let mut child = place.shell("", "").spawn().expect("the command starts");
    place.calls_reach(5, &mut child);
    fs::remove_file(place.path("data.jsonl.journal")).expect("it is there");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("warning: the journal was deleted"),
        "{}",
        said(&output)
    );
}

#[test]
fn one_file_has_one_role() {
    let place = Place::new(Duration::ZERO);
    place.write("seen.jsonl", &lines("the past", 2));
    place.write_input(&json!({"already_seen": ["seen.jsonl"]}));
    std::os::unix::fs::symlink("in.json", place.path("link.jsonl")).expect("there is room");
    fs::hard_link(place.path("seen.jsonl"), place.path("hard.jsonl")).expect("there is room");
    let input = fs::read(place.path("in.json")).expect("it is there");
    for options in [
        "-o in.json",
        "-o ./in.json",
        "-o link.jsonl",
        "-o seen.jsonl",
        "-o hard.jsonl",
        "-o x.jsonl --report x.jsonl",
        "-o x.jsonl --report ./x.jsonl",
        "-o x.jsonl --report x.jsonl.partial",
        "-o x.jsonl --journal x.jsonl",
        "-o x.jsonl --journal report.json --report report.json",
        "-o x.jsonl --report x.jsonl.journal",
        "-o x.jsonl --report in.json",
        "-o x.xlsx",
        "-o x.json",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .args(["run", "in.json"])
            .args(options.split(' '))
            .current_dir(place.folder.path())
            .env("OPENAI_API_KEY", "a key of no worth")
            .env("OPENAI_BASE_URL", place.server.base_url())
            .output()
            .expect("the command starts");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{options}: {}",
            said(&output)
        );
        assert_eq!(fs::read(place.path("in.json")).expect("it is there"), input);
        assert_eq!(place.records("seen.jsonl").len(), 2);
        assert!(!place.path("x.jsonl").exists() && !place.path("report.json").exists());
    }
    assert_eq!(place.server.calls(), 0);
}
