//! A folder as the output: the records, a card that Hugging Face reads, and all that says where they come from.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use topicloom::input::{OutputFile, RecordFormat};
use topicloom::llm::layers::Spending;
use topicloom::llm::price::{PriceTable, Usd};
use topicloom::sink::{PartialFile, SplitReport};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Report, Result};

use crate::files::report_text;
use crate::page::cost;

/// Says that the folder is whole.
const SUMS: &str = "SHA256SUMS";

/// The sums of the set before, while its place is being taken.
const EARLIER: &str = "SHA256SUMS.earlier";

/// What is said of the records, whatever they are.
const BESIDE: [&str; 4] = ["report.json", "report.html", "manifest.json", "README.md"];

/// The folder of an output such as `out/`.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// What is said of a data set.
pub(crate) struct DataSet<'a> {
    pub(crate) input: &'a GenerateByTopicInput,
    pub(crate) prices: &'a PriceTable,
    pub(crate) output: &'a OutputFile,
    pub(crate) report: &'a Report,
    pub(crate) split: Option<&'a SplitReport>,
    pub(crate) languages: Vec<&'static str>,
}

impl Folder {
    /// Returns the folder that an output names: with a separator at its end, or one that is there.
    pub(crate) fn of(output: &Path) -> Option<Self> {
        let ends_as_one = output.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        let is_one = ends_as_one || output.is_dir();
        // Without what stands at its end.
        is_one.then(|| Self(output.components().collect()))
    }

    /// Makes the folder, so that one that cannot be made is found out before the first call.
    pub(crate) fn create(&self) -> Result<()> {
        fs::create_dir_all(self.0.join("data")).map_err(|error| {
            Error::new(ErrorKind::Sink, "the folder for the output cannot be made")
                .with_context("folder", self.0.display().to_string())
                .with_source(error)
        })
    }

    /// Returns the file of the records: Parquet where this build has it, unless another format was said.
    pub(crate) fn records(&self, said: Option<RecordFormat>) -> PathBuf {
        let usual = if cfg!(feature = "parquet") {
            RecordFormat::Parquet
        } else {
            RecordFormat::Jsonl
        };
        let ending = said.unwrap_or(usual).name();
        let name = format!("train-00000-of-00001.{ending}");
        self.0.join("data").join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the files that stand beside the records.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let names = BESIDE.iter().chain(&["rejected.jsonl", SUMS, EARLIER]);
        names.map(|name| self.0.join(name))
    }

    /// Returns where rejected candidates go until the run has ended.
    pub(crate) fn rejected(&self) -> PathBuf {
        self.0.join("rejected.jsonl.partial")
    }

    /// Takes the sums away before the records get their names: as long as there are none, the folder holds no whole set.
    pub(crate) fn withdraw(&self) -> Result<()> {
        let (sums, earlier) = (self.0.join(SUMS), self.0.join(EARLIER));
        match fs::rename(&sums, earlier) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&sums, error)),
            _ => Ok(()),
        }
    }

    /// Keeps the report of a run that is not complete.
    pub(crate) fn keep_report(&self, text: &str) -> Result<()> {
        let path = self.0.join("report.json.partial");
        fs::write(&path, text).map_err(|error| failed(&path, error))
    }

    /// Writes what is known once all records are there. Each file gets its name in one step, the sums last.
    pub(crate) fn finish(&self, set: &DataSet<'_>, page: &str) -> Result<()> {
        self.write("report.html", page)?;
        let mut listed = BESIDE.map(str::to_owned).to_vec();
        if self.rejected().exists() {
            let (partial, name) = (self.rejected(), "rejected.jsonl");
            let kept = fs::File::open(&partial).and_then(|file| file.sync_all());
            let named = kept.and_then(|()| fs::rename(&partial, self.0.join(name)));
            named.map_err(|error| failed(&partial, error))?;
            listed.push(name.to_owned());
        }
        self.write("report.json", &report_text(set.report, set.split))?;
        let inside = |file: PathBuf| {
            let name = file.file_name()?.to_string_lossy().into_owned();
            Some(format!("data/{name}"))
        };
        let names: Vec<String> = set.output.files().into_iter().filter_map(inside).collect();
        let sidecars: Vec<String> = set
            .output
            .sidecars()
            .into_iter()
            .filter_map(inside)
            .collect();
        let mut sums = Vec::new();
        for name in &names {
            sums.push((name.clone(), self.sum_of(name)?));
        }
        let mut manifest = manifest(set);
        let files = sums.iter().map(|(name, sum)| self.listed(name, sum));
        manifest["files"] = files.collect::<Result<Value>>()?;
        if let Some(split) = set.split {
            manifest["split"] = json!(split);
        }
        self.write("manifest.json", &format!("{manifest:#}\n"))?;
        self.write("README.md", &self.card(set, &names))?;
        listed.extend(sidecars.iter().cloned());
        self.tidy_up(&[names, sidecars].concat())?;
        for name in listed {
            let sum = self.sum_of(&name)?;
            sums.push((name, sum));
        }
        sums.sort();
        let lines = sums.iter().fold(String::new(), |mut lines, (name, sum)| {
            let _ = writeln!(lines, "{sum}  {name}");
            lines
        });
        self.write(SUMS, &lines)?;
        remove(&self.0.join(EARLIER))
    }

    /// Removes the records of an earlier set that have other names, and what a killed process has not finished.
    fn tidy_up(&self, names: &[String]) -> Result<()> {
        let earlier = fs::read_to_string(self.0.join(EARLIER)).unwrap_or_default();
        for (_, name) in earlier.lines().filter_map(|line| line.split_once("  ")) {
            let is_file_of_data = name
                .strip_prefix("data/")
                .is_some_and(|it| !it.contains(['/', '\\']));
            if is_file_of_data && !names.iter().any(|new| new == name) {
                remove(&self.0.join(name))?;
            }
        }
        let data = self.0.join("data");
        let there = fs::read_dir(&data).map_err(|error| failed(&data, error))?;
        for file in there.flatten() {
            if file.file_name().to_string_lossy().ends_with(".making") {
                remove(&file.path())?;
            }
        }
        Ok(())
    }

    /// Returns what publishes the folder.
    pub(crate) fn upload(&self) -> String {
        let folder = self.0.display();
        format!("to publish it: hf upload USER/NAME {folder} --repo-type dataset")
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        // What a killed process left says nothing that is not said again.
        remove(&self.0.join(format!("{name}.partial")))?;
        let mut file = PartialFile::create(self.0.join(name))?;
        file.write_whole(text.as_bytes())?;
        file.commit()
    }

    fn sum_of(&self, name: &str) -> Result<String> {
        let path = self.0.join(name);
        let sum = || {
            let mut file = fs::File::open(&path)?;
            let (mut sum, mut part) = (Sha256::new(), vec![0; 1 << 16]);
            loop {
                match file.read(&mut part)? {
                    0 => break Ok(sum.finalize()),
                    read => sum.update(&part[..read]),
                }
            }
        };
        let sum = sum().map_err(|error| failed(&path, error))?;
        Ok(sum.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    fn listed(&self, name: &str, sum: &str) -> Result<Value> {
        let path = self.0.join(name);
        let there = fs::metadata(&path).map_err(|error| failed(&path, error))?;
        Ok(json!({"name": name, "bytes": there.len(), "sha256": sum}))
    }

    /// Returns the card of the data set, with the head that Hugging Face reads.
    fn card(&self, set: &DataSet<'_>, files: &[String]) -> String {
        let report = set.report;
        let category = match report.accepted {
            0..1_000 => "n<1K",
            1_000..10_000 => "1K<n<10K",
            10_000..100_000 => "10K<n<100K",
            100_000..1_000_000 => "100K<n<1M",
            1_000_000..10_000_000 => "1M<n<10M",
            _ => "n>10M",
        };
        let sides = files.iter().fold(String::new(), |mut sides, file| {
            let side = file.trim_start_matches("data/").split("-00000").next();
            let side = side.unwrap_or("train");
            let _ = write!(sides, "\n  - split: {side}\n    path: {file}");
            sides
        });
        let models: Vec<String> = report
            .models
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        let languages = set
            .languages
            .iter()
            .fold(String::new(), |mut lines, language| {
                let head = if lines.is_empty() { "language:\n" } else { "" };
                let _ = writeln!(lines, "{head}- {language}");
                lines
            });
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        let mut card = format!(
            "---\nlicense: unknown\n{languages}tags:\n- synthetic\n- topicloom\nsize_categories:\n- {category}\nconfigs:\n- config_name: default\n  \
             data_files:{sides}\n---\n\n# {name}\n\nMade with topicloom {} by {}.\n\n| | |\n|---|---|\n",
            env!("CARGO_PKG_VERSION"),
            models.join(", ")
        );
        let rejected = report
            .candidates
            .total
            .saturating_sub(report.candidates.accepted);
        for (what, number) in [
            ("records", report.accepted.to_string()),
            ("topics", report.topics.len().to_string()),
            ("candidates that were refused", rejected.to_string()),
            ("compared by", report.compared_by.clone()),
            ("cost", cost(&report.spending)),
        ] {
            let _ = writeln!(card, "| {what} | {number} |");
        }
        if let Some(split) = set.split {
            let _ = writeln!(card, "| sides | {split} |");
        }
        if let Some(instruction) = set.input.user_instruction() {
            let quoted = instruction.lines().map(|line| format!("> {line}\n"));
            let _ = write!(
                card,
                "\nWhat was asked for:\n\n{}",
                quoted.collect::<String>()
            );
        }
        card += "\n`manifest.json` has the whole input, `report.html` shows them and how they were made, `report.json` what the run did, `rejected.jsonl` what was refused and why, \
                 `SHA256SUMS` the sums of all files.\n";
        card
    }
}

/// Returns where the data set comes from. The input holds no secret: keys are in the environment, and headers are masked.
fn manifest(set: &DataSet<'_>) -> Value {
    let DataSet {
        input,
        prices,
        report,
        ..
    } = set;
    let price = |name: &String| Some((name.clone(), json!(prices.get(name)?)));
    json!({
        "topicloom": env!("CARGO_PKG_VERSION"),
        "input": input.to_json(),
        "input_fingerprint": format!("{:032x}", input.fingerprint()),
        "seed": input.settings().seed,
        "models": report.models.keys().collect::<Vec<_>>(),
        "prices": report.models.keys().filter_map(price).collect::<Value>(),
        "requested": report.requested,
        "accepted": report.accepted,
        "topics": report.topics.iter().map(|it| json!({"topic": it.topic, "records": it.candidates.accepted})).collect::<Value>(),
        "spending": known(&report.spending),
    })
}

/// Returns what was spent, without what is not known: it is not nothing.
fn known(spending: &Spending) -> Value {
    let mut told = json!(spending);
    let told_of = told.as_object_mut().expect("it is one");
    if spending.unpriced_calls > 0 && spending.cost == Usd::ZERO {
        told_of.shift_remove("cost");
    }
    if spending.uncertain_calls > 0 && spending.uncertain_cost == Usd::ZERO {
        told_of.shift_remove("uncertain_cost");
    }
    told
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Sink,
        "the folder of the output could not be finished",
    )
    .with_context("path", path.display().to_string())
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_is_not_known_is_not_said_to_be_nothing() {
        let spent = |cost: f64, unpriced: u64| -> Spending {
            let mut spent = json!(Spending::default());
            spent["cost"] = cost.into();
            spent["unpriced_calls"] = unpriced.into();
            serde_json::from_value(spent).expect("it was written so")
        };
        for (spent, in_the_manifest, on_the_card) in [
            (spent(0.0, 0), json!(0.0), "$0.00"),
            (spent(0.0, 2), Value::Null, "not known"),
            (spent(0.5, 0), json!(0.5), "$0.50"),
            (
                spent(0.5, 2),
                json!(0.5),
                "$0.50, and 2 calls without a known price",
            ),
        ] {
            assert_eq!(known(&spent)["cost"], in_the_manifest);
            assert_eq!(cost(&spent), on_the_card);
        }
    }
}
