//! Reads the input from a file or standard input.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use topicloom::input::{GenerateByTopicInputBuilder, InputFormat};
use topicloom::llm::ModelName;
use topicloom::llm::models::STATIC;
use topicloom::llm::price::PriceTable;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::AdjustArgs;

/// The embedded stand-in that `--offline` asks instead of the models in the input.
pub(crate) const OFFLINE: &str = "offline/loom";

/// Reads an input, with what the command line says over it; its warnings go to standard error unless `quiet`.
pub(crate) fn read(
    path: Option<&Path>,
    args: &AdjustArgs,
    quiet: bool,
) -> Result<GenerateByTopicInput> {
    let builder = match path {
        Some(path) if path == Path::new("-") => from_stdin()?,
        Some(path) => GenerateByTopicInputBuilder::from_file(path)?,
        None if args.flags.is_empty() => {
            let message = "there is no input: name a file, or say what is wanted with flags such as `--instruction` and `--topics`";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        None => GenerateByTopicInput::builder().files_in(""),
    };
    let input = adjusted(builder, args)?;
    if !quiet {
        for warning in input.warnings() {
            eprintln!("warning: {warning}");
        }
    }
    Ok(input)
}

/// Has an input that adds to its output know the one that the command line names.
pub(crate) fn appending(
    input: GenerateByTopicInput,
    output: Option<&Path>,
) -> Result<GenerateByTopicInput> {
    let settings = input.settings();
    let said = settings.output.as_ref().map(|output| &*output.path);
    let output = output.or(said).filter(|output| *output != Path::new("-"));
    match output {
        _ if !settings.append => Ok(input),
        output if output.is_some() && output == said => Ok(input),
        None => {
            let message = "there is no file to append to: name it with `--output`";
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
        Some(output) => {
            let output = output.display().to_string();
            input.to_builder().set("output", output).build()
        }
    }
}

fn from_stdin() -> Result<GenerateByTopicInputBuilder> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "standard input cannot be read").with_source(error)
        })?;
    let builder = GenerateByTopicInputBuilder::from_text(&bytes, InputFormat::of_text(&bytes))?;
    Ok(builder.files_in(""))
}

/// Returns what models cost: what a file says, where one is given, over what the input says.
pub(crate) fn prices(input: &GenerateByTopicInput, file: Option<&Path>) -> Result<PriceTable> {
    let prices = input.prices().clone();
    let Some(path) = file else {
        return Ok(prices);
    };
    let unreadable = |message| {
        Error::new(ErrorKind::InvalidInput, message)
            .with_context("file", path.display().to_string())
    };
    let bytes = fs::read(path)
        .map_err(|error| unreadable("the prices cannot be read").with_source(error))?;
    let rows = serde_json::from_slice(&bytes)
        .map_err(|error| unreadable("the prices are no JSON object").with_source(error))?;
    prices
        .with_json(&rows)
        .map_err(|error| error.with_context("file", path.display().to_string()))
}

/// Applies what the command line says over an input.
pub(crate) fn adjusted(
    builder: GenerateByTopicInputBuilder,
    args: &AdjustArgs,
) -> Result<GenerateByTopicInput> {
    let input = args.flags.apply(builder).build()?;
    if !args.offline {
        return Ok(input);
    }
    let mut builder = input.to_builder();
    builder = builder.generation_model(OFFLINE).topic_model(OFFLINE);
    builder = builder.set("fallback_models", Value::Null);
    if input.settings().judge.is_some() {
        // The model that writes records, then.
        builder = builder.set("judge.model", Value::Null);
    }
    let pairs = &input.to_json()["kind"]["preference"]["rejected_model"];
    if !pairs.is_null() {
        builder = builder.set("kind.preference.rejected_model", OFFLINE);
    }
    let mut said = input.settings().deduplication.clone();
    let asks = |model: &mut ModelName| model.provider() != STATIC;
    if said.embedding_model.take_if(asks).is_some() {
        eprintln!("warning: no embedding model is asked with --offline");
        builder = builder.deduplication(said);
    }
    builder.build()
}
