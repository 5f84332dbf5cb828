//! Where the journal of a run is kept.

use std::fs;
use std::path::{Path, PathBuf};

use topicloom::input::Storage;
use topicloom::llm::models::{OFFLINE, STATIC};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use crate::args::RunArgs;
use crate::files;
use crate::folder::Folder;
use crate::place::Place;

/// Returns where the journal goes: what the command line says, then what the input says, then beside the output where a
/// model is paid for.
pub(crate) fn place(args: &RunArgs, input: &GenerateByTopicInput) -> Result<Option<Place>> {
    if let Some(journal) = &args.journal {
        return Place::of(journal.clone(), args.which.clone()).map(Some);
    }
    if args.no_journal {
        return Ok(None);
    }
    // The journal of a folder lies beside it: it is not to be published.
    let folder = args.drive.to.folder.as_ref();
    let output = folder.map_or_else(|| args.drive.output(), Folder::path);
    let has_file = files::is_file(output);
    // What is added to more records is another run.
    let ending = match input.appended_to() {
        0 => ".journal".to_owned(),
        there => format!(".after-{there}.journal"),
    };
    let beside = || files::beside(output, &ending);
    let path = match &input.settings().storage {
        Storage::Local(Some(folder)) => match output.file_name().filter(|_| has_file) {
            Some(_) => files::beside(
                &folder.join(output.file_name().unwrap_or_default()),
                &ending,
            ),
            None => folder.join(input.journal_name()),
        },
        Storage::Local(None) if has_file => beside(),
        Storage::Local(None) => PathBuf::from(Storage::DIRECTORY).join(input.journal_name()),
        Storage::Unset if has_file && is_paid(input) => beside(),
        _ => return Ok(None),
    };
    Ok(Some(Place::File(path)))
}

fn is_paid(input: &GenerateByTopicInput) -> bool {
    let topics = input.asks_topic_model().then(|| input.topic_model());
    let records = input.generation_models().iter().map(|(model, _)| model);
    let fallbacks = &input.settings().fallback_models;
    let mut models = records.chain(topics).chain(fallbacks);
    let embedding = input.settings().deduplication.embedding_model.as_ref();
    let embeds = embedding.is_some_and(|model| model.provider() != STATIC);
    embeds || models.any(|model| model.provider() != OFFLINE)
}

/// Makes the directory that `storage` names, which the journal goes into.
pub(crate) fn make_folder(journal: &Path) -> Result<()> {
    let folder = journal.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|error| {
        let message = "the directory that `storage` names cannot be made";
        Error::new(ErrorKind::Config, message)
            .with_context("directory", folder.display().to_string())
            .with_source(error)
    })
}
