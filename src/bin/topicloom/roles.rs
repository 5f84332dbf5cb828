//! What a command reads and what it writes: no file may be both, and none may be written as two things.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use topicloom::sink::PartialFile;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::{DriveArgs, OutputArgs};
use crate::files::{beside, is_file};
use crate::folder::Folder;

/// The files of a command, each with what it is to it.
pub(crate) struct Roles {
    read: Vec<(String, PathBuf)>,
    written: Vec<(&'static str, PathBuf)>,
    /// The folder that is made, if the output is one.
    made: Option<PathBuf>,
}

/// What tells a file from any other, whether it is there yet or not.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    #[cfg(unix)]
    There(u64, u64),
    Named(PathBuf),
}

impl Identity {
    fn of(path: &Path) -> Self {
        #[cfg(unix)]
        if let Ok(file) = std::fs::metadata(path) {
            use std::os::unix::fs::MetadataExt as _;
            return Self::There(file.dev(), file.ino());
        }
        Self::Named(real(path))
    }
}

/// Returns whether two paths lead to one file, whether it is there yet or not.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    Identity::of(one) == Identity::of(other)
}

/// Returns where a path leads, without links; what is not there yet keeps its names.
fn real(path: &Path) -> PathBuf {
    let path = PartialFile::target_of(path);
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().map(|folder| match folder.as_os_str() {
        here if here.is_empty() => real(Path::new(".")),
        _ => real(folder),
    });
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

impl Roles {
    /// Begins with what every command reads.
    pub(crate) fn new() -> Self {
        let read = vec![("file of keys".to_owned(), PathBuf::from(".env"))];
        Self {
            read,
            written: Vec::new(),
            made: None,
        }
    }

    /// Returns those of a run.
    pub(crate) fn of_run(
        input: &GenerateByTopicInput,
        journal: Option<&Path>,
        args: &DriveArgs,
    ) -> Self {
        Self::new()
            .reads("list of prices", args.adjust.prices.as_deref())
            .writes("journal", journal)
            .writes("cache", input.settings().cache.as_deref())
            .writes_whole("report", args.report.as_deref())
            // That of a folder is one of its files.
            .writes(
                "list of rejected candidates",
                args.rejected
                    .as_deref()
                    .filter(|_| args.to.folder.is_none()),
            )
            .with_input(input)
            .with_output(&args.to)
    }

    /// Adds what an input was read from, and what it names.
    pub(crate) fn with_input(mut self, input: &GenerateByTopicInput) -> Self {
        self.read.extend(input.files_read().map(|(place, path)| {
            let role = if place.is_empty() {
                "input".to_owned()
            } else {
                format!("file of `{place}`")
            };
            (role, path.to_owned())
        }));
        self
    }

    pub(crate) fn reads(mut self, role: &str, path: Option<&Path>) -> Self {
        let path = path.map(|path| (role.to_owned(), path.to_owned()));
        self.read.extend(path);
        self
    }

    pub(crate) fn writes(mut self, role: &'static str, path: Option<&Path>) -> Self {
        let path = path.map(|path| (role, path.to_owned()));
        self.written.extend(path);
        self
    }

    /// Adds a file that has another name until it is whole.
    pub(crate) fn writes_whole(self, role: &'static str, path: Option<&Path>) -> Self {
        let roles = path
            .filter(|path| is_file(path))
            .map(|path| [".partial", ".making"].map(|ending| (role, beside(path, ending))));
        let mut this = self.writes(role, path);
        this.written.extend(roles.into_iter().flatten());
        this
    }

    /// Adds where records go.
    pub(crate) fn with_output(self, to: &OutputArgs) -> Self {
        let file = to.file();
        let mut roles = self.writes_whole("output", Some(&file.path));
        for path in file.files().iter().chain(&file.sidecars()) {
            roles = roles.writes_whole("output", Some(path));
        }
        for path in to.folder.iter().flat_map(Folder::files) {
            roles = roles.writes_whole("output", Some(&path));
        }
        let made = to.folder.as_ref().map(|folder| folder.path().to_owned());
        Self { made, ..roles }
    }

    /// Refuses a file that would be lost, or mixed up with another.
    pub(crate) fn check(self) -> Result<()> {
        let refused = |path: &Path, message: String| {
            let error = Error::new(ErrorKind::InvalidInput, message);
            Err(error.with_context("file", path.display().to_string()))
        };
        let read = self.read.iter().filter(|(_, path)| is_file(path));
        let mut known: HashMap<Identity, &str> = HashMap::new();
        for (role, path) in read.clone() {
            known.entry(Identity::of(path)).or_insert(role);
        }
        for (role, path) in self.written.iter().filter(|(_, path)| is_file(path)) {
            let other = known.entry(Identity::of(path)).or_insert(role);
            if other != role {
                let message = format!(
                    "one file cannot be both the {other} and the {role}; give one of them another name"
                );
                return refused(path, message);
            }
        }
        let Some(made) = &self.made else {
            return Ok(());
        };
        let (made, data) = (real(made), real(&made.join("data")));
        for (role, path) in read {
            let there = real(path);
            // It would be read the next time.
            if path.is_dir() && made.starts_with(&there) {
                let message =
                    format!("the folder of the output lies in the {role}; name one outside of it");
                return refused(path, message);
            }
            // Files there make room for the new ones.
            if there.starts_with(&data) {
                let message =
                    format!("the {role} lies in the folder of the output; name another output");
                return refused(path, message);
            }
        }
        Ok(())
    }
}
