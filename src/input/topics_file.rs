//! Topics in a file of their own: a name on each line, a table, JSON or JSON Lines.

use serde_json::{Value, from_str};

use super::place::Place;
use super::table::{csv, ending};
use super::topic_entry::read_entry;
use crate::plan::TopicSpec;

/// What the columns of a table, or the keys of an object, may be called.
const NAMES: [&str; 3] = ["topic", "name", "title"];
const COUNTS: [&str; 4] = ["count", "records", "num_records", "quota"];

/// Reads the topics in the file that is named here.
pub(super) fn read(name: &Value, place: &mut Place<'_>) -> Option<Vec<TopicSpec>> {
    let text = &place.read_text(name)?;
    let read = match ending(name).as_deref() {
        Some("csv" | "tsv") => table(text),
        Some("jsonl" | "ndjson") => json_lines(text),
        Some("json") => match from_str(text) {
            Ok(Value::Array(entries)) => entries.into_iter().enumerate().map(entry_of).collect(),
            _ => Err("names a file that is no JSON list".to_owned()),
        },
        _ => Ok(lines(text).map(|(_, line)| line.into()).collect()),
    };
    match read {
        Ok(topics) if topics.is_empty() => place.fault("names a file without a topic", "name at least one"),
        Ok(topics) => Some(topics),
        Err(problem) => place.fault(
            problem,
            r#"write a name on each line, CSV with the columns `topic` and `count`, or JSON Lines such as {"topic": "tides", "count": 3}"#,
        ),
    }
}

/// Returns the lines that are not blank, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).enumerate();
    lines.filter(|(_, line)| !line.is_empty())
}

fn json_lines(text: &str) -> Result<Vec<TopicSpec>, String> {
    let topics = lines(text).map(|(index, line)| match from_str(line) {
        Ok(entry) => entry_of((index, entry)),
        Err(_) => Err(format!("has no JSON in line {}", index + 1)),
    });
    topics.collect()
}

/// Reads an entry as it may stand in the input, or an object with a name and a count.
fn entry_of((index, entry): (usize, Value)) -> Result<TopicSpec, String> {
    let key = |names: &[&str]| names.iter().find_map(|name| entry.get(name));
    let topic = match (key(&NAMES).and_then(Value::as_str), key(&COUNTS)) {
        (Some(name), Some(count)) => read_entry(serde_json::json!({name: count})),
        (Some(name), None) => Ok(name.into()),
        (None, _) => read_entry(entry),
    };
    topic.map_err(|(problem, _)| format!("has an entry {} that {problem}", index + 1))
}

/// Reads a table. Its first line may name the columns; without that, the first has names, and the second counts.
fn table(text: &str) -> Result<Vec<TopicSpec>, String> {
    let mut reader = csv(text).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut columns = (0, Some(1));
    let mut topics = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let row = row.map_err(|_| "names a file that is no table".to_owned())?;
        let find = |names: &[&str]| {
            let mut cells = row.iter();
            cells.position(|cell| names.contains(&&*cell.to_lowercase()))
        };
        if index == 0
            && let (name, count) = (find(&NAMES), find(&COUNTS))
            && (name, count) != (None, None)
        {
            columns = (name.unwrap_or(usize::from(count == Some(0))), count);
        } else if row.iter().any(|cell| !cell.is_empty()) {
            topics.push(topic_of(&row, columns)?);
        }
    }
    Ok(topics)
}

fn topic_of(
    row: &csv::StringRecord,
    (name, count): (usize, Option<usize>),
) -> Result<TopicSpec, String> {
    let cell = |column| row.get(column).filter(|cell| !cell.is_empty());
    let line = row.position().map_or(1, csv::Position::line);
    let name = cell(name).ok_or_else(|| format!("has no name in line {line}"))?;
    match count.and_then(cell).map(str::parse::<u64>) {
        None => Ok(name.into()),
        Some(Ok(count)) => Ok((name, count).into()),
        Some(Err(_)) => Err(format!("has no whole number as the count in line {line}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::place::Notes;
    use super::*;

    fn topics(name: &str, text: &str) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let mut notes = Notes {
            folder: Some(folder.path().to_owned()),
            ..Notes::default()
        };
        let read = read(&name.into(), &mut Place::new("topics.file", &mut notes));
        let fault = notes.faults.iter().next().map(ToString::to_string);
        read.map(|topics| {
            topics
                .iter()
                .map(super::super::topic_entry::to_json)
                .collect()
        })
        .ok_or_else(|| fault.unwrap_or_default())
    }

    #[test]
    fn topics_are_read_from_lists_as_people_keep_them() {
        let wanted = json!(["tides", {"deep, cold currents": 3}]);
        for (name, text) in [
            ("a.csv", "topic,count\ntides,\n\"deep, cold currents\",3\n"),
            (
                "a.csv",
                "\u{feff}Count;Topic\r\n;tides\r\n3;deep, cold currents\r\n",
            ),
            ("a.CSV", "tides\n\"deep, cold currents\", 3"),
            (
                "a.tsv",
                "id\tname\tnum_records\n1\ttides\t\n2\tdeep, cold currents\t3\n\n",
            ),
            (
                "a.jsonl",
                "\"tides\"\n{\"topic\": \"deep, cold currents\", \"count\": 3}\n",
            ),
            (
                "a.ndjson",
                "{\"name\": \"tides\"}\n\n{\"deep, cold currents\": 3}",
            ),
            ("a.json", r#"["tides", {"deep, cold currents": 3}]"#),
        ] {
            assert_eq!(topics(name, text).as_ref(), Ok(&wanted), "{text}");
        }
        let lines = topics("topics.txt", "  tides\n\nsays \"hello\", twice\n");
        assert_eq!(lines, Ok(json!(["tides", "says \"hello\", twice"])));
        let marks = topics("a.csv", "topic\n\"says \"\"hello\"\"\nand goes\"\n");
        assert_eq!(marks, Ok(json!(["says \"hello\"\nand goes"])));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_with_its_line() {
        for (name, text, said) in [
            (
                "a.csv",
                "topic,count\ntides,many\n",
                "topics.file: has no whole number as the count in line 2",
            ),
            ("a.csv", "topic,count\n,3\n", "has no name in line 2"),
            (
                "a.jsonl",
                "\"tides\"\n{\"topic\"\n",
                "has no JSON in line 2",
            ),
            (
                "a.jsonl",
                "\"tides\"\n7\n",
                "has an entry 2 that is a number",
            ),
            ("a.json", "{}", "is no JSON list"),
            ("a.txt", "\n\n", "names a file without a topic"),
        ] {
            let fault = topics(name, text).unwrap_err();
            assert!(fault.contains(said), "{fault}");
        }
    }
}
