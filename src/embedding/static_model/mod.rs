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
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::testing::conformance;

    /// A tensor of a file: its name, type and shape, and its bytes.
    type Tensor<'a> = (&'a str, &'a str, Vec<usize>, Vec<u8>);

    fn file_of(tensors: &[Tensor<'_>]) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let start = data.len();
            data.extend_from_slice(bytes);
            header.insert(
                (*name).to_owned(),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}),
            );
        }
        let header = Value::from(header).to_string();
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &data].concat()
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    /// A table in which each token has a dimension of its own.
    fn apart(tokens: usize) -> Vec<u8> {
        let cell = |at: usize| if at / tokens == at % tokens { 1.0 } else { 0.0 };
        let table: Vec<f32> = (0..tokens * tokens).map(cell).collect();
        file_of(&[("embeddings", "F32", vec![tokens, tokens], floats(&table))])
    }

    fn words(vocabulary: &[&str]) -> Value {
        let vocabulary: serde_json::Map<String, Value> = vocabulary
            .iter()
            .enumerate()
            .map(|(id, token)| ((*token).to_owned(), id.into()))
            .collect();
        json!({
            "version": "1.0", "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[UNK]"},
            "added_tokens": [{"id": 0, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary},
        })
    }

    /// Each byte is a token, and `is` one more.
    fn byte_level() -> Value {
        let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let mut others = 256..;
        let letters = (0..=255_u8).map(|byte| {
            let code = if printable(&byte) {
                u32::from(byte)
            } else {
                others.next().expect("it has no end")
            };
            char::from_u32(code).expect("a letter").to_string()
        });
        let vocabulary: serde_json::Map<String, Value> = letters
            .chain(["is".to_owned()])
            .enumerate()
            .map(|(id, token)| (token, id.into()))
            .collect();
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": ["i s"]},
        })
    }

    fn unigram(pieces: &[(&str, f64)]) -> Value {
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
            "post_processor": null, "decoder": null,
            "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false},
        })
    }

    fn write(directory: &Path, tokenizer: &Value, vectors: &[u8]) {
        fs::write(directory.join(TOKENIZER), tokenizer.to_string()).expect("it is writable");
        fs::write(directory.join(VECTORS), vectors).expect("it is writable");
    }

    fn open(tokenizer: &Value, vectors: &[u8]) -> Result<StaticEmbedder> {
        let directory = TempDir::new().expect("a directory");
        write(directory.path(), tokenizer, vectors);
        StaticEmbedder::open(directory.path())
    }

    fn vector(embedder: &StaticEmbedder, text: &str) -> Vec<f32> {
        embedder.model.embed(text)
    }

    #[track_caller]
    fn is_about(vector: &[f32], expected: &[f32]) {
        let near = |(x, y): (&f32, &f32)| (x - y).abs() < 1e-3;
        assert!(
            vector.len() == expected.len() && vector.iter().zip(expected).all(near),
            "{vector:?}"
        );
    }

    const WORDS: [&str; 9] = [
        "[UNK]", "what", "is", "the", "point", "##s", "who", "天", "?",
    ];

    #[tokio::test]
    async fn it_keeps_the_promises_whatever_cuts_its_tokens() {
        let pieces = [
            ("<unk>", 0.0),
            ("▁What", -1.0),
            ("▁Who", -1.0),
            ("天", -1.0),
            ("▁", -2.0),
            ("o", -2.0),
            ("e", -2.0),
        ];
        for (tokenizer, tokens) in [
            (words(&WORDS), WORDS.len()),
            (byte_level(), 257),
            (unigram(&pieces), pieces.len()),
        ] {
            let embedder = open(&tokenizer, &apart(tokens)).expect("a model");
            conformance::embedder(&embedder).await;
        }
    }

    #[test]
    fn a_text_points_where_its_tokens_do_on_average() {
        let embedder = open(&words(&WORDS), &apart(9)).expect("a model");
        let half = 0.5_f32.sqrt();
        // Neither cut to two tokens nor filled up to nine, whatever the file says.
        is_about(
            &vector(&embedder, "POINTS"),
            &[0.0, 0.0, 0.0, 0.0, half, half, 0.0, 0.0, 0.0],
        );
        is_about(
            &vector(&embedder, "What is the point?"),
            &[0.0, 0.447, 0.447, 0.447, 0.447, 0.0, 0.0, 0.0, 0.447],
        );

        let embedder = open(&byte_level(), &apart(257)).expect("a model");
        let is = vector(&embedder, "is");
        assert!(is[256] > 0.999, "merged");
    }

    #[test]
    fn texts_are_not_alike_for_what_is_unknown_in_them() {
        let mut table = vec![0.0; 9 * 64];
        table.iter_mut().step_by(65).for_each(|x| *x = 1.0);
        let table = file_of(&[("embeddings", "F32", vec![9, 64], floats(&table))]);
        let embedder = open(&words(&WORDS), &table).expect("a model");
        let cosine = |one: &str, other: &str| -> f32 {
            let (one, other) = (vector(&embedder, one), vector(&embedder, other));
            one.iter().zip(&other).map(|(x, y)| x * y).sum()
        };
        assert!(cosine("什么是监督学习?", "为什么草是绿的?") < 0.5);
        assert!(cosine("zzz", "yyy") < 0.5 && cosine("\u{1}", "\u{2}") < 0.5);
        assert!(cosine("the zzz", "the ZZZ?") < cosine("the zzz", "the zzz") - 0.1);
        assert!(cosine("什么是监督学习", "什么是监督学习") > 0.999);
    }

    #[test]
    fn tokens_share_rows_and_count_differently_in_any_type_of_number() {
        let vocabulary = words(&["[UNK]", "a", "b", "c"]);
        let half: [u16; 4] = [0x3c00, 0x0000, 0x0001, 0xbc00]; // 1, 0, the least above 0, -1
        let half: Vec<u8> = half.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let mapping: Vec<u8> = [0_i64, 0, 1, 1]
            .iter()
            .flat_map(|row| row.to_le_bytes())
            .collect();
        for (dtype, table) in [
            ("I8", vec![127, 0, 0, 129]),
            ("F16", half),
            ("F32", floats(&[3.0, 0.0, 0.0, -3.0])),
        ] {
            let vectors = file_of(&[
                ("embeddings", dtype, vec![2, 2], table),
                ("mapping", "I64", vec![4], mapping.clone()),
                ("weights", "F32", vec![4], floats(&[1.0, 3.0, 4.0, 1.0])),
            ]);
            let embedder = open(&vocabulary, &vectors).expect("a model");
            is_about(&vector(&embedder, "a b"), &[0.6, -0.8]);
            is_about(
                &vector(&embedder, "a c c c"),
                &[0.5_f32.sqrt(), -(0.5_f32.sqrt())],
            );
        }
        is_about(
            &[half_of(0x0001), half_of(0x7bff), half_of(0xc000)],
            &[2.0_f32.powi(-24), 65504.0, -2.0],
        );
    }

    fn half_of(bits: u16) -> f32 {
        vectors::half(bits)
    }

    #[test]
    fn a_name_is_that_of_the_content_wherever_it_lies() {
        let name = |tokens: &[&str]| {
            open(&words(tokens), &apart(tokens.len()))
                .expect("a model")
                .name
        };
        assert_eq!(name(&WORDS), name(&WORDS));
        assert!(name(&WORDS).starts_with("static/") && name(&WORDS) != name(&WORDS[..8]));
    }

    #[tokio::test]
    async fn a_long_text_is_embedded_on_another_thread() {
        let embedder = open(&words(&WORDS), &apart(9)).expect("a model");
        let long = "what is the point ".repeat(1_000);
        let vectors = embedder.embed(&["point", &long]).await.expect("vectors");
        is_about(&vectors[0], &vector(&embedder, "point"));
        is_about(&vectors[1], &vector(&embedder, "What is the point"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_file_and_what_to_do() {
        let good = words(&WORDS);
        let cut = |bytes: Vec<u8>, from_end: usize| bytes[..bytes.len() - from_end].to_vec();
        let table =
            |name, dtype, shape: &[usize], bytes| file_of(&[(name, dtype, shape.to_vec(), bytes)]);
        let with = |name, dtype, length, bytes| {
            file_of(&[
                ("embeddings", "I8", vec![9, 1], vec![1; 9]),
                (name, dtype, vec![length], bytes),
            ])
        };
        let mut not_finite = floats(&[1.0; 9]);
        not_finite[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        for (vectors, said) in [
            (cut(apart(9), 1), "copy it again"),
            (cut(apart(9), 330), "copy it again"),
            (Vec::new(), "copy it again"),
            (b"<html>Not found</html>".to_vec(), "copy it again"),
            (
                table("bert.weight", "I8", &[9, 1], vec![1; 9]),
                "`bert.weight`",
            ),
            (
                table("embeddings", "I8", &[9], vec![1; 9]),
                "rows and columns",
            ),
            (table("embeddings", "I8", &[0, 1], vec![]), "is empty"),
            (
                table("embeddings", "BF16", &[9, 1], vec![1; 18]),
                "the type BF16",
            ),
            (
                table("embedding.weight", "F32", &[9, 1], not_finite),
                "not finite",
            ),
            (
                with("mapping", "I64", 9, vec![255; 72]),
                "among the 9 of the table",
            ),
            (with("mapping", "U8", 9, vec![0; 9]), "the type U8"),
            (
                with("weights", "I8", 2, vec![1; 2]),
                "2 weights for 9 tokens",
            ),
            (with("weights", "BOOL", 9, vec![1; 9]), "the type BOOL"),
        ] {
            let error = open(&good, &vectors).expect_err(said);
            assert!(
                error.kind() == ErrorKind::Config && error.message().contains(said),
                "{error}"
            );
            assert!(error.to_string().contains(VECTORS), "{error}");
        }
        let wordless = json!({"model": {"type": "Conjurer"}});
        let larger = apart(9);
        for (tokenizer, said) in [
            (wordless, "no tokenizer that can be read"),
            (Value::Null, "no tokenizer that can be read"),
            (
                words(&["[UNK]", "a", "b", "c", "d", "e", "f", "g", "h", "i"]),
                "10 tokens and `model.safetensors` vectors for 9",
            ),
        ] {
            let error = open(&tokenizer, &larger).expect_err(said);
            assert!(
                error.kind() == ErrorKind::Config && error.message().contains(said),
                "{error}"
            );
            assert!(error.to_string().contains(TOKENIZER), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path();
        for (there, said) in [
            (path.join("models"), "no such directory"),
            (path.to_owned(), "copy it there"),
        ] {
            let error = StaticEmbedder::open(&there).expect_err(said);
            assert!(error.message().contains(said), "{error}");
            let file = there.join(TOKENIZER);
            assert!(
                error
                    .context()
                    .any(|(_, value)| value == file.display().to_string()),
                "{error}"
            );
        }
        fs::write(path.join(TOKENIZER), words(&WORDS).to_string()).expect("it is writable");
        let error = StaticEmbedder::open(path).expect_err("one file is missing");
        assert!(error.to_string().contains(VECTORS), "{error}");
    }
}
