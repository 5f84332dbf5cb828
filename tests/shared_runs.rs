//! A run that several processes share, while they are killed, the one that leads it is killed or stopped, and the database
//! crashes and drops connections.
//!
//! What the model's server answers depends on the request alone, so there is one right set of records, whatever happens.
//! The server counts its calls: those that are not in the journal were made in vain.

#![cfg(all(feature = "cli", feature = "postgres", feature = "testing", unix))]

#[path = "support/counted.rs"]
mod counted;
#[path = "support/postgres.rs"]
#[allow(dead_code)] // Each test uses some of it.
mod postgres;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/server/mod.rs"]
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{ProviderServer, Question, Wire};
use futures::StreamExt;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use topicloom::journal::{Entry, PostgresReader, RunState};
use topicloom::llm::failures;

use counted::{answer, random, text, texts};
use postgres::{PostgresServer, connect};
use proxy::Proxy;

/// Set to `full` for what the crate promises; the default is a smaller storm of the same kinds.
const STORM: &str = "TOPICLOOM_STORM";

const RUN: &str = "storm";
const PROCESSES: usize = 4;
const LEASE_SECONDS: u64 = 2;
const GIVES_UP_AFTER: Duration = Duration::from_secs(400);

/// Whatever happens, the next answer comes within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What happens to the processes of a run.
struct Storm {
    records: u64,
    topics: u64,
    /// How long the model takes for an answer.
    delay: Duration,
    between_kills: Duration,
    /// Answers after which the process that leads the run is killed.
    leader_kills: &'static [u64],
    /// Answers after which the database crashes and comes back, and after which it drops all connections.
    crashes: &'static [u64],
    cut: u64,
    /// Answers after which the process that leads the run is stopped, until another does.
    pause: u64,
}

const SMALL: Storm = Storm {
    records: 300,
    topics: 30,
    delay: Duration::from_millis(100),
    between_kills: Duration::from_millis(700),
    leader_kills: &[40, 160],
    crashes: &[80, 110],
    cut: 135,
    pause: 200,
};

const FULL: Storm = Storm {
    records: 2_000,
    topics: 100,
    delay: Duration::from_millis(200),
    between_kills: Duration::from_secs(1),
    leader_kills: &[300, 900, 1_500],
    crashes: &[600, 750],
    cut: 1_000,
    pause: 1_200,
};

/// A model's server, a database, and the processes between them.
struct Place {
    folder: TempDir,
    storm: Storm,
    model: ProviderServer,
    database: PostgresServer,
    url: String,
    runtime: Runtime,
    started: usize,
}

/// A process of the run, by the name under which the database knows it.
struct Process {
    name: String,
    child: Child,
    creates: bool,
    is_paused: bool,
}

impl Process {
    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args([signal, &self.child.id().to_string()]);
        assert!(kill.status().expect("there is `kill`").success());
    }
}

impl Place {
    fn new(storm: Storm) -> Option<Self> {
        let database = PostgresServer::start()?;
        let runtime = Runtime::new().expect("a runtime starts");
        let url = runtime.block_on(database.database());
        let model =
            ProviderServer::builder(Wire::OpenAi, |question: &Question<'_>| answer(question))
                .delay(storm.delay)
                .start_on_thread()
                .expect("a port is free");
        let place = Self {
            folder: tempfile::tempdir().expect("there is room"),
            storm,
            model,
            database,
            url,
            runtime,
            started: 0,
        };
        let topics: Vec<String> = (0..place.storm.topics)
            .map(|n| format!("topic {n}"))
            .collect();
        let input = json!({
            "num_records": place.storm.records,
            "topics": topics,
            "generation_model_name": "openai/counted",
            "output_schema": [{"name": "text", "type": "str"}],
            "data_factory_config": {
                "max_concurrency": 16, "avoid_examples": 100, "dead_queue_threshold": 100,
            },
        });
        fs::write(place.path("input.json"), input.to_string()).expect("there is room");
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topicloom"));
        command
            .env("OPENAI_BASE_URL", self.model.base_url())
            .env("OPENAI_API_KEY", "a key of no worth")
            .stdin(Stdio::null());
        command
    }

    /// Starts a process: one that creates the run, as a supervisor would start it again and again, or one that joins it.
    fn start(&mut self, creates: bool) -> Process {
        let name = format!("process{}", self.started);
        self.started += 1;
        let url = format!("{}?application_name={name}", self.url);
        let mut command = self.command();
        let lease = LEASE_SECONDS.to_string();
        if creates {
            command.arg("run").arg(self.path("input.json"));
            command.args(["--journal", &url, "--run-id", RUN, "--shared"]);
            command.arg("--output").arg(self.path("created.jsonl"));
        } else {
            command.args(["work", &url, RUN, "--concurrency", "4"]);
        }
        command.args(["--quiet", "--lease-time", &lease]);
        let said = fs::File::create(self.path(&name)).expect("there is room");
        let child = command
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("the command starts");
        Process {
            name,
            child,
            creates,
            is_paused: false,
        }
    }

    fn said(&self, process: &Process) -> String {
        fs::read_to_string(self.path(&process.name)).unwrap_or_default()
    }

    /// Returns the records and what else the command said, once the run is over.
    fn replayed(&self) -> Output {
        let mut command = self.command();
        command.args(["resume", &self.url, "--run-id", RUN, "--quiet"]);
        command.output().expect("the command starts")
    }

    fn state(&self) -> Option<RunState> {
        self.runtime.block_on(async {
            let reader = PostgresReader::connect(&self.url, RUN).await.ok()?;
            reader.state().await.ok()
        })
    }

    /// Returns the name of the process that leads the run.
    fn leader(&self) -> Option<String> {
        let sql = "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted
                AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        self.runtime.block_on(async {
            let rows = connect(&self.url).await.query(sql, &[]).await.ok()?;
            Some(rows.first()?.get(0))
        })
    }

    /// Returns the answers in the journal, and the calls that they and the failures took.
    fn kept(&self) -> (u64, u64) {
        self.runtime.block_on(async {
            let reader = PostgresReader::connect(&self.url, RUN)
                .await
                .expect("it is there");
            let mut entries = reader.entries().await.expect("it can be read");
            let (mut answers, mut calls) = (0, 0);
            while let Some(entry) = entries.next().await {
                match entry.expect("it can be read") {
                    Entry::Answered(answer) => {
                        answers += 1;
                        calls += 1 + failures(&answer.attempts).count() as u64;
                    }
                    Entry::Failed(failure) => calls += failures(&failure.attempts).count() as u64,
                    _ => {}
                }
            }
            (answers, calls)
        })
    }

    /// Returns the texts of the records that there must be, sorted.
    fn expected(&self) -> Vec<String> {
        let Storm {
            records, topics, ..
        } = self.storm;
        let mut texts = Vec::new();
        for topic in 0..topics {
            let quota = records / topics + u64::from(topic < records % topics);
            texts.extend((0..quota).map(|number| text(&format!("topic {topic}"), number)));
        }
        texts.sort();
        texts
    }
}

/// What was done to the processes, and how long nothing came because of it.
#[derive(Debug, Default)]
struct Kills {
    workers: u32,
    leaders: u32,
    longest_wait: Duration,
}

impl Place {
    /// Runs the storm until the run is over, and returns what was done.
    fn rage(&mut self) -> Kills {
        let mut processes = vec![self.start(true)];
        while self.state().is_none() {
            thread::sleep(Duration::from_millis(20));
        }
        while processes.len() < PROCESSES {
            processes.push(self.start(false));
        }
        let begun = Instant::now();
        let mut kills = Kills::default();
        let mut chance = 7;
        let mut next_kill = Instant::now() + self.storm.between_kills;
        let (mut crashes, mut cut, mut paused) = (0, false, false);
        let (mut entries, mut last_growth) = (0, Instant::now());
        loop {
            assert!(begun.elapsed() < GIVES_UP_AFTER, "the run does not end");
            let state = self.state().expect("the database is there");
            if state.ended.is_some() {
                break;
            }
            if state.entries > entries {
                entries = state.entries;
                kills.longest_wait = kills.longest_wait.max(last_growth.elapsed());
                last_growth = Instant::now();
            }
            if self
                .storm
                .crashes
                .get(crashes)
                .is_some_and(|&due| entries >= due)
            {
                crashes += 1;
                self.database.crash_and_restart();
            }
            if !cut && entries >= self.storm.cut {
                cut = true;
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
                let cutting = async { connect(&self.url).await.query(sql, &[]).await };
                self.runtime.block_on(cutting).expect("it may");
            }
            let leader = self.leader();
            let lead = processes
                .iter()
                .position(|one| Some(&one.name) == leader.as_ref());
            match (processes.iter().position(|one| one.is_paused), lead) {
                // Another leads the run, which is all that the rest was waiting for.
                (Some(idle), Some(lead)) if idle != lead => {
                    processes[idle].signal("-CONT");
                    processes[idle].is_paused = false;
                }
                (None, Some(lead)) if !paused && state.entries >= self.storm.pause => {
                    paused = true;
                    processes[lead].signal("-STOP");
                    processes[lead].is_paused = true;
                }
                _ => {}
            }
            let due = self.storm.leader_kills.get(kills.leaders as usize);
            let victim = match lead {
                _ if processes.iter().any(|one| one.is_paused) => None,
                Some(lead) if due.is_some_and(|&due| state.entries >= due) => {
                    kills.leaders += 1;
                    Some(lead)
                }
                _ if Instant::now() >= next_kill => {
                    next_kill = Instant::now() + self.storm.between_kills;
                    chance = random(chance);
                    let others: Vec<usize> = (0..PROCESSES).filter(|&n| Some(n) != lead).collect();
                    let place = usize::try_from(chance >> 33).expect("31 bits") % others.len();
                    kills.workers += 1;
                    Some(others[place])
                }
                _ => None,
            };
            if let Some(victim) = victim {
                let process = &mut processes[victim];
                process.child.kill().expect("it can be killed");
                process.child.wait().expect("it ends");
                let creates = process.creates;
                processes[victim] = self.start(creates);
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(
            (crashes, cut, paused),
            (self.storm.crashes.len(), true, true),
            "the run was over before the storm was"
        );
        for mut process in processes {
            if process.is_paused {
                process.signal("-CONT");
            }
            let status = process.child.wait().expect("it ends");
            assert!(
                status.success(),
                "{}: {}",
                process.name,
                self.said(&process)
            );
        }
        kills
    }
}

#[test]
fn a_shared_run_is_exact_whatever_is_killed() {
    let storm = match std::env::var(STORM).as_deref() {
        Ok("full") => FULL,
        _ => SMALL,
    };
    let (records, leader_kills) = (storm.records, storm.leader_kills.len());
    let Some(mut place) = Place::new(storm) else {
        return;
    };
    let begun = Instant::now();
    let kills = place.rage();
    let took = begun.elapsed();

    let calls = place.model.calls();
    let output = place.replayed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(texts(&output.stdout), place.expected());
    assert_eq!(place.replayed().stdout, output.stdout);
    let created = fs::read(place.path("created.jsonl")).expect("it was written");
    assert_eq!(created, output.stdout, "every process gives the same bytes");
    assert_eq!(place.model.calls(), calls, "a replay asks nothing");

    let state = place.state().expect("the run is there");
    let (answers, kept) = place.kept();
    let repeated = calls - kept;
    println!(
        "{records} records in {took:.1?}: {} workers and {} leaders killed, one stopped, two crashes of the database; {} writers; \
         {answers} answers, {calls} calls, {repeated} repeated, {} leases lost; no wait above {:.1?}",
        kills.workers, kills.leaders, state.writers, state.leases_lost, kills.longest_wait
    );
    assert!(kills.longest_wait < LONGEST_WAIT);
    assert_eq!(kills.leaders as usize, leader_kills);
    assert!(
        state.writers > kills.leaders.into(),
        "each was followed by another"
    );
    assert!(
        repeated <= state.leases_lost,
        "{repeated} calls are repeated"
    );
    assert_eq!(state.calls_open, 0);
}

#[test]
fn a_process_that_stands_by_says_what_it_waits_for_and_how_far_the_run_is() {
    let storm = Storm {
        records: 160,
        topics: 16,
        delay: Duration::from_millis(400),
        ..SMALL
    };
    let Some(mut place) = Place::new(storm) else {
        return;
    };
    let mut leader = place.start(true);
    while place.state().is_none_or(|state| state.entries < 4) {
        thread::sleep(Duration::from_millis(20));
    }
    let mut work = place.command();
    work.args(["work", &place.url, RUN, "--concurrency", "1"]);
    let output = work.output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("another process leads the run"),
        "{said}"
    );
    assert!(lines[1].contains(" of 160 records"), "{said}");
    assert_eq!(said.matches("leads the run").count(), 1, "{said}");
    assert_eq!(lines.last(), Some(&"the run is over: complete"), "{said}");
    assert!(leader.child.wait().expect("it ends").success());
}

/// Runs the command to its end; returns its status, and what it wrote.
fn command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_topicloom"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    let input = "examples/input.json";
    let nowhere = "postgres://weaver:hunter2@127.0.0.1:1/runs";
    let tls = "postgres://weaver:hunter2@127.0.0.1:1/runs?sslmode=require";
    let (tls_status, tls_says) = if cfg!(feature = "postgres-tls") {
        (1, "cannot be reached")
    } else {
        (2, "postgres-tls")
    };
    let nonsense = "postgres://weaver:hunter2@127.0.0.1:port/runs";
    for (status, says, arguments) in [
        (2, "--run-id", &["run", input, "--journal", nowhere][..]),
        (2, "--run-id", &["resume", nowhere]),
        (2, "--run-id", &["inspect", nowhere]),
        (
            2,
            "file holds one run",
            &["inspect", "a.journal", "--run-id", "a"],
        ),
        (
            2,
            "database",
            &[
                "run",
                input,
                "--journal",
                "a.journal",
                "--run-id",
                "a",
                "--shared",
            ],
        ),
        (
            2,
            "--run-id",
            &["run", input, "--journal", nowhere, "--shared"],
        ),
        (
            1,
            "cannot be reached",
            &[
                "run",
                input,
                "--journal",
                nowhere,
                "--run-id",
                "a",
                "--offline",
            ],
        ),
        (1, "cannot be reached", &["work", nowhere, "a"]),
        (tls_status, tls_says, &["work", tls, "a"]),
        (2, "not given by a URL", &["work", nonsense, "a"]),
    ] {
        let (code, _, said) = command(arguments);
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_run_of_one_process_is_kept_resumed_extended_and_inspected_in_a_database() {
    let Some(database) = postgres::server() else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime starts");
    let url = &runtime.block_on(database.database());
    let input = "examples/input.json";
    let place = ["--run-id", "one", "--quiet"];
    let (code, _, said) = command(&["work", url, "one"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no such run"), "{said}");

    let run = ["run", input, "--offline", "--journal", url];
    let (code, first, said) = command(&[&run[..], &place].concat());
    assert_eq!((code, first.lines().count()), (Some(0), 100), "{said}");
    let resume = ["resume", url, "--offline"];
    let (code, again, said) = command(&[&resume[..], &place].concat());
    assert_eq!((code, &again), (Some(0), &first), "{said}");
    let (code, more, said) = command(&[&resume[..], &place, &["--extend-to", "110"]].concat());
    assert_eq!((code, more.lines().count()), (Some(0), 110), "{said}");
    let (code, more_again, _) = command(&[&resume[..], &place].concat());
    assert_eq!((code, more_again), (Some(0), more));

    let (code, shown, said) = command(&["inspect", url, "--run-id", "one"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(shown.contains("ended: complete"), "{shown}");
    let (_, raw, _) = command(&["inspect", url, "--run-id", "one", "--raw"]);
    assert!(raw.lines().count() > 110 && raw.contains("\"started\""));
    let (_, answer, _) = command(&["inspect", url, "--run-id", "one", "--task", "0"]);
    assert!(answer.contains('{'), "{answer}");
    let (code, _, said) = command(&["work", url, "one"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn a_run_whose_database_hangs_hears_each_signal_within_a_second() {
    let Some(database) = postgres::server() else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime starts");
    let (url, proxy) = runtime.block_on(async {
        let proxy = Proxy::to(database.port()).await;
        (proxy.url(&database.database().await), proxy)
    });
    let folder = tempfile::tempdir().expect("there is room");
    let model = ProviderServer::builder(Wire::OpenAi, |question: &Question<'_>| answer(question))
        .delay(Duration::from_millis(100))
        .start_on_thread()
        .expect("a port is free");
    let input = json!({
        "num_records": 1_000, "topics": ["tides"], "generation_model_name": "openai/counted",
        "output_schema": [{"name": "text", "type": "str"}],
    });
    let path = folder.path().join("input.json");
    fs::write(&path, input.to_string()).expect("there is room");
    for signals in [1, 2] {
        let said = folder.path().join(format!("said{signals}"));
        let id = signals.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .arg("run")
            .arg(&path)
            .args(["--journal", &url, "--run-id", &id])
            .env("OPENAI_BASE_URL", model.base_url())
            .env("OPENAI_API_KEY", "a key of no worth")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said).expect("there is room"))
            .spawn()
            .expect("the command starts");
        let calls = model.calls();
        while model.calls() < calls + 30 {
            thread::sleep(Duration::from_millis(10));
        }
        proxy.fall_silent();
        thread::sleep(Duration::from_millis(500));
        let signal = || {
            let mut kill = Command::new("kill");
            // Not SIGINT, which a shell has ignored by what it runs in the background.
            kill.args(["-TERM", &child.id().to_string()]);
            assert!(kill.status().expect("there is `kill`").success());
        };
        signal();
        let begun = Instant::now();
        let said = || fs::read_to_string(&said).unwrap_or_default();
        while !said().contains("SIGTERM") {
            assert!(begun.elapsed() < Duration::from_secs(1), "{}", said());
            thread::sleep(Duration::from_millis(10));
        }
        if signals == 2 {
            signal();
        }
        let limit = [8, 2][signals - 1];
        let status = child.wait().expect("it ends");
        assert!(
            begun.elapsed() < Duration::from_secs(limit),
            "{:?}",
            begun.elapsed()
        );
        assert!(!status.success());
        assert!(
            signals == 2 || said().contains("the journal did not answer"),
            "{}",
            said()
        );
        proxy.lead_to(database.port());
    }
}
