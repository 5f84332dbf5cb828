//! A static model: a vector for each token, in files that lie on this machine.

mod vectors;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use morpheme::{ModelWrapper, Tokenizer};
use xxhash_rust::xxh3::Xxh3;

use super::Embedder;
use crate::error::{Error, ErrorKind, Result};
use vectors::TokenVectors;

const TOKENIZER: &str = "tokenizer.json";
const VECTORS: &str = "model.safetensors";

/// Bytes of text that are embedded on the thread that asks: less than a millisecond's work.
const AT_ONCE: usize = 512;

/// An embedding model that is a table: a text points where its tokens point on average.
///
/// It needs no network, no key and no runtime for neural networks, and takes some microseconds a text. It reads what model2vec
/// and sentence-transformers write for their static models: a directory with `tokenizer.json` (`WordPiece`, BPE, Unigram or whole
/// words) and `model.safetensors` (a tensor `embeddings` or `embedding.weight` of 32-, 16- or 8-bit numbers and, where the model has
/// them, `weights` and `mapping`). Nothing is downloaded. In the input its name is `static/` and the directory.
///
/// Texts are not cut. What the vocabulary lacks points somewhere of its own, so that texts are not alike for what is unknown in them.
///
/// ```no_run
/// use topicloom::dedup::{DeduplicatorExt, NearDuplicates, SemanticDuplicates};
/// use topicloom::embedding::StaticEmbedder;
///
/// let embedder = StaticEmbedder::open("models/potion-base-8M")?;
/// let deduplicator = NearDuplicates::default().then(SemanticDuplicates::new(embedder));
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone)]
pub struct StaticEmbedder {
    directory: PathBuf,
    name: String,
    model: Arc<StaticModel>,
}

struct StaticModel {
    tokenizer: Tokenizer,
    /// What stands for whatever the vocabulary lacks.
    unknown: Option<u32>,
    vectors: TokenVectors,
}

impl StaticEmbedder {
    /// Reads a model. It is held in memory as it is on disk.
    ///
    /// This blocks for as long as the files take to read; from async code a large one is best opened in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config), with the file: one is missing, cut off or of another format, or the two are not of one model.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let tokenizer = read(&directory, TOKENIZER)?;
        let vectors = read(&directory, VECTORS)?;
        let mut hash = Xxh3::new();
        hash.update(&tokenizer);
        hash.update(&vectors);
        let wrong = |file: &str, message: String| {
            Error::new(ErrorKind::Config, message)
                .with_context("file", directory.join(file).display().to_string())
        };
        let tokenizer = tokenizer_of(&tokenizer).map_err(|message| wrong(TOKENIZER, message))?;
        let vectors = TokenVectors::of(vectors).map_err(|message| wrong(VECTORS, message))?;
        let largest = tokenizer.vocab(true).into_values().max();
        let known = vectors.tokens();
        if largest.is_none_or(|largest| largest as usize >= known) {
            let tokens = largest.map_or(0, |largest| largest as usize + 1);
            let message = format!(
                "`{TOKENIZER}` has {tokens} tokens and `{VECTORS}` vectors for {known}, so they are not of one model; copy both from the same place"
            );
            return Err(wrong(TOKENIZER, message));
        }
        let unknown = unknown_of(&tokenizer);
        Ok(Self {
            // Whose vectors can be compared is said by what is in the files, wherever they lie.
            name: format!("static/{:016x}", hash.digest()),
            model: Arc::new(StaticModel {
                tokenizer,
                unknown,
                vectors,
            }),
            directory,
        })
    }
}

impl StaticModel {
    fn embed(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.vectors.dimensions()];
        // It fails where the vocabulary lacks something and has nothing to stand for it.
        match self.tokenizer.encode(text, false) {
            Ok(tokens) if !tokens.ids().is_empty() => {
                for (token, (from, to)) in tokens.ids().iter().zip(tokens.offsets()) {
                    if Some(*token) == self.unknown {
                        let unknown = text.get(*from..*to).unwrap_or(text);
                        self.vectors.add_unknown(unknown, &mut sum);
                    } else {
                        self.vectors.add(*token, &mut sum);
                    }
                }
            }
            _ => self.vectors.add_unknown(text, &mut sum),
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|x| *x /= length);
        }
        sum
    }

    fn embed_all<T: AsRef<str>>(&self, texts: &[T]) -> Vec<Vec<f32>> {
        texts.iter().map(|text| self.embed(text.as_ref())).collect()
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.iter().map(|text| text.len()).sum::<usize>() <= AT_ONCE {
            return Ok(self.model.embed_all(texts));
        }
        let model = Arc::clone(&self.model);
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let embedded = tokio::task::spawn_blocking(move || model.embed_all(&texts)).await;
        embedded.map_err(|error| {
            Error::new(
                ErrorKind::Plugin,
                "the thread of a static model ended early",
            )
            .with_source(error)
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for StaticEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticEmbedder")
            .field("directory", &self.directory)
            .field("name", &self.name)
            .field("dimensions", &self.model.vectors.dimensions())
            .finish_non_exhaustive()
    }
}

fn read(directory: &Path, file: &str) -> Result<Vec<u8>> {
    let path = directory.join(file);
    fs::read(&path).map_err(|error| {
        let message = if directory.is_dir() {
            format!("a static model is in two files, `{TOKENIZER}` and `{VECTORS}`, and this one cannot be read; copy it there")
        } else {
            format!("there is no such directory; name the one that holds the `{TOKENIZER}` and the `{VECTORS}` of a static model")
        };
        Error::new(ErrorKind::Config, message)
            .with_context("file", path.display().to_string())
            .with_source(error)
    })
}

fn tokenizer_of(json: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| {
        format!("this is no tokenizer that can be read: {error}; copy the file again, or take another model")
    })?;
    // Of the whole text, and of nothing else.
    tokenizer.set_padding(None);
    tokenizer
        .set_truncation(None)
        .map_err(|error| error.to_string())?;
    Ok(tokenizer)
}

/// Returns what stands for whatever the vocabulary lacks.
fn unknown_of(tokenizer: &Tokenizer) -> Option<u32> {
    let named = |token: &str| tokenizer.token_to_id(token);
    match tokenizer.model() {
        ModelWrapper::Bpe(model) => model.unk_token().and_then(named),
        ModelWrapper::WordPiece(model) => named(model.unk_token()),
        ModelWrapper::WordLevel(model) => named(model.unk_token()),
        ModelWrapper::Unigram(model) => model.unk_id().and_then(|id| id.try_into().ok()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
