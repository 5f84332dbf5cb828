//! Tells an answer that repeats itself until it is cut off from one that lacks room.

use std::collections::HashSet;

use serde_json::Value;

/// How often the end of a text must come in a row to be a loop.
const TIMES: usize = 3;

/// The least part of a text, and the fewest characters, that a loop takes.
const LEAST_PART: usize = 8;
const FEWEST: usize = 60;

/// Records that are compared with one another at least.
const FEWEST_RECORDS: usize = 4;

/// Returns whether an answer that was cut off was going round in circles: its end is the same text several times over, numbers
/// aside, or half of the records before the cut repeat others.
pub(crate) fn is_loop(text: &str, records: &[Value]) -> bool {
    let different: HashSet<String> = records.iter().map(Value::to_string).collect();
    if records.len() >= FEWEST_RECORDS && different.len() * 2 <= records.len() {
        return true;
    }
    let backwards: Vec<char> = text.trim_end().chars().rev().collect();
    // What only counts up says nothing new, but a list of numbers is no loop.
    let without_numbers: Vec<char> = without_numbers(&backwards);
    begins_periodically(&backwards, |_| true) || begins_periodically(&without_numbers, is_prose)
}

/// Returns the part of an answer's text that belongs to none of its whole records, from 0 to 1.
#[allow(clippy::cast_precision_loss)] // Some thousand bytes.
pub(crate) fn unfinished(text: &str, records: &[Value]) -> f64 {
    let whole: usize = records.iter().map(|record| record.to_string().len()).sum();
    1.0 - (whole as f64 / text.len().max(1) as f64).min(1.0)
}

/// Whether there are a few words in a row, and not only the keys of numbers.
fn is_prose(text: &[char]) -> bool {
    let between_words =
        |three: &&[char]| three[1] == ' ' && three[0].is_alphabetic() && three[2].is_alphabetic();
    text.windows(3).filter(between_words).count() >= 2
}

/// Writes each number as one digit.
fn without_numbers(text: &[char]) -> Vec<char> {
    let digit = |c: &char| c.is_ascii_digit();
    let runs = text.chunk_by(|a, b| digit(a) && digit(b));
    runs.map(|run| if digit(&run[0]) { '0' } else { run[0] })
        .collect()
}

/// Returns whether the text begins with a unit that comes several times in a row.
fn begins_periodically(text: &[char], is_unit: impl Fn(&[char]) -> bool) -> bool {
    let fewest = FEWEST.max(text.len() / LEAST_PART);
    // How much of the text up to each place is also its beginning (Knuth, Morris and Pratt): the rest is the period.
    let mut borders: Vec<usize> = vec![0; text.len()];
    for end in 1..text.len() {
        let mut border = borders[end - 1];
        while border > 0 && text[border] != text[end] {
            border = borders[border - 1];
        }
        borders[end] = border + usize::from(text[border] == text[end]);
        let (length, period) = (end + 1, end + 1 - borders[end]);
        if length >= fewest && length >= TIMES * period && is_unit(&text[..period]) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn qa(question: &str) -> String {
        json!({"question": question, "answer": "Because it is so."}).to_string()
    }

    fn answer(questions: &[&str], cut: &str) -> String {
        let records: Vec<String> = questions.iter().map(|it| qa(it)).collect();
        format!("[{},{cut}", records.join(","))
    }

    #[test]
    fn what_comes_over_and_over_is_a_loop() {
        let same = ["What is a graph?"; 6];
        let by_turns = ["What is a graph?", "What is a tree?"].repeat(4);
        let mut after_a_while: Vec<&str> = vec!["Why?", "How long is it?", "Who found that?"];
        after_a_while.extend(["What is a graph?"; 5]);
        for questions in [&same[..], &by_turns, &after_a_while] {
            let text = answer(questions, r#"{"question":"Wh"#);
            assert!(is_loop(&text, &[]), "{text}");
        }
        let words = format!("The tide is {}", "very, ".repeat(40));
        assert!(is_loop(&words, &[]));
        let blank = format!("{}{}", qa("Why?"), "\\n".repeat(200));
        assert!(is_loop(&blank, &[]));
        let numbered: String = (1..30)
            .map(|number| format!("Question {number}: what is a graph? "))
            .collect::<Vec<_>>()
            .concat();
        assert!(is_loop(&numbered, &[]));
    }

    #[test]
    fn what_belongs_to_no_whole_record_is_unfinished() {
        let records = [json!({"a": 1}), json!({"a": 2})];
        let text = format!("{}{}{}", records[0], records[1], "x".repeat(14));
        assert!((unfinished(&text, &records) - 0.5).abs() < 1e-9);
        assert!(unfinished("{}", &[json!({})]).abs() < 1e-9);
    }

    #[test]
    fn records_that_come_again_in_any_order_are_a_loop() {
        let record = |number: usize| json!({"question": format!("What is the number {number}?")});
        let order = [0, 1, 2, 1, 0, 0, 2, 1, 2];
        let records: Vec<Value> = order.into_iter().map(record).collect();
        assert!(is_loop("", &records));
        let records: Vec<Value> = (0..9).map(record).collect();
        assert!(!is_loop("", &records));
    }

    #[test]
    fn what_goes_on_is_no_loop() {
        let questions: Vec<String> = [
            "graph", "tree", "tide", "heap", "sonnet", "fugue", "quark", "delta", "reef", "moth",
        ]
        .map(|what| format!("What is a {what}?"))
        .into();
        let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
        let numbers: Vec<String> = (0..200).map(|n| format!("{}.{n}", n * 37 % 101)).collect();
        let table = "| a | b | c |\n|---|---|---|\n| 1 | tides | moon |\n| 2 | reefs | sun |";
        for text in [
            answer(&questions, r#"{"question":"What is"#),
            answer(&["What is a graph?"; 2], r#"{"question":"What"#),
            format!(r#"{{"values": [{}, 1"#, numbers.join(", ")),
            numbers
                .iter()
                .map(|n| format!(r#"{{"temperature": {n}, "humidity": {n}}}, "#))
                .collect::<Vec<_>>()
                .concat(),
            table.to_owned(),
            "She sold sea shells, and more shells, and the shells she sold were sea shells".into(),
            String::new(),
        ] {
            assert!(!is_loop(&text, &[]), "{text}");
        }
    }
}
