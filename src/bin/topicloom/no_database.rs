//! Where this build has no PostgreSQL.

// As `database` has them, which do wait.
#![allow(clippy::unused_async)]

use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::{InspectArgs, ResumeArgs, RunArgs, WorkArgs};
use crate::place::Row;

fn missing<T>() -> Result<T> {
    Err(Error::new(
        ErrorKind::Config,
        "this build has no PostgreSQL: install topicloom with the feature `postgres`",
    ))
}

pub(crate) async fn run(_: GenerateByTopicInput, _: Row, _: RunArgs) -> Result<()> {
    missing()
}

pub(crate) async fn resume(_: Row, _: ResumeArgs) -> Result<()> {
    missing()
}

pub(crate) async fn work(_: WorkArgs) -> Result<()> {
    missing()
}

pub(crate) async fn inspect(_: Row, _: &InspectArgs) -> Result<()> {
    missing()
}
