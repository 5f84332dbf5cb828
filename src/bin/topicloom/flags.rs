//! A flag for each key of the input. What the command line says wins over the file.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::{Value, json};
use topicloom::input::{GenerateByTopicInputBuilder, InputKey, Settings};
use topicloom::{GenerateByTopicInput, JsonRecord};

/// What the flags say, each with the path it is for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags(Vec<Said>);

#[derive(Debug, Clone)]
struct Said {
    flag: String,
    path: String,
    value: Value,
}

/// Keys that are no flags of their own: those with parts, which `--set` sets one by one, and those that others stand for.
const WITHOUT_FLAG: [&str; 9] = [
    "data_factory_config",
    "topic_model_kwargs",
    "generation_model_kwargs",
    "prices",
    "show_progress",
    "output",
    "report",
    "rejected",
    "journal",
];

/// Keys that may name a file or a folder that is read, and where in them it stands.
const FILES: [(&str, &str); 3] = [
    ("source", "file"),
    ("documents", "path"),
    ("examples", "file"),
];

/// Parameters of the model that writes records.
const PARAMETERS: [(&str, &str); 2] = [
    (
        "temperature",
        "Sampling temperature of the model that writes records.",
    ),
    ("max_tokens", "The most tokens an answer may have."),
];

/// How the value of a flag is written.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Switch,
    Text,
    /// Values between commas, or JSON.
    List,
    /// JSON, or a text.
    Json,
}

impl Kind {
    fn of(schema: &Value) -> Self {
        let is_a = |kind: &str| alternatives(schema).any(|one| has_type(one, kind));
        let mut lists = alternatives(schema).filter(|one| has_type(one, "array"));
        let is_of_texts =
            |list: &Value| alternatives(&list["items"]).any(|item| has_type(item, "string"));
        if lists.any(is_of_texts) {
            Self::List
        } else if is_a("boolean") {
            Self::Switch
        } else if is_a("string") && !is_a("object") {
            Self::Text
        } else {
            Self::Json
        }
    }

    fn value_name(self) -> &'static str {
        match self {
            Self::Switch => "BOOL",
            Self::Text => "TEXT",
            Self::List => "A,B,...",
            Self::Json => "VALUE",
        }
    }

    /// Reads what was said. What begins as JSON and is none is a slip, not a text; a template may begin so.
    fn read(self, said: &[String]) -> Result<Value, serde_json::Error> {
        let last = said.last().map(String::as_str).unwrap_or_default();
        let begins_as_json = last.starts_with(['{', '['])
            && !["{{", "{%", "{#"].iter().any(|it| last.starts_with(it));
        Ok(match self {
            Self::Text => last.into(),
            Self::List if !last.starts_with(['[', '{']) => {
                let parts = said.iter().flat_map(|list| list.split(','));
                parts.map(|part| Value::from(part.trim())).collect()
            }
            _ if begins_as_json => serde_json::from_str(last)?,
            _ => json_or_text(last),
        })
    }
}

/// Returns whether words switch off what a schema describes.
fn is_off(schema: &Value, said: &[String]) -> bool {
    let can_be_off = alternatives(schema).any(|one| one["enum"] == json!(["off", false]));
    can_be_off && (said == ["off"] || said == ["false"])
}

/// Returns what may stand somewhere, one by one.
fn alternatives(schema: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match schema["anyOf"].as_array() {
        Some(several) => Box::new(several.iter().flat_map(alternatives)),
        None => Box::new(std::iter::once(schema)),
    }
}

fn has_type(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == kind),
        one => one == kind,
    }
}

fn json_or_text(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|_| said.into())
}

/// Returns the keys that have a flag, with the path that it sets.
fn keys() -> impl Iterator<Item = (&'static InputKey, bool)> {
    let keys = GenerateByTopicInput::<JsonRecord>::keys().iter();
    let settings = Settings::keys().iter().map(|key| (key, true));
    let all = keys.map(|key| (key, false)).chain(settings);
    all.filter(|(key, _)| !WITHOUT_FLAG.contains(&key.names[0]))
}

/// Returns a key's name in Rust, which is the plainer one, as a flag.
fn flag(key: &InputKey) -> String {
    let name = key.names.get(1).unwrap_or(&key.names[0]);
    name.replace('_', "-")
}

impl Args for Flags {
    fn augment_args(mut command: Command) -> Command {
        let mut args = Vec::new();
        for (key, is_setting) in keys() {
            let schema = key.schema();
            let kind = Kind::of(&schema);
            let about = schema["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let mut arg = Arg::new(key.names[0])
                .long(flag(key))
                .help(about)
                .value_name(kind.value_name())
                .action(ArgAction::Append)
                .allow_negative_numbers(true)
                .help_heading(if is_setting { "Settings" } else { "Input" })
                .hide_short_help(is_setting);
            let aliases = key.names.iter().map(|name| name.replace('_', "-"));
            arg = arg.aliases(aliases.filter(|alias| *alias != flag(key)));
            if kind == Kind::Switch {
                arg = arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true");
            }
            args.push(arg);
        }
        for (name, about) in PARAMETERS {
            args.push(
                Arg::new(name)
                    .long(name.replace('_', "-"))
                    .help(about)
                    .value_name("VALUE")
                    .allow_negative_numbers(true)
                    .help_heading("Input"),
            );
        }
        args.push(Arg::new("topics_file")
            .long("topics-file")
            .value_name("FILE")
            .conflicts_with("topics")
            .help("Topics from a file: one on each line, CSV with a column `count`, JSON or JSON Lines.")
            .help_heading("Input"));
        args.push(Arg::new("field")
            .long("field")
            .value_name("NAME[:TYPE]")
            .action(ArgAction::Append)
            .conflicts_with("output_schema")
            .help("A field of a record, with `str`, `int`, `float`, `bool`, `list` or `dict`; `str` unless given. May be given more than once.")
            .help_heading("Input"));
        args.push(Arg::new("set")
            .long("set")
            .value_name("PATH=VALUE")
            .action(ArgAction::Append)
            .help("Anything in the input by its path, such as `generation_model_kwargs.top_p=0.9`; the value in JSON, or a text. May be given more than once.")
            .help_heading("Input"));
        for arg in args {
            // What a command itself calls so is no key of the input there.
            let is_taken = command.get_arguments().any(|other| {
                let long = other.get_long();
                other.get_id() == arg.get_id() || (long.is_some() && long == arg.get_long())
            });
            if !is_taken {
                command = command.arg(arg);
            }
        }
        let has_n = command
            .get_arguments()
            .any(|arg| arg.get_short() == Some('n'));
        if has_n {
            command
        } else {
            command.mut_arg("num_records", |arg| arg.short('n'))
        }
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let said = |id: &str| -> Vec<String> {
            let values = matches.try_get_many::<String>(id).ok().flatten();
            values.into_iter().flatten().cloned().collect()
        };
        let mut say = |flag: &str, path: &str, value: Value| {
            self.0.push(Said {
                flag: format!("--{flag}"),
                path: path.to_owned(),
                value,
            });
        };
        for (key, _) in keys() {
            let (words, schema) = (said(key.names[0]), key.schema());
            if words.is_empty() {
                continue;
            }
            let mut value = if is_off(&schema, &words) {
                false.into()
            } else {
                Kind::of(&schema).read(&words).map_err(|error| {
                    let message = format!("`--{}` is no JSON: {error}\n", flag(key));
                    clap::Error::raw(clap::error::ErrorKind::InvalidValue, message)
                })?
            };
            let file = FILES.iter().find(|(named, _)| *named == key.names[0]);
            if let (Some((_, place)), Some(file)) = (file, value.as_str()) {
                value = json!({*place: absolute(file)});
            }
            if let ("already_seen", Value::Array(files)) = (key.names[0], &mut value) {
                for file in files {
                    if let Some(name) = file.as_str() {
                        *file = absolute(name).into();
                    }
                }
            }
            say(&flag(key), key.names[0], value);
        }
        for (name, _) in PARAMETERS {
            for word in said(name) {
                let path = format!("generation_model_kwargs.{name}");
                say(&name.replace('_', "-"), &path, json_or_text(&word));
            }
        }
        for file in said("topics_file") {
            say("topics-file", "topics", json!({"file": absolute(&file)}));
        }
        let fields: Value = said("field").iter().map(|said| field(said)).collect();
        if fields != json!([]) {
            say("field", "output_schema", fields);
        }
        for said in said("set") {
            let Some((path, value)) = said.split_once('=') else {
                let message = format!("`--set {said}`: write PATH=VALUE\n");
                return Err(clap::Error::raw(
                    clap::error::ErrorKind::InvalidValue,
                    message,
                ));
            };
            say("set", path, json_or_text(value));
        }
        Ok(())
    }
}

/// Names a file that a flag names and that is read: one that an input names is looked for beside the input.
fn absolute(file: &str) -> String {
    std::path::absolute(file).map_or(file.to_owned(), |path| path.display().to_string())
}

/// Reads a field such as `answer` or `score:int`.
pub(crate) fn field(said: &str) -> Value {
    let (name, kind) = said.rsplit_once(':').unwrap_or((said, "str"));
    json!({"name": name.trim(), "type": kind.trim()})
}

impl Flags {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets what is said in an input.
    pub(crate) fn apply(
        &self,
        builder: GenerateByTopicInputBuilder,
    ) -> GenerateByTopicInputBuilder {
        let said = self.0.iter();
        said.fold(builder, |builder, Said { flag, path, value }| {
            builder.set_by(flag, path, value.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_key_of_the_input_can_be_said_on_the_command_line() {
        let command = Cli::command();
        command.clone().debug_assert();
        let run = command.find_subcommand("run").expect("it is a command");
        let by_set = [
            "data_factory_config",
            "topic_model_kwargs",
            "generation_model_kwargs",
            "show_progress",
        ];
        let keys = GenerateByTopicInput::<JsonRecord>::keys()
            .iter()
            .chain(Settings::keys());
        for key in keys.filter(|key| !by_set.contains(&key.names[0])) {
            let flag = flag(key);
            let has_flag = run
                .get_arguments()
                .any(|arg| arg.get_long() == Some(&*flag));
            assert!(has_flag, "`{}` has no flag", key.names[0]);
        }
    }

    #[test]
    fn files_that_a_flag_names_lie_where_the_command_runs() {
        let command = Flags::augment_args(Command::new("run"));
        let matches = command.try_get_matches_from(["run", "--already-seen", "a.jsonl,/b.jsonl"]);
        let flags = Flags::from_arg_matches(&matches.expect("it is a flag")).expect("it is read");
        let here = std::env::current_dir().expect("there is one");
        let wanted = json!([here.join("a.jsonl"), "/b.jsonl"]);
        assert_eq!(flags.0[0].value, wanted);
    }

    #[test]
    fn a_value_is_read_by_what_its_key_takes() {
        let read = |kind: Kind, said: &[&str]| {
            let said: Vec<String> = said.iter().map(ToString::to_string).collect();
            kind.read(&said).map_err(|error| error.to_string())
        };
        let template = "{{ topic }}";
        assert_eq!(read(Kind::Json, &[template]), Ok(json!(template)));
        assert!(read(Kind::Json, &["{a:1}"]).is_err_and(|it| it.contains("column 2")));
        assert_eq!(read(Kind::Text, &["7"]), Ok(json!("7")));
        assert_eq!(read(Kind::Json, &["7"]), Ok(json!(7)));
        assert_eq!(read(Kind::Json, &["near"]), Ok(json!("near")));
        assert_eq!(read(Kind::List, &["a, b", "c"]), Ok(json!(["a", "b", "c"])));
        assert_eq!(read(Kind::List, &["[\"a, b\"]"]), Ok(json!(["a, b"])));
        assert_eq!(field("score:int"), json!({"name": "score", "type": "int"}));
        let kind = |name: &str| {
            let mut keys = keys();
            Kind::of(
                &keys
                    .find(|(key, _)| key.names.contains(&name))
                    .expect("it is a key")
                    .0
                    .schema(),
            )
        };
        assert!(kind("topics") == Kind::List && kind("fallback_models") == Kind::List);
        assert!(kind("output_schema") == Kind::Json && kind("cache") == Kind::Text);
        assert!(kind("instruction") == Kind::Text && kind("num_records") == Kind::Json);
        assert!(kind("reallocate") == Kind::Switch && kind("deduplication") == Kind::Json);
    }
}
