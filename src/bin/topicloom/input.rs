//! Reads the input from a file or standard input.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use topicloom::llm::price::PriceTable;
use topicloom::schema::include_files;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::AdjustArgs;

/// The embedded stand-in that `--offline` asks instead of the models in the input.
pub(crate) const OFFLINE: &str = "offline/loom";

/// Reads and validates an input; its warnings go to standard error unless `quiet`.
pub(crate) fn read(path: &Path, quiet: bool) -> Result<GenerateByTopicInput> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the input cannot be read")
            .with_context("file", path.display().to_string())
            .with_source(error)
    })?;
    let input = match with_files(&bytes, path.parent().unwrap_or(Path::new(""))) {
        Some(input) => GenerateByTopicInput::from_json_value(input?)?,
        None => GenerateByTopicInput::from_json_slice(&bytes)?,
    };
    if !quiet {
        for warning in input.warnings() {
            eprintln!("warning: {warning}");
        }
    }
    Ok(input)
}

/// Puts the schemas in other files into an input that refers to some.
fn with_files(bytes: &[u8], folder: &Path) -> Option<Result<Value>> {
    let mut input: Value = serde_json::from_slice(bytes).ok()?;
    let schema = input
        .get_mut("output_schema")
        .filter(|schema| schema.is_object())?;
    Some(include_files(schema, folder).map(|()| input))
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

/// Applies what the command line says over the input.
pub(crate) fn adjusted(
    input: &GenerateByTopicInput,
    args: &AdjustArgs,
) -> Result<GenerateByTopicInput> {
    let mut builder = input.to_builder();
    if args.offline {
        builder = builder.generation_model(OFFLINE).topic_model(OFFLINE);
        let mut said = input.settings().deduplication.clone();
        if said.embedding_model.take().is_some() {
            eprintln!("warning: no embedding model is asked with --offline");
            builder = builder.deduplication(said);
        }
    }
    if let Some(calls) = args.max_concurrency {
        builder = builder.max_concurrency(calls);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    if let Some(said) = &args.deduplication {
        builder = builder.setting("deduplication", said.clone());
    }
    for (name, value) in &args.set {
        builder = builder.setting(name, value.clone());
    }
    builder.build()
}
