//! Objects of the input whose keys are each described once. From the description come the field, its default, reader, writer,
//! setter, JSON Schema and the rows of `docs/input.md`.

use serde_json::{Map, Value, json};

use super::reader::{Key, Reader};

/// An object whose keys are described with [`described!`].
pub(super) trait Described: Default {
    const KEYS: &'static [Key];

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
        let entry = |key: &Key| (key.names[0].to_owned(), (key.schema)());
        let properties: Map<_, _> = Self::KEYS.iter().map(entry).collect();
        let mut schema =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        for key in Self::KEYS {
            // Accepted, and not suggested.
            if let Some(alias) = key.names.get(1) {
                schema["patternProperties"][format!("^{alias}$")] = (key.schema)();
            }
        }
        schema
    }
}

/// Describes the keys of an object: `name: Type = default, form`, with its docs, and where it applies with `#[written("name")]` for
/// another name in JSON, `=> (argument: Type)` for a setter of the builder, and `, runtime_only`.
///
/// With `impl` it describes the keys of a struct that is defined elsewhere, which has the defaults.
macro_rules! described {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $struct:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[written($written:literal)])?
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
                $($(#[doc = $doc])+ $(#[written($written)])? $name: $type, $form $(, $flag)?;)+
            }
        }
    };
    (
        impl $struct:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[written($written:literal)])?
                $name:ident: $type:ty, $form:expr $(, $flag:ident)?;
            )+
        }
    ) => {
        impl $crate::input::described::Described for $struct {
            const KEYS: &'static [$crate::input::reader::Key] = &[$($crate::input::reader::Key {
                names: &[$($written,)? stringify!($name)],
                runtime_only: described!(@flag $($flag)?),
                schema: || {
                    let default = $crate::input::form::Form::<$type>::write(&$form, &Self::default().$name);
                    $crate::input::described::entry($crate::input::form::Form::<$type>::schema(&$form), concat!($($doc),+), default)
                },
            }),+];

            fn read(reader: &mut $crate::input::reader::Reader<'_>) -> Self {
                let mut read = Self::default();
                $(if let Some(value) = reader.read(&[$($written,)? stringify!($name)], &$form) {
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

/// Returns the JSON Schema of a key that may be null, which is as if it were missing.
pub(super) fn entry(schema: Value, about: &str, default: Value) -> Value {
    let mut entry = json!({"description": about.trim()});
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
