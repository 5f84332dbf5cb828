//! Takes values out of a JSON object, and notes every fault on the way.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::closest::closest;
use crate::fault::{InputFault, InputFaults};

/// The largest whole number that every JSON reader keeps exactly, 2⁵³.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// An object that is read key by key. A key that is missing and one that is `null` are the same to it.
pub(super) struct Reader<'a> {
    object: Map<String, Value>,
    path: Cow<'static, str>,
    pub(super) faults: &'a mut InputFaults,
}

impl<'a> Reader<'a> {
    /// Starts to read the object at a path; the path of the whole document is empty.
    pub(super) fn new(
        object: Map<String, Value>,
        path: impl Into<Cow<'static, str>>,
        faults: &'a mut InputFaults,
    ) -> Self {
        Self {
            object,
            path: path.into(),
            faults,
        }
    }

    /// Notes every key that is not known.
    pub(super) fn refuse_unknown_keys(&mut self, known: &[&str]) {
        for key in self
            .object
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
        {
            let advice = match closest(key, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known keys are `{}`", known.join("`, `")),
            };
            let field = join(&self.path, &presentable(key));
            self.faults
                .push(InputFault::new(field, "is not a known key", advice));
        }
    }

    /// Takes a value, unless it is `null`.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.object
            .shift_remove(key)
            .filter(|value| !value.is_null())
    }

    /// Returns whether a key is there with the value `null`.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.object.get(key).is_some_and(Value::is_null)
    }

    /// Returns what is left.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.object
    }

    pub(super) fn fault(
        &mut self,
        key: &str,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.faults
            .push(InputFault::new(join(&self.path, key), problem, advice));
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => {
                self.fault(key, format!("is {}", kind(&other)), "write a string");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(flag) => Some(flag),
            other => {
                self.fault(
                    key,
                    format!("is {}", kind(&other)),
                    "write `true` or `false`",
                );
                None
            }
        }
    }

    pub(super) fn object(&mut self, key: &str) -> Option<Map<String, Value>> {
        match self.take(key)? {
            Value::Object(object) => Some(object),
            other => {
                self.fault(
                    key,
                    format!("is {}", kind(&other)),
                    "write an object, such as `{}`",
                );
                None
            }
        }
    }

    /// Takes a whole number that is not negative.
    pub(super) fn count(&mut self, key: &str) -> Option<u64> {
        let value = self.take(key)?;
        match whole(&value) {
            Ok(number) => Some(number),
            Err((problem, advice)) => {
                self.fault(key, problem, advice);
                None
            }
        }
    }

    /// Takes a whole number between bounds.
    pub(super) fn count_within(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let number = self.count(key)?;
        if bounds.contains(&number) {
            return Some(number);
        }
        let advice = match (*bounds.start(), *bounds.end()) {
            (start, u64::MAX) => format!("write at least {start}"),
            (start, end) => format!("write a number from {start} to {end}"),
        };
        self.fault(key, format!("is {number}"), advice);
        None
    }

    /// Takes a number.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.take(key)?;
        let number = value.as_f64();
        if number.is_none() {
            self.fault(key, format!("is {}", kind(&value)), "write a number");
        }
        number
    }
}

/// Reads a whole number that is not negative, or says what is wrong and what to do. `10.0` is whole.
pub(super) fn whole(value: &Value) -> Result<u64, (String, &'static str)> {
    let Value::Number(number) = value else {
        return Err((format!("is {}", kind(value)), "write a whole number"));
    };
    if let Some(number) = number.as_u64() {
        return Ok(number);
    }
    match number.as_f64() {
        Some(float) if float < 0.0 => Err((format!("is {number}"), "write 0 or more")),
        Some(float) if float > LARGEST_EXACT => Err((
            format!("is {number}, which is too large"),
            "write a smaller number",
        )),
        // Lossless: whole, not negative, and at most 2⁵³.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(float) if float.fract() == 0.0 => Ok(float as u64),
        _ => Err((format!("is {number}"), "write a whole number")),
    }
}

/// Says what kind of value this is, and nothing of the value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    }
}

/// Returns a key as a message can show it: on one line, and not endless.
fn presentable(key: &str) -> String {
    /// Twice the longest key there is.
    const LONGEST: usize = 50;
    let plain: String = key
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    match key.chars().nth(LONGEST) {
        _ if key.is_empty() => "``".to_owned(),
        Some(_) => plain + "…",
        None => plain,
    }
}
