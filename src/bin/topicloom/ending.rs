//! The last words of a run: where its records are, and what goes on with it.

use std::fmt;
use std::path::{Path, PathBuf};

use topicloom::input::OutputFile;
use topicloom::{Error, ErrorKind, Report, Result};

use crate::files;
use crate::roles::{Roles, is_same};

/// Why a command failed, and what it says last.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) last_line: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            last_line: None,
        }
    }
}

/// What is known of a run before it begins.
#[derive(Clone, Default)]
pub(crate) struct Way {
    pub(crate) output: OutputFile,
    /// The journal as it is shown, where there is one.
    pub(crate) journal: Option<String>,
    /// The command that goes on.
    pub(crate) command: Option<String>,
    /// Records that are in the output already, and stay.
    pub(crate) appended_to: u64,
}

impl Way {
    /// Refuses files that are two things. Nothing is said of what the output has then: it may be the caller's own.
    pub(crate) fn check(&mut self, roles: Roles) -> Result<()> {
        let checked = roles.check();
        checked.inspect_err(|_| self.output = OutputFile::default())
    }

    /// Says what keeps the answers, and what goes on with them.
    pub(crate) fn goes_on(&mut self, journal: &str, command: &CommandLine) {
        self.journal = Some(without_password(journal.to_owned()));
        self.command = Some(command.to_string());
    }

    /// Adds the last line of a run that did not begin.
    pub(crate) fn with_last_line(&self, failure: Failure) -> Failure {
        let files = files::with_records(&self.output.path);
        let untouched = || format!("nothing was made; {}", earlier(&files));
        let last_line = failure.last_line;
        Failure {
            last_line: last_line.or_else(|| (!files.is_empty()).then(untouched)),
            ..failure
        }
    }

    /// Returns the last line of a run that ended with this error, and with this many records that could not be written.
    pub(crate) fn last_line(
        &self,
        report: &Report,
        error: Option<ErrorKind>,
        unwritten: usize,
    ) -> String {
        let mut files = files::with_records(&self.output.path);
        let place = match &report.kept_in {
            Some(kept) => {
                files.retain(|file| file != Path::new(kept));
                Some(kept.clone())
            }
            None if files::is_stdout(&self.output.path) => Some("standard output".to_owned()),
            None if error.is_none() => {
                let made = self.output.files();
                files.retain(|file| !made.iter().any(|made| is_same(made, file)));
                Some(files::names(&made))
            }
            None => None,
        };
        let mut parts = vec![match place {
            Some(place) if error.is_none() => {
                let all = self.appended_to + report.accepted;
                format!("all {all} records: {place}")
            }
            Some(place) if report.accepted > 0 => format!("records so far: {place}"),
            Some(place) => format!("earlier records: {place}"),
            None => "no records were made".to_owned(),
        }];
        if unwritten > 0 {
            let fate = match &self.journal {
                Some(journal) => format!("are in {journal} alone"),
                None => "are lost".to_owned(),
            };
            parts.push(format!("{unwritten} more could not be written and {fate}"));
        }
        if !files.is_empty() {
            parts.push(earlier(&files));
        }
        let before = match error {
            Some(ErrorKind::Budget) => "when the cap is raised, ",
            Some(ErrorKind::Incomplete) if is_declined(report) => {
                "with another model or other topics, "
            }
            Some(ErrorKind::Incomplete) => {
                "with more patience (`dead_queue_threshold`) or other topics, "
            }
            _ => "",
        };
        match &self.command {
            _ if error.is_none() => {}
            Some(command) => parts.push(format!("{before}go on with: {command}")),
            None => parts.push("no journal was kept, so another run begins anew".to_owned()),
        }
        parts.join("; ")
    }
}

/// Whether all that was given up was declined.
fn is_declined(report: &Report) -> bool {
    let mut given_up = report.given_up.listed.iter();
    !report.given_up.is_empty() && given_up.all(|topic| topic.why.is_declined())
}

fn earlier(files: &[PathBuf]) -> String {
    format!("from earlier runs: {}", files::names(files))
}

/// This process's command as a shell reads it, without what would begin anew and without a password.
pub(crate) struct CommandLine(Vec<String>);

impl CommandLine {
    pub(crate) fn of_this_process() -> Self {
        let arguments = std::env::args_os().skip(1);
        let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        Self::new(arguments)
    }

    /// Creates the command of these arguments.
    pub(crate) fn new(arguments: impl IntoIterator<Item = String>) -> Self {
        let arguments = arguments
            .into_iter()
            .filter(|argument| argument != "--fresh");
        Self(arguments.map(without_password).collect())
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("topicloom")?;
        for argument in &self.0 {
            let is_plain = |c: char| c.is_alphanumeric() || "_./:=@%+,-".contains(c);
            if !argument.is_empty() && argument.chars().all(is_plain) {
                write!(f, " {argument}")?;
            } else {
                write!(f, " '{}'", argument.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

fn without_password(argument: String) -> String {
    let Some((scheme, rest)) = argument.split_once("://") else {
        return argument;
    };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{host}")
        }
        None => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_reads_it_without_what_is_secret() {
        let arguments = [
            "run",
            "my input.json",
            "--fresh",
            "-o",
            "it's.jsonl",
            "--journal",
            "postgres://me:secret@host/db",
            "",
        ];
        let command = CommandLine::new(arguments.map(str::to_owned)).to_string();
        assert_eq!(
            command,
            r"topicloom run 'my input.json' -o 'it'\''s.jsonl' --journal postgres://me@host/db ''"
        );
    }
}
