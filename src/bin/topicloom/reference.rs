//! The reference in `docs/command.md`, written from the description of the command line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::args::Cli;

/// Behind it stands what is written here.
const MARK: &str =
    "<!-- written by `UPDATE_COMMAND=1 cargo test --all-features --bin topicloom` -->\n";

#[test]
fn the_docs_say_what_the_command_takes() {
    let mut cli = Cli::command();
    cli.build();
    let mut reference = String::new();
    for command in cli.get_subcommands().filter(|one| one.get_name() != "help") {
        let name = command.get_bin_name().unwrap_or_default();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        write!(reference, "\n### `{name}`\n\n{about}\n\n```text\n{usage}\n").unwrap();
        if let Some(examples) = command.get_after_help() {
            write!(reference, "\n{examples}\n").unwrap();
        }
        reference += "```\n";
        reference += &table(command, |heading| heading.is_none());
        if command.get_arguments().any(is_of_the_input) {
            reference += "\nAnd [the flags of the input](#flags-of-the-input).\n";
        }
    }
    reference += "\n### Flags of the input\n\nWhat they say wins over the input. Each may also be written with the other names of its key, and `--set` reaches the keys that have no flag: [all keys in every form](keys.md).\n";
    let run = cli.find_subcommand("run").expect("it is a command");
    reference += &table(run, |heading| heading.is_some());

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command.md");
    let written = fs::read_to_string(&path).unwrap();
    let (before, behind) = written.split_once(MARK).expect("the mark is in it");
    if std::env::var_os("UPDATE_COMMAND").is_some() {
        fs::write(&path, format!("{before}{MARK}{reference}")).unwrap();
    } else {
        assert!(
            behind == reference,
            "docs/command.md differs; UPDATE_COMMAND=1 writes it anew:\n{reference}"
        );
    }
}

fn is_of_the_input(arg: &Arg) -> bool {
    arg.get_help_heading().is_some()
}

/// Returns a table of the arguments that have such a heading.
fn table(command: &Command, is_wanted: impl Fn(Option<&str>) -> bool) -> String {
    let mut rows = String::new();
    let shown = |arg: &&Arg| {
        !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpLong | ArgAction::HelpShort
        )
    };
    for arg in command
        .get_arguments()
        .filter(shown)
        .filter(|arg| !arg.is_global_set())
        .filter(|arg| is_wanted(arg.get_help_heading()))
    {
        let help = arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let default = match defaults.as_slice() {
            // A flag without a value.
            [] => String::new(),
            [value] if value == "false" => String::new(),
            values => format!("`{}`", values.join(",")),
        };
        let line = format!("| `{}` | {default} | {help} |", said(arg)).replace('\n', " ");
        writeln!(rows, "{line}").unwrap();
    }
    if rows.is_empty() {
        return rows;
    }
    format!("\n| argument | default | what |\n|---|---|---|\n{rows}")
}

/// Returns an argument as it is typed.
fn said(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.first().map(|name| name.replace('|', "\\|"));
    let Some(long) = arg.get_long() else {
        return value.unwrap_or_default();
    };
    let short = arg
        .get_short()
        .map(|short| format!("-{short}, "))
        .unwrap_or_default();
    let value = match value.filter(|_| arg.get_action().takes_values()) {
        Some(value) if arg.is_require_equals_set() => format!("[={value}]"),
        Some(value) => format!(" {value}"),
        None => String::new(),
    };
    format!("{short}--{long}{value}")
}
