//! The forms that values have in JSON: how they are read, written, and told in the JSON Schema.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::place::{Place, presentable, whole};
use crate::closest::closest;
use crate::llm::ModelName;

/// How a `T` stands in JSON.
pub(super) trait Form<T> {
    /// Reads a value that is not null; what is wrong with it is noted where it stands.
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T>;
    /// Returns the JSON form, null where there is nothing to say.
    fn write(&self, value: &T) -> Value;
    /// Returns the JSON Schema of a value that is not null.
    fn schema(&self) -> Value;
}

/// A form of what may be missing.
pub(super) struct Maybe<F>(pub(super) F);

impl<T, F: Form<T>> Form<Option<T>> for Maybe<F> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Option<T>> {
        self.0.read(value, place).map(Some)
    }

    fn write(&self, value: &Option<T>) -> Value {
        value
            .as_ref()
            .map_or(Value::Null, |value| self.0.write(value))
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }
}

pub(super) struct Flag;

impl Form<bool> for Flag {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<bool> {
        let flag = value.as_bool();
        flag.or_else(|| place.refuse(&value, "write `true` or `false`"))
    }

    fn write(&self, value: &bool) -> Value {
        (*value).into()
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean"})
    }
}

/// A whole number that is not negative, within bounds.
pub(super) struct Whole(pub(super) RangeInclusive<u64>);

/// Any such number but 0.
pub(super) const POSITIVE: Whole = Whole(1..=u64::MAX);

impl<T: TryFrom<u64> + Clone + Into<Value>> Form<T> for Whole {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let number = match whole(&value) {
            Ok(number) => number,
            Err((problem, advice)) => return place.fault(problem, advice),
        };
        if self.0.contains(&number) {
            return number.try_into().ok();
        }
        let advice = match (*self.0.start(), *self.0.end()) {
            (start, u64::MAX) => format!("write at least {start}"),
            (start, end) => format!("write a number from {start} to {end}"),
        };
        place.fault(format!("is {number}"), advice)
    }

    fn write(&self, value: &T) -> Value {
        value.clone().into()
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": "integer", "minimum": self.0.start()});
        if *self.0.end() < u64::MAX {
            schema["maximum"] = json!(self.0.end());
        }
        schema
    }
}

/// A number that stands for a `T`, within bounds.
pub(super) struct Number<T> {
    pub(super) bounds: (Bound<f64>, Bound<f64>),
    pub(super) advice: &'static str,
    pub(super) read: fn(f64) -> T,
    pub(super) write: fn(&T) -> Value,
}

impl<T> Form<T> for Number<T> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let Some(number) = value.as_f64() else {
            return place.refuse(&value, "write a number");
        };
        if self.bounds.contains(&number) {
            return Some((self.read)(number));
        }
        place.fault(format!("is {number}"), self.advice)
    }

    fn write(&self, value: &T) -> Value {
        (self.write)(value)
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": "number"});
        let (least, most) = self.bounds;
        for (bound, inclusive, exclusive) in [
            (least, "minimum", "exclusiveMinimum"),
            (most, "maximum", "exclusiveMaximum"),
        ] {
            match bound {
                Bound::Included(number) => schema[inclusive] = json!(number),
                Bound::Excluded(number) => schema[exclusive] = json!(number),
                Bound::Unbounded => {}
            }
        }
        schema
    }
}

/// Seconds, up to a day: a longer wait for one answer is no time limit.
pub(super) const SECONDS: Number<Duration> = Number {
    bounds: (Bound::Excluded(0.0), Bound::Included(86_400.0)),
    advice: "write seconds above 0 and up to 86400",
    read: Duration::from_secs_f64,
    // Whole ones without a fraction.
    write: |duration| match duration.subsec_nanos() {
        0 => duration.as_secs().into(),
        _ => duration.as_secs_f64().into(),
    },
};

pub(super) const DOLLARS: Number<Option<f64>> = Number {
    bounds: (Bound::Excluded(0.0), Bound::Unbounded),
    advice: "write an amount above 0, or leave it out for no cap",
    read: Some,
    write: |dollars| (*dollars).into(),
};

pub(super) struct Text;

impl<T: From<String> + Clone + Into<Value>> Form<T> for Text {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        match value {
            Value::String(text) => Some(text.into()),
            other => place.refuse(&other, "write a string"),
        }
    }

    fn write(&self, value: &T) -> Value {
        value.clone().into()
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// The name of a model.
pub(super) struct ModelForm;

impl Form<ModelName> for ModelForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<ModelName> {
        let text: String = Text.read(value, place)?;
        match text.parse::<ModelName>() {
            Ok(name) => {
                // LiteLLM, and so Starfish, takes such a name.
                if !text.contains('/') {
                    place.warn(format!("names no provider and is taken for `{name}`"));
                }
                Some(name)
            }
            Err(error) => place.fault_of(error.message()),
        }
    }

    fn write(&self, name: &ModelName) -> Value {
        name.as_str().into()
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": ".+/.+"})
    }
}

/// Reads an object whose keys are read later.
pub(super) fn object(value: Value, place: &mut Place<'_>) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        other => place.refuse(&other, "write an object, such as `{}`"),
    }
}

/// The name of a file or a folder.
pub(super) struct PathForm;

impl Form<PathBuf> for PathForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<PathBuf> {
        let path: String = Text.read(value, place)?;
        if path.trim().is_empty() {
            return place.fault("is blank", "name a file");
        }
        Some(path.into())
    }

    fn write(&self, path: &PathBuf) -> Value {
        path.to_string_lossy().into()
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": "\\S"})
    }
}

/// The name of a file that is read, and lies beside the input.
pub(super) struct FileBeside;

impl Form<PathBuf> for FileBeside {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<PathBuf> {
        let path = PathForm.read(value, place)?;
        Some(place.beside(path))
    }

    fn write(&self, path: &PathBuf) -> Value {
        PathForm.write(path)
    }

    fn schema(&self) -> Value {
        Form::<PathBuf>::schema(&PathForm)
    }
}

/// Any value.
pub(super) struct Anything;

impl Form<Value> for Anything {
    fn read(&self, value: Value, _: &mut Place<'_>) -> Option<Value> {
        Some(value)
    }

    fn write(&self, value: &Value) -> Value {
        value.clone()
    }

    fn schema(&self) -> Value {
        json!(true)
    }
}

/// Several of a kind, or one by itself.
pub(super) struct List<F>(pub(super) F);

impl<T, F: Form<T>> Form<Vec<T>> for List<F> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<T>> {
        let Value::Array(items) = value else {
            return Some(vec![self.0.read(value, place)?]);
        };
        let before = place.faults();
        let items = items.into_iter().enumerate();
        let read = items
            .filter_map(|(index, item)| self.0.read(item, &mut place.at(&format!("[{index}]"))));
        let read = read.collect();
        (place.faults() == before).then_some(read)
    }

    fn write(&self, items: &Vec<T>) -> Value {
        if items.is_empty() {
            return Value::Null;
        }
        items.iter().map(|item| self.0.write(item)).collect()
    }

    fn schema(&self) -> Value {
        let item = self.0.schema();
        json!({"anyOf": [{"type": "array", "items": item}, item]})
    }
}

/// Several of a kind, each under a name.
pub(super) struct Named<F>(pub(super) F);

impl<T, F: Form<T>> Form<BTreeMap<String, T>> for Named<F> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<BTreeMap<String, T>> {
        let mut all = BTreeMap::new();
        for (name, value) in object(value, place)? {
            // As everywhere, null is as if it were missing.
            if value.is_null() {
                continue;
            }
            if let Some(read) = self.0.read(value, &mut place.at(&presentable(&name))) {
                all.insert(name, read);
            }
        }
        Some(all)
    }

    fn write(&self, all: &BTreeMap<String, T>) -> Value {
        if all.is_empty() {
            return Value::Null;
        }
        let all = all.iter();
        all.map(|(name, one)| (name.clone(), self.0.write(one)))
            .collect()
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": self.0.schema()})
    }
}

/// What is said of that where it is the default.
pub(super) const OFF: &str = "Not at all, as by default.";

/// What can be switched off, and is so by default: `off` and `false` say it.
pub(super) struct Switch<F>(pub(super) F);

/// Returns whether a value says that a part is not wanted.
pub(super) fn is_off(value: &Value) -> bool {
    value == "off" || value == false
}

impl<T: Default, F: Form<T>> Form<T> for Switch<F> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        if is_off(&value) {
            return Some(T::default());
        }
        self.0.read(value, place)
    }

    fn write(&self, value: &T) -> Value {
        self.0.write(value)
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [self.0.schema(), off(OFF)]})
    }
}

impl<T, F: Form<T>> Form<T> for &F {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        (**self).read(value, place)
    }

    fn write(&self, value: &T) -> Value {
        (**self).write(value)
    }

    fn schema(&self) -> Value {
        (**self).schema()
    }
}

/// Returns the JSON Schema of what switches a part off.
pub(super) fn off(about: &str) -> Value {
    json!({"enum": ["off", false], "description": about})
}

/// The parts, or ways, that a file may choose by their names; made with [`parts!`].
pub(super) struct Choice<T: 'static>(pub(super) &'static [Part<T>]);

/// One of them: its name, what it stands for, and what it does.
pub(super) type Part<T> = (&'static str, T, &'static str);

/// Registers parts: `"name" => Variant, "what it does.";`
macro_rules! parts {
    ($type:ident { $($name:expr => $variant:ident, $about:literal;)+ }) => {
        $crate::input::form::Choice(&[$(($name, $type::$variant, $about)),+])
    };
}
pub(super) use parts;

impl<T: Copy + PartialEq> Choice<T> {
    pub(super) fn find(&self, name: &str) -> Option<T> {
        let part = self.0.iter().find(|(known, ..)| *known == name);
        part.map(|(_, part, _)| *part)
    }

    /// Returns the name of a part.
    pub(super) fn name(&self, part: T) -> &'static str {
        let found = self.0.iter().find(|(_, known, _)| *known == part);
        found.map_or("", |(name, ..)| name)
    }

    /// Returns all names, as a sentence lists them.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, ..)| *name).collect();
        format!("`{}`", names.join("`, `"))
    }
}

impl<T: Copy + PartialEq> Form<T> for Choice<T> {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let Value::String(name) = value else {
            return place.refuse(&value, "write a string");
        };
        self.find(&name).or_else(|| {
            let names = self.0.iter().map(|(name, ..)| *name);
            let advice = match closest(&name, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write one of {}", self.names()),
            };
            place.fault(format!("is `{}`", presentable(&name)), advice)
        })
    }

    fn write(&self, value: &T) -> Value {
        self.name(*value).into()
    }

    fn schema(&self) -> Value {
        let part = |(name, _, about): &Part<T>| json!({"const": name, "description": about});
        json!({"oneOf": self.0.iter().map(part).collect::<Vec<_>>()})
    }
}
