//! Schemas that lie in files of their own, beside the one that refers to them.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::{drafts, traverse};
use crate::error::{Error, ErrorKind, Result};

/// Files read for one schema.
const MAX_FILES: usize = 64;
/// Bytes of all of them together.
const MAX_BYTES: usize = 4 << 20;

/// Puts into a schema what its references lead to in other files, which must lie in `folder` or below it, and returns these files.
///
/// References to addresses are left as they are: nothing is fetched from the network, and
/// [`RecordSchema::from_json_schema`](super::RecordSchema::from_json_schema) says so. Definitions are named after the files.
///
/// # Errors
///
/// `InvalidInput` if a file lies elsewhere, cannot be read or is not JSON, or if there are too many or too large ones.
pub fn include_files(schema: &mut Value, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut included = Included {
        folder,
        names: HashMap::new(),
        bytes: 0,
        schemas: Map::new(),
    };
    included.follow(schema, "")?;
    if let Value::Object(map) = schema
        && let Value::Object(definitions) = map.entry("$defs").or_insert_with(|| Map::new().into())
    {
        definitions.extend(included.schemas);
        if definitions.is_empty() {
            map.shift_remove("$defs");
        }
    }
    let files = included.names.keys();
    Ok(files.map(|file| folder.join(file)).collect())
}

struct Included<'a> {
    folder: &'a Path,
    /// What each file is called among the definitions.
    names: HashMap<String, String>,
    bytes: usize,
    schemas: Map<String, Value>,
}

impl Included<'_> {
    /// Makes the references of the schema in `file` lead to definitions, reading the files they lead to. `file` is relative
    /// to the folder, and empty for the schema itself.
    fn follow(&mut self, schema: &mut Value, file: &str) -> Result<()> {
        let inside = drafts::addresses(schema);
        let own = self.names.get(file).map(|name| format!("#/$defs/{name}"));
        let near = file
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let mut wanted = Vec::new();
        let mut fault = None;
        traverse::each_reference_mut(schema, &mut |reference| {
            let (path, below) = reference.split_once('#').unwrap_or((reference, ""));
            if path.is_empty() {
                return own.as_ref().map(|own| format!("{own}{below}"));
            }
            if inside.contains_key(path)
                || path.contains(':')
                || path.starts_with(['/', '\\'])
                || !path.contains('.')
            {
                return None;
            }
            let path = format!("{near}{}", path.trim_start_matches("./"));
            match self.name(&path) {
                Ok(name) => {
                    wanted.push(path);
                    Some(format!("#/$defs/{name}{below}"))
                }
                Err(error) => {
                    fault.get_or_insert(error);
                    None
                }
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        for path in wanted {
            let name = self.names[&path].clone();
            if !self.schemas.contains_key(&name) {
                // Known before its own references are followed: files may refer to one another.
                self.schemas.insert(name.clone(), Value::Bool(true));
                let mut read = self.read(&path)?;
                self.follow(&mut read, &path)?;
                self.schemas.insert(name, read);
            }
        }
        Ok(())
    }

    /// Returns the name of a file's schema among the definitions.
    fn name(&mut self, path: &str) -> Result<String> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(unusable(
                path,
                "lies outside the folder of the input; put it beside the input",
            ));
        }
        if self.names.len() >= MAX_FILES && !self.names.contains_key(path) {
            return Err(unusable(
                path,
                "is one of too many files; put their schemas into `$defs`",
            ));
        }
        let name = path.replace(['/', '~', '%'], "_");
        Ok(self.names.entry(path.to_owned()).or_insert(name).clone())
    }

    fn read(&mut self, path: &str) -> Result<Value> {
        let bytes = fs::read(self.folder.join(path)).map_err(|error| {
            unusable(path, "is no file that can be read beside the input").with_source(error)
        })?;
        self.bytes += bytes.len();
        if self.bytes > MAX_BYTES {
            return Err(unusable(path, "makes the schema larger than 4 MiB"));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| unusable(path, "is not JSON").with_source(error))
    }
}

fn unusable(path: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("output_schema refers to a file that {why}"),
    )
    .with_context("file", path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::RecordSchema;

    #[test]
    fn files_beside_the_schema_become_definitions_and_may_refer_to_one_another() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("parts")).unwrap();
        let write = |name: &str, schema: Value| {
            fs::write(folder.path().join(name), schema.to_string()).unwrap();
        };
        write(
            "parts/address.json",
            json!({
                "type": "object",
                "properties": {"street": {"$ref": "#/$defs/name"}, "country": {"$ref": "country.json"}},
                "required": ["street"],
                "$defs": {"name": {"type": "string", "minLength": 2}}
            }),
        );
        write(
            "parts/country.json",
            json!({"enum": ["NO", "SE"], "$comment": "of an address.json"}),
        );
        let mut schema = json!({"type": "object", "properties": {"at": {"$ref": "./parts/address.json"}}, "required": ["at"]});
        include_files(&mut schema, folder.path()).unwrap();
        let schema = RecordSchema::from_json(schema).unwrap();
        assert!(
            schema
                .validate(&json!({"at": {"street": "High", "country": "NO"}}))
                .is_ok()
        );
        assert!(schema.validate(&json!({"at": {"street": "H"}})).is_err());
        assert!(
            schema
                .validate(&json!({"at": {"street": "High", "country": "XX"}}))
                .is_err()
        );
    }

    #[test]
    fn files_elsewhere_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        for (path, why) in [
            ("../secret.json", "outside the folder"),
            ("none.json", "can be read"),
        ] {
            let mut schema = json!({"properties": {"a": {"$ref": path}}});
            let error = include_files(&mut schema, folder.path())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
        let mut schema = json!({"properties": {"a": {"$ref": "https://example.org/a.json"}}});
        include_files(&mut schema, folder.path()).unwrap();
        let error = RecordSchema::from_json(schema).unwrap_err().to_string();
        assert!(error.contains("network"), "{error}");
    }
}
