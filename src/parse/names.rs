//! Names out of a value: a list of strings, or of objects that each hold one.

use serde_json::Value;

use super::choose::Taken;
use super::tolerant::Found;

/// Keys under which an object holds its name, best first.
const NAME_KEYS: [&str; 6] = ["topic", "name", "title", "topic_name", "subtopic", "label"];

/// Takes the names out of a value that was found.
pub(super) fn take(found: &mut Found) -> Taken {
    let mut taken = Taken::default();
    match std::mem::take(&mut found.value) {
        Value::Array(items) => from_list(items, found.open, &mut taken),
        Value::Object(object) => {
            let last = object.len().saturating_sub(1);
            let open = found.open;
            let numbered = open == 0
                && !object.is_empty()
                && object.iter().all(|(key, value)| {
                    value.is_string() && key.ends_with(|c: char| c.is_ascii_digit())
                });
            if numbered {
                taken.list = true;
                taken.values = object.into_iter().map(|(_, name)| name).collect();
            } else if open == 0
                && let Some(name) = name_of(&object)
            {
                taken.values.push(name);
            } else {
                for (at, (_, child)) in object.into_iter().enumerate() {
                    let open = if at == last {
                        open.saturating_sub(1)
                    } else {
                        0
                    };
                    if let Value::Array(items) = child {
                        from_list(items, open, &mut taken);
                    }
                }
            }
        }
        _ => {}
    }
    if taken.values.is_empty() {
        taken.strays += 1;
    }
    taken
}

fn from_list(items: Vec<Value>, open: usize, taken: &mut Taken) {
    taken.list = true;
    let whole = items.len() - usize::from(open > 1 && !items.is_empty());
    for item in items.into_iter().take(whole) {
        match item {
            Value::String(name) if !name.trim().is_empty() => {
                taken.values.push(Value::String(name));
            }
            Value::Object(object) => match name_of(&object) {
                Some(name) => taken.values.push(name),
                None => taken.strays += 1,
            },
            _ => taken.strays += 1,
        }
    }
}

fn name_of(object: &serde_json::Map<String, Value>) -> Option<Value> {
    NAME_KEYS
        .iter()
        .find_map(|key| object.get(*key))
        .filter(|name| name.as_str().is_some_and(|name| !name.trim().is_empty()))
        .cloned()
}

/// Reads lines that are JSON strings each, at least two of them: one alone is more likely a sentence than a name.
pub(super) fn from_lines(text: &str) -> Option<Vec<Value>> {
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_end_matches(',').trim_end();
        if line.is_empty() || line.starts_with("```") {
            continue;
        }
        if !line.starts_with('"') {
            return None;
        }
        let name: String = serde_json::from_str(line).ok()?;
        if name.trim().is_empty() {
            return None;
        }
        names.push(Value::String(name));
    }
    (names.len() > 1).then_some(names)
}
