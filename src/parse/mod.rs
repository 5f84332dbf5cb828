//! Gets JSON out of a model's answer, and mends it where it is broken.
//!
//! Models put fences, explanations and thinking around their JSON, forget to escape quotes and backslashes, add commas, and
//! are cut off in the middle. [`records`] finds what was meant; [`strings`] does the same for a plain list of names.
//! Three rules hold throughout:
//!
//! - *Rather refuse than guess.* Where a text could mean two things, the record is left out and the [`Fault`] says so.
//! - *Text is the author's.* Inside strings nothing changes except to undo what broke them, each time under
//!   a name in [`Mends`].
//! - *Any input is fine.* Nothing panics, nothing overflows, and time is linear in the length of the answer.
//!
//! Text that is valid JSON as it stands comes back as `serde_json` reads it, with one exception: escapes that
//! are LaTeX (`\frac`, a form feed and "rac" to JSON) are undone and counted as [`Mend::LatexEscape`].
//!
//! # What is not promised
//!
//! A record found here is whole, but whether it is *valid* is for the schema to say. An answer cut off right where an
//! unescaped quote made its text look finished cannot be told from a finished one by any reader; such cases
//! are refused as far as the text gives a sign.

mod choose;
mod close;
mod fault;
mod forms;
mod label;
mod latex;
mod limits;
mod mend;
mod names;
mod quote;
mod records;
mod scalar;
mod scan;
mod shape;
mod strict;
mod text;
mod thinking;
mod token;
mod tolerant;
mod trivia;
mod verbatim;
mod whole;

use serde_json::Value;

pub use self::fault::Fault;
pub use self::limits::Limits;
pub use self::mend::{Mend, Mends};
pub use self::shape::Shape;

use self::choose::Taken;
use self::label::Label;
use self::scan::{Find, Scan};
use self::tolerant::{End, Found};

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What was asked for, in the order of the answer: whole objects for [`records`], strings for [`strings`].
    pub values: Vec<Value>,
    /// What was mended on the way.
    pub mends: Mends,
    /// What kept the rest of the answer from being read, if anything did. There may be values beside it: those
    /// that came whole before a cut.
    pub fault: Option<Fault>,
}

impl Answer {
    fn faulty(fault: Fault) -> Self {
        Self {
            values: Vec::new(),
            mends: Mends::default(),
            fault: Some(fault),
        }
    }
}

/// Finds the records in an answer.
///
/// They may come as one object, several, an array, JSON Lines, or under wrapper keys; with prose, fences and thinking
/// around them; and broken in the ways [`Mend`] lists. Where an answer holds several pieces of JSON with words
/// between them, a list goes before single objects, a corrected version before the one it corrects, and what is
/// announced as an example gives way to what is not.
///
/// ```
/// use topicloom::parse::{Fault, Limits, Mend, Shape, records};
///
/// let shape = Shape::new(["question", "answer"]);
/// let answer = records(
///     r#"Sure! ```json
///     [{"question": "What does "overfit" mean?", "answer": "To learn the noise"},
///      {"question": "What is a prior?", "answer": "A distribu"#,
///     &shape,
///     &Limits::default(),
/// );
/// assert_eq!(answer.values.len(), 1);
/// assert_eq!(answer.values[0]["question"], r#"What does "overfit" mean?"#);
/// assert_eq!(answer.mends.count(Mend::InnerQuote), 1);
/// assert_eq!(answer.fault, Some(Fault::Truncated));
/// ```
#[must_use]
pub fn records(text: &str, shape: &Shape, limits: &Limits) -> Answer {
    let answer = read(text, shape, limits, |found, after_break| {
        let mut taken = records::take(found, shape, limits);
        if after_break {
            taken.values.retain(|value| shape.is_filled_by(value));
        }
        taken
    });
    forms::read(answer, text, shape)
}

/// Finds a list of names in an answer, such as topics.
///
/// They may come as an array of strings, under a key (`{"topics": [...]}`), as objects with a name each
/// (`[{"topic": "..."}]`), or one per line as JSON. Prose never becomes names, so a refusal gives none.
///
/// ```
/// use topicloom::parse::{Fault, Limits, strings};
///
/// let answer = strings(r#"Here you go: {"topics": ["graphs", "trees",]}"#, &Limits::default());
/// assert_eq!(answer.values, ["graphs", "trees"]);
///
/// let answer = strings("I'm sorry, but I can't help with that.", &Limits::default());
/// assert_eq!(answer.fault, Some(Fault::NoJson));
/// ```
#[must_use]
pub fn strings(text: &str, limits: &Limits) -> Answer {
    let shape = Shape::new(["topics", "topic", "name", "title"]);
    let mut answer = read(text, &shape, limits, |found, _| names::take(found));
    if answer.values.is_empty()
        && answer.fault == Some(Fault::NoJson)
        && let Some(values) = names::from_lines(text)
    {
        answer.values = values;
        answer.fault = None;
        answer.mends = Mends::default();
        answer.mends.add(Mend::ValueSequence);
    }
    answer
}

fn read(
    text: &str,
    shape: &Shape,
    limits: &Limits,
    take: impl FnMut(&mut Found, bool) -> Taken,
) -> Answer {
    if text.len() > limits.max_bytes {
        return Answer::faulty(Fault::TooLong);
    }
    let blank = |c: char| c.is_whitespace() || trivia::is_invisible(c);
    let bare = text.trim_matches(blank);
    if bare.is_empty() {
        return Answer::faulty(Fault::Blank);
    }
    let mut scan = find(bare, text.trim_start_matches(blank), shape, limits);
    if bare.len() < text.trim().len() {
        scan.mends.add(Mend::InvisibleCharacter);
    }
    choose::choose(scan, take)
}

/// Finds the values in a text, given bare of what may surround it and with its end as it is.
fn find(bare: &str, text: &str, shape: &Shape, limits: &Limits) -> Scan {
    if let Some((value, mends)) = strict::read(bare, limits) {
        match value {
            // A whole answer inside a string: look into it, once.
            Value::String(inner) if inner.contains(['{', '[']) => {
                let mut scan = scan::scan(&inner, shape, limits);
                scan.mends.add(Mend::DoubleEncoded);
                return scan;
            }
            Value::Array(_) | Value::Object(_) => {
                return Scan {
                    finds: vec![Find {
                        found: Found {
                            value,
                            open: 0,
                            end: End::Whole,
                            span: 0..bare.len(),
                            mends,
                            serious: true,
                            record: None,
                            dropped: 0,
                        },
                        joined: false,
                        after_break: false,
                        label: Label::of(""),
                        tag: None,
                        in_sentence: false,
                    }],
                    ..Scan::default()
                };
            }
            _ => {}
        }
    }
    if let Some((plain, mend)) = whole::unescape(text) {
        let mut scan = scan::scan(&plain, shape, limits);
        scan.mends.add(mend);
        return scan;
    }
    scan::scan(text, shape, limits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Shape {
        Shape::new(["q"]).required(["q"])
    }

    #[test]
    fn each_limit_has_its_fault_and_keeps_what_came_whole() {
        let limits = Limits::default();
        let deep = format!(r#"[{{"q": 1}}, {{"q": {}}}]"#, "[".repeat(200));
        let answer = records(&deep, &shape(), &limits);
        assert_eq!(
            (answer.values, answer.fault),
            (vec![json!({"q": 1})], Some(Fault::TooDeep))
        );

        let many = r#"[{"q": 1}, {"q": [1, 2, 3, 4, 5, 6, 7, 8, 9]}]"#;
        let answer = records(many, &shape(), &limits.max_values(8));
        assert_eq!(
            (answer.values, answer.fault),
            (vec![json!({"q": 1})], Some(Fault::TooMany))
        );

        let answer = records(many, &shape(), &limits.max_bytes(many.len() - 1));
        assert_eq!(answer.fault, Some(Fault::TooLong));
        let answer = records(many, &shape(), &limits.max_bytes(many.len()));
        assert_eq!((answer.values.len(), answer.fault), (2, None));
    }

    #[test]
    fn a_record_that_was_not_closed_is_left_out_while_a_property_is_missing() {
        let shape = Shape::new(["question", "answer", "hint"]).required(["question", "answer"]);
        for start in ["", r#"{"question": "x", "answer": "y"}, "#] {
            for end in ["", "\n", ",", ",\n", " \n ", r#", "hi"#, r#", "hint": "#] {
                let text = format!(r#"{{"records": [{start}{{"question": "a", "answer": "b"{end}"#);
                let answer = records(&text, &shape, &Limits::default());
                let whole = usize::from(!start.is_empty());
                assert_eq!(answer.values.len(), whole, "{text}");
                assert_eq!(answer.fault, Some(Fault::Truncated), "{text}");
            }
        }
    }

    #[test]
    fn nesting_up_to_the_limit_is_read_by_either_reader() {
        for depth in [100, 126, 300, 510] {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let limits = Limits::default().max_depth(depth + 2);
            for text in [
                format!(r#"[{{"q": {nested}}}]"#),
                format!(r#"[{{"q": {nested}}},]"#),
            ] {
                let answer = records(&text, &shape(), &limits);
                assert_eq!((answer.values.len(), answer.fault), (1, None), "{depth}");
            }
        }
    }

    #[test]
    fn long_runs_of_brackets_overflow_nothing() {
        for unit in ["[", "{", "[{", "{\"q\":", "[[{\"q\":"] {
            let text = unit.repeat(20_000);
            let answer = records(&text, &shape(), &Limits::default().max_depth(usize::MAX));
            assert!(answer.values.is_empty());
            assert!(answer.fault.is_some());
        }
    }

    #[test]
    fn errors_and_advice_never_hold_what_the_answer_said() {
        let answer = records("my secret answer", &shape(), &Limits::default());
        let fault = answer.fault.unwrap();
        assert!(!format!("{fault} {fault:?} {}", fault.advice()).contains("secret"));
    }
}
