//! Objects of the input whose keys are each described once. From the description come the field, its default, reader, writer,
//! setter, JSON Schema and the rows of `docs/input.md`.

use serde_json::{Map, Value, json};

use super::form::{Form, object};
use super::place::Place;
use super::reader::{InputKey, Reader};

/// An object whose keys are described with [`described!`].
pub(super) trait Described: Default {
    const KEYS: &'static [InputKey];

    /// Reads every key that is there; the others have their defaults.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// Returns every key with its value, null where there is nothing to say.
    fn write(&self) -> Map<String, Value>;

    /// Returns what is set.
    fn write_set(&self) -> Map<String, Value> {
        let mut written = self.write();
        written.retain(|_, value| !value.is_null());
        written
    }

    fn schema() -> Value {
        let entry = |key: &InputKey| (key.names[0].to_owned(), key.schema());
        let properties: Map<_, _> = Self::KEYS.iter().map(entry).collect();
        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        for key in Self::KEYS {
            // Accepted, and not suggested.
            for alias in &key.names[1..] {
                schema["patternProperties"][format!("^{alias}$")] = key.schema();
            }
        }
        schema
    }
}

/// Describes the keys of an object: `name: Type = default, form`, with its docs and examples in JSON, and where it applies with
/// `#[written("name")]` for another name in JSON and `#[also("name")]` for one more, `=> (argument: Type)` for a setter of the builder, and `, runtime_only`.
///
/// With `impl` it describes the keys of a struct that is defined elsewhere, which has the defaults.
macro_rules! described {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $struct:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[example($example:literal)])+
                $(#[written($written:literal)])?
                $(#[also($also:literal)])?
                $name:ident: $type:ty = $default:expr, $form:expr
                $(=> ($argument:ident: $given:ty))? $(, $flag:ident)?;
            )+
        }
    ) => {
        $(#[$meta])*
        $visibility struct $struct {
            $($(#[doc = $doc])+ $visibility $name: $type,)+
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }

        impl<T> $crate::input::GenerateByTopicInputBuilder<T> {
            $(described! {
                @setter $struct $name: $type, $form, [$($written,)? stringify!($name)], [$(#[doc = $doc])+],
                ($($argument: $given)?)
            })+
        }

        described! {
            impl $struct {
                $($(#[doc = $doc])+ $(#[example($example)])+ $(#[written($written)])? $(#[also($also)])? $name: $type, $form $(, $flag)?;)+
            }
        }
    };
    (
        impl $struct:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[example($example:literal)])+
                $(#[written($written:literal)])?
                $(#[also($also:literal)])?
                $name:ident: $type:ty, $form:expr $(, $flag:ident)?;
            )+
        }
    ) => {
        impl $crate::input::described::Described for $struct {
            const KEYS: &'static [$crate::input::reader::InputKey] = &[$($crate::input::reader::InputKey {
                names: &[$($written,)? stringify!($name) $(, $also)?],
                runtime_only: described!(@flag $($flag)?),
                examples: &[$($example),+],
                schema: || {
                    let default = $crate::input::form::Form::<$type>::write(&$form, &Self::default().$name);
                    $crate::input::described::entry($crate::input::form::Form::<$type>::schema(&$form), concat!($($doc),+), default, &[$($example),+])
                },
            }),+];

            fn read(reader: &mut $crate::input::reader::Reader<'_>) -> Self {
                let mut read = Self::default();
                $(if let Some(value) = reader.read(&[$($written,)? stringify!($name) $(, $also)?], &$form) {
                    read.$name = value;
                })+
                read
            }

            fn write(&self) -> serde_json::Map<String, serde_json::Value> {
                let entries = [$((
                    [$($written,)? stringify!($name)][0].to_owned(),
                    $crate::input::form::Form::<$type>::write(&$form, &self.$name),
                )),+];
                entries.into_iter().collect()
            }
        }
    };
    (@setter $struct:ident $name:ident: $type:ty, $form:expr, $names:expr, [$($doc:tt)+], ()) => {};
    (
        @setter $struct:ident $name:ident: $type:ty, $form:expr, $names:expr, [$($doc:tt)+],
        ($argument:ident: $given:ty)
    ) => {
        #[doc = concat!("Sets [`", stringify!($name), "`](crate::input::", stringify!($struct), "::", stringify!($name), ").")]
        ///
        $($doc)+
        #[must_use]
        pub fn $name(self, $argument: $given) -> Self {
            self.configure($names[0], $crate::input::form::Form::<$type>::write(&$form, &$argument.into()))
        }
    };
    (@flag) => { false };
    (@flag runtime_only) => { true };
}
pub(super) use described;

/// An object of described keys.
pub(super) struct Keys;

impl<T: Described> Form<T> for Keys {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<T> {
        let mut reader = Reader::new(object(value, place)?, place.here());
        reader.refuse_unknown_keys(T::KEYS, &[]);
        Some(T::read(&mut reader))
    }

    fn write(&self, value: &T) -> Value {
        let written = value.write_set();
        if written.is_empty() {
            return Value::Null;
        }
        written.into()
    }

    fn schema(&self) -> Value {
        T::schema()
    }
}

/// Returns the JSON Schema of a key that may be null, which is as if it were missing.
pub(super) fn entry(schema: Value, about: &str, default: Value, examples: &[&str]) -> Value {
    let mut entry = json!({"description": about.trim()});
    let examples = examples
        .iter()
        .map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    entry["examples"] = examples.collect();
    if !default.is_null() {
        entry["default"] = default;
    }
    match schema {
        Value::Object(mut object) if object.get("type").is_some_and(Value::is_string) => {
            object["type"] = json!([object["type"], "null"]);
            entry
                .as_object_mut()
                .expect("it was made as one")
                .append(&mut object);
        }
        other => entry["anyOf"] = json!([other, {"type": "null"}]),
    }
    entry
}
