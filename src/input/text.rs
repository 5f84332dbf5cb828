//! Inputs as they are written down: in JSON, YAML or TOML.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde_json::{Map, Value};

use super::encoding;
use super::path::{Step, shown, within};
use super::place::presentable;
use crate::fault::{InputFault, InputFaults};

/// What to do about an input that is none.
pub(super) const ADVICE: &str =
    r#"write an object, such as {"user_instruction": "...", "num_records": 10}"#;

/// The language in which an input is written down. YAML and TOML are read with the feature `formats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputFormat {
    /// JSON.
    Json,
    /// YAML 1.2, in which `yes`, `no`, `on` and `off` are texts.
    Yaml,
    /// TOML.
    Toml,
}

impl InputFormat {
    /// Returns the format of a file by the ending of its name: `.json`, `.yaml`, `.yml` or `.toml`.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// Returns the format of a text that comes without a name: JSON begins with a brace, and anything else is read as YAML.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        match encoding::to_utf8(text).trim_ascii_start().first() {
            Some(b'{') => Self::Json,
            _ if cfg!(feature = "formats") => Self::Yaml,
            _ => Self::Json,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
        }
    }
}

/// The text of an input, for its values and for where each of them stands.
pub(super) struct Written {
    text: String,
    format: InputFormat,
}

/// Why a text could not be gone through.
struct Stopped {
    message: String,
    /// A key that the deserializer itself found twice.
    repeated: Option<String>,
    position: Option<(u64, u64)>,
}

impl Written {
    pub(super) fn new(bytes: &[u8], format: InputFormat) -> Result<Self, InputFaults> {
        let bytes = encoding::to_utf8(bytes);
        if bytes.trim_ascii().is_empty() {
            return Err(InputFault::new("", "the input is empty", ADVICE).into());
        }
        match String::from_utf8(bytes.into_owned()) {
            Ok(text) => Ok(Self { text, format }),
            Err(error) => {
                let place = error.utf8_error().valid_up_to();
                let problem = format!("the input is no text: byte {place} is not UTF-8");
                Err(InputFault::new("", problem, "save it as UTF-8").into())
            }
        }
    }

    /// Reads all of it.
    pub(super) fn read(&self) -> Result<Value, InputFaults> {
        let (path, repeated) = (RefCell::default(), RefCell::default());
        let whole = Build {
            path: &path,
            repeated: &repeated,
        };
        self.go_through(whole).map_err(|stopped| {
            let repeated = stopped.repeated.unwrap_or_else(|| repeated.take());
            let mut fault = if repeated.is_empty() {
                let problem = format!(
                    "the input is not {}: {}",
                    self.format.name(),
                    stopped.message
                );
                InputFault::new("", problem, "correct it there")
            } else {
                InputFault::new(repeated, "stands there twice", "leave one of them out")
            };
            fault.written = stopped.position.map(in_words);
            fault.into()
        })
    }

    /// Says where the value of a path stands, or what it would stand in.
    pub(super) fn place_of(&self, path: &str) -> Option<String> {
        /// It is gone through once for each fault, and nobody edits a larger one.
        const MOST_BYTES: usize = 1 << 20;
        if self.text.len() > MOST_BYTES {
            return None;
        }
        let mut path = path;
        loop {
            if let Err(Stopped {
                position: Some((line, column)),
                ..
            }) = self.go_through(Find(path))
            {
                // This one says what was read, and the others what comes.
                let ahead = u64::from(self.format == InputFormat::Json);
                return Some(in_words((line, column + ahead)));
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn go_through<'a, S: DeserializeSeed<'a>>(&'a self, seed: S) -> Result<S::Value, Stopped> {
        let text = &*self.text;
        match self.format {
            InputFormat::Json => {
                let mut json = serde_json::Deserializer::from_str(text);
                let read = seed.deserialize(&mut json);
                let read = read.and_then(|read| json.end().map(|()| read));
                read.map_err(|error| {
                    let (line, column) = (number(error.line()), number(error.column()));
                    let message = error.to_string();
                    let position = format!(" at line {line} column {column}");
                    Stopped {
                        message: message.trim_end_matches(&position).to_owned(),
                        repeated: None,
                        position: (line > 0).then_some((line, column)),
                    }
                })
            }
            #[cfg(feature = "formats")]
            InputFormat::Yaml => yaml(text, seed),
            #[cfg(feature = "formats")]
            InputFormat::Toml => toml(text, seed),
            #[cfg(not(feature = "formats"))]
            InputFormat::Yaml | InputFormat::Toml => Err(Stopped {
                message: "this build reads JSON only; the feature `formats` reads this too"
                    .to_owned(),
                repeated: None,
                position: None,
            }),
        }
    }
}

fn number(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

fn in_words((line, column): (u64, u64)) -> String {
    format!("line {line}, column {column}")
}

#[cfg(feature = "formats")]
fn yaml<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, Stopped> {
    // Repeated keys are noted here, where their place is known. `no` is a word in many languages.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        with_snippet: false,
    };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        seed.deserialize(yaml)
    });
    read.map_err(|error| {
        let column = |place: serde_saphyr::Location| (place.line(), place.column());
        Stopped {
            message: error.without_snippet().to_string(),
            repeated: None,
            position: error.location().map(column),
        }
    })
}

#[cfg(feature = "formats")]
fn toml<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> Result<S::Value, Stopped> {
    let read = toml::Deserializer::parse(text).and_then(|toml| seed.deserialize(toml));
    read.map_err(|error| {
        let span = error.span();
        let found = span.clone().and_then(|span| text.get(span));
        let before = span.and_then(|span| text.get(..span.start));
        let column = |before: &str| {
            let line = before.rsplit('\n').next().unwrap_or_default();
            (
                number(before.matches('\n').count() + 1),
                number(line.chars().count() + 1),
            )
        };
        let is_repeated = error.message() == "duplicate key";
        Stopped {
            message: error.message().to_owned(),
            repeated: found.filter(|_| is_repeated).map(str::to_owned),
            position: before.map(column),
        }
    })
}

/// Builds a value, and stops at a key that stands twice in one object.
#[derive(Clone, Copy)]
struct Build<'a> {
    /// The steps to the value.
    path: &'a RefCell<Vec<Step>>,
    /// The path of the key that stands twice.
    repeated: &'a RefCell<String>,
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => Ok(number.into()),
            None => Err(E::invalid_value(
                Unexpected::Float(value),
                &"a finite number",
            )),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.path.borrow_mut().push(Step::Index(list.len()));
            let item = items.next_element_seed(self)?;
            self.path.borrow_mut().pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.path.borrow_mut().push(Step::Key(key.clone()));
            if object.contains_key(&key) {
                *self.repeated.borrow_mut() = shown(&self.path.borrow());
                entries.next_value_seed(Stop)?;
            }
            object.insert(key, entries.next_value_seed(self)?);
            self.path.borrow_mut().pop();
        }
        // What TOML has beyond JSON is written as it stands there.
        match object.get("$__toml_private_datetime") {
            Some(date) if object.len() == 1 => Ok(date.clone()),
            _ => Ok(object.into()),
        }
    }
}

/// Stops where it comes to, so that the deserializer says where that is.
struct Stop;

impl<'de> DeserializeSeed<'de> for Stop {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::invalid_type(Unexpected::Unit, &"nothing"))
    }
}

/// Goes to where a path leads, and stops there.
struct Find<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // What is neither stops it as well.
        match self.0.chars().next() {
            None => Stop.deserialize(deserializer),
            Some('[') => deserializer.deserialize_seq(self),
            Some(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let more = match within(self.0, &format!("[{index}]")) {
                Some(rest) => items.next_element_seed(Find(rest))?.is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            let rest = within(self.0, &key).or_else(|| within(self.0, &presentable(&key)));
            match rest {
                Some(rest) => entries.next_value_seed(Find(rest))?,
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "formats"))]
mod tests {
    use crate::error::{Error, Result};
    use crate::fault::InputFaults;
    use crate::input::{GenerateByTopicInput, GenerateByTopicInputBuilder, InputFormat};

    fn read(text: &str, format: InputFormat) -> Result<GenerateByTopicInput> {
        GenerateByTopicInputBuilder::from_text(text.as_bytes(), format)?.build()
    }

    fn faults(error: &Error) -> Vec<String> {
        InputFaults::of(error).map(ToString::to_string).collect()
    }

    const JSON: &str = r#"{
  "user_instruction": "Fragen zur See: Ebbe und Flut",
  "num_records": 12,
  "topics": ["no", {"currents": 3}, "on"],
  "generation_model_kwargs": {"temperature": 0.5},
  "output_schema": [{"name": "question", "type": "str"}],
  "data_factory_config": {"deduplication": false, "max_cost_usd": 1.5, "seed": 7}
}"#;

    const YAML: &str = "\
user_instruction: >-   # in words
  Fragen zur See:
  Ebbe und Flut
num_records: 12
topics:
  - no
  - currents: 3
  - on
generation_model_kwargs: {temperature: 0.5}
output_schema:
- name: question
  type: str
deduplication: off
max_cost_usd: 1.5
seed: 7
";

    const TOML: &str = "\
user_instruction = \"Fragen zur See: Ebbe und Flut\"
num_records = 12
topics = [\"no\", { currents = 3 }, \"on\"]  # two names
deduplication = false
max_cost_usd = 1.5
seed = 7
[generation_model_kwargs]
temperature = 0.5
[[output_schema]]
name = \"question\"
type = \"str\"
";

    #[test]
    fn an_input_is_the_same_in_every_format() {
        let json = read(JSON, InputFormat::Json).unwrap();
        for (text, format) in [
            (YAML, InputFormat::Yaml),
            (TOML, InputFormat::Toml),
            (JSON, InputFormat::Yaml),
        ] {
            let other = read(text, format).unwrap();
            assert_eq!(other.to_json(), json.to_json());
            assert_eq!(other.fingerprint(), json.fingerprint());
        }
    }

    #[test]
    fn a_repeated_key_is_a_fault_that_names_it_and_says_where() {
        for (text, format, said) in [
            (
                "{\n  \"num_records\": 3,\n  \"num_records\": 4}",
                InputFormat::Json,
                "num_records (line 3, column 1",
            ),
            (
                "{\"providers\": {\"a\": {\"headers\": {\"X\": \"1\",\n \"X\": \"2\"}}}}",
                InputFormat::Json,
                "providers.a.headers.X (line 2, column ",
            ),
            (
                "num_records: 3\ntopics: [a]\nnum_records: 4\n",
                InputFormat::Yaml,
                "num_records (line 3, column ",
            ),
            (
                "topics:\n- a: 1\n- {b: 2, c: 3, b: 4}\n",
                InputFormat::Yaml,
                "topics[1].b (line 3, column ",
            ),
            (
                "num_records = 3\nnum_records = 4\n",
                InputFormat::Toml,
                "num_records (line 2, column 1)",
            ),
            (
                "[providers.a]\nbase_url = \"http://h\"\n[providers.a]\n",
                InputFormat::Toml,
                "a (line 3, column ",
            ),
        ] {
            let error = read(text, format).unwrap_err();
            let fault = &faults(&error)[0];
            assert!(
                fault.starts_with(said) && fault.contains("twice"),
                "{fault}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_column() {
        for (text, format, said) in [
            (
                "{\n  \"num_records\": -3}",
                InputFormat::Json,
                "num_records (line 2, column 1",
            ),
            (
                "{\n  \"data_factory_config\": {\n    \"max_call\": 3}}",
                InputFormat::Json,
                "data_factory_config.max_call (line 3, column ",
            ),
            (
                "topics: [a]\ndata_factory_config:\n  max_retries: many\n",
                InputFormat::Yaml,
                "data_factory_config.max_retries (line 3, column ",
            ),
            (
                "topics:\n  - a\n  - b: 1\n    c: 2\n",
                InputFormat::Yaml,
                "topics[1] (line 3, column ",
            ),
            (
                "topics: [a]\nmax_retries: many\n",
                InputFormat::Yaml,
                "max_retries (line 2, column ",
            ),
            (
                "topics = [\"a\"]\nmax_retries = \"many\"\n",
                InputFormat::Toml,
                "max_retries (line 2, column ",
            ),
            (
                "topics = [\"a\"]\n[providers.house]\nurl = \"x\"\n",
                InputFormat::Toml,
                "providers.house.url (line 3, column ",
            ),
        ] {
            let error = read(text, format).unwrap_err();
            let fault = &faults(&error)[0];
            assert!(fault.starts_with(said), "{said}: {fault}");
        }
    }

    #[test]
    fn a_text_that_is_not_of_its_format_is_said_to_be_none() {
        for (text, format, said) in [
            (
                "{\"a\": 1,}",
                InputFormat::Json,
                "line 1, column 9: the input is not JSON: ",
            ),
            (
                "a: [1\nb: 2",
                InputFormat::Yaml,
                ": the input is not YAML: ",
            ),
            (
                "a: 1\n\tb: 2",
                InputFormat::Yaml,
                ": the input is not YAML: ",
            ),
            ("a = \n", InputFormat::Toml, "line 1, column "),
            ("just words", InputFormat::Yaml, "the input is a string"),
            ("- a\n", InputFormat::Yaml, "the input is a list"),
            (" # nothing\n", InputFormat::Yaml, "the input is null"),
        ] {
            let error = read(text, format).unwrap_err();
            assert!(faults(&error)[0].contains(said), "{error}");
        }
    }
}
