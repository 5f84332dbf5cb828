//! Paths into a document, such as `generation_model_kwargs.temperature`, `topics[2]` or `prices."openai/gpt-4.1".input`.

use serde_json::{Map, Value};

use super::place::presentable;
use crate::fault::InputFault;
use crate::schema::kind_of;

/// A step from a value to one in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// Takes a path apart. Dots stand between keys, and a key with dots in it between quotation marks.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let index = rest.strip_prefix('[').and_then(|rest| {
            let (index, rest) = rest.split_once(']')?;
            Some((index.parse().ok()?, rest))
        });
        let after = match (quoted, index) {
            (Some((key, after)), _) => {
                steps.push(key.into());
                after
            }
            (None, Some((index, after))) => {
                steps.push(Step::Index(index));
                after
            }
            (None, None) => {
                // At least one letter, so that it comes to an end.
                let first = rest.chars().next().map_or(0, char::len_utf8);
                let end = rest[first..]
                    .find(['.', '['])
                    .map_or(rest.len(), |end| end + first);
                steps.push(rest[..end].into());
                &rest[end..]
            }
        };
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

/// Returns the path of these steps as faults name it.
pub(super) fn shown(steps: &[Step]) -> String {
    let mut shown = String::new();
    for step in steps {
        match step {
            Step::Key(key) if shown.is_empty() => shown += &presentable(key),
            Step::Key(key) => shown = shown + "." + &presentable(key),
            Step::Index(index) => shown = format!("{shown}[{index}]"),
        }
    }
    shown
}

/// Returns what is left of a path that leads through another.
pub(super) fn within<'a>(path: &'a str, outer: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(outer)?;
    match rest.chars().next() {
        None | Some('[') => Some(rest),
        Some('.') => Some(&rest[1..]),
        Some(_) => None,
    }
}

/// Returns what is where a path leads. Objects that are missing on the way are made.
pub(super) fn at<'a>(
    document: &'a mut Map<String, Value>,
    path: &[Step],
) -> Result<&'a mut Value, InputFault> {
    let Some((Step::Key(first), rest)) = path.split_first() else {
        let advice = "write a path such as `generation_model_kwargs.temperature`";
        return Err(InputFault::new(
            "",
            "nothing is named that could be set",
            advice,
        ));
    };
    let mut there = document.entry(first.clone()).or_insert(Value::Null);
    for (depth, step) in rest.iter().enumerate() {
        if there.is_null() && matches!(step, Step::Key(_)) {
            *there = Map::new().into();
        }
        let kind = kind_of(there);
        let inner = match (step, there) {
            (Step::Key(key), Value::Object(object)) => {
                Some(object.entry(key.clone()).or_insert(Value::Null))
            }
            (Step::Index(index), Value::Array(items)) => items.get_mut(*index),
            _ => None,
        };
        there = inner.ok_or_else(|| {
            let step = shown(std::slice::from_ref(step));
            let problem = format!("is {kind}, in which there is no `{step}`");
            InputFault::new(shown(&path[..=depth]), problem, "set all of it")
        })?;
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_a_value_or_says_where_it_ends() {
        let mut document =
            json!({"topics": ["a", {"b": 2}], "seed": null, "deduplication": "near"});
        let object = document.as_object_mut().unwrap();
        for (path, value) in [
            ("topics[0]", json!("c")),
            ("topics[1].b", json!(3)),
            ("prices.\"openai/gpt-4.1\".input", json!(0.2)),
            ("seed", json!(7)),
        ] {
            *at(object, &steps(path)).unwrap() = value;
        }
        for (path, said) in [
            ("topics[7]", "topics: is a list, in which there is no `[7]`"),
            (
                "deduplication.scope",
                "deduplication: is a string, in which there is no `scope`",
            ),
            ("", "nothing is named"),
        ] {
            let fault = at(object, &steps(path)).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
        assert_eq!(
            document,
            json!({
                "topics": ["c", {"b": 3}], "seed": 7, "deduplication": "near",
                "prices": {"openai/gpt-4.1": {"input": 0.2}},
            })
        );
        assert_eq!(shown(&steps("a.b[3].c")), "a.b[3].c");
        assert_eq!(steps("..[x"), [".", "[x"].map(Step::from));
    }

    #[test]
    fn a_path_leads_through_another_or_not() {
        assert_eq!(within("topics[2]", "topics"), Some("[2]"));
        assert_eq!(within("a.b.c", "a.b"), Some("c"));
        assert_eq!(within("a", "a"), Some(""));
        assert_eq!(within("topics_file", "topics"), None);
    }
}
