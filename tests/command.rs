//! What the command says and how it exits, on good and on broken input. Without key and network.

#![cfg(all(feature = "cli", feature = "testing"))]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "support/keys.rs"]
mod keys;

/// A folder with an input, and the command in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("there is room"));
        place.write(
            "input.json",
            &json!({
                "user_instruction": "Questions about the sea", "num_records": 40, "topics": ["tides", "currents"],
                "generation_model_name": "openai/gpt-4o-mini", "topic_model_name": "openai/gpt-4o-mini",
            })
            .to_string(),
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("there is room");
    }

    /// Runs the command in the folder, without a key.
    fn runs(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .args(args)
            .current_dir(self.0.path())
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null())
            .output()
            .expect("the command starts")
    }

    /// Returns what it printed where it went well.
    fn prints(&self, args: &[&str]) -> String {
        let output = self.runs(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("it prints text")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn records(printed: &str) -> Vec<Value> {
    let record = |line| serde_json::from_str(line).expect("a line is a record");
    printed.lines().map(record).collect()
}

#[test]
fn a_preview_shows_so_many_tasks_with_their_prompts_and_verdicts() {
    let place = Place::new();
    let shown = place.prints(&[
        "preview",
        "input.json",
        "--offline",
        "--seed",
        "1",
        "-n",
        "2",
        "--records-per-request",
        "1",
    ]);
    assert_eq!(shown.matches("== task ").count(), 2, "{shown}");
    assert_eq!(shown.matches(": accepted\n{").count(), 2, "{shown}");
    assert_eq!(
        shown.matches("You write records for a data set.").count(),
        1,
        "{shown}"
    );
    let three = place.prints(&["preview", "input.json", "--offline"]);
    assert_eq!(three.matches("== task ").count(), 3, "{three}");
    assert_eq!(
        fs::read_dir(place.0.path()).expect("it is there").count(),
        1
    );
}

#[test]
fn a_dry_run_writes_one_record_of_each_topic() {
    let place = Place::new();
    let printed = place.prints(&["run", "input.json", "--offline", "--dry-run", "--quiet"]);
    let mut topics: Vec<Value> = records(&printed)
        .into_iter()
        .map(|record| record["topic"].clone())
        .collect();
    topics.sort_by_key(ToString::to_string);
    assert_eq!(topics, ["currents", "tides"]);

    place.prints(&[
        "run",
        "input.json",
        "--offline",
        "--dry-run",
        "--output",
        "dry.jsonl",
        "--report",
        "dry.json",
    ]);
    let written = fs::read_to_string(place.path("dry.jsonl")).expect("it was written");
    assert_eq!(records(&written).len(), 2);
    let report = fs::read_to_string(place.path("dry.json")).expect("it was written");
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(
        (&report["requested"], &report["outcome"]),
        (&json!(2), &json!("complete"))
    );
}

#[test]
fn broken_input_is_told_and_exits_with_two() {
    let place = Place::new();
    place.write("cut.json", "{\"num_records\": 3");
    place.write("wrong.json", r#"{"num_records": -3, "topic": ["a"]}"#);
    place.write("not.txt", "\u{0}\u{1}binary");
    place.write("no.journal", "not a journal at all");
    for (args, told) in [
        (&["preview", "nowhere.json"][..], "cannot be read"),
        (&["preview", "cut.json", "--offline"], "not JSON"),
        (
            &["preview", "wrong.json", "--offline"],
            "num_records (line 1, column 17): is -3",
        ),
        (&["preview", "not.txt", "--offline"], "not YAML"),
        (&["preview", "input.json"], "OPENAI_API_KEY"),
        (
            &["preview", "input.json", "--offline", "-n", "few"],
            "--tasks",
        ),
        (&["preview", "input.json", "--offline", "-n", "-1"], "-1"),
        (
            &[
                "preview",
                "input.json",
                "--offline",
                "--max-concurrency",
                "0",
            ],
            "max_concurrency",
        ),
        (&["preview"], "there is no input"),
        (&["run", "cut.json", "--dry-run", "--offline"], "not JSON"),
        (&["run", "input.json", "--dry-run"], "OPENAI_API_KEY"),
        (
            &["run", "input.json", "--dry-run", "--journal", "run.journal"],
            "--journal",
        ),
        (&["inspect"], "<FILE|URL>"),
    ] {
        let output = place.runs(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    // A file that is there and is no journal is none of the input's fault.
    for args in [
        &["inspect", "no.journal"][..],
        &["inspect", "nowhere.journal"],
        &["resume", "no.journal", "--offline"],
        &["run", "input.json", "--offline", "--journal", "no.journal"],
    ] {
        let output = place.runs(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        assert!(
            said(&output).contains("error: "),
            "{args:?}: {}",
            said(&output)
        );
    }
    let untouched = fs::read_to_string(place.path("no.journal")).expect("it is there");
    assert_eq!(untouched, "not a journal at all");
}

#[test]
fn a_preview_or_dry_run_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let output = place.runs(&[
        "run",
        "input.json",
        "--offline",
        "--dry-run",
        "--output",
        "no folder/out.jsonl",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("no folder"), "{}", said(&output));
}

#[test]
fn any_setting_can_be_set_on_the_command_line() {
    let place = Place::new();
    let run = |set: &str| place.runs(&["run", "input.json", "--offline", "--set", set]);
    for (set, told) in [
        ("max_calls=0", "max_calls (--set): is 0"),
        ("storage=nowhere", "storage (--set): is not a known storage"),
        ("max_call=3", "did you mean `max_calls`?"),
        ("max_calls", "PATH=VALUE"),
    ] {
        let output = run(set);
        assert_eq!(output.status.code(), Some(2), "{set}: {}", said(&output));
        assert!(said(&output).contains(told), "{set}: {}", said(&output));
    }
    let capped = run("max_calls=1");
    assert_eq!(capped.status.code(), Some(3), "{}", said(&capped));
    assert_eq!(records(&String::from_utf8_lossy(&capped.stdout)).len(), 1);
}

#[cfg(unix)]
#[test]
fn whoever_stops_reading_is_not_told_off() {
    let place = Place::new();
    for args in [
        "preview input.json --offline -n 30",
        "schema",
        "completions bash",
        "plan input.json",
        "estimate input.json",
    ] {
        let line = format!("\"$0\" {args} | true; test \"${{PIPESTATUS[0]}}\" -eq 0");
        let output = Command::new("bash")
            .args(["-c", &line, env!("CARGO_BIN_EXE_topicloom")])
            .current_dir(place.0.path())
            .output()
            .expect("there is a shell");
        assert!(output.status.success(), "{args}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
    }
}

#[cfg(unix)]
#[test]
fn a_run_whose_reader_has_enough_is_no_error() {
    let place = Place::new();
    let line = "\"$0\" run input.json --offline | head -1; test \"${PIPESTATUS[0]}\" -eq 0";
    let output = Command::new("bash")
        .args(["-c", line, env!("CARGO_BIN_EXE_topicloom")])
        .current_dir(place.0.path())
        .output()
        .expect("there is a shell");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(records(&String::from_utf8_lossy(&output.stdout)).len(), 1);
    assert!(!said(&output).contains("error"), "{}", said(&output));
}

#[test]
fn a_topic_gives_a_terminal_no_orders() {
    let place = Place::new();
    let topics = json!(["tides", "\u{1b}]0;owned\u{7}", "\u{9b}2J"]);
    place.write(
        "orders.json",
        &json!({"num_records": 30, "topics": topics, "data_factory_config": {"max_calls": 9}})
            .to_string(),
    );
    let journal = [
        "run",
        "orders.json",
        "--offline",
        "--journal",
        "run.journal",
        "-o",
        "out.jsonl",
    ];
    for args in [
        &["plan", "orders.json"][..],
        &["preview", "orders.json", "--offline"],
        &journal,
        &["inspect", "run.journal"],
        &["inspect", "run.journal", "--raw"],
    ] {
        let output = place.runs(args);
        let printed =
            String::from_utf8([output.stdout, output.stderr].concat()).expect("it is text");
        let order = printed
            .chars()
            .find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(order, None, "{args:?}: {printed:?}");
    }
}

#[test]
fn a_dry_run_replaces_no_records() {
    let place = Place::new();
    place.write("data.jsonl.partial", "{\"text\": \"paid for\"}\n");
    let dry_run = [
        "run",
        "input.json",
        "--offline",
        "--dry-run",
        "-o",
        "data.jsonl",
    ];
    let output = place.runs(&dry_run);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output)
            .lines()
            .last()
            .is_some_and(|line| line.contains("data.jsonl.partial"))
    );
}

#[test]
fn an_inspected_journal_tells_the_run_and_what_came_behind_a_second_plan() {
    let place = Place::new();
    let run = [
        "run",
        "input.json",
        "--offline",
        "--quiet",
        "--records-per-request",
        "1",
        "--journal",
        "run.journal",
    ];
    assert_eq!(records(&place.prints(&run)).len(), 40);
    let before = place.prints(&["inspect", "run.journal"]);
    assert!(
        before.contains("      20       20        0  tides"),
        "{before}"
    );
    assert!(before.contains("ended: complete"), "{before}");
    let extend = [
        "resume",
        "run.journal",
        "--offline",
        "--quiet",
        "--extend-to",
        "46",
    ];
    assert_eq!(records(&place.prints(&extend)).len(), 46);
    let after = place.prints(&["inspect", "run.journal"]);
    assert!(
        after.contains("      23       23        0  tides"),
        "{after}"
    );
    assert!(after.contains("46 calls, "), "{after}");
}

#[test]
fn a_short_run_lists_what_was_given_up_and_exits_with_three() {
    let place = Place::new();
    // A record has to hold a number that the stand-in does not hit on.
    place.write(
        "short.json",
        &json!({
            "num_records": 40, "topics": ["tides", "currents"], "generation_model_name": "offline/loom",
            "output_schema": {
                "type": "object", "required": ["answer"],
                "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
            },
        })
        .to_string(),
    );
    let output = place.runs(&["run", "short.json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let gave_up: Vec<String> = said(&output)
        .lines()
        .filter(|line| line.starts_with("gave up \""))
        .map(str::to_owned)
        .collect();
    assert_eq!(gave_up.len(), 2, "{}", said(&output));
    assert!(
        gave_up.iter().all(|line| line.contains("missing, after")),
        "{gave_up:?}"
    );
}

#[test]
fn what_is_a_repeat_is_said_on_the_command_line_and_what_was_refused_is_kept() {
    let place = Place::new();
    place.write(
        "coin.json",
        r#"{"user_instruction": "x", "num_records": 4, "topics": ["t"], "output_schema": [{"name": "heads", "type": "bool"}]}"#,
    );
    let run = [
        "run",
        "coin.json",
        "--offline",
        "--output",
        "coins.jsonl",
        "--rejected",
        "rejected.jsonl",
    ];
    let short = place.runs(&run);
    assert_eq!(short.status.code(), Some(3), "{}", said(&short));
    let rejected =
        records(&fs::read_to_string(place.path("rejected.jsonl")).expect("it is written"));
    assert!(!rejected.is_empty());
    for line in rejected {
        assert_eq!(
            (&line["rejection"], &line["method"]),
            (&json!("duplicate"), &json!("near"))
        );
        assert!(
            line["repeats"]["record"].is_u64() && line["data"]["heads"].is_boolean(),
            "{line}"
        );
    }
    let off = [&run[..], &["--deduplication", "off", "--fresh"]].concat();
    let complete = place.runs(&off);
    assert_eq!(complete.status.code(), Some(0), "{}", said(&complete));
    let planned = place.prints(&["plan", "coin.json"]);
    assert!(planned.contains("compared by near: heads"), "{planned}");
    for said_wrongly in ["nearly", r#"{"fields": ["head"]}"#] {
        let refused = place.runs(&[
            "run",
            "coin.json",
            "--offline",
            "--deduplication",
            said_wrongly,
        ]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    }
}

#[test]
fn records_are_added_to_those_that_are_there() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let args = [
            "run",
            "input.json",
            "--offline",
            "--seed",
            "5",
            "-o",
            "data.jsonl",
        ];
        place.runs(&[args.as_slice(), more].concat())
    };
    assert!(
        run(&["-n", "12", "--attributes", r#"{"level": ["easy", "hard"]}"#])
            .status
            .success()
    );
    let before = fs::read_to_string(place.path("data.jsonl")).expect("it is written");
    // The same seed: but for what is seen, the same records would come.
    let more = run(&["-n", "20", "--append"]);
    assert!(more.status.success(), "{}", said(&more));
    assert!(
        said(&more).contains("12 records were in data.jsonl already"),
        "{}",
        said(&more)
    );
    let after = fs::read_to_string(place.path("data.jsonl")).expect("it is written");
    assert!(after.starts_with(&before));
    let questions: std::collections::BTreeSet<String> = records(&after)
        .iter()
        .map(|record| record["question"].to_string())
        .collect();
    assert_eq!((records(&after).len(), questions.len()), (20, 20));
    assert!(
        said(&more).contains("all 20 records: data.jsonl"),
        "{}",
        said(&more)
    );
    let done = run(&["-n", "20", "--append"]);
    assert!(
        done.status.success() && said(&done).contains("all 20 records are there: data.jsonl"),
        "{}",
        said(&done)
    );
    for command in ["plan", "estimate", "preview"] {
        let args = [
            command,
            "input.json",
            "--offline",
            "--append",
            "--set=output=data.jsonl",
            "--set=num_records=20",
        ];
        let shown = place.runs(&args);
        assert_eq!(shown.status.code(), Some(0), "{args:?}: {}", said(&shown));
    }
    fs::create_dir(place.path("folder")).expect("there is room");
    for folder in ["folder", "folder/", "none/"] {
        let args = ["run", "input.json", "--offline", "--append", "-o", folder];
        let refused = place.runs(&args);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        let why = "adds records to a file of JSON Lines, and the output is a folder";
        assert!(said(&refused).contains(why), "{}", said(&refused));
    }
    assert!(!place.path("none").exists() && !place.path("folder/data").exists());
    let done = run(&["-n", "18", "--append"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(
        said(&done).contains("append: finds 20 records in the output, and `num_records` is 18"),
        "{}",
        said(&done)
    );
    // Without a file to begin with.
    let fresh = place.prints(&[
        "run",
        "input.json",
        "--offline",
        "-n",
        "3",
        "--append",
        "-o",
        "new.jsonl",
    ]);
    assert!(fresh.is_empty() && place.path("new.jsonl").exists());
    assert_eq!(
        place
            .runs(&["run", "input.json", "--offline", "--append"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_journal_of_a_run_that_added_records_exports_what_it_added() {
    let place = Place::new();
    let attributes = ["--attributes", r#"{"level": ["easy", "hard"]}"#];
    let run = [
        "run",
        "input.json",
        "--offline",
        "-q",
        "--seed",
        "5",
        "-o",
        "data.jsonl",
    ];
    place.prints(&[&run[..], &attributes, &["-n", "12"]].concat());
    let more = ["-n", "20", "--append", "--journal", "more.journal"];
    place.prints(&[&run[..], &attributes, &more].concat());
    let all = fs::read_to_string(place.path("data.jsonl")).expect("it is written");
    let added: Vec<&str> = all.lines().skip(12).collect();
    assert_eq!(added.len(), 8);
    let exported = place.prints(&["export", "more.journal", "-q"]);
    assert_eq!(exported.lines().collect::<Vec<_>>(), added);
    assert_eq!(
        fs::read_to_string(place.path("data.jsonl")).expect("it is there"),
        all
    );
    // A table has a column for the attribute.
    let table = place.prints(&["export", "more.journal", "-q", "--format", "csv"]);
    assert!(
        table.starts_with("\"question\",\"answer\",\"level\",\"topic\"\n"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 9);
}

#[test]
fn rows_documents_and_examples_are_named_on_the_command_line() {
    let place = Place::new();
    place.write("rows.csv", "id,name\n1,a bell\n2,a lock\n3,a pump\n");
    place.write(
        "good.jsonl",
        "{\"question\": \"Is it loud?\", \"answer\": \"Yes.\"}\n",
    );
    place.write("manual.md", "One part.\n\nAnother part.\n");
    let printed = place.prints(&[
        "run",
        "--offline",
        "--instruction",
        "Questions of customers",
        "--source",
        "rows.csv",
        "--examples",
        "good.jsonl",
        "--set",
        "source.keep=[\"id\"]",
        "--quiet",
    ]);
    let mut ids: Vec<String> = records(&printed)
        .iter()
        .map(|record| record["id"].to_string())
        .collect();
    ids.sort();
    assert_eq!(ids, [r#""1""#, r#""2""#, r#""3""#]);
    let plan = place.prints(&[
        "plan",
        "--documents",
        "manual.md",
        "--set",
        "documents.chunk_chars=13",
    ]);
    assert!(
        plan.contains("       1  row 2\n       2  records, 2 topics"),
        "{plan}"
    );
}

#[test]
fn a_run_needs_no_file() {
    let place = Place::new();
    let printed = place.prints(&[
        "run",
        "--offline",
        "--instruction",
        "Questions about gardens",
        "--topics",
        "vegetables,fruit trees",
        "-n",
        "6",
        "--field",
        "question",
        "--field",
        "answer",
        "--field",
        "season:str",
        "-o",
        "qa.jsonl",
    ]);
    assert!(printed.is_empty());
    let made = records(&fs::read_to_string(place.path("qa.jsonl")).expect("it is complete"));
    assert_eq!(made.len(), 6);
    let keys: Vec<_> = made[0]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["question", "answer", "season", "topic"]);
    assert!(
        made.iter()
            .all(|record| record["topic"] == "vegetables" || record["topic"] == "fruit trees")
    );
}

#[test]
fn the_command_line_wins_over_the_file_whatever_is_in_it() {
    let place = Place::new();
    place.write(
        "job.yaml",
        "\
user_instruction: Questions about the sea
num_records: 40   # far too many
topics: [tides, currents]
generation_model_kwargs: {temperature: 9, top_p: 0.5}
task_runner_timeout: never
data_factory_config:
  records_per_request: 4
",
    );
    place.write("topics.csv", "topic;count\nwaves;2\n");
    let run = |args: &[&str]| {
        let mut all = vec!["plan", "job.yaml", "--call-timeout", "5"];
        all.extend(args);
        place.runs(&all)
    };
    let plan = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("it prints text")
    };
    assert!(plan(&[]).contains("40  records, 2 topics"));
    assert!(plan(&["-n", "3"]).contains("3  records, 2 topics"));
    assert!(plan(&["--topics-file", "topics.csv", "-n", "2"]).contains("2  waves"));
    assert!(
        plan(&["--topics", "a,b, c", "--deduplication", "exact"]).contains("compared by exact")
    );
    assert!(plan(&["--set", "topics[0]=ebb"]).contains("  ebb\n"));
    for (args, told) in [
        (
            &["-n", "none"][..],
            "num_records (--num-records): is a string; write a whole number",
        ),
        (
            &["--temperature", "hot"],
            "generation_model_kwargs.temperature (--temperature): is a string",
        ),
        (
            &["--topics", "a,,b"],
            "topics[1] (--topics): is a blank name",
        ),
        (&["--field", "a:text"], "output_schema[0].type (--field): "),
        (
            &["--records-per-request", "0"],
            "data_factory_config.records_per_request (--records-per-request): is 0",
        ),
        (
            &["--set", "deduplication.scop=topic"],
            "deduplication.scop (--set): is not a known key; did you mean `scope`?",
        ),
        (
            &["--topics-file", "none.csv"],
            "topics.file (--topics-file): names a file that cannot be read",
        ),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
    }
    let unsaid = place.runs(&["plan", "job.yaml"]);
    let told = "task_runner_timeout (line 5, column 1): is a string; write a number";
    assert!(said(&unsaid).contains(told), "{}", said(&unsaid));
}

#[test]
fn the_jobs_of_the_examples_run_offline() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/inputs");
    let mut jobs = 0;
    for file in fs::read_dir(&folder).expect("it is there") {
        let file = file.expect("it is readable").path();
        if !file
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "toml")
        {
            continue;
        }
        jobs += 1;
        let place = tempfile::tempdir().expect("there is room");
        let output = place.path().join("made.jsonl");
        let run = Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .arg("run")
            .arg(&file)
            // The stand-in writes no German.
            .args(
                ["--filters", "off"]
                    .iter()
                    .filter(|_| file.ends_with("topic-tree.yaml")),
            )
            .args(["--offline", "--seed", "1", "-o"])
            .arg(&output)
            // From where the examples are said to run.
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("the command starts");
        assert!(run.status.success(), "{}: {}", file.display(), said(&run));
        assert!(!records(&fs::read_to_string(output).expect("it is complete")).is_empty());
    }
    assert_eq!(jobs, 19);
    let script = fs::read_to_string(folder.join("without-a-file.sh")).expect("it is there");
    let command = script
        .split_once("exec topicloom ")
        .expect("it runs the command")
        .1;
    let words = command.replace("\\\n", " ").replace("\"$@\"", "");
    // As a shell takes them apart.
    let mut args = Vec::new();
    let mut rest = words.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.chars().next() {
            Some(mark @ ('"' | '\'')) => rest[1..].split_once(mark).expect("it is closed"),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        args.push(word);
        rest = after.trim();
    }
    args.push("--offline");
    let place = Place::new();
    place.prints(&args);
    assert_eq!(
        records(&fs::read_to_string(place.path("gardening.jsonl")).expect("it is complete")).len(),
        20
    );
}

#[test]
fn an_input_to_begin_with_is_written_and_runs() {
    let place = Place::new();
    place.prints(&[
        "init",
        "job.yaml",
        "--instruction",
        "Says \"hello\": # twice",
        "--topics",
        "a: b,c",
        "-n",
        "4",
    ]);
    assert_eq!(
        records(&place.prints(&["run", "job.yaml", "--offline"])).len(),
        4
    );
    let again = place.runs(&["init", "job.yaml"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("--force"), "{}", said(&again));
    place.prints(&["init", "job.yaml", "--force"]);
    assert_eq!(
        records(&place.prints(&["run", "job.yaml", "--offline"])).len(),
        20
    );
}

#[test]
fn shells_complete_the_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(
            place
                .prints(&["completions", shell])
                .contains("num-records"),
            "{shell}"
        );
    }
}

#[test]
fn a_key_may_stand_in_a_file_beside_and_is_shown_by_nothing() {
    let place = Place::new();
    place.write(".env", "export OPENAI_API_KEY='sk-SECRET' # mine\n");
    let models = place.prints(&["models"]);
    let row = models
        .lines()
        .find(|line| line.starts_with("openai "))
        .expect("it is known");
    assert!(row.contains(" set "), "{row}");
    assert!(!models.contains("sk-"));
    place.write(".env", "OPENAI_API_KEY=sk-SECRET\nsk-SECRET\n");
    let broken = place.runs(&["models"]);
    assert!(!broken.status.success());
    assert!(
        said(&broken).contains("NAME=value") && !said(&broken).contains("SECRET"),
        "{}",
        said(&broken)
    );
}

#[test]
fn what_an_input_says_of_its_files_is_done() {
    let place = Place::new();
    place.write(
        "job.toml",
        "\
user_instruction = \"Questions about the sea\"
num_records = 3
topics = [\"tides\"]
output = \"made.jsonl\"
report = \"report.json\"
rejected = \"rejected.jsonl\"
journal = \"kept.journal\"
",
    );
    place.prints(&["run", "job.toml", "--offline", "--seed", "1"]);
    assert_eq!(
        records(&fs::read_to_string(place.path("made.jsonl")).expect("it is complete")).len(),
        3
    );
    for file in ["report.json", "rejected.jsonl", "kept.journal"] {
        assert!(place.path(file).exists(), "{file}");
    }
    let printed = place.prints(&["run", "job.toml", "--offline", "--seed", "1", "-o", "-"]);
    assert_eq!(records(&printed).len(), 3);
    for file in ["report.json", "rejected.jsonl", "kept.journal"] {
        fs::remove_file(place.path(file)).expect("it was written");
    }
    let off = ["--report", "off", "--rejected=false", "--journal", "off"];
    place.prints(
        &[
            &["run", "job.toml", "--offline", "-o", "other.jsonl"][..],
            &off,
        ]
        .concat(),
    );
    for file in [
        "report.json",
        "rejected.jsonl",
        "kept.journal",
        "off",
        "false",
    ] {
        assert!(!place.path(file).exists(), "{file}");
    }
    assert!(
        said(&place.runs(&["run", "job.toml", "--offline", "-o", "job.toml"]))
            .contains("one file cannot be both")
    );
}

/// A folder with a file of each kind that a command reads.
fn with_material() -> Place {
    let place = Place::new();
    let schema =
        json!({"type": "object", "properties": {"a": {"$ref": "part.json"}}, "required": ["a"]});
    let job = json!({"topics": ["tides"], "num_records": 2, "output_schema": schema}).to_string();
    for folder in ["docs", "out", "out/data"] {
        fs::create_dir(place.path(folder)).expect("there is room");
    }
    for (file, text) in [
        ("rows.csv", "q\na\n"),
        ("shown.jsonl", r#"{"question": "a", "answer": "b"}"#),
        ("names.txt", "tides\n"),
        ("ask.txt", "{{ topic }} {{ variables }}"),
        ("prices.json", "{}"),
        (".env", "A=1\n"),
        ("part.json", r#"{"type": "string"}"#),
        ("job.json", &job),
        ("docs/a.md", "A text about the tides."),
        ("out/data/old.jsonl", r#"{"q": "a"}"#),
    ] {
        place.write(file, text);
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("rows.csv", place.path("link.csv")).expect("there is room");
    place
}

/// Returns every file below a folder, with what is in it.
fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is there").flatten() {
            let path = entry.path();
            match fs::read(&path) {
                Ok(bytes) => all.push((path, bytes)),
                Err(_) => folders.push(path),
            }
        }
    }
    all.sort();
    all
}

/// Nothing that a command reads is lost, and nothing is made before that is sure.
#[test]
fn no_file_is_both_read_and_written() {
    let place = with_material();
    let before = all_files(place.0.path());
    let source_and = |role: &str| format!("the file of `source.file` and the {role}");
    let mut cases = vec![
        ("--source rows.csv -o rows.csv", source_and("output")),
        ("--source rows.csv -o out/../rows.csv", source_and("output")),
        ("--source rows.csv --report rows.csv", source_and("report")),
        (
            "--source rows.csv --rejected rows.csv",
            source_and("list of"),
        ),
        ("--source rows.csv --cache rows.csv", source_and("cache")),
    ];
    if cfg!(unix) {
        cases.push(("--source rows.csv -o link.csv", source_and("output")));
    }
    let others = [
        (
            "--topics a --examples shown.jsonl -o shown.jsonl",
            "`examples.file` and the output",
        ),
        (
            "--instruction x --topics-file names.txt -o names.txt",
            "`topics.file` and the output",
        ),
        (
            r#"--topics a --prompts {"request":{"file":"ask.txt"}} -o ask.txt"#,
            "`prompts.request.file` and the output",
        ),
        (
            "--topics a --prices prices.json -o prices.json",
            "list of prices and the output",
        ),
        ("--topics a -o .env", "file of keys and the output"),
        ("job.json -o job.json", "the input and the output"),
        ("job.json -o part.json", "`output_schema` and the output"),
        (
            "--topics a -o a.jsonl --report a.jsonl.partial",
            "the report and the output",
        ),
        (
            "--topics a -o a.jsonl --cache a.jsonl",
            "the cache and the output",
        ),
        (
            r#"--topics a -o a.jsonl --storage {"local":"."} --cache a.jsonl.journal"#,
            "the journal and the cache",
        ),
        (
            "--source rows.csv -o set.csv --split rows=0.5,b=0.5 --report set.b.csv",
            "the report and the output",
        ),
        (
            "--documents docs -o docs/",
            "the folder of the output lies in the file of `documents`",
        ),
        (
            "--documents docs -o docs/new/",
            "the folder of the output lies in the file of `documents`",
        ),
        (
            "--documents docs -o docs/a.md --format jsonl",
            "`documents` and the output",
        ),
        (
            "--source out/data/old.jsonl -o out/",
            "`source.file` lies in the folder of the output",
        ),
    ];
    cases.extend(others.map(|(args, roles)| (args, roles.to_owned())));
    let mut wrong = Vec::new();
    for (args, roles) in cases {
        let all: Vec<&str> = ["run", "--offline", "-n", "2"]
            .into_iter()
            .chain(args.split(' '))
            .collect();
        let ended = place.runs(&all);
        let words = said(&ended);
        let is_refused = ended.status.code() == Some(2) && words.contains(&roles);
        if !is_refused || words.contains("nothing was made") {
            wrong.push(format!("{args}: {words}"));
        }
        assert!(
            all_files(place.0.path()) == before,
            "{args} has changed something"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    place.prints(&["run", "--offline", "--documents", ".", "-o", "docs.jsonl"]);
}

/// Runs every example of every key, at its place in an input, a few at a time.
#[test]
fn every_documented_example_runs_offline() {
    // Two are for a database, one is for a file, and one wants values that the stand-in does not know.
    let goes_otherwise = |path: &str| match path {
        "journal.shared" | "journal.run_id" | "append" => Some(2),
        "filters.answer.one_of" => Some(3),
        _ => None,
    };
    let rows = keys::rows();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    let run = || {
        while let Some(row) = rows.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            for example in row.schema["examples"].as_array().expect("it has some") {
                let place = Place::new();
                keys::write_files(place.0.path());
                let mut document = keys::document(row, example);
                let is_of_rows = matches!(&*row.path[0], "source" | "documents");
                if !is_of_rows && row.path() != "num_records" {
                    document["num_records"] = json!(20);
                }
                place.write("input.json", &document.to_string());
                let output =
                    place.runs(&["run", "input.json", "--offline", "--quiet", "--seed", "1"]);
                let status = goes_otherwise(&row.path()).unwrap_or(0);
                if output.status.code() != Some(status) {
                    let said = format!("{} {example}: {}", row.path(), said(&output));
                    wrong.lock().expect("nothing panics").push(said);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(run);
        }
    });
    let wrong = wrong.into_inner().expect("nothing panics");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn bytes(path: &std::path::Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(feature = "parquet")]
#[test]
fn an_export_is_what_the_run_wrote_in_every_format_and_shape() {
    let place = Place::new();
    let shape = "messages=question:answer,system=Be brief, and kind.";
    for (name, more) in [
        ("data.jsonl", &[][..]),
        ("data.jsonl.gz", &[]),
        ("data.csv", &["--escape-formulas"]),
        ("data.parquet", &[]),
        ("shaped.jsonl", &["--shape", shape]),
        ("shaped.parquet", &["--shape", shape]),
        (
            "plain",
            &["--format", "csv", "--shape", "text=question:topic"],
        ),
    ] {
        let run = [
            "run",
            "input.json",
            "--offline",
            "-q",
            "--journal",
            "run.journal",
            "-o",
            name,
        ];
        place.prints(&[&run[..], more].concat());
        let written = bytes(&place.path(name));
        fs::remove_file(place.path(name)).expect("it is there");
        let export = ["export", "run.journal", "-o", name];
        let output = place.runs(&[&export[..], more].concat());
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert_eq!(said(&output), format!("all 40 records: {name}\n"));
        assert!(bytes(&place.path(name)) == written, "{name} differs");
    }
    let printed = place.prints(&["export", "run.journal", "--shape", shape]);
    assert_eq!(printed.as_bytes(), bytes(&place.path("shaped.jsonl")));
    let journal = bytes(&place.path("run.journal"));
    place.prints(&["export", "run.journal", "-q", "-o", "data.jsonl"]);
    assert!(
        bytes(&place.path("run.journal")) == journal,
        "it was written to"
    );
    let left = fs::read_dir(place.0.path()).expect("it is there").count();
    assert_eq!(left, 9, "the input, the journal, and seven outputs");
}

#[test]
fn a_journal_whose_input_was_changed_back_is_read_by_every_command() {
    let place = Place::new();
    let run = |records: &str| {
        let args = ["run", "input.json", "--offline", "-o", "data.jsonl", "-n"];
        let storage = [records, "--set", r#"storage={"local": "."}"#];
        place.runs(&[&args[..], &storage].concat())
    };
    for records in ["6", "8", "6"] {
        let ended = run(records);
        assert!(ended.status.success(), "{}", said(&ended));
    }
    for args in [
        &["export", "data.jsonl.journal", "-o", "again.jsonl"][..],
        &["stats", "data.jsonl.journal"],
        &["show", "data.jsonl.journal"],
        &["why", "data.jsonl:6"],
        &["report", "data.jsonl.journal"],
        &["inspect", "data.jsonl.journal"],
        &["resume", "data.jsonl.journal", "--offline", "-o", "b.jsonl"],
    ] {
        place.prints(args);
    }
    for (record, whose) in [
        ("data.jsonl:999", "file"),
        ("data.jsonl.journal:999", "journal"),
    ] {
        let none = place.runs(&["why", record]);
        let told = format!("the {whose} has 6 records, and none with this number");
        assert!(said(&none).contains(&told), "{}", said(&none));
    }
    for file in ["again.jsonl", "b.jsonl"] {
        assert!(bytes(&place.path(file)) == bytes(&place.path("data.jsonl")));
    }
}

#[test]
fn an_export_of_an_incomplete_run_says_how_many_there_are() {
    let place = Place::new();
    let run = [
        "run",
        "input.json",
        "--offline",
        "--journal",
        "run.journal",
        "-o",
        "data.jsonl",
        "--set",
        "max_calls=9",
        "--set",
        "records_per_request=1",
    ];
    assert_eq!(place.runs(&run).status.code(), Some(3));
    let output = place.runs(&["export", "run.journal", "-o", "so-far.jsonl"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        said(&output),
        "9 of 40 records, as many as the journal holds: so-far.jsonl\n"
    );
    assert!(bytes(&place.path("so-far.jsonl")) == bytes(&place.path("data.jsonl.partial")));
    // What a run has written so far, its last entry cut off.
    let journal = bytes(&place.path("run.journal"));
    fs::write(
        place.path("half.journal"),
        &journal[..journal.len() * 2 / 3],
    )
    .expect("there is room");
    let half = place.prints(&["export", "half.journal"]);
    let so_far = bytes(&place.path("so-far.jsonl"));
    assert!(!half.is_empty() && half.len() < so_far.len());
    assert!(so_far.starts_with(half.as_bytes()));
    let same = place.runs(&["export", "run.journal", "-o", "run.journal"]);
    assert_eq!(same.status.code(), Some(2), "{}", said(&same));
}

#[test]
fn a_format_or_shape_that_cannot_be_is_told_before_the_first_call() {
    let place = Place::new();
    for (args, told) in [
        (
            &["-o", "data.xlsx"][..],
            "`.xlsx` is the extension of no format",
        ),
        (&["-o", "data.jsonl.zst"], "name the file `NAME.jsonl.gz`"),
        (
            &["-o", "data.csv", "--format", "jsonl"],
            "says another format",
        ),
        (
            &["--format", "xml"],
            "`xml` is no format; write one of `jsonl`, `csv`, `parquet`",
        ),
        (
            &["--shape", "messages=qestion:answer"],
            "did you mean `question`?",
        ),
        (
            &["--shape", "mesages=question:answer"],
            "did you mean `messages`?",
        ),
        (
            &["--set", "output.shape=alpaca=question:anwser"],
            "did you mean `answer`?",
        ),
    ] {
        let output = place.runs(&[&["run", "input.json", "--offline"][..], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
    }
    assert_eq!(
        fs::read_dir(place.0.path()).expect("it is there").count(),
        1
    );
}

#[test]
fn a_split_has_exact_counts_and_keeps_topics_on_one_side() {
    let place = Place::new();
    let run = [
        "run",
        "input.json",
        "--offline",
        "--journal",
        "run.journal",
        "-o",
        "data.csv",
    ];
    let split = ["--split", "train=.75,test=.25"];
    let output = place.runs(&[&run[..], &split].concat());
    assert!(output.status.success(), "{}", said(&output));
    let told = said(&output);
    assert!(
        told.contains("train: 30 records; test: 10 records; "),
        "{told}"
    );
    assert!(
        told.ends_with("all 40 records: data.train.csv, data.test.csv\n"),
        "{told}"
    );
    let (train, test) = (place.path("data.train.csv"), place.path("data.test.csv"));
    let written = (bytes(&train), bytes(&test));
    let export = ["export", "run.journal", "-q", "-o", "data.csv"];
    place.prints(&[&export[..], &split].concat());
    assert!(
        (bytes(&train), bytes(&test)) == written,
        "an export splits otherwise"
    );
    let by_topic = [
        "export",
        "run.journal",
        "-q",
        "-o",
        "by.jsonl",
        "--split",
        "a=.5,b=.5",
        "--split-by",
        "topic",
    ];
    place.prints(&by_topic);
    for (side, topics) in [("by.a.jsonl", 1), ("by.b.jsonl", 1)] {
        let side = records(&String::from_utf8_lossy(&bytes(&place.path(side))));
        let seen: std::collections::BTreeSet<_> =
            side.iter().map(|it| it["topic"].to_string()).collect();
        assert_eq!((side.len(), seen.len()), (20, topics));
    }
    let left = fs::read_dir(place.0.path()).expect("it is there").count();
    assert_eq!(left, 6, "the input, the journal, and two sides twice");
    for (args, told) in [
        (
            &["--split", "train=.9"][..],
            "the shares add up to 0.9; write shares",
        ),
        (
            &["--split", "a=.5,b=.5", "--split-by", "topics"],
            "`topics` is no field of the schema",
        ),
    ] {
        let output = place.runs(&[&run[..], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
    }
}

/// Returns the names of what lies in a folder, in order.
#[cfg(feature = "parquet")]
fn names_in(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("it is there");
    let name = |file: io::Result<fs::DirEntry>| file.expect("it is readable").file_name();
    let names = files.map(|file| name(file).to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Checks that the report and the message say the same of the most similar records on different sides.
#[cfg(feature = "parquet")]
fn tells_the_closest_sides(manifest: &Value, said: &str) {
    // No number is told where the sides share little, and what the stand-in says differs from run to run.
    let closest = &manifest["split"]["closest_sides"];
    let shared = closest["similarity"]
        .as_f64()
        .map_or("30".to_owned(), |share| format!("{:.0}", share * 100.0));
    let sentence = format!("share {shared} % of their words");
    assert!(said.contains(&sentence), "{closest}: {said}");
}

#[cfg(feature = "parquet")]
#[test]
fn a_folder_has_all_that_belongs_to_a_data_set_and_an_export_makes_the_same_data() {
    let place = Place::new();
    let run = [
        "run",
        "input.json",
        "--offline",
        "--journal",
        "run.journal",
        "-o",
        "out/",
        "--split",
        "train=.9,test=.1",
    ];
    let output = place.runs(&run);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("hf upload USER/NAME out --repo-type dataset"),
        "{}",
        said(&output)
    );
    let listed = |folder: &str| names_in(&place.path(folder));
    assert_eq!(
        listed("out"),
        [
            "README.md",
            "SHA256SUMS",
            "data",
            "manifest.json",
            "rejected.jsonl",
            "report.html",
            "report.json"
        ]
    );
    let page = String::from_utf8_lossy(&bytes(&place.path("out/report.html"))).into_owned();
    for heading in ["Over time", "Topics", "Fields", "Diversity", "Sides"] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    let data = listed("out/data");
    assert_eq!(
        data,
        [
            "test-00000-of-00001.parquet",
            "train-00000-of-00001.parquet"
        ]
    );
    let card = String::from_utf8_lossy(&bytes(&place.path("out/README.md"))).into_owned();
    let head = card
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
        .expect("it has a head")
        .0;
    for line in [
        "  - split: test",
        "    path: data/train-00000-of-00001.parquet",
        "- n<1K",
    ] {
        assert!(head.lines().any(|it| it == line), "{head}");
    }
    let manifest: Value =
        serde_json::from_slice(&bytes(&place.path("out/manifest.json"))).expect("it is JSON");
    assert_eq!(
        (&manifest["accepted"], &manifest["input"]["num_records"]),
        (&json!(40), &json!(40))
    );
    let listed_data = manifest["files"].as_array().expect("it lists files");
    for file in listed_data {
        let name = file["name"].as_str().expect("it has a name");
        let there = bytes(&place.path("out").join(name)).len();
        assert_eq!(file["bytes"], there, "{name}");
    }
    assert!(manifest["prices"].is_object(), "{manifest}");
    let told: Value =
        serde_json::from_slice(&bytes(&place.path("out/report.json"))).expect("it is JSON");
    assert_eq!(told["split"], manifest["split"]);
    tells_the_closest_sides(&manifest, &said(&output));
    let sums = Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(place.path("out"))
        .output();
    if let Ok(sums) = sums {
        assert!(sums.status.success(), "{}", said(&sums));
        assert_eq!(String::from_utf8_lossy(&sums.stdout).lines().count(), 7);
    }
    let again = [
        "export",
        "run.journal",
        "-o",
        "again/",
        "--split",
        "train=.9,test=.1",
    ];
    place.prints(&again);
    assert_eq!(listed("again"), listed("out"));
    for name in data {
        let of = |folder: &str| bytes(&place.path(folder).join("data").join(&name));
        assert!(of("again") == of("out"), "{name} differs");
    }
}

/// Makes 40 records with a journal, and writes them as `more` says.
fn with_journal(place: &Place, output: &str, more: &[&str]) {
    let journal = format!("{}.journal", output.trim_end_matches('/'));
    let fixed = "run --offline --instruction sea-questions --topics tides,waves -n 40 --seed 3 -q";
    let fixed: Vec<&str> = fixed
        .split(' ')
        .chain(["-o", output, "--journal", &journal])
        .collect();
    place.prints(&[&fixed, more].concat());
}

fn json_lines(place: &Place, name: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(&place.path(name))).expect("it is text");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect()
}

#[test]
fn every_row_says_where_it_comes_from() {
    let place = Place::new();
    with_journal(&place, "plain.jsonl", &[]);
    with_journal(&place, "beside.jsonl", &["--provenance", "sidecar"]);
    let records = json_lines(&place, "beside.jsonl");
    assert_eq!(records, json_lines(&place, "plain.jsonl"));
    let sidecar = json_lines(&place, "beside.provenance.jsonl");
    for (number, (record, provenance)) in records.iter().zip(&sidecar).enumerate() {
        assert_eq!(provenance["ordinal"], number);
        assert_eq!(provenance["topic"], record["topic"]);
        assert_eq!(provenance["model"], "offline/loom");
        assert!(provenance["output_tokens"].as_u64() > Some(0));
    }
    assert_eq!(sidecar.len(), 40);
    let similarity = |it: &Value| it["nearest"]["similarity"].as_f64();
    assert!(sidecar.iter().any(|it| similarity(it) > Some(0.3)));
    with_journal(&place, "inside.jsonl", &["--provenance", "columns"]);
    let inside = json_lines(&place, "inside.jsonl").into_iter();
    let inside: Vec<Value> = inside.map(|mut it| it["provenance"].take()).collect();
    assert_eq!(inside, sidecar);
    with_journal(
        &place,
        "out/",
        &["--provenance", "sidecar", "--format", "jsonl"],
    );
    let shown = place.prints(&["stats", "out/"]);
    assert!(shown.starts_with("40 records\n"), "{shown}");
    with_journal(&place, "inside.csv", &["--provenance", "columns"]);
    let table = String::from_utf8(bytes(&place.path("inside.csv"))).expect("it is text");
    let head = table.lines().next();
    assert_eq!(
        head,
        Some("\"question\",\"answer\",\"provenance\",\"topic\"")
    );
}

#[test]
fn a_slip_in_the_json_of_a_flag_is_told_with_its_column() {
    let place = Place::new();
    for (flag, said_so, wrong) in [
        (
            "--filters",
            "{\"answer\":{min_chars:3}}",
            "key must be a string at line 1 column 12",
        ),
        (
            "--topics",
            "{\"tree\":[2,2}",
            "expected `,` or `]` at line 1 column 13",
        ),
        (
            "--source",
            "[{\"a\":1]",
            "expected `,` or `}` at line 1 column 8",
        ),
    ] {
        let refused = place.runs(&["plan", "--instruction", "x", flag, said_so]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        let told = format!("`{flag}` is no JSON: {wrong}");
        assert!(said(&refused).contains(&told), "{}", said(&refused));
    }
    let template = "prompts.request={{ topic }} {{ count }}";
    place.prints(&["plan", "input.json", "--set", template]);
    place.prints(&["plan", "input.json", "--set", "filters.answer.regex=[a-z]"]);
}

#[test]
fn what_is_called_provenance_is_told_before_the_first_call() {
    let place = Place::new();
    place.write("rows.csv", "provenance\nhere\n");
    let attributes = r#"{"provenance": ["a", "b"]}"#;
    let kept = r#"{"file": "rows.csv", "keep": ["provenance"]}"#;
    let inside = r#"output={"path": "-", "provenance": "columns"}"#;
    for args in [
        &["input.json", "--attributes", attributes][..],
        &["--instruction", "x", "--source", kept],
        &["input.json", "--field", "provenance"],
    ] {
        for said_so in [&["--provenance", "columns"][..], &["--set", inside]] {
            let args = [&["run", "--offline"], args, said_so].concat();
            let refused = place.runs(&args);
            assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
            assert!(said(&refused).contains("give that another name"));
            assert!(refused.stdout.is_empty());
        }
    }
}

#[test]
fn a_row_leads_back_to_its_prompt_and_answer() {
    let place = Place::new();
    with_journal(&place, "plain.jsonl", &[]);
    with_journal(&place, "beside.csv", &["--provenance", "sidecar"]);
    let shaped = "--split train=.75,test=.25 --shape messages=question:answer --provenance sidecar";
    with_journal(
        &place,
        "split.jsonl",
        &shaped.split(' ').collect::<Vec<_>>(),
    );
    let plain = json_lines(&place, "plain.jsonl");
    let question = plain[16]["question"].as_str().expect("it is text");
    for at in ["plain.jsonl:17", "beside.csv:17", "plain.jsonl.journal:17"] {
        let told = place.prints(&["why", at]);
        for part in [
            "ordinal: 16\n",
            "[system]\n",
            "[user]\n",
            "sea-questions",
            question,
        ] {
            assert!(told.contains(part), "{at} without {part}: {told}");
        }
    }
    let told = place.prints(&[
        "why",
        "split.test.jsonl:10",
        "--journal",
        "split.jsonl.journal",
    ]);
    let shaped = &json_lines(&place, "split.test.jsonl")[9]["messages"][0]["content"];
    assert!(
        told.contains(shaped.as_str().expect("it is text")),
        "{told}"
    );
    for (record, words) in [
        ("plain.jsonl", "data.jsonl:17"),
        ("plain.jsonl:0", "data.jsonl:17"),
        ("plain.jsonl:41", "the file has 40 records"),
        ("split.test.jsonl:1", "--journal"),
        ("nothing.jsonl:1", "--journal"),
    ] {
        let output = place.runs(&["why", record]);
        assert_eq!(output.status.code(), Some(2), "{record}");
        assert!(said(&output).contains(words), "{record}: {}", said(&output));
    }
}

/// A folder of a data set in which another one is made again and again.
#[cfg(all(unix, feature = "parquet"))]
struct Remade {
    place: Place,
    /// Says how the set is written.
    how: Vec<&'static str>,
    /// Its data files, as a run wrote them that nothing came in the way of.
    whole: std::collections::BTreeMap<String, Vec<u8>>,
}

#[cfg(all(unix, feature = "parquet"))]
impl Remade {
    fn new(how: &[&'static str]) -> Self {
        let place = Place::new();
        // An earlier set, with files that the new one does not have.
        let earlier = [
            "run",
            "input.json",
            "--offline",
            "-q",
            "-n",
            "7",
            "-o",
            "earlier/",
        ];
        let sides = ["--format", "jsonl", "--split", "train=.5,dev=.5"];
        place.prints(&[&earlier[..], &sides].concat());
        let mut remade = Self {
            place,
            how: how.to_vec(),
            whole: std::collections::BTreeMap::new(),
        };
        let output = remade.run("whole/").output().expect("it starts");
        assert!(output.status.success(), "{}", said(&output));
        remade.whole = remade.data("whole");
        remade
    }

    fn run(&self, folder: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topicloom"));
        command
            .args([
                "run",
                "input.json",
                "--offline",
                "--journal",
                "run.journal",
                "-o",
                folder,
            ])
            .args(&self.how)
            .current_dir(self.place.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Puts the earlier set where the new one will be.
    fn begin_anew(&self) {
        let out = self.place.path("out");
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(out.join("data")).expect("there is room");
        for folder in ["", "data"] {
            let files = fs::read_dir(self.place.path("earlier").join(folder)).expect("it is there");
            for file in files.flatten().filter(|file| file.path().is_file()) {
                fs::copy(file.path(), out.join(folder).join(file.file_name()))
                    .expect("there is room");
            }
        }
    }

    /// Returns what has a final name among the data.
    fn data(&self, folder: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.place.path(folder).join("data")).expect("it is there");
        let named = |path: PathBuf| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            let is_final =
                path.is_file() && !name.contains(".partial") && !name.contains(".making");
            is_final.then(|| (name, bytes(&path)))
        };
        files
            .flatten()
            .filter_map(|file| named(file.path()))
            .collect()
    }

    /// Checks that nothing in the folder is half, or claims to be what it is not.
    fn is_sound(&self, after: &str) {
        let earlier = self.data("earlier");
        for (name, content) in self.data("out") {
            let is_one = |set: &std::collections::BTreeMap<_, _>| set.get(&name) == Some(&content);
            assert!(
                is_one(&earlier) || is_one(&self.whole),
                "{after}: {name} is neither"
            );
        }
        let out = self.place.path("out");
        for (name, end) in [
            ("report.json", "}\n"),
            ("manifest.json", "}\n"),
            ("README.md", "files.\n"),
        ] {
            let text = fs::read_to_string(out.join(name)).unwrap_or_else(|_| end.to_owned());
            assert!(text.ends_with(end), "{after}: {name} is cut off");
        }
        if out.join("SHA256SUMS").exists() {
            let sums = Command::new("sha256sum")
                .args(["-c", "--strict", "--quiet", "SHA256SUMS"])
                .current_dir(out)
                .output()
                .expect("every Unix has it");
            assert!(sums.status.success(), "{after}: {}", said(&sums));
        }
    }

    /// Makes the set from the journal, and checks that nothing tells it from one that was made at once.
    fn is_exported_whole(&self, after: &str) {
        let export = ["export", "run.journal", "-q", "-o", "out/"];
        self.place.prints(&[&export[..], &self.how].concat());
        self.is_sound(after);
        assert!(self.data("out") == self.whole, "{after}: other bytes");
        let left = names_in(&self.place.path("out"));
        let expected = [
            "README.md",
            "SHA256SUMS",
            "data",
            "manifest.json",
            "rejected.jsonl",
            "report.html",
            "report.json",
        ];
        assert_eq!(left, expected, "{after}");
        let data = names_in(&self.place.path("out/data"));
        assert_eq!(data.len(), self.whole.len(), "{after}");
    }
}

/// How a set is written, and what is made on the way.
#[cfg(all(unix, feature = "parquet"))]
const REMADE_WAYS: [(&[&str], &[&str]); 2] = [
    (
        &["--split", "train=.8,test=.2"],
        &[
            "data/train-00000-of-00001.parquet.partial",
            "data/train-00000-of-00001.parquet.making",
            "data/test-00000-of-00001.parquet.making",
            "data/train-00000-of-00001.parquet",
            "data/test-00000-of-00001.parquet",
        ],
    ),
    (
        &["--format", "jsonl"],
        &["data/train-00000-of-00001.jsonl.partial"],
    ),
];

/// What is made on the way of each.
#[cfg(all(unix, feature = "parquet"))]
const ALREMADE_WAYS: [&str; 6] = [
    "SHA256SUMS.earlier",
    "rejected.jsonl.partial",
    "report.json.partial",
    "manifest.json.partial",
    "README.md.partial",
    "SHA256SUMS.partial",
];

#[cfg(all(unix, feature = "parquet"))]
#[test]
fn a_folder_that_cannot_be_finished_has_no_half_file() {
    for (how, made) in REMADE_WAYS {
        let remade = Remade::new(how);
        for blocked in made.iter().chain(&ALREMADE_WAYS) {
            remade.begin_anew();
            // It stands in the way.
            let obstacle = remade.place.path("out").join(blocked);
            fs::create_dir(&obstacle).expect("there is room");
            fs::write(obstacle.join("full"), "").expect("there is room");
            let output = remade.run("out/").output().expect("it starts");
            assert!(!output.status.success(), "{blocked}");
            remade.is_sound(blocked);
            fs::remove_dir_all(obstacle).expect("it is there");
            remade.is_exported_whole(blocked);
        }
    }
}

#[cfg(all(unix, feature = "parquet"))]
#[test]
fn a_folder_whose_run_is_killed_has_no_half_file() {
    let mut killed = 0;
    for (how, made) in REMADE_WAYS {
        let remade = Remade::new(how);
        for reached in made.iter().chain(&ALREMADE_WAYS) {
            remade.begin_anew();
            let reached_path = remade.place.path("out").join(reached);
            let mut run = remade
                .run("out/")
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            let ended = loop {
                if let Some(status) = run.try_wait().expect("it can be waited for") {
                    break status;
                }
                if reached_path.exists() {
                    // SIGKILL.
                    run.kill().expect("it is there");
                }
            };
            killed += usize::from(!ended.success());
            remade.is_sound(reached);
            remade.is_exported_whole(reached);
        }
    }
    println!("{killed} runs were killed");
    assert!(killed > 3, "{killed}");
}

/// A schema of a record, and records of it, of one kind after the other.
#[allow(clippy::too_many_lines)] // A table.
fn cases() -> Vec<(Value, Vec<Value>)> {
    let text = json!({"type": "string"});
    let of = |schema: Value, values: Vec<Value>| {
        let schema =
            json!({"type": "object", "properties": {"a": schema}, "additionalProperties": false});
        let rows = values
            .into_iter()
            .map(|value| json!({"a": value}))
            .collect();
        (schema, rows)
    };
    let nested = json!({"type": "object", "properties": {
        "name": text, "inner": {"type": "object", "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": text}}},
    }});
    let texts = vec![
        json!("plain"),
        json!(""),
        json!("a \"b\",\n\r\nc"),
        json!(" both "),
        json!("null"),
        json!("=1+1"),
        json!("007"),
    ];
    let mut cases = vec![
        of(text.clone(), texts),
        of(
            text.clone(),
            vec![
                json!("🧵👩‍👩‍👧"),
                json!("日本語"),
                json!("\u{202e}שלום"),
                json!("مرحبا"),
                json!("é\u{301}\u{1}\u{7f}\u{2028}"),
            ],
        ),
        of(
            text.clone(),
            vec![
                json!("x".repeat(1 << 20)),
                json!("🧵\n".repeat(1 << 18)),
                json!(""),
            ],
        ),
        of(
            json!({"type": "integer"}),
            vec![
                json!(0),
                json!(-1),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(3.0),
            ],
        ),
        of(json!({"type": "integer"}), vec![json!(1), json!(u64::MAX)]),
        of(
            json!({"type": "integer"}),
            vec![json!(9_007_199_254_740_993_i64), Value::Null],
        ),
        of(
            json!({"type": "number"}),
            vec![
                json!(0.1),
                json!(-1e300),
                json!(5e-324),
                json!(0.300_000_000_000_000_04),
                json!(2),
            ],
        ),
        of(
            json!({"type": "number"}),
            vec![json!(9_007_199_254_740_993_i64), json!(0.5)],
        ),
        of(json!({"type": "boolean"}), vec![json!(true), json!(false)]),
        of(
            json!({"type": ["boolean", "null"]}),
            vec![json!(true), Value::Null],
        ),
        of(
            json!({"type": ["string", "null"]}),
            vec![json!("a"), Value::Null, json!("")],
        ),
        of(
            json!({"type": ["integer", "null"]}),
            vec![Value::Null, json!(7)],
        ),
        of(json!({"type": "null"}), vec![Value::Null, Value::Null]),
        of(
            json!({"enum": ["easy", "hard"]}),
            vec![json!("easy"), json!("hard")],
        ),
        of(
            json!({"enum": ["a", 1, null]}),
            vec![json!("a"), json!(1), Value::Null],
        ),
        of(json!({"const": "x"}), vec![json!("x")]),
        of(
            json!({"type": ["string", "integer"]}),
            vec![json!("1"), json!(1)],
        ),
        of(
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            vec![json!("a"), Value::Null],
        ),
        of(
            json!({"oneOf": [{"type": "integer"}, nested]}),
            vec![json!(1), json!({"name": "x"})],
        ),
        of(
            json!({"type": "array", "items": text}),
            vec![json!(["a", "b"]), json!([]), json!(["", "🧵"])],
        ),
        of(
            json!({"type": ["array", "null"], "items": {"type": ["integer", "null"]}}),
            vec![json!([1, null]), Value::Null, json!([null]), json!([])],
        ),
        of(
            json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
            vec![json!([[1.5], []]), json!([]), json!([[], [2.0, 3.0]])],
        ),
        of(
            json!({"type": "array", "items": nested}),
            vec![
                json!([{"name": "x", "inner": {"n": 1, "tags": ["t", "u"]}}, {"name": "y"}]),
                json!([]),
            ],
        ),
        of(json!({"type": "array"}), vec![json!([1, "a", {"b": null}])]),
        of(
            nested.clone(),
            vec![
                json!({"name": "x", "inner": {"n": 1, "tags": []}}),
                json!({"inner": {"tags": ["a"]}}),
                json!({"name": "z"}),
            ],
        ),
        of(
            nested.clone(),
            vec![json!({"name": "x", "more": 1}), json!({"name": "y"})],
        ),
        of(
            json!({"type": "object"}),
            vec![json!({"k": [1]}), json!({})],
        ),
        of(
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            vec![json!({"x": 1, "y": 2})],
        ),
    ];
    let open = json!({"type": "object", "properties": {"a": text}});
    cases.push((
        open,
        vec![
            json!({"a": "x"}),
            json!({"a": "y", "extra": 1}),
            json!({"b c": [1], "extra": 2}),
        ],
    ));
    let own_topic = json!({"type": "object", "properties": {"topic": text, "a,\"b": text}});
    cases.push((own_topic, vec![json!({"topic": "mine", "a,\"b": "x"})]));
    let fields = json!([{"name": "q", "type": "str"}, {"name": "n", "type": "int", "required": false}, {"name": "l", "type": "list", "items": {"type": "str"}}]);
    cases.push((
        fields,
        vec![
            json!({"q": "x", "l": ["a"]}),
            json!({"q": "y", "n": 3, "l": []}),
        ],
    ));
    cases
}

/// Makes folders of data sets in every format, and the same sides as JSON Lines beside them.
fn data_set_folders(place: &Place) -> Vec<PathBuf> {
    let schema = json!({"type": "object", "properties": {
        "question": {"type": "string"}, "level": {"type": "integer"}, "sure": {"type": "boolean"}, "share": {"type": "number"},
        "kind": {"enum": ["a", "b", null]}, "tags": {"type": "array", "items": {"type": "string"}},
        "source": {"type": "object", "properties": {"name": {"type": "string"}, "pages": {"type": "array", "items": {"type": "integer"}}}},
    }});
    let input = json!({
        "num_records": 40, "topics": ["tides", "currents"], "generation_model_name": "openai/gpt-4o-mini", "output_schema": schema,
    });
    place.write("typed.json", &input.to_string());
    let split = ["--split", "train=.8,test=.2"];
    let run = [
        "run",
        "typed.json",
        "--offline",
        "-q",
        "--journal",
        "typed.journal",
        "-o",
        "of-run/",
    ];
    place.prints(&[&run[..], &split].concat());
    let formats = ["jsonl", "csv", "parquet"];
    let formats = formats
        .iter()
        .filter(|it| **it != "parquet" || cfg!(feature = "parquet"));
    let exported = formats.map(|format| {
        let folder = format!("of-{format}/");
        let export = [
            "export",
            "typed.journal",
            "-q",
            "-o",
            &folder,
            "--format",
            format,
        ];
        place.prints(&[&export[..], &split].concat());
        folder
    });
    let folders = exported.chain(["of-run/".to_owned()]);
    folders
        .map(|folder| {
            let name = folder.trim_end_matches('/');
            let lines = format!("{name}.jsonl");
            let export = ["export", "typed.journal", "-q", "-o", &lines];
            place.prints(&[&export[..], &split].concat());
            place.path(name)
        })
        .collect()
}

#[tokio::test]
async fn python_readers_find_the_values_of_the_json_lines() {
    use topicloom::input::OutputFile;
    use topicloom::record::{JsonRecord, Record, RecordMeta};
    use topicloom::schema::RecordSchema;
    use topicloom::sink::{FileSink, Sink};
    use topicloom::topic::Topic;

    let folder = tempfile::tempdir().expect("there is room");
    let cases = cases();
    assert!(cases.len() >= 30, "{}", cases.len());
    for (number, (schema, rows)) in cases.into_iter().enumerate() {
        let schema = RecordSchema::from_json(schema).expect("it is a schema");
        for ending in ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"] {
            if ending == "parquet" && !cfg!(feature = "parquet") {
                continue;
            }
            let path = folder.path().join(format!("{number:02}.{ending}"));
            let mut sink =
                FileSink::create(&OutputFile::new(path), &schema).expect("there is room");
            for row in &rows {
                let data: JsonRecord = row.as_object().expect("it is an object").clone();
                let record = Record::new(
                    Topic::new("tides"),
                    data,
                    RecordMeta::new(0, 0, "test/loom"),
                );
                sink.write(&record).await.expect("it takes a record");
            }
            Sink::<JsonRecord>::finish(&mut sink)
                .await
                .expect("it is made");
        }
    }
    let Some(python) = std::env::var_os("TOPICLOOM_PYTHON").filter(|python| python != "none")
    else {
        let must =
            std::env::var_os("CI").is_some() && std::env::var_os("TOPICLOOM_PYTHON").is_none();
        assert!(
            !must,
            "TOPICLOOM_PYTHON names no python with pandas, pyarrow, polars, duckdb and datasets"
        );
        println!(
            "skipped: TOPICLOOM_PYTHON names no python with pandas, pyarrow, polars, duckdb and datasets"
        );
        return;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/readers.py");
    let place = Place::new();
    let folders = data_set_folders(&place);
    let output = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .args(folders)
        .output()
        .expect("python starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        said(&output)
    );
}

#[test]
fn records_are_shown_and_described_from_files_and_from_a_journal() {
    let place = Place::new();
    place.write(
        "data.jsonl",
        &(0..30)
            .map(|number| {
                let level = if number % 3 == 0 { "hard" } else { "easy" };
                json!({"question": format!("Why {number}?\u{1b}[2J"), "level": level, "topic": "sea"})
                    .to_string()
                    + "\n"
            })
            .collect::<String>(),
    );
    let shown = place.prints(&["show", "data.jsonl", "-n", "2", "--where", "level=hard"]);
    assert!(
        shown.contains("data.jsonl:1 ─") && shown.contains("data.jsonl:4 ─"),
        "{shown}"
    );
    assert!(
        shown.contains("question  Why 0?\\u001b[2J") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let sample = |seed| place.prints(&["show", "data.jsonl", "--table", "-n", "4", "--seed", seed]);
    assert_eq!(sample("1").lines().count(), 5);
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));
    let wrong = place.runs(&["show", "data.jsonl", "--where", "level"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));

    let printed = place.prints(&["stats", "data.jsonl"]);
    assert!(
        printed.contains("in 30 of 30 records, 2 distinct\n  values: easy 20, hard 10"),
        "{printed}"
    );

    let run = [
        "run",
        "input.json",
        "--offline",
        "--quiet",
        "--seed",
        "1",
        "--journal",
        "it.journal",
    ];
    for output in ["made.csv", "made.jsonl", "made.parquet", "out/"] {
        let named = [&run[..], &["-o", output]].concat();
        let is_known = cfg!(feature = "parquet") || output != "made.parquet";
        if is_known {
            place.prints(&named);
        }
    }
    let of = |data| place.prints(&["stats", data, "--json"]);
    let stats: Value = serde_json::from_str(&of("it.journal")).expect("it is JSON");
    assert_eq!(stats["records"], 40);
    assert_eq!(
        stats["fields"][2]["values"],
        json!([["currents", 20], ["tides", 20]])
    );
    for data in ["made.csv", "made.jsonl", "made.parquet", "out"] {
        if cfg!(feature = "parquet") || data != "made.parquet" {
            assert_eq!(of(data), of("it.journal"), "{data}");
        }
    }
    let ended = place.prints(&["show", "it.journal", "--topic", "tides", "--skip", "19"]);
    assert_eq!(ended.matches("it.journal:").count(), 1, "{ended}");
}

const THINGS: [&str; 10] = [
    "a bridge",
    "a violin",
    "a glacier",
    "a cargo ship",
    "a beehive",
    "a telescope",
    "a harbour",
    "a loom",
    "a lighthouse",
    "a steam engine",
];
const WAYS: [&str; 10] = [
    "How is {} built in",
    "Who owned {} first in",
    "What did {} cost in",
    "Why was {} given up in",
    "How do people repair {} in",
    "Which laws protect {} in",
    "What is the oldest {} like in",
    "How heavy may {} be in",
    "When did {} first appear in",
    "Who paints {} in",
];

#[test]
fn what_repeats_a_benchmark_is_found_and_nothing_else() {
    let place = Place::new();
    // Each pair of a way and a thing, in a hundred towns.
    let asks = |number: usize| {
        let way = WAYS[number % 10].replace("{}", THINGS[number / 10 % 10]);
        format!("{way} town{} number {number}?", number / 100)
    };
    let line = |question: String| {
        json!({"question": question, "answer": "?", "topic": "t"}).to_string() + "\n"
    };
    let rows: String = (0..10_000).map(|number| line(asks(number))).collect();
    let bench: Vec<String> = (10_000..11_000).map(asks).collect();
    place.write("rows.jsonl", &rows);
    let quoted = format!("prompt\n\"{}\"\n", bench.join("\"\n\""));
    place.write("bench.csv", &quoted);
    let named = ["--fields", "question", "--against-fields", "prompt"];
    let check = |data| {
        place.runs(
            &[
                &["check", data, "--against", "bench.csv", "--json"],
                &named[..],
            ]
            .concat(),
        )
    };
    let none = check("rows.jsonl");
    assert_eq!(
        none.status.code(),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&none.stdout),
        said(&none)
    );

    let changed = |(number, it): (usize, &String)| match number % 5 {
        0 => it.clone(),
        1 => it.to_uppercase(),
        2 => format!("  {} ", it.replace(' ', "   ")),
        3 => format!("“{}”", it.trim_end_matches('?')),
        _ => format!("Please tell me: {}", it.to_lowercase()),
    };
    let planted: String = bench.iter().enumerate().map(changed).map(line).collect();
    place.write("mixed.jsonl", &format!("{rows}{planted}"));
    let found = check("mixed.jsonl");
    assert_eq!(found.status.code(), Some(3), "{}", said(&found));
    let found: Value = serde_json::from_slice(&found.stdout).expect("it is JSON");
    let repeats = found["repeats"].as_array().expect("a list");
    let places = repeats.iter().map(|it| {
        (
            it["line"].as_u64().unwrap(),
            it["repeats"]["line"].as_u64().unwrap(),
        )
    });
    let planted = (0..1_000).map(|number| (10_001 + number, 2 + number));
    assert!(places.eq(planted), "{} of 1000", repeats.len());
    assert_eq!(
        repeats.iter().filter(|it| it["method"] == "near").count(),
        200
    );
}

#[test]
fn a_check_names_the_row_that_is_repeated_and_not_one_that_is_merely_spelt_alike() {
    let place = Place::new();
    let rows = ["userName", "USERNAME"].map(|name| format!("{{\"name\": \"{name}\"}}\n"));
    place.write("rows.jsonl", &rows.concat());
    place.write("data.jsonl", "{\"name\": \"username\"}\n");
    let check = place.runs(&["check", "data.jsonl", "--against", "rows.jsonl"]);
    let lines = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        lines.starts_with("data.jsonl:1 repeats rows.jsonl:2 (exact, similarity 1.00)\n"),
        "{lines}"
    );
}

#[test]
fn a_check_says_what_is_repeated_and_what_cannot_be_compared() {
    let place = Place::new();
    place.write("bench.csv", "prompt,n\nWhat is a tide?,7\n");
    let lines =
        "{\"question\": \"What is a tide?\", \"topic\": \"sea\"}\n{\"question\": \"Why?\"}\n";
    place.write("rows.jsonl", lines);
    let plain = place.runs(&["check", "rows.jsonl", "--against", "rows.jsonl"]);
    let lines = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(
        lines.starts_with("rows.jsonl:1 repeats rows.jsonl:1 (exact, similarity 1.00)\n"),
        "{lines}"
    );
    for (args, words) in [
        (
            &["check", "rows.jsonl", "--against", "bench.csv"][..],
            "no field is on both sides",
        ),
        (
            &[
                "check",
                "rows.jsonl",
                "--against",
                "bench.csv",
                "--fields",
                "qestion",
            ],
            "is in no record",
        ),
        (
            &["check", "rows.jsonl", "--against", "nothing.csv"],
            "cannot be read",
        ),
    ] {
        let wrong = place.runs(args);
        assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
        assert!(said(&wrong).contains(words), "{}", said(&wrong));
    }
}

#[test]
fn a_report_shows_what_is_written_and_obeys_none_of_it() {
    let place = Place::new();
    let evil = "<script>alert(1)</script>";
    let input = json!({
        "user_instruction": format!("About {evil} & \"more\""), "num_records": 24,
        "topics": [evil, "a\" onload=\"x"], "generation_model_name": "offline/loom",
        "attributes": {"level": {"<b>": 0.5, "&amp;": 0.5}},
        "output_schema": [{"name": evil, "type": "str", "enum": [evil, "</style>", "a'b"]}, {"name": "question", "type": "str"}],
    });
    place.write("evil.json", &input.to_string());
    let run = [
        "run",
        "evil.json",
        "-q",
        "-o",
        "made.jsonl",
        "--journal",
        "it.journal",
        "--seed",
        "1",
    ];
    place.prints(&run);
    place.prints(&["report", "it.journal"]);
    let page = String::from_utf8_lossy(&bytes(&place.path("report.html"))).into_owned();
    for text in [evil, "<b>", "&amp;", "a\" onload=\"x"] {
        let escaped = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        let is_there = page.replace("&#x2f;", "/").contains(&escaped);
        assert!(is_there, "{text} is not in the page");
    }
    for order in [
        "<script",
        "onload=\"x",
        "<b>",
        "href",
        "src=",
        "url(",
        "@import",
        "http",
    ] {
        assert!(!page.contains(order), "{order} is in the page");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(
        page.contains("<dd>24 of 24</dd>") && page.contains("<dd>is complete</dd>"),
        "{page}"
    );
    assert!(page.len() < 100_000, "{} bytes", page.len());
    let printed = place.prints(&["report", "it.journal", "-o", "-"]);
    assert!(printed.starts_with("<!DOCTYPE html>") && printed.trim_end().ends_with("</html>"));
    let same = place.runs(&["report", "it.journal", "-o", "it.journal"]);
    assert_eq!(same.status.code(), Some(2), "{}", said(&same));
}

#[test]
fn a_run_without_a_record_has_a_report_too() {
    let place = Place::new();
    let none = place.runs(&[
        "run",
        "input.json",
        "--offline",
        "-q",
        "-o",
        "none.jsonl",
        "--journal",
        "it.journal",
        "--max-calls",
        "1",
        "--filters",
        "{\"*\": {\"max_chars\": 1}}",
    ]);
    assert_eq!(none.status.code(), Some(3), "{}", said(&none));
    place.prints(&["report", "it.journal"]);
    let page = String::from_utf8_lossy(&bytes(&place.path("report.html"))).into_owned();
    for fact in ["0 of 40", "1"] {
        assert!(page.contains(&format!("<dd>{fact}</dd>")), "{fact}: {page}");
    }
    let calls = "<dt>calls</dt><dd>1</dd>";
    assert!(
        page.contains(calls),
        "one was made, and the replay makes none: {page}"
    );
    assert!(
        !page.contains("<h2>Fields</h2>") && !page.contains(">NaN") && !page.contains(">inf"),
        "{page}"
    );
}

/// Takes what a collector is sent, and answers that all is well; returns the path and the body of each request.
#[cfg(feature = "otel")]
fn collector() -> (String, std::sync::mpsc::Receiver<(String, Vec<u8>)>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    let (taken, all) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let taken = taken.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    let mut length = 0;
                    loop {
                        line.clear();
                        reader.read_line(&mut line).expect("a header");
                        let (name, value) = line.split_once(':').unwrap_or_default();
                        if name.eq_ignore_ascii_case("content-length") {
                            length = value.trim().parse().expect("a length");
                        }
                        if line.trim().is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("a body");
                    taken.send((path, body)).ok();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    (&stream).write_all(answer).expect("it listens");
                    line.clear();
                }
            });
        }
    });
    (url, all)
}

#[cfg(feature = "otel")]
#[test]
fn a_collector_is_sent_a_span_for_each_call_and_what_was_counted() {
    let place = Place::new();
    let (url, all) = collector();
    let run = [
        "run",
        "--offline",
        "--instruction",
        "the-secret-words",
        "--topics",
        "tides,waves",
        "-n",
        "10",
        "-q",
    ];
    place.prints(&[&run[..], &["-o", "a.jsonl", "--otlp", &url]].concat());
    let all: Vec<(String, Vec<u8>)> = all.try_iter().collect();
    let holds = |path: &str, word: &str| {
        let has = |body: &[u8]| body.windows(word.len()).any(|part| part == word.as_bytes());
        all.iter().any(|(at, body)| at == path && has(body))
    };
    for word in [
        "gen_ai.request.model",
        "gen_ai.usage.output_tokens",
        "chat loom",
        "service.name",
    ] {
        assert!(holds("/v1/traces", word), "{word}");
    }
    for word in [
        "topicloom.records.accepted",
        "topicloom.tokens",
        "topicloom.cost",
        "gen_ai.token.type",
    ] {
        assert!(holds("/v1/metrics", word), "{word}");
    }
    for path in ["/v1/traces", "/v1/metrics"] {
        assert!(
            !holds(path, "the-secret-words") && !holds(path, "tides"),
            "{path}"
        );
    }

    // A collector that is not there costs a warning, and nothing else.
    let output =
        place.runs(&[&run[..], &["-o", "b.jsonl", "--otlp", "http://127.0.0.1:1"]].concat());
    assert!(output.status.success() && place.path("b.jsonl").exists());
    assert!(
        said(&output).contains("did not take all spans"),
        "{}",
        said(&output)
    );
    let output = place.runs(&[&run[..], &["--otlp", "nonsense"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("http://localhost:4318"),
        "{}",
        said(&output)
    );
}

#[test]
fn machines_are_told_events_and_nothing_else() {
    let place = Place::new();
    let run = "run --offline --instruction the-secret-words --topics tides,waves -n 4 -o a.jsonl --progress json";
    let output = place.runs(&run.split(' ').collect::<Vec<_>>());
    let said = said(&output);
    let events: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(
        (named("planned"), named("accepted"), named("finished")),
        (1, 4, 1)
    );
    assert!(
        events
            .iter()
            .all(|event| event["at"].as_u64() > Some(1_700_000_000_000))
    );
    let last = events.last().expect("there are some");
    assert_eq!(last["report"]["accepted"], 4);
    assert!(!said.contains("the-secret-words"), "{said}");
}
