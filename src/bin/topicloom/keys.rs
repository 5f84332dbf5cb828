//! The table in `docs/keys.md`: each key of the input in every form. Each cell is tried.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use topicloom::dedup::{Deduplication, Method, Scope};
use topicloom::filter::{Criterion, FieldRule};
use topicloom::input::{GenerateByTopicInputBuilder, InputKey, JudgeSettings, Settings, Storage};
use topicloom::llm::price::Price;
use topicloom::llm::{ProviderSettings, RateLimit};
use topicloom::pipeline::{Scheduling, TopicSpec};
use topicloom::prompt::PromptTexts;
use topicloom::schema::{Field, FieldType, SchemaStyle};
use topicloom::topic::Angles;
use topicloom::{GenerateByTopicInput, JsonRecord};

use crate::args::{Cli, Command, RunArgs};

#[path = "../../../tests/support/keys.rs"]
mod all;

use all::{Row, base, document, rows, write_files};

const HEAD: &str = "\
# The keys in every form

Each key of the input, as it is reached in each form; [the input](input.md) says what it means. A key stands at the same place in JSON,
YAML and TOML. On the command line, and in Rust with `set`, a path leads to it: dots between keys, and a key with dots in it between
quotation marks. Settings may stand in `data_factory_config` or beside the other keys. Names in capitals are yours. Every cell is
tried by a test, which writes this table:
`UPDATE_COMMAND=1 cargo test --all-features --bin topicloom` writes it anew.

| key | JSON | YAML | TOML | command line | Rust builder | schema | docs |
|---|---|---|---|---|---|---|---|
";

type Builder = GenerateByTopicInputBuilder;
type Setter = (&'static str, &'static str, fn(Builder) -> Builder);

/// What the builder has for keys, each with the value of the key's first example.
macro_rules! setters {
    ($($key:literal => $method:ident($($argument:expr),*);)+) => {
        &[$(($key, stringify!($method), |builder| builder.$method($($argument),*))),+]
    };
}

/// A struct of settings with some of them set.
macro_rules! with {
    ($struct:ident { $($field:ident: $value:expr),+ }) => {{
        let mut all = $struct::default();
        $(all.$field = $value;)+
        all
    }};
}

const SETTERS: &[Setter] = setters! {
    "user_instruction" => user_instruction("Q&A pairs about the sea");
    "num_records" => num_records(100);
    "records_per_topic" => records_per_topic(5);
    "topics" => topics([TopicSpec::from("tides"), ("currents", 3).into()]);
    "topics.given" => topics([TopicSpec::from("tides"), ("currents", 3).into()]);
    "topics.generated" => generated_topics(20);
    "topics.tree" => topic_tree([5, 4]);
    "topics.file" => topics_file("topics.csv");
    "attributes" => attribute("difficulty", json!({"easy": 0.3, "medium": 0.5, "hard": 0.2}));
    "source" => source(json!({"file": "products.csv", "columns": ["name", "price"], "keep": ["id"]}));
    "documents" => documents(json!({"path": "manuals", "chunk_chars": 1_200}));
    "examples" => examples(json!([{
        "question": "Why is the sea salty?", "answer": "Rivers carry salt into it."
    }]));
    "append" => append(true);
    "topic_model_name" => topic_model("openai/gpt-4o");
    "topic_model_kwargs" => topic_parameters(json!({"temperature": 0.7}));
    "topic_model_kwargs.temperature" => topic_parameter("temperature", 0.8);
    "topic_model_kwargs.max_tokens" => topic_parameter("max_tokens", 400);
    "generation_model_name" => generation_model("mistral/mistral-small-latest");
    "generation_model_kwargs" => generation_parameters(json!({"temperature": 0.8, "max_tokens": 200}));
    "generation_model_kwargs.temperature" => generation_parameter("temperature", 0.8);
    "generation_model_kwargs.max_tokens" => generation_parameter("max_tokens", 400);
    "output_schema" => output_fields([Field::str("question"), Field::list("tags", FieldType::Str)]);
    "kind" => kind("chat");
    "providers" => provider("house", &with!(ProviderSettings {
        base_url: Some("http://10.0.0.7:8000/v1".to_owned()), api_key_env: Some("HOUSE_KEY".to_owned())
    }));
    "prices" => price("house/*", &Price::per_million(0.2, 0.6).expect("two amounts"));
    "max_concurrency" => max_concurrency(32);
    "task_runner_timeout" => call_timeout(Duration::from_millis(90_500));
    "dead_queue_threshold" => give_up_after(5);
    "job_run_stop_threshold" => stop_after_failed_rounds(2);
    "show_progress" => show_progress(false);
    "storage" => storage(Storage::Local(Some("journals".into())));
    "storage.local" => local_storage("journals");
    "seed" => seed(7);
    "records_per_request" => records_per_request(1);
    "max_retries" => max_retries(2);
    "avoid_examples" => avoid_examples(20);
    "max_cost_usd" => max_cost_usd(2.5);
    "max_tokens_total" => max_tokens_total(1_000_000);
    "max_calls" => max_calls(500);
    "reallocate" => reallocate(true);
    "coerce_types" => coerce_types(true);
    "allow_placeholders" => allow_placeholders(true);
    "assert_formats" => assert_formats(true);
    "max_tokens_ceiling" => max_tokens_ceiling(4_000);
    "angles" => angles(&Angles::generated(8));
    "prompts" => prompts(&with!(PromptTexts {
        request: Some("Topic: {{ topic }}, for {{ audience }}. {{ count }} records as JSON.".to_owned()),
        variables: [("audience".to_owned(), json!("children"))].into()
    }));
    "schema_renderer" => schema_renderer(SchemaStyle::AnnotatedJson);
    "scheduling" => scheduling(Scheduling::InOrder);
    "fallback_models" => fallback_model("anthropic/claude-haiku-4-5");
    "rate_limits" => rate_limit("openai/gpt-4o-mini", &with!(RateLimit {
        requests_per_minute: Some(500), tokens_per_minute: Some(200_000)
    }));
    "filters" => field_rule("answer", &with!(FieldRule { min_chars: Some(20), max_chars: Some(400) }));
    "judge" => judge(&with!(JudgeSettings {
        criteria: vec![Criterion::new("correct"), Criterion::new("clear")],
        accept: "correct >= 4 && clear >= 3".to_owned()
    }));
    "deduplication" => deduplication(Deduplication::new(Method::Near).fields(["question"]).scope(Scope::Topic));
    "cache" => cache("answers.jsonl");
    "output" => output_file("qa.jsonl");
    "report" => report("report.json");
    "rejected" => rejected("rejected.jsonl");
    "journal" => journal("qa.journal");
    "already_seen" => already_seen("benchmark.jsonl");
};

/// Returns an input as it is kept, and its shape, which can be written in more than one way.
fn read(builder: Builder) -> Result<(Value, u128), String> {
    let input = builder.build().map_err(|error| error.to_string())?;
    let mut json = input.to_json();
    json["output_schema"].take();
    Ok((json, input.schema().fingerprint()))
}

impl Row {
    fn example(&self) -> &Value {
        &self.schema["examples"][0]
    }
}

struct Tried<'a> {
    row: &'a Row,
    folder: &'a Path,
    document: Value,
    wanted: (Value, u128),
}

impl Tried<'_> {
    /// Reads the input from a file.
    fn file(&self, name: &str, text: &str) -> Result<String, String> {
        let file = self.folder.join(name);
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let builder = Builder::from_file(file).map_err(|error| error.to_string())?;
        self.same(&read(builder)?)
    }

    fn same(&self, got: &(Value, u128)) -> Result<String, String> {
        if *got == self.wanted {
            Ok("yes".to_owned())
        } else {
            Err(format!(
                "it is read as {}, and not as {}",
                got.0, self.wanted.0
            ))
        }
    }

    fn base(&self) -> Builder {
        let builder = Builder::from_json_value(base(self.row)).expect("it is an object");
        builder.files_in(self.folder)
    }

    /// Says it on the command line, with the flag of the key or with `--set`.
    fn command_line(&self) -> Result<String, String> {
        let (row, mut words) = (self.row, vec!["topicloom".to_owned(), "run".to_owned()]);
        for (path, value) in row.beside() {
            words.extend(["--set".to_owned(), format!("{path}={value}")]);
        }
        let said = match row.example() {
            // A flag names what lies where the command runs.
            Value::Array(files) if row.path == ["already_seen"] => {
                let file = files[0].as_str().expect("it is a name");
                self.folder.join(file).display().to_string()
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let run = Cli::command();
        let run = run.find_subcommand("run").expect("it is a command");
        let arg = run
            .get_arguments()
            .find(|arg| *arg.get_id() == *row.path[0]);
        let flag = arg.filter(|arg| row.path.len() == 1 && arg.get_id() != "prices");
        let flag = flag.and_then(|arg| arg.get_long());
        words.push(match flag {
            Some(flag) => format!("--{flag}={said}"),
            None => format!("--set={}={said}", row.path()),
        });
        let args = |words: &[String]| match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Run(args)) => Ok(args),
            other => Err(format!("{words:?}: {other:?}")),
        };
        let mut said_by_flag = args(&words)?;
        let builder = said_by_flag.drive.adjust.flags.apply(self.base());
        if COMMAND_ONLY.contains(&&*row.path[0]) && flag.is_some() {
            // They say what the command does, and are no part of the input there.
            let mut said_by_file = args(&words[..2])?;
            let file = Builder::from_json_value(self.document.clone()).and_then(Builder::build);
            let file = file.expect("it was read before");
            said_by_file.complete(file.settings());
            said_by_flag.complete(&Settings::default());
            if places(&said_by_flag) != places(&said_by_file) {
                return Err(format!("{words:?} does something else than the file"));
            }
        } else {
            self.same(&read(builder)?)?;
        }
        let word = match flag {
            Some(flag) => format!("--{flag}"),
            None => format!("--set {}=...", shown(row)),
        };
        Ok(format!("`{word}`"))
    }

    fn builder(&self) -> Result<String, String> {
        let path = self.row.path();
        let setter = SETTERS.iter().find(|(key, ..)| *key == path);
        let Some((_, method, set)) = setter else {
            let beside = self.row.beside();
            let builder = beside.iter().fold(self.base(), |all, (path, value)| {
                all.set(path, value.clone())
            });
            self.same(&read(builder.set(&path, self.row.example().clone()))?)?;
            return Ok(format!("`set(\"{}\", ...)`", shown(self.row)));
        };
        let mut document = base(self.row);
        if path.starts_with("topics.") {
            // A topic is one more for a builder, and the file has those alone.
            let keys = document.as_object_mut().expect("it is an object");
            keys.shift_remove("topics");
        }
        let builder = Builder::from_json_value(document).expect("it is an object");
        let builder = set(builder.files_in(self.folder));
        // Those that add one more.
        let builder = match &*path {
            "fallback_models" => builder.fallback_model("groq/llama-3.3-70b-versatile"),
            "filters" => {
                let values = Some(vec![json!("easy"), json!("hard")]);
                builder.field_rule("difficulty", &with!(FieldRule { one_of: values }))
            }
            "attributes" => builder.attribute("persona", json!(["a student", "a teacher"])),
            _ => builder,
        };
        self.same(&read(builder)?)?;
        Ok(format!("`{method}`"))
    }

    fn schema(&self, validator: &jsonschema::Validator) -> Result<String, String> {
        let about = self.row.schema["description"].as_str();
        match validator.validate(&self.document) {
            _ if about.is_none_or(|about| !about.ends_with(['.', ':'])) => {
                Err("it is not described".to_owned())
            }
            Err(error) => Err(error.to_string()),
            Ok(()) => Ok("yes".to_owned()),
        }
    }

    /// Looks for its row, under the heading of the outermost key.
    fn docs(&self, docs: &str) -> Result<String, String> {
        let row = format!("\n| `{}`", self.row.path.last().expect("a key has a name"));
        let outer = &self.row.path[0];
        let (section, link) = if self.row.path.len() == 1 {
            (Some(docs), String::new())
        } else {
            let section = docs.split_once(&format!("\n### `{outer}`\n"));
            let section =
                section.map(|(_, section)| section.split("\n##").next().unwrap_or_default());
            (section, format!("#{outer}"))
        };
        if section.is_some_and(|section| section.contains(&row)) {
            Ok(format!("[there](input.md{link})"))
        } else {
            Err("it is not in docs/input.md".to_owned())
        }
    }
}

/// Keys whose flags the command has by itself.
const COMMAND_ONLY: [&str; 4] = ["output", "report", "rejected", "journal"];

fn places(args: &RunArgs) -> String {
    let drive = &args.drive;
    format!(
        "{:?} {:?} {:?} {:?}",
        drive.to.output, drive.report, drive.rejected, args.journal
    )
}

fn shown(row: &Row) -> String {
    row.written(|name| {
        let name = match name {
            "answer" => "FIELD",
            "house" => "PROVIDER",
            _ => "MODEL",
        };
        name.to_owned()
    })
}

/// A folder with the files that examples name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    write_files(folder.path());
    folder
}

#[test]
fn every_key_is_reached_in_every_form() {
    let folder = folder();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let input_docs = fs::read_to_string(docs.join("input.md")).expect("it is there");
    let schema = GenerateByTopicInput::<JsonRecord>::json_schema();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let (rows, mut table, mut holes) = (rows(), HEAD.to_owned(), Vec::new());
    for row in &rows {
        let document = document(row, row.example());
        let path = row.path();
        let from_value = Builder::from_json_value(document.clone()).expect("it is an object");
        let wanted = match read(from_value.files_in(folder.path())) {
            Ok(wanted) => wanted,
            Err(error) => {
                holes.push(format!("{path}: {error}"));
                continue;
            }
        };
        let without = Builder::from_json_value(base(row)).expect("it is an object");
        if read(without).as_ref() == Ok(&wanted) {
            holes.push(format!("{path}: its example changes nothing"));
        }
        let tried = Tried {
            row,
            folder: folder.path(),
            document,
            wanted,
        };
        let toml = toml::to_string(&tried.document).expect("it is a table");
        let json = tried.document.to_string();
        let cells = [
            ("JSON", tried.file("input.json", &json)),
            // What is JSON is YAML too; this is how it is written by hand.
            ("YAML", tried.file("input.yaml", &yaml(&tried.document, 0))),
            ("TOML", tried.file("input.toml", &toml)),
            ("command line", tried.command_line()),
            ("builder", tried.builder()),
            ("schema", tried.schema(&validator)),
            ("docs", tried.docs(&input_docs)),
        ];
        write!(table, "| `{}`", shown(row)).expect("a text takes all");
        for (form, cell) in cells {
            match cell {
                Ok(cell) => write!(table, " | {cell}").expect("a text takes all"),
                Err(hole) => holes.push(format!("{path}, {form}: {hole}")),
            }
        }
        table += " |\n";
    }
    assert!(
        holes.is_empty(),
        "{} holes:\n{}",
        holes.len(),
        holes.join("\n")
    );
    let is_known = |key: &&InputKey| rows.iter().any(|row| row.path == [key.names[0]]);
    let known = GenerateByTopicInput::<JsonRecord>::keys()
        .iter()
        .chain(Settings::keys());
    for key in known {
        let name = key.names[0];
        assert!(is_known(&key), "`{name}` is in no row");
        let is_set = SETTERS.iter().any(|(key, ..)| *key == name);
        assert!(
            is_set || name == "data_factory_config",
            "`{name}` has no setter"
        );
    }
    assert!(rows.len() > 90, "{}", rows.len());

    let file = docs.join("keys.md");
    if std::env::var_os("UPDATE_COMMAND").is_some() {
        fs::write(&file, &table).expect("it can be written");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == table,
        "docs/keys.md differs; UPDATE_COMMAND=1 writes it anew:\n{table}"
    );
}

/// Writes YAML in blocks.
fn yaml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(object) if !object.is_empty() => {
            let entries = object.iter();
            let lines = entries
                .map(|(key, value)| format!("\n{indent}{}:{}", json!(key), yaml(value, depth + 1)));
            lines.collect()
        }
        Value::Array(items) if !items.is_empty() => {
            let lines = items
                .iter()
                .map(|item| format!("\n{indent}-{}", yaml(item, depth + 1)));
            lines.collect()
        }
        other => format!(" {other}"),
    }
}
