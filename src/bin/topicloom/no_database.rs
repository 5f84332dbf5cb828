//! Where this build has no PostgreSQL.

// As `database` has them, which do wait.
#![allow(clippy::unused_async)]

use topicloom::journal::{Entry, ReadOnlyJournal};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::{InspectArgs, ResumeArgs, RunArgs, WorkArgs};
use crate::ending::{Failure, Way};
use crate::place::Row;

fn missing<T, E: From<Error>>() -> Result<T, E> {
    let message = "this build has no PostgreSQL: install topicloom with the feature `postgres`";
    Err(Error::new(ErrorKind::Config, message).into())
}

pub(crate) async fn run(
    _: &Way,
    _: GenerateByTopicInput,
    _: Row,
    _: RunArgs,
) -> Result<(), Failure> {
    missing()
}

pub(crate) async fn resume(_: &Way, _: Row, _: ResumeArgs) -> Result<(), Failure> {
    missing()
}

pub(crate) async fn work(_: WorkArgs) -> Result<()> {
    missing()
}

pub(crate) async fn to_export(_: Row) -> Result<(GenerateByTopicInput, ReadOnlyJournal)> {
    missing()
}

pub(crate) async fn each_entry(_: Row, _: impl FnMut(&Entry)) -> Result<()> {
    missing()
}

pub(crate) async fn inspect(_: Row, _: &InspectArgs) -> Result<()> {
    missing()
}
