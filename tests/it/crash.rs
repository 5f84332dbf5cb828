//! The command, killed and started again, against a server that counts its calls.
//!
//! What the server answers depends on the request alone: the first record of the topic that the request does not show
//! as made already. So whatever order calls end in, a topic of quota `n` ends with the same `n` records, and a run
//! that was killed must have exactly those of a run that was not. Their order is that of the journal, which a kill
//! may change; so records are compared as a set, and byte for byte with a replay of the same journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::server::{ProviderServer, Question, Wire};
use serde_json::{Value, json};
use tempfile::TempDir;
use topicloom::journal::{Entry, JournalReader};

use crate::counted::{answer, random, text, texts};

/// How many kills; a few by default, since each costs a process.
const CRASHES: &str = "TOPICLOOM_CRASHES";

const CONCURRENCY: u64 = 4;

/// Tasks in flight for each permit of a run: their answers may have arrived and not be in the journal yet.
const IN_FLIGHT: u64 = 2 * CONCURRENCY;

/// A server that is asked for the same things again and again, and an input of its records.
struct Place {
    folder: TempDir,
    server: ProviderServer,
    records: u64,
}

impl Place {
    fn new(topics: u64, records: u64) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let server =
            ProviderServer::builder(Wire::OpenAi, |question: &Question<'_>| answer(question))
                .delay(Duration::from_millis(3))
                .start_on_thread()
                .expect("a port is free");
        let place = Self {
            folder,
            server,
            records,
        };
        let names: Vec<String> = (0..topics).map(|topic| format!("topic {topic}")).collect();
        let input = json!({
            "num_records": records,
            "topics": names,
            "generation_model_name": "openai/counted",
            "output_schema": [{"name": "text", "type": "str"}],
            "data_factory_config": {
                "max_concurrency": CONCURRENCY, "avoid_examples": 100, "dead_queue_threshold": 100,
            },
        });
        fs::write(place.path("input.json"), input.to_string()).expect("there is room");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journal(&self) -> PathBuf {
        self.path("run.journal")
    }

    /// Prepares `topicloom`, with the server for its provider.
    fn command(&self) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_topicloom")))
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .env("OPENAI_BASE_URL", self.server.base_url())
            .env("OPENAI_API_KEY", "a key of no worth")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Prepares a run of the input on the journal, with its records on standard output.
    fn run(&self) -> Command {
        let mut command = self.command();
        command.arg("run").arg(self.path("input.json"));
        command.arg("--journal").arg(self.journal()).arg("--quiet");
        command
    }

    /// Runs to the end, and checks that the records are those of a run that nothing happened to.
    fn completes(&self) -> Output {
        let output = self.run().output().expect("the command starts");
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(texts(&output.stdout), self.expected());
        output
    }

    /// Checks that a replay gives the same bytes without a call.
    fn replays(&self, first: &Output) {
        let calls = self.server.calls();
        assert_eq!(self.completes().stdout, first.stdout);
        assert_eq!(self.server.calls(), calls, "a replay asks nothing");
    }

    /// Returns the texts of the records that there must be, sorted.
    fn expected(&self) -> Vec<String> {
        let topics = self.input()["topics"].as_array().map_or(0, Vec::len) as u64;
        let mut texts = Vec::new();
        for topic in 0..topics {
            let quota = self.records / topics + u64::from(topic < self.records % topics);
            texts.extend((0..quota).map(|number| text(&format!("topic {topic}"), number)));
        }
        texts.sort();
        texts
    }

    fn input(&self) -> Value {
        let text = fs::read_to_string(self.path("input.json")).expect("it was written");
        serde_json::from_str(&text).expect("it was written as JSON")
    }

    /// Returns how many answers the journal holds.
    fn kept(&self) -> u64 {
        let Ok(entries) = JournalReader::open(self.journal()) else {
            return 0;
        };
        let answers = entries
            .map(|entry| entry.expect("a kill leaves no damage"))
            .filter(|entry| matches!(entry, Entry::Answered(_)));
        answers.count() as u64
    }

    /// Returns the calls whose answers did not get into the journal, once the server is done with them.
    fn lost(&self) -> u64 {
        while self.server.in_flight() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        self.server.calls() - self.kept()
    }

    /// Waits until the server was called so often, or the process is over.
    fn calls_reach(&self, calls: u64, child: &mut Child) {
        while self.server.calls() < calls && child.try_wait().expect("it is ours").is_none() {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_that_is_killed_at_any_moment_goes_on_to_the_same_records() {
    let crashes = std::env::var(CRASHES).map_or(25, |number| number.parse().expect("a number"));
    let (mut kills, mut runs, mut lost_in_all) = (0, 0, 0);
    let mut chance = 7;
    while kills < crashes {
        let place = Place::new(7, 40);
        let mut lost = 0;
        loop {
            chance = random(chance);
            let (calls, moment) = ((chance >> 33) % 16, (chance >> 45) % 20_000);
            let mut child = place.run().spawn().expect("the command starts");
            place.calls_reach(place.server.calls() + calls, &mut child);
            thread::sleep(Duration::from_micros(moment));
            if kills == crashes || child.try_wait().expect("it is ours").is_some() {
                child.wait_with_output().expect("it ends");
                break;
            }
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            kills += 1;
            let lost_now = place.lost() - lost;
            assert!(lost_now <= IN_FLIGHT, "{lost_now} calls are repeated");
            lost += lost_now;
        }
        let output = place.completes();
        place.replays(&output);
        runs += 1;
        lost_in_all += lost;
    }
    println!("{kills} kills in {runs} runs; {lost_in_all} calls repeated");
}

#[test]
fn a_run_that_dies_at_any_write_of_its_journal_goes_on_to_the_same_records() {
    let mut writes = 0;
    loop {
        writes += 1;
        let place = Place::new(3, 6);
        let output = place
            .run()
            .env("TOPICLOOM_ABORT_AFTER_WRITES", writes.to_string())
            .output()
            .expect("the command starts");
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), None, "it aborts: {}", said(&output));
        let lost = place.lost();
        assert!(lost <= IN_FLIGHT, "{lost} calls are repeated");
        let output = place.completes();
        place.replays(&output);
    }
    assert!(writes > 3, "start, plan and answers are writes");
}

#[test]
fn a_run_whose_journal_lost_its_end_goes_on_to_the_same_records() {
    let place = Place::new(3, 6);
    place.completes();
    let whole = fs::read(place.journal()).expect("it is there");
    for cut in [1, 2, 5, 11, 23, 60, 120, 250] {
        fs::write(place.journal(), &whole[..whole.len() - cut]).expect("there is room");
        let output = place.completes();
        place.replays(&output);
    }
}

#[test]
fn a_finished_run_is_extended_by_asking_for_what_is_missing() {
    let mut place = Place::new(3, 6);
    place.completes();
    let calls = place.server.calls();
    place.records = 9;
    let mut extend = place.command();
    extend.arg("resume").arg(place.journal());
    extend.args(["--quiet", "--extend-to", "9"]);
    let output = extend.output().expect("the command starts");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(texts(&output.stdout), place.expected());
    assert!(place.server.calls() - calls >= 3);

    let calls = place.server.calls();
    let mut resume = place.command();
    resume.arg("resume").arg(place.journal()).arg("--quiet");
    let again = resume.output().expect("the command starts");
    assert_eq!((again.stdout, place.server.calls()), (output.stdout, calls));
    let refused = place.run().output().expect("the command starts");
    assert_eq!(
        refused.status.code(),
        Some(1),
        "the input is that of 6 records"
    );
}

#[test]
fn a_full_disk_stops_a_run_with_the_records_it_has() {
    let place = Place::new(7, 40);
    let run = place.run();
    // A limit to the size of files is a full disk that needs no rights to set up.
    let mut limited = place.prepared(Command::new("sh"));
    limited
        .args(["-c", "ulimit -f 5; exec \"$0\" \"$@\""])
        .arg(run.get_program())
        .args(run.get_args());
    let output = limited.output().expect("there is a shell");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("journal"), "{}", said(&output));
    let made = texts(&output.stdout);
    let expected = place.expected();
    assert!(
        !made.is_empty() && made.len() < expected.len(),
        "{}",
        made.len()
    );
    assert!(made.iter().all(|text| expected.contains(text)));

    let output = place.completes();
    place.replays(&output);
}

#[test]
fn a_journal_or_an_output_that_cannot_be_written_costs_no_call() {
    let place = Place::new(3, 6);
    let nowhere = place.path("no folder").join("file");
    for (journal, output) in [
        (nowhere.as_path(), place.path("out.jsonl").as_path()),
        (Path::new("/dev/full"), place.path("out.jsonl").as_path()),
        (place.journal().as_path(), nowhere.as_path()),
    ] {
        let mut command = place.command();
        command.arg("run").arg(place.path("input.json"));
        command.arg("--journal").arg(journal);
        command.arg("--output").arg(output);
        let output = command.output().expect("the command starts");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("error: "), "{}", said(&output));
    }
    assert_eq!(place.server.calls(), 0);
}
