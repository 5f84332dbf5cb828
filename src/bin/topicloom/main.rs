//! The `topicloom` command.

/// Writes a line to standard error. In place of the macro of this name, which panics where standard error was closed, and lets
/// through what a terminal takes for orders.
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::out::note(format_args!($($text)*))
    };
}

mod args;
mod check;
#[cfg(feature = "postgres")]
mod database;
#[cfg(not(feature = "postgres"))]
#[path = "no_database.rs"]
mod database;
mod ending;
mod estimate;
mod export;
mod field_stats;
mod files;
mod flags;
mod folder;
mod init;
mod input;
mod journal;
mod keep;
#[cfg(test)]
mod keys;
mod languages;
mod models;
mod out;
mod page;
mod place;
mod plan;
mod preview;
mod progress;
mod records;
#[cfg(test)]
mod reference;
mod replay;
mod roles;
mod run;
mod show;
mod signals;
mod stats;
mod telemetry;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, InputFaults, JsonRecord, environment};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, format::FmtSpan};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::{Cli, Command};
use ending::Failure;
use telemetry::Telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli {
        verbose,
        otlp,
        command,
    } = Cli::parse();
    let telemetry = match otlp.as_deref().map(Telemetry::to).transpose() {
        Ok(telemetry) => telemetry,
        Err(error) => return status_of(Err(error.into()), false),
    };
    log(verbose, telemetry.as_ref());
    let status = carry_out(command).await;
    if let Some(telemetry) = telemetry {
        telemetry.end();
    }
    status
}

async fn carry_out(command: Command) -> ExitCode {
    signals::let_writes_fail();
    if let Err(error) = environment::read_dotenv(".env") {
        return status_of(Err(error.into()), false);
    }
    let shows_words = command.shows_provider_errors();
    let ended = match command {
        Command::Run(args) => return status_of(run::run(args).await, shows_words),
        Command::Resume(args) => return status_of(run::resume(args).await, shows_words),
        Command::Preview(args) => preview::preview(args).await,
        Command::Plan(args) => plan::plan(&args),
        Command::Estimate(args) => estimate::show(&args),
        Command::Inspect(args) => journal::inspect(args).await,
        Command::Export(args) => export::export(args).await,
        Command::Why(args) => why::why(args).await,
        Command::Show(args) => show::show(args).await,
        Command::Stats(args) => stats::stats(args).await,
        Command::Report(args) => page::report(args).await,
        Command::Check(args) => match check::check(args).await {
            Ok(0) => Ok(()),
            Ok(_) => return ExitCode::from(3),
            Err(error) => Err(error),
        },
        Command::Work(args) => database::work(args).await,
        Command::Models => models::show(),
        Command::Schema => {
            let schema = GenerateByTopicInput::<JsonRecord>::json_schema();
            out::line(format_args!("{schema:#}"))
        }
        Command::Init(args) => init::init(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "topicloom", &mut script);
            out::words(String::from_utf8_lossy(&script).trim_end())
        }
        Command::Example => {
            out::line(GenerateByTopicInput::<JsonRecord>::reference_example().trim_end())
        }
    };
    status_of(ended.map_err(Failure::from), shows_words)
}

/// Shows spans and events on standard error, what `RUST_LOG` asks for or those of this crate with `-v`, and passes spans on to a
/// collector.
fn log(verbose: bool, telemetry: Option<&Telemetry>) {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .filter(|asked| !asked.is_empty());
    let asked = asked.or_else(|| verbose.then(|| "topicloom=debug".to_owned()));
    if asked.is_none() && telemetry.is_none() {
        return;
    }
    let targets = asked.and_then(|asked| {
        let targets = asked.parse::<Targets>();
        if targets.is_err() {
            eprintln!(
                "warning: `RUST_LOG` is not a list of targets and levels, such as `topicloom=debug`"
            );
        }
        targets.ok()
    });
    let shown = targets.map(|targets| {
        fmt::layer()
            .with_ansi(false)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(|| out::Notes)
            .with_filter(targets)
    });
    tracing_subscriber::registry()
        .with(shown)
        .with(telemetry.map(Telemetry::layer))
        .init();
}

fn status_of(ended: Result<(), Failure>, shows_words: bool) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, last_line }) => {
            eprintln!("error: {}", in_words(&error));
            match error.provider_words() {
                Some(words) if shows_words => eprintln!("the provider's words: {words}"),
                Some(_) => {
                    eprintln!("`--show-provider-errors` shows what the provider itself says");
                }
                None => {}
            }
            if let Some(line) = last_line {
                eprintln!("{line}");
            }
            ExitCode::from(status(&error))
        }
    }
}

/// Returns the message with its causes.
fn in_words(error: &Error) -> String {
    let mut words = error.to_string();
    // The faults of an input are the message; as a cause they would only be counted again.
    if InputFaults::of(error).next().is_some() {
        return words;
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push_str("\n  caused by: ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

fn status(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Config => 2,
        ErrorKind::Incomplete | ErrorKind::Budget | ErrorKind::Cancelled => 3,
        _ => 1,
    }
}
