//! Gets JSON out of a model's answer, and repairs it where it is broken.
//!
//! Models put fences, explanations and thinking around their JSON, forget to escape quotes and backslashes, add commas, and
//! are cut off in the middle. `records` finds what was meant; `strings` does the same for a plain list of names.
//! Three rules hold throughout:
//!
//! - *Rather refuse than guess.* Where a text could mean two things, the record is left out and the [`Fault`] says so.
//! - *Text is the author's.* Inside strings nothing changes except to undo what broke them, each time under
//!   a name in [`Repairs`].
//! - *Any input is fine.* Nothing panics, nothing overflows, and time is linear in the length of the answer.
//!
//! Text that is valid JSON as it stands comes back as `serde_json` reads it, with one exception: escapes that
//! are LaTeX (`\frac`, a form feed and "rac" to JSON) are undone and counted as [`Repair::LatexEscape`].
//!
//! # Where a kind of breakage is read
//!
//! Each kind has one place, and its cases in `tests/cases/parse`: what is wrong between values is an arm in `breakage`,
//! where a string ends whose quotes are not escaped one in `quote`, what is in a string in `text`, with `latex` and
//! `verbatim` for backslashes; what stands without quotes in `token`, how a key may be written in `shape`, an answer that
//! is escaped as a whole in `whole`, and one that is no JSON in `forms`. What stands at a place, `look` says for all of them.
//!
//! # What is not promised
//!
//! A record found here is whole, but whether it is *valid* is for the schema to say. An answer cut off right where an
//! unescaped quote made its text look finished cannot be told from a finished one by any reader; such cases
//! are refused as far as the text gives a sign.

mod answer;
mod breakage;
mod choose;
mod close;
mod fault;
mod forms;
mod label;
mod latex;
mod limits;
mod look;
mod machine;
mod names;
mod plain;
mod quote;
mod records;
mod repair;
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

pub use self::answer::Answer;
pub use self::fault::Fault;
pub use self::limits::Limits;
pub(crate) use self::plain::plain_records;
pub use self::repair::{Repair, Repairs};
pub use self::shape::Shape;

use self::choose::Taken;
use self::machine::Found;
use self::scan::{Find, Place, Scan};

/// Finds the records in an answer.
///
/// They may come as one object, several, an array, JSON Lines, or under wrapper keys; with prose, fences and thinking
/// around them; and broken in the ways [`Repair`] lists. Where an answer holds several pieces of JSON with words
/// between them, a list goes before single objects, a corrected version before the one it corrects, and what is
/// announced as an example gives way to what is not.
///
/// ```
/// use topicloom::parse::{Fault, Limits, Repair, Shape, records};
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
/// assert_eq!(answer.repairs[Repair::InnerQuote], 1);
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
    if answer.fault == Some(Fault::NoJson)
        && let Some(values) = names::from_lines(text)
    {
        answer.values = values;
        answer.fault = None;
        answer.repairs = Repairs::default();
        answer.repairs.add(Repair::ValueSequence);
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
    let blank = |c: char| c.is_whitespace() || look::is_invisible(c);
    let bare = text.trim_matches(blank);
    if bare.is_empty() {
        return Answer::faulty(Fault::Blank);
    }
    let mut scan = find(bare, text.trim_start_matches(blank), shape, limits);
    if bare.len() < text.trim().len() {
        scan.repairs.add(Repair::InvisibleCharacter);
    }
    choose::choose(scan, take)
}

/// Finds the values in a text, given bare of what may surround it and with its end as it is.
fn find(bare: &str, text: &str, shape: &Shape, limits: &Limits) -> Scan {
    if let Some(read) = strict::read(bare, limits)
        && (read.0.is_array() || read.0.is_object())
    {
        let find = Find {
            found: Found::strict(read, 0..bare.len()),
            joined: false,
            after_break: false,
            place: Place::default(),
        };
        return Scan {
            finds: vec![find],
            ..Scan::default()
        };
    }
    if let Some((plain, repair)) = whole::unescape(text) {
        let mut scan = scan::scan(&plain, shape, limits);
        scan.repairs.add(repair);
        return scan;
    }
    scan::scan(text, shape, limits)
}
