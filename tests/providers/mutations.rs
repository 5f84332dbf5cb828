//! Good answers with fields dropped, renamed, wrapped and made another type: where the text is still there, it is used,
//! and nothing panics.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use topicloom::llm::{ChatRequest, OutputMode};
use topicloom::testing::read_answer;

use crate::common::{WIRES, structured};
use crate::untidy::{TEXT, cases};

/// Ways to change one field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Drop,
    Rename,
    WrapInObject,
    WrapInList,
    ToNull,
    ToNumber,
    ToText,
    ToObject,
    ToList,
}

const CHANGES: [Change; 9] = [
    Change::Drop,
    Change::Rename,
    Change::WrapInObject,
    Change::WrapInList,
    Change::ToNull,
    Change::ToNumber,
    Change::ToText,
    Change::ToObject,
    Change::ToList,
];

impl Change {
    /// Returns the field as it is after the change, if it is still there.
    fn of(self, key: &str, value: Value) -> Option<(String, Value)> {
        let value = match self {
            Self::Drop => return None,
            Self::Rename => return Some((format!("x_{key}"), value)),
            Self::WrapInObject => json!({ "value": value }),
            Self::WrapInList => json!([value]),
            Self::ToNull => Value::Null,
            Self::ToNumber => json!(-1.5),
            Self::ToText => json!("other"),
            Self::ToObject => json!({}),
            Self::ToList => json!([]),
        };
        Some((key.to_owned(), value))
    }
}

/// Changes the field with this number, counted in the order of the text; what is inside of the answer's own JSON is not
/// counted.
fn change(value: &Value, at: &mut usize, kind: Change) -> Value {
    match value {
        _ if is_answer(value) => value.clone(),
        Value::Array(list) => list.iter().map(|value| change(value, at, kind)).collect(),
        Value::Object(object) => {
            let mut changed = Map::new();
            for (key, value) in object {
                let here = *at == 0;
                *at = at.wrapping_sub(1);
                let field = if here {
                    kind.of(key, value.clone())
                } else {
                    Some((key.clone(), change(value, at, kind)))
                };
                changed.extend(field);
            }
            Value::Object(changed)
        }
        _ => value.clone(),
    }
}

fn is_answer(value: &Value) -> bool {
    value.get("question").is_some() || value.get("records").is_some()
}

/// Whether the whole text of the answer is in a body, as a text.
fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(TEXT),
        Value::Array(list) => list.iter().any(holds_text),
        Value::Object(object) => object.values().any(holds_text),
        _ => false,
    }
}

/// Returns what is wrong with how a body is read.
fn fault(body: &Value, request: &ChatRequest) -> Option<String> {
    let answer = read_answer(body.to_string().as_bytes(), request);
    let text = answer.map(|answer| answer.text);
    let used = text.as_ref().is_some_and(|text| text.contains(TEXT));
    (holds_text(body) && !used).then(|| format!("{text:?} of {body}"))
}

/// Every answer in `tests/cases/answers`.
fn answers() -> Vec<(String, Value)> {
    WIRES.into_iter().flat_map(cases).collect()
}

#[test]
fn the_text_is_used_after_any_one_change() {
    let request = structured("a prompt", OutputMode::Strict);
    let mut checked = 0;
    let mut faults = Vec::new();
    for (name, body) in answers() {
        for kind in CHANGES {
            for number in 0.. {
                let mut at = number;
                let changed = change(&body, &mut at, kind);
                // No field has this number.
                if at < usize::MAX / 2 {
                    break;
                }
                let fault = fault(&changed, &request);
                faults.extend(fault.map(|fault| format!("{name}, {kind:?} {number}: {fault}")));
                checked += 1;
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {checked}: {}",
        faults.len(),
        faults.join("\n")
    );
    assert!(checked > 5_000, "{checked}");
}

proptest! {
    // After several changes a part may look just as a record does, so that nothing can be told about its text.
    #[test]
    fn nothing_panics_after_several_changes_and_a_cut(
        case: prop::sample::Index,
        changes in prop::collection::vec((0..25_usize, prop::sample::select(&CHANGES[..])), 1..4),
        cut: prop::sample::Index,
        framed: bool,
    ) {
        let answers = answers();
        let (_, mut body) = answers[case.index(answers.len())].clone();
        for (mut at, kind) in changes {
            body = change(&body, &mut at, kind);
        }
        let text = if framed { format!("data: {body}\n\n") } else { body.to_string() };
        let request = structured("a prompt", OutputMode::Strict);
        let _ = read_answer(text.as_bytes(), &request);
        let _ = read_answer(&text.as_bytes()[..cut.index(text.len())], &request);
    }
}
