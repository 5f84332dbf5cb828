//! Reads the entries of a run, some at a time.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};

use super::link::Link;
use super::run_id::RunId;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Entry;

/// Bytes of entries that are fetched together: enough that the way to the server costs little beside them.
const PAGE: i64 = 1 << 20;

/// Entries in the first page, before their size is known, and in any.
const FIRST_ENTRIES: i64 = 64;
const MOST_ENTRIES: i64 = 4_096;

/// Where a reader is.
struct Place {
    next: i64,
    end: i64,
    entries: i64,
}

/// Returns the entries that are there now, in order. One page is in memory at a time.
pub(super) async fn entries(
    link: Arc<Link>,
    run: RunId,
) -> Result<impl Stream<Item = Result<Entry>> + Send + 'static> {
    let end = count(&link, &run).await?;
    let place = Place {
        next: 0,
        end,
        entries: FIRST_ENTRIES,
    };
    let pages = stream::unfold(Some(place), move |place| {
        let (link, run) = (Arc::clone(&link), run.clone());
        async move {
            let mut place = place.filter(|place| place.next < place.end)?;
            match page(&link, &run, &mut place).await {
                Ok(entries) => Some((entries, Some(place))),
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    Ok(pages.flat_map(stream::iter))
}

/// Returns how many entries there are.
pub(super) async fn count(link: &Link, run: &RunId) -> Result<i64> {
    let sql = "SELECT coalesce(max(number) + 1, 0) FROM topicloom.entries WHERE run = $1";
    Ok(link.query_one(sql, &[&run.as_str()]).await?.get(0))
}

async fn page(link: &Link, run: &RunId, place: &mut Place) -> Result<Vec<Result<Entry>>> {
    let sql = "SELECT number, body FROM topicloom.entries
        WHERE run = $1 AND number >= $2 AND number < $3 ORDER BY number LIMIT $4";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&run.as_str(), &place.next, &place.end, &place.entries];
    let rows = link.query(sql, &values).await?;
    if rows.is_empty() {
        return Err(damaged(run, place.next, "an entry is missing"));
    }
    let read_here = i64::try_from(rows.len()).unwrap_or(MOST_ENTRIES);
    let last = place.next + read_here - 1;
    let is_end = last + 1 >= place.end;
    let notes = notes(link, run, place.next, last + i64::from(is_end)).await?;
    let mut bytes = 0;
    let mut entries = Vec::with_capacity(rows.len() + notes.len());
    let mut notes = notes.into_iter().peekable();
    for row in rows {
        let (number, body): (i64, &[u8]) = (row.get(0), row.get(1));
        while let Some((_, note)) = notes.next_if(|(place, _)| *place <= number) {
            entries.push(note);
        }
        if number != place.next {
            return Err(damaged(run, place.next, "an entry is missing"));
        }
        bytes += i64::try_from(body.len()).unwrap_or(PAGE);
        entries.push(read(run, number, body));
        place.next += 1;
    }
    let average = bytes / read_here + 1;
    entries.extend(notes.map(|(_, note)| note));
    place.entries = (PAGE / average).clamp(1, MOST_ENTRIES);
    Ok(entries)
}

/// Returns the notes with `from` to `to` entries before them, each with that number.
async fn notes(link: &Link, run: &RunId, from: i64, to: i64) -> Result<Vec<(i64, Result<Entry>)>> {
    let sql = "SELECT place, body FROM topicloom.notes
        WHERE run = $1 AND place >= $2 AND place <= $3 ORDER BY place, term, number";
    let rows = link.query(sql, &[&run.as_str(), &from, &to]).await?;
    let note = |row: &tokio_postgres::Row| {
        let place = row.get(0);
        (place, read(run, place, row.get(1)))
    };
    Ok(rows.iter().map(note).collect())
}

fn read(run: &RunId, number: i64, body: &[u8]) -> Result<Entry> {
    // Not the cause: it may quote what it stumbled over.
    serde_json::from_slice(body).map_err(|_| damaged(run, number, "an entry cannot be read"))
}

fn damaged(run: &RunId, number: i64, what: &'static str) -> Error {
    Error::new(
        ErrorKind::Journal,
        format!("the journal is damaged: {what}"),
    )
    .with_context("run", run.as_str())
    .with_context("entry", number.to_string())
}
