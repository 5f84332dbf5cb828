//! Brings the tables of a database up to date.

use tokio_postgres::Client;

use super::failure::Failure;
use crate::error::{Error, ErrorKind, Result};

/// Every step from an empty database on, in order. A step that was released is never changed.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_runs.sql"),
    include_str!("migrations/0002_accepted.sql"),
    include_str!("migrations/0003_notes.sql"),
];

/// The lock under which steps are taken: "topiclom" in ASCII, a number as good as any.
const LOCK: i64 = 0x746f_7069_636c_6f6d;

/// Takes the steps that the database lacks; safe to call at any time and by several processes at once.
///
/// # Errors
///
/// Where a later version of the library has been at the database, or the user may not create a schema.
pub(super) async fn migrate(client: &mut Client) -> Result<(), Failure> {
    // Looked at first without a lock and without a right that only a first use needs.
    if is_current(applied(client).await?)? {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let mut done = applied(&transaction).await?;
    if done.is_none() {
        transaction
            .batch_execute(
                "CREATE SCHEMA IF NOT EXISTS topicloom;
                 CREATE TABLE topicloom.migrations (
                     version integer PRIMARY KEY,
                     applied timestamptz NOT NULL DEFAULT now()
                 );",
            )
            .await?;
    }
    while !is_current(done)? {
        let version = done.unwrap_or(0) + 1;
        transaction.batch_execute(STEPS[place(version)]).await?;
        transaction
            .execute(
                "INSERT INTO topicloom.migrations (version) VALUES ($1)",
                &[&version],
            )
            .await?;
        done = Some(version);
    }
    transaction.commit().await?;
    Ok(())
}

/// Returns the last step that was taken, or `None` where nobody was here before.
async fn applied(
    client: &impl tokio_postgres::GenericClient,
) -> Result<Option<i32>, tokio_postgres::Error> {
    // Not `to_regclass`: within a transaction it may still believe what it was told before the lock was waited for.
    let sql = "SELECT EXISTS (
        SELECT FROM pg_tables WHERE schemaname = 'topicloom' AND tablename = 'migrations')";
    let known = client.query_one(sql, &[]).await?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let last = client
        .query_one(
            "SELECT coalesce(max(version), 0) FROM topicloom.migrations",
            &[],
        )
        .await?;
    Ok(Some(last.get(0)))
}

fn is_current(applied: Option<i32>) -> Result<bool> {
    let steps = i32::try_from(STEPS.len()).expect("there are few steps");
    match applied {
        Some(version) if version > steps => Err(Error::new(
            ErrorKind::Journal,
            format!(
                "the tables in the database are of version {version}, and this version of the library knows up to \
                 {steps}; use a later one"
            ),
        )),
        Some(version) => Ok(version == steps),
        None => Ok(false),
    }
}

fn place(version: i32) -> usize {
    usize::try_from(version - 1).expect("versions count from 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_later_version_is_refused() {
        assert!(!is_current(None).unwrap());
        assert!(!is_current(Some(0)).unwrap());
        assert!(!is_current(Some(1)).unwrap());
        assert!(!is_current(Some(2)).unwrap());
        assert!(is_current(Some(3)).unwrap());
        let error = is_current(Some(4)).unwrap_err();
        assert!(error.message().contains("version 4"), "{error}");
    }
}
