//! `topicloom estimate`: what a run would take, without a call.

use std::fs;
use std::path::Path;

use topicloom::pipeline::{Pilot, estimate};
use topicloom::{Error, ErrorKind, Result};

use crate::args::EstimateArgs;
use crate::{input, out};

pub(crate) fn show(args: &EstimateArgs) -> Result<()> {
    let input = input::read(args.input.as_deref(), &args.adjust, args.json)?;
    let mut estimate = estimate(
        &input,
        &input::prices(&input, args.adjust.prices.as_deref())?,
    )?;
    if let Some(path) = &args.pilot_report {
        estimate = estimate.after_pilot(read(path)?);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&estimate);
        return out::line(text.expect("an estimate has no key that JSON cannot hold"));
    }
    out::line(estimate)
}

fn read(path: &Path) -> Result<Pilot> {
    let unreadable = |message| {
        Error::new(ErrorKind::InvalidInput, message)
            .with_context("file", path.display().to_string())
    };
    let bytes = fs::read(path)
        .map_err(|error| unreadable("the report of the pilot cannot be read").with_source(error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| unreadable("the file is no report of a run").with_source(error))
}
