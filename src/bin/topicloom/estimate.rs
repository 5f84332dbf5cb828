//! `topicloom estimate`: what a run would take, without a call.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use topicloom::estimate::{Pilot, Spread, estimate};
use topicloom::{Error, ErrorKind, Result};

use crate::args::EstimateArgs;
use crate::{input, out};

pub(crate) fn show(args: &EstimateArgs) -> Result<()> {
    let input = input::read(&args.input, args.json)?;
    let mut estimate = estimate(&input, &input::prices(&input, args.prices.as_deref())?)?;
    if let Some(path) = &args.pilot_report {
        estimate = estimate.after_pilot(read(path)?);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&estimate);
        return out::line(text.expect("an estimate has no key that JSON cannot hold"));
    }
    out::line(format_args!(
        "{:<14} {:>14} {:>14} {:>14}",
        "", "low", "likely", "high"
    ))?;
    row("calls", &estimate.calls)?;
    row("tokens in", &estimate.input_tokens)?;
    row("tokens out", &estimate.output_tokens)?;
    if let Some(cost) = &estimate.cost {
        let [low, likely, high] =
            [cost.low, cost.likely, cost.high].map(|usd| format!("${:.4}", usd.as_dollars()));
        out::line(format_args!(
            "{:<14} {low:>14} {likely:>14} {high:>14}",
            "cost"
        ))?;
    }
    if let Some(why) = &estimate.no_cost {
        out::line(format_args!("no cost: {why}"))?;
    }
    for assumption in &estimate.assumptions {
        out::line(format_args!("assumed: {assumption}"))?;
    }
    Ok(())
}

fn row(name: &str, spread: &Spread<impl Display>) -> Result<()> {
    out::line(format_args!(
        "{name:<14} {:>14} {:>14} {:>14}",
        spread.low, spread.likely, spread.high
    ))
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
