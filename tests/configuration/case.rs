//! One case, and how the command does on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::{Rule, Server};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    #[serde(skip)]
    pub(crate) name: String,
    /// What this is about, in a sentence.
    pub(crate) about: String,
    /// The keys of the input that matter; the rest is filled in. A string is the whole file.
    pub(crate) input: Value,
    /// The environment; `@SERVER` stands for host and port of the server, `@FREE` for a port where nobody listens.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Files beside the input.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    #[serde(default)]
    pub(crate) expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) exit: i32,
    pub(crate) records: usize,
    pub(crate) max_calls: u64,
    pub(crate) seconds: u64,
    pub(crate) stderr_has: Vec<String>,
    pub(crate) stderr_lacks: Vec<String>,
    /// Pointers into the first request's body, and what stands there.
    pub(crate) sent: BTreeMap<String, Value>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            exit: 0,
            records: 4,
            max_calls: 8,
            seconds: 20,
            stderr_has: Vec::new(),
            stderr_lacks: Vec::new(),
            sent: BTreeMap::new(),
        }
    }
}

/// What came of a case.
pub(crate) struct Outcome {
    pub(crate) exit: Option<i32>,
    pub(crate) records: usize,
    pub(crate) stderr: String,
    took: Duration,
    calls: u64,
    seen: Vec<Value>,
}

impl Case {
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let mut case: Self = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        case.name = file.file_stem().unwrap().to_string_lossy().into_owned();
        case
    }

    pub(crate) fn run(&self) -> Outcome {
        let server = Server::start(self.rules.clone());
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let fill = |text: &str| {
            text.replace("@SERVER", server.address())
                .replace("@FREE", &free.port().to_string())
        };
        let place = tempfile::tempdir().unwrap();
        let input = match &self.input {
            Value::String(text) => text.clone(),
            given => whole(given.clone()).to_string(),
        };
        fs::write(place.path().join("input.json"), fill(&input)).unwrap();
        for (name, content) in &self.files {
            let text = match content {
                Value::String(text) => text.clone(),
                content => content.to_string(),
            };
            fs::write(place.path().join(name), text).unwrap();
        }
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .args(["run", "input.json"])
            .args(&self.args)
            .args(
                self.args
                    .iter()
                    .all(|arg| arg != "--output")
                    .then_some("--output=out.jsonl"),
            )
            .current_dir(place.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.env.iter().map(|(name, value)| (name, fill(value))))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let written = fs::read_to_string(place.path().join("out.jsonl")).unwrap_or_default();
        let port = server.address().rsplit_once(':').unwrap().1.to_owned();
        Outcome {
            exit: output.status.code(),
            records: written.lines().count(),
            stderr: String::from_utf8_lossy(&output.stderr)
                .replace(&port, "PORT")
                .replace(&free.port().to_string(), "PORT"),
            took: started.elapsed(),
            calls: server.calls(),
            seen: server.seen(),
        }
    }

    /// Returns what is not as it should be.
    pub(crate) fn falls_short(&self) -> Vec<String> {
        let (expect, outcome) = (&self.expect, self.run());
        let mut short = Vec::new();
        if outcome.exit != Some(expect.exit) {
            short.push(format!("exit {:?}: {}", outcome.exit, outcome.stderr));
        }
        if expect.exit == 0 && outcome.records != expect.records {
            short.push(format!("{} records", outcome.records));
        }
        if outcome.calls > expect.max_calls {
            short.push(format!("{} calls", outcome.calls));
        }
        if outcome.took > Duration::from_secs(expect.seconds) {
            short.push(format!("it took {:?}", outcome.took));
        }
        for text in &expect.stderr_has {
            if !outcome.stderr.contains(text) {
                short.push(format!("it does not say `{text}`: {}", outcome.stderr));
            }
        }
        for text in &expect.stderr_lacks {
            if outcome.stderr.contains(text) {
                short.push(format!("it says `{text}`: {}", outcome.stderr));
            }
        }
        for (pointer, value) in &expect.sent {
            let sent = outcome.seen.first().and_then(|body| body.pointer(pointer));
            if sent.unwrap_or(&Value::Null) != value {
                short.push(format!("{pointer} is {sent:?}"));
            }
        }
        short
            .into_iter()
            .map(|what| format!("{} ({}): {what}", self.name, self.about))
            .collect()
    }
}

/// Fills in what a case leaves out: four records of two topics, quickly.
fn whole(given: Value) -> Value {
    let mut input = json!({
        "user_instruction": "Q&A pairs about places", "num_records": 4, "topics": ["coasts", "hills"],
        "data_factory_config": {"max_concurrency": 2, "task_runner_timeout": 10, "seed": 1},
    });
    let Value::Object(given) = given else {
        return given;
    };
    for (key, value) in given {
        match (&mut input[&key], value) {
            (Value::Object(config), Value::Object(over)) => config.extend(over),
            (place, value) => *place = value,
        }
    }
    input
}
