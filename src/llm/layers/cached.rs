//! Answers a question that was asked before from memory or a file.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::request_key::RequestKey;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, FinishReason, LlmClient};

/// Answers exactly the same request again from memory or a file, without a call.
///
/// The same request is the same model, messages, output format, parameters and seed. Only finished answers
/// are kept: one that was cut off, refused or filtered may turn out better next time. Errors are not kept.
///
/// The file has one JSON object a line, with the request's hash and the answer, and is only appended to; it
/// holds answers but no prompts. A last line that was cut off by a crash is dropped. Several processes may
/// append to one file, and see each other's answers when they open it again. The answers stay in the file
/// and are read when asked for; memory holds a few dozen bytes for each.
///
/// Put it outside of everything that waits, counts or costs; see
/// [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::Cached;
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient, another: impl LlmClient) -> topicloom::Result<()> {
/// let client = Cached::in_memory(client);
/// let another = Cached::in_file(another, "answers.jsonl")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cached<C> {
    inner: C,
    store: Arc<Mutex<Store>>,
}

impl<C> Cached<C> {
    /// Creates a cache that lives as long as this client.
    pub fn in_memory(inner: C) -> Self {
        Self {
            inner,
            store: Arc::new(Mutex::new(Store::Memory(HashMap::new()))),
        }
    }

    /// Opens or creates a cache in a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the file cannot be opened or read, or is something else.
    pub fn in_file(inner: C, path: impl AsRef<Path>) -> Result<Self> {
        let store = Store::File(Answers::open(path.as_ref())?);
        Ok(Self {
            inner,
            store: Arc::new(Mutex::new(store)),
        })
    }

    /// Keeps the answers of another client in the same place.
    pub(crate) fn around<D>(&self, inner: D) -> Cached<D> {
        Cached {
            inner,
            store: Arc::clone(&self.store),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Cached<C> {
    /// Answers from the cache, or asks and remembers.
    ///
    /// # Errors
    ///
    /// Those of the client. An answer that cannot be stored is returned all the same, since it was paid for;
    /// a warning tells of it.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let key = RequestKey::of(self.inner.model(), request);
        let known = self.store().get(key);
        if let Some(response) = known {
            return Ok(response);
        }
        let response = self.inner.complete(request).await?;
        if response.finish_reason == FinishReason::Stop
            && let Err(error) = self.store().put(key, &response)
        {
            tracing::warn!(model = self.inner.model(), %error, "an answer could not be cached");
        }
        Ok(response)
    }

    passes_on_the_rest!();
}

enum Store {
    Memory(HashMap<RequestKey, ChatResponse>),
    File(Answers),
}

impl Store {
    /// What cannot be read is asked again.
    fn get(&mut self, key: RequestKey) -> Option<ChatResponse> {
        match self {
            Self::Memory(answers) => answers.get(&key).cloned(),
            Self::File(answers) => answers.get(key),
        }
    }

    fn put(&mut self, key: RequestKey, response: &ChatResponse) -> std::io::Result<()> {
        match self {
            Self::Memory(answers) => {
                answers.insert(key, response.clone());
                Ok(())
            }
            Self::File(answers) => answers.put(key, response),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, answers) = match self {
            Self::Memory(answers) => ("memory", answers.len()),
            Self::File(answers) => ("file", answers.lines.len()),
        };
        write!(f, "{answers} answers in {place}")
    }
}

/// Answers in a file, found by where their line starts.
struct Answers {
    file: File,
    lines: HashMap<RequestKey, u64>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    answer: ChatResponse,
}

impl Answers {
    fn open(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Config, "the cache file cannot be opened or read")
                .with_context("file", path.display().to_string())
                .with_source(error)
        };
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        let mut answers = Self {
            file: file.try_clone().map_err(failed)?,
            lines: HashMap::new(),
        };
        let mut start = 0;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
            if length == 0 {
                return Ok(answers);
            }
            if line.last() != Some(&b'\n') {
                // The crash that cut it off is over; what is appended next starts a line of its own.
                answers.file.write_all(b"\n").map_err(failed)?;
                return Ok(answers);
            }
            match serde_json::from_slice::<Line>(&line)
                .ok()
                .and_then(|line| line.key.parse().ok())
            {
                Some(key) => {
                    answers.lines.insert(key, start);
                }
                // A line that was cut off in the middle of the file, by a process that is gone.
                None if !answers.lines.is_empty() || line.starts_with(b"{\"key\"") => {}
                None => {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "the file is not a cache of answers",
                    )
                    .with_context("file", path.display().to_string()));
                }
            }
            start += length;
        }
    }

    fn get(&mut self, key: RequestKey) -> Option<ChatResponse> {
        let start = *self.lines.get(&key)?;
        self.file.seek(SeekFrom::Start(start)).ok()?;
        let mut line = Vec::new();
        BufReader::new((&self.file).take(u64::MAX))
            .read_until(b'\n', &mut line)
            .ok()?;
        let line: Line = serde_json::from_slice(&line).ok()?;
        (line.key.parse() == Ok(key)).then_some(line.answer)
    }

    fn put(&mut self, key: RequestKey, response: &ChatResponse) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&Line {
            key: key.to_string(),
            answer: response.clone(),
        })?;
        line.push(b'\n');
        // One write, so that lines of several processes do not mix.
        self.file.write_all(&line)?;
        // Where it went, even if others have appended meanwhile.
        let end = self.file.stream_position()?;
        self.lines.insert(key, end - line.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Usage;
    use crate::llm::layers::test_client::{TestClient, request};

    fn client(texts: &[&str]) -> TestClient {
        let answer = |text: &&str| Ok(ChatResponse::new(*text).with_usage(Usage::new(3, 4)));
        TestClient::answering(texts.iter().map(answer).collect())
    }

    async fn ask(client: &impl LlmClient, seed: u64) -> String {
        let response = client.complete(&request().with_seed(seed)).await;
        response.unwrap().text
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_request_is_asked_once() {
        let cached = Cached::in_memory(client(&["first", "second"]));
        assert_eq!(ask(&cached, 1).await, "first");
        assert_eq!(ask(&cached, 1).await, "first");
        assert_eq!(ask(&cached, 2).await, "second");
        assert_eq!(cached.inner.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_and_answers_that_were_cut_off_are_asked_again() {
        let cut_off = ChatResponse::new("half an ans").with_finish_reason(FinishReason::Length);
        let script = vec![
            Err(Error::new(ErrorKind::Overloaded, "busy")),
            Ok(cut_off),
            Ok(ChatResponse::new("whole")),
        ];
        let cached = Cached::in_memory(TestClient::answering(script));
        assert!(cached.complete(&request()).await.is_err());
        assert_eq!(ask(&cached, 0).await, "half an ans");
        assert_eq!(ask(&cached, 0).await, "whole");
        assert_eq!(ask(&cached, 0).await, "whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_by_the_next_process_whatever_happened_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let cached = Cached::in_file(client(&["one", "two\nlines"]), &path).unwrap();
        ask(&cached, 1).await;
        ask(&cached, 2).await;
        drop(cached);

        let whole = std::fs::read(&path).unwrap();
        let second_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in second_line..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let cached = Cached::in_file(client(&["again"]), &path).unwrap();
            assert_eq!(ask(&cached, 1).await, "one");
            let second = if cut == whole.len() {
                "two\nlines"
            } else {
                "again"
            };
            assert_eq!(ask(&cached, 2).await, second, "cut at {cut}");
            drop(cached);
            let cached = Cached::in_file(client(&[]), &path).unwrap();
            assert_eq!(ask(&cached, 1).await, "one");
            assert_eq!(ask(&cached, 2).await, second, "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_keeps_usage_but_no_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let cached = Cached::in_file(client(&["one"]), &path).unwrap();
        ask(&cached, 1).await;
        let response = cached.complete(&request().with_seed(1)).await.unwrap();
        assert_eq!(response.usage, Usage::new(3, 4));
        assert!(
            !std::fs::read_to_string(&path)
                .unwrap()
                .contains("a question")
        );
        assert!(!format!("{cached:?}").contains("one\""));
    }

    #[test]
    fn another_file_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "notes\n").unwrap();
        let error = Cached::in_file(client(&[]), &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes\n");
    }
}
