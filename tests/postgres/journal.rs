//! What the journal promises, and what it does when others get in its way.

use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use topicloom::ErrorKind;
use topicloom::journal::{
    CallNote, CallOf, Entry, Journal, LostCalls, PostgresJournal, PostgresOptions, PostgresReader,
};
use topicloom::llm::UnconfirmedCost;
use topicloom::llm::price::Usd;
use topicloom::report::Outcome;
use topicloom::testing::conformance;

use crate::support::{PostgresServer, connect, server};

fn ended(outcome: Outcome) -> Entry {
    Entry::Finished {
        outcome,
        uncertain: UnconfirmedCost::default(),
    }
}

async fn read(journal: &PostgresJournal) -> Vec<Entry> {
    let entries = journal.read().await.unwrap();
    entries.try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_its_promises() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    conformance::journal(async || PostgresJournal::connect(&url, "a run; DROP TABLE \"x\"").await)
        .await;
}

#[tokio::test]
async fn calls_that_are_noted_outlive_the_process_and_are_read_in_their_place() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let note = |task, tokens| {
        let most = UnconfirmedCost::new(1, tokens, Usd::ZERO);
        CallNote::new(CallOf::Task(task), most)
    };
    let first = PostgresJournal::connect(&url, "run").await.unwrap();
    first.append(ended(Outcome::Incomplete)).await.unwrap();
    for (task, tokens) in [(0, 600), (1, 70)] {
        first.note(note(task, tokens)).await.unwrap();
    }
    first.append(ended(Outcome::Failed)).await.unwrap();
    first.note(note(2, 8)).await.unwrap();
    drop(first);
    let second = PostgresJournal::connect(&url, "run").await.unwrap();
    second.note(note(3, 9)).await.unwrap();
    let expected = [
        ended(Outcome::Incomplete),
        Entry::Called(note(0, 600)),
        Entry::Called(note(1, 70)),
        ended(Outcome::Failed),
        Entry::Called(note(2, 8)),
        Entry::Called(note(3, 9)),
    ];
    assert_eq!(read(&second).await, expected);
    let mut lost = LostCalls::default();
    expected.iter().for_each(|entry| lost.take(entry));
    assert_eq!(lost.most().tokens, 17);
    // As many as there are entries in a page, and more.
    join_all((0..300).map(|task| second.note(note(10 + task, 1)))).await;
    join_all((0..300).map(|_| second.append(ended(Outcome::Incomplete)))).await;
    let found = read(&second).await;
    assert_eq!(found.len(), 6 + 600);
    assert!(matches!(found[305], Entry::Called(_)) && found[306] == ended(Outcome::Incomplete));
}

#[tokio::test]
async fn runs_of_one_database_do_not_see_one_another() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let (one, other) = (
        PostgresJournal::connect(&url, "one").await.unwrap(),
        PostgresJournal::connect(&url, "other").await.unwrap(),
    );
    assert_eq!(one.append(ended(Outcome::Incomplete)).await.unwrap(), 0);
    assert_eq!(other.append(ended(Outcome::Failed)).await.unwrap(), 0);
    assert_eq!(read(&one).await, [ended(Outcome::Incomplete)]);
    assert_eq!(read(&other).await, [ended(Outcome::Failed)]);
}

#[tokio::test]
async fn the_tables_are_made_once_however_many_come_at_the_same_time() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let runs: Vec<String> = (0..8).map(|number| format!("run {number}")).collect();
    for _ in 0..2 {
        let opened = join_all(runs.iter().map(|run| PostgresJournal::connect(&url, run))).await;
        for journal in opened {
            journal.unwrap().close().await.unwrap();
        }
    }
    let client = connect(&url).await;
    let steps = client
        .query("SELECT version FROM topicloom.migrations", &[])
        .await;
    assert_eq!(steps.unwrap().len(), 3);
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    PostgresJournal::connect(&url, "run")
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let client = connect(&url).await;
    let later = "INSERT INTO topicloom.migrations (version) VALUES (1000)";
    client.execute(later, &[]).await.unwrap();
    let error = PostgresJournal::connect(&url, "run").await.unwrap_err();
    assert!(error.message().contains("version 1000"), "{error}");
}

#[tokio::test]
async fn a_run_has_one_writer() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let first = PostgresJournal::connect(&url, "run").await.unwrap();
    let error = PostgresJournal::connect(&url, "run").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert!(error.message().contains("open"), "{error}");
    first.close().await.unwrap();
    PostgresJournal::connect(&url, "run").await.unwrap();
}

/// Ends all connections to the database but one's own.
async fn cut_all(client: &tokio_postgres::Client) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.query(sql, &[]).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_was_superseded_writes_nothing_more() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let first = PostgresJournal::connect(&url, "run").await.unwrap();
    first.append(ended(Outcome::Incomplete)).await.unwrap();
    // The lock is lost with the connection. Until the first writer looks again, anybody may have it.
    cut_all(&connect(&url).await).await;
    let second = PostgresJournal::connect(&url, "run").await.unwrap();
    assert_eq!(second.append(ended(Outcome::Complete)).await.unwrap(), 1);

    for _ in 0..2 {
        let error = first.append(ended(Outcome::Failed)).await.unwrap_err();
        assert!(error.message().contains("another process"), "{error}");
    }
    assert!(first.close().await.is_err());
    assert_eq!(second.append(ended(Outcome::Cancelled)).await.unwrap(), 2);
    let expected = [Outcome::Incomplete, Outcome::Complete, Outcome::Cancelled].map(ended);
    assert_eq!(read(&second).await, expected);
}

#[tokio::test]
async fn an_append_in_the_name_of_an_earlier_term_leaves_nothing() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let journal = PostgresJournal::connect(&url, "run").await.unwrap();
    // The connection lives, and another process has taken the run all the same.
    let client = connect(&url).await;
    client
        .execute("UPDATE topicloom.runs SET term = term + 1", &[])
        .await
        .unwrap();
    let error = journal.append(ended(Outcome::Failed)).await.unwrap_err();
    assert!(error.message().contains("another process"), "{error}");
    let entries = client
        .query("SELECT number FROM topicloom.entries", &[])
        .await;
    assert!(entries.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_and_double_nothing() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let journal = PostgresJournal::connect(&url, "run").await.unwrap();
    let cutter = connect(&url).await;
    let cutting = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            cut_all(&cutter).await;
        }
    };
    let appending = async {
        let mut numbers = Vec::new();
        for _ in 0..40 {
            let crowd = (0..16).map(|_| journal.append(ended(Outcome::Incomplete)));
            numbers.extend(join_all(crowd).await.into_iter().map(Result::unwrap));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        numbers
    };
    let ((), mut numbers) = tokio::join!(cutting, appending);
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..640));
    assert_eq!(read(&journal).await.len(), 640);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_is_waited_for_and_not_for_ever() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let url = server.database().await;
    let patient = PostgresJournal::connect(&url, "patient").await.unwrap();
    let options = PostgresOptions::new().patience(Duration::ZERO);
    let hasty = PostgresJournal::connect_with(&url, "hasty", options);
    let hasty = hasty.await.unwrap();
    patient.append(ended(Outcome::Incomplete)).await.unwrap();

    server.stop();
    let error = hasty.append(ended(Outcome::Incomplete)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Journal, false)
    );
    let append = tokio::spawn({
        let patient = patient.clone();
        async move { patient.append(ended(Outcome::Failed)).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!append.is_finished());
    server.go();
    assert_eq!(append.await.unwrap().unwrap(), 1);
    let expected = [Outcome::Incomplete, Outcome::Failed].map(ended);
    assert_eq!(read(&patient).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_journal_is_read_in_pages_and_while_it_grows() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let journal = PostgresJournal::connect(&url, "run").await.unwrap();
    for _ in 0..5 {
        join_all((0..200).map(|_| journal.append(ended(Outcome::Incomplete)))).await;
    }
    let reader = PostgresReader::connect(&url, "run").await.unwrap();
    let mut entries = reader.entries().await.unwrap();
    assert!(entries.next().await.unwrap().is_ok());
    journal.append(ended(Outcome::Complete)).await.unwrap();
    let rest: Vec<Entry> = entries.try_collect().await.unwrap();
    assert_eq!(rest, vec![ended(Outcome::Incomplete); 999]);
    assert_eq!(reader.state().await.unwrap().entries, 1_001);
}

#[tokio::test]
async fn damage_is_told_with_the_number_of_the_entry() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let journal = PostgresJournal::connect(&url, "run").await.unwrap();
    for _ in 0..3 {
        journal.append(ended(Outcome::Incomplete)).await.unwrap();
    }
    let client = connect(&url).await;
    for (damage, says) in [
        (
            "UPDATE topicloom.entries SET body = '{' WHERE number = 1",
            "cannot be read",
        ),
        ("DELETE FROM topicloom.entries WHERE number = 1", "missing"),
    ] {
        client.execute(damage, &[]).await.unwrap();
        let entries = journal.read().await.unwrap();
        let error = entries.try_collect::<Vec<Entry>>().await.unwrap_err();
        assert!(error.message().contains(says), "{error}");
        assert!(error.to_string().contains("entry: 1"), "{error}");
    }
}

#[tokio::test]
async fn a_run_or_a_server_that_is_not_there_is_said_to_be_missing() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let error = PostgresReader::connect(&url, "nothing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("nothing"), "{error}");

    let nowhere = "postgres://weaver:hunter2@127.0.0.1:1/runs";
    let error = PostgresJournal::connect(nowhere, "run").await.unwrap_err();
    assert!(error.message().contains("cannot be reached"), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1/runs"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}
