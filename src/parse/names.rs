//! Names out of a value: a list of strings, or of objects that each hold one.

use serde_json::Value;

use super::choose::{Taken, with_open};
use super::machine::Found;

/// Keys under which an object holds its name, best first.
const NAME_KEYS: [&str; 6] = ["topic", "name", "title", "topic_name", "subtopic", "label"];

/// Takes the names out of a value that was found.
pub(super) fn take(found: &mut Found) -> Taken {
    let mut taken = Taken::default();
    let open = found.open;
    match std::mem::take(&mut found.value) {
        Value::Array(items) => from_list(items, open, &mut taken),
        Value::Object(object) => {
            let is_numbered = |(key, value): (&String, &Value)| {
                value.is_string() && key.ends_with(|c: char| c.is_ascii_digit())
            };
            if open == 0 && !object.is_empty() && object.iter().all(is_numbered) {
                taken.list = true;
                taken.values = object.into_iter().map(|(_, name)| name).collect();
            } else if let Some(name) = name_of(&object).filter(|_| open == 0) {
                taken.values.push(name);
            } else {
                for ((_, child), open) in with_open(object.into_iter(), open) {
                    if let Value::Array(items) = child {
                        from_list(items, open, &mut taken);
                    }
                }
            }
        }
        _ => {}
    }
    taken.strays += usize::from(taken.values.is_empty());
    taken
}

fn from_list(items: Vec<Value>, open: usize, taken: &mut Taken) {
    taken.list = true;
    let whole = items.len() - usize::from(open > 1 && !items.is_empty());
    for item in items.into_iter().take(whole) {
        let name = match item {
            Value::Object(object) => name_of(&object),
            item => Some(item).filter(is_name),
        };
        taken.strays += usize::from(name.is_none());
        taken.values.extend(name);
    }
}

fn name_of(object: &serde_json::Map<String, Value>) -> Option<Value> {
    let name = NAME_KEYS.iter().find_map(|key| object.get(*key));
    name.filter(|name| is_name(name)).cloned()
}

fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|name| !name.trim().is_empty())
}

/// Reads lines that are JSON strings each, at least two of them: one alone is more likely a sentence than a name.
pub(super) fn from_lines(text: &str) -> Option<Vec<Value>> {
    let lines = text.lines();
    let lines = lines.map(|line| line.trim().trim_end_matches(',').trim_end());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("```"));
    let names = lines.map(|line| serde_json::from_str(line).ok().filter(is_name));
    names
        .collect::<Option<Vec<Value>>>()
        .filter(|names| names.len() > 1)
}
