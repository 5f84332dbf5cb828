//! `topicloom init`: an input to begin with.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};
use topicloom::input::{GenerateByTopicInputBuilder, InputFormat};
use topicloom::{Error, ErrorKind, Result};

use crate::args::InitArgs;
use crate::flags::field;

pub(crate) fn init(args: &InitArgs) -> Result<()> {
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    let ask = |given: Option<String>, question: &str, default: &str| match given {
        Some(given) => Ok(given),
        None if asks => answer(question, default),
        None => Ok(default.to_owned()),
    };
    let instruction = "Questions about the sea and its animals, with answers for children";
    let instruction = ask(
        args.instruction.clone(),
        "What is to be generated",
        instruction,
    )?;
    let records = args.num_records.map(|records| records.to_string());
    let records = ask(records, "How many records", "20")?;
    let records: u64 = records.trim().parse().map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            "the number of records is no whole number",
        )
    })?;
    let topics = args.topics.as_ref().map(|topics| topics.join(","));
    let topics = ask(
        topics,
        "Topics, between commas (none: they are invented)",
        "",
    )?;
    let fields = Some(args.field.join(",")).filter(|fields| !fields.is_empty());
    let fields = ask(
        fields,
        "Fields of a record, between commas, as NAME or NAME:TYPE",
        "question,answer",
    )?;
    let model = ask(
        args.model.clone(),
        "Model, as provider/model",
        "openai/gpt-4o-mini",
    )?;

    let text = written(
        &instruction,
        records,
        &parts(&topics),
        &parts(&fields),
        model.trim(),
    );
    // What is written has to be what is read.
    GenerateByTopicInputBuilder::from_text(text.as_bytes(), InputFormat::Yaml)?.build()?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .create_new(!args.force);
    let file = args.file.display();
    let wrote = options
        .open(&args.file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    wrote.map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "the file is there already: name another, or replace it with `--force`"
            }
            _ => "the input cannot be written",
        };
        Error::new(ErrorKind::InvalidInput, message)
            .with_context("file", file.to_string())
            .with_source(error)
    })?;
    eprintln!("wrote {file}; what comes out, without a key: topicloom run {file} --offline");
    Ok(())
}

fn answer(question: &str, default: &str) -> Result<String> {
    let shown = if default.is_empty() {
        String::new()
    } else {
        format!(" [{default}]")
    };
    let mut said = String::new();
    let read = write!(io::stderr(), "{question}{shown}: ")
        .and_then(|()| io::stderr().flush())
        .and_then(|()| io::stdin().read_line(&mut said));
    read.map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the terminal cannot be read").with_source(error)
    })?;
    let said = said.trim();
    Ok(if said.is_empty() { default } else { said }.to_owned())
}

fn parts(list: &str) -> Vec<&str> {
    let parts = list.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

/// Writes the input. JSON strings are YAML's too.
fn written(
    instruction: &str,
    records: u64,
    topics: &[&str],
    fields: &[&str],
    model: &str,
) -> String {
    let list = |items: Vec<Value>| -> String {
        let lines: Vec<String> = items.iter().map(|item| format!("  - {item}\n")).collect();
        lines.concat()
    };
    let topics = if topics.is_empty() {
        "# topics:                # without any, the model invents them\n#   - tides\n#   - currents: 3         # with a count of its own\n".to_owned()
    } else {
        format!(
            "topics:\n{}",
            list(topics.iter().map(|topic| json!(topic)).collect())
        )
    };
    let fields = list(fields.iter().map(|said| field(said)).collect());
    format!(
        "\
# An input of topicloom. `topicloom schema` describes every key; what is written on the command line wins over this file:
#   topicloom run FILE -n 100 --model ollama/llama3.2 -o data.jsonl
# An editor completes it with the schema: topicloom schema > topicloom.schema.json
# yaml-language-server: $schema=topicloom.schema.json

# What to generate, in words: the purpose, the style, the language.
user_instruction: {instruction}

# How many records in all.
num_records: {records}

{topics}
# One record: a list of fields, or a JSON Schema. Types: str, int, float, bool, list, dict.
output_schema:
{fields}
# Who writes the records: provider/model. `topicloom models` lists providers and the variables of their keys, which may stand in
# a file `.env` beside this one.
generation_model_name: {model}
generation_model_kwargs:
  temperature: 0.9
# topic_model_name: {model}

# How the run is driven.
max_concurrency: 10
# max_cost_usd: 1.0         # stops before it costs more
# records_per_request: 1    # one by one; unless given, as many as fit into an answer
# deduplication: near       # or exact, or off
# filters:
#   answer: {{min_chars: 20}}
# output: data.jsonl
",
        instruction = json!(instruction),
        model = json!(model),
    )
}
