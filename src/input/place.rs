//! Where in an input something stands, and what there is to say of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::encoding::to_utf8;
use super::warning::InputWarning;
use crate::fault::{InputFault, InputFaults};
use crate::schema::kind_of;

/// The largest whole number that every JSON reader keeps exactly, 2⁵³.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Where settings stand, unless they stand beside the other keys.
pub(super) const SETTINGS: &str = "data_factory_config";

/// What there is to say of an input.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) faults: InputFaults,
    pub(super) warnings: Vec<InputWarning>,
    /// The settings that stand beside the other keys.
    pub(super) beside: Vec<String>,
    /// Where the files lie that it names; without it none is read.
    pub(super) folder: Option<PathBuf>,
    /// What is read from other files and folders, each with the place that names it.
    pub(super) files: BTreeMap<PathBuf, String>,
}

impl Notes {
    /// Notes that something is read there.
    pub(super) fn reads(&mut self, place: &str, path: PathBuf) {
        let place = place
            .strip_prefix(SETTINGS)
            .map_or(place, |below| below.trim_start_matches('.'));
        // An input that is built again brings them along.
        self.files.entry(path).or_insert_with(|| place.to_owned());
    }
}

/// Where in an input a value stands. The path of the whole document is empty.
pub(super) struct Place<'a> {
    path: String,
    notes: &'a mut Notes,
}

impl<'a> Place<'a> {
    pub(super) fn new(path: impl Into<String>, notes: &'a mut Notes) -> Self {
        Self {
            path: path.into(),
            notes,
        }
    }

    /// Returns how many faults there are, anywhere.
    pub(super) fn faults(&self) -> usize {
        self.notes.faults.len()
    }

    /// Returns this place, for a reader of what stands here.
    pub(super) fn here(&mut self) -> Place<'_> {
        Place::new(&*self.path, self.notes)
    }

    /// Returns the place of a key in the object here, or of `[index]` in the list.
    pub(super) fn at(&mut self, key: &str) -> Place<'_> {
        let path = match &*self.path {
            "" => key.to_owned(),
            SETTINGS if self.notes.beside.iter().any(|name| name == key) => key.to_owned(),
            path if key.starts_with('[') => format!("{path}{key}"),
            path => format!("{path}.{key}"),
        };
        Place::new(path, self.notes)
    }

    /// Notes a fault, for which nothing is read.
    pub(super) fn fault<T>(
        &mut self,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Option<T> {
        let fault = InputFault::new(&*self.path, problem, advice);
        self.notes.faults.push(fault);
        None
    }

    /// Notes that the value is of a kind that cannot stand here.
    pub(super) fn refuse<T>(&mut self, value: &Value, advice: impl Into<String>) -> Option<T> {
        self.fault(format!("is {}", kind_of(value)), advice)
    }

    /// Notes a fault that a message tells as `problem; advice`.
    pub(super) fn fault_of<T>(&mut self, message: &str) -> Option<T> {
        let (problem, advice) = message.split_once("; ").unwrap_or((message, ""));
        self.fault(problem, advice)
    }

    /// Notes that something is read there, because of what is said here.
    pub(super) fn reads(&mut self, path: &Path) {
        self.notes.reads(&self.path, path.to_owned());
    }

    /// Returns where a file is that is named here and will be read, which lies beside the input.
    pub(super) fn beside(&mut self, path: PathBuf) -> PathBuf {
        let path = match &self.notes.folder {
            Some(folder) => folder.join(path),
            None => path,
        };
        self.reads(&path);
        path
    }

    /// Returns the folder of the input, beside which files lie that are named here.
    pub(super) fn folder(&mut self) -> Option<PathBuf> {
        if self.notes.folder.is_none() {
            let problem = "names a file, and this input does not come from one";
            return self.fault(problem, "write here what is in it");
        }
        self.notes.folder.clone()
    }

    /// Reads a file that is named here, which lies beside the input.
    pub(super) fn read_file(&mut self, name: &Value) -> Option<Vec<u8>> {
        self.with_file(name, |path| std::fs::read(path))
    }

    /// Opens a file that is named here, which lies beside the input.
    pub(super) fn open_file(&mut self, name: &Value) -> Option<File> {
        self.with_file(name, |path| File::open(path))
    }

    fn with_file<R>(&mut self, name: &Value, read: impl Fn(&Path) -> io::Result<R>) -> Option<R> {
        let Some(name) = name.as_str().filter(|name| !name.trim().is_empty()) else {
            return self.refuse(name, "name a file");
        };
        let path = self.folder()?.join(name);
        self.reads(&path);
        match read(&path) {
            Ok(read) => Some(read),
            Err(error) => self.fault(
                format!("names a file that cannot be read: {}", error.kind()),
                format!("look for it beside the input, as {}", path.display()),
            ),
        }
    }

    /// Reads a file of text that is named here, which lies beside the input.
    pub(super) fn read_text(&mut self, name: &Value) -> Option<String> {
        let bytes = self.read_file(name)?;
        match String::from_utf8(to_utf8(&bytes).into_owned()) {
            Ok(text) => Some(text),
            Err(_) => self.fault("names a file that is not UTF-8", "save it as UTF-8"),
        }
    }

    pub(super) fn warn(&mut self, reason: impl Into<String>) {
        let warning = InputWarning::new(&*self.path, reason);
        // An input that is built again brings its warnings along.
        if !self.notes.warnings.contains(&warning) {
            self.notes.warnings.push(warning);
        }
    }
}

/// Reads a whole number that is not negative, or says what is wrong and what to do. `10.0` is whole.
pub(super) fn whole(value: &Value) -> Result<u64, (String, &'static str)> {
    let Value::Number(number) = value else {
        return Err((format!("is {}", kind_of(value)), "write a whole number"));
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

/// Returns what a user wrote as a message can show it: on one line, and not endless.
pub(super) fn presentable(key: &str) -> String {
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
