//! How entries become bodies of frames, and back.
//!
//! An answer is a few numbers, JSON of what is rarely there or may be added later, and its text as it is; what is the same
//! for many answers is written once and then by number. All other entries are rare and are JSON.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::frame::{LONGEST_BODY, put_frame, put_number, take_number};
use crate::counts::is_zero;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::entry::kept_attempts;
use crate::journal::{Answer, CallNote, CallOf, Entry, PromptChoice};
use crate::llm::price::Usd;
use crate::llm::{Attempt, ChatResponse, FinishReason, OutputMode, UnconfirmedCost, Usage};
use crate::schema::Dialect;

/// The high bit of the first byte of a body: a write began here, so everything before it was on the disk, where
/// the journal waits for the disk at all.
pub(super) const STARTS_GROUP: u8 = 0x80;

/// The other bits: an entry as JSON.
const JSON: u8 = b'J';
/// An answer.
const ANSWER: u8 = b'C';
/// An answer of version 1.
const ANSWER_1: u8 = b'A';
/// The same with counts of cached and reasoning tokens.
const DETAILED_ANSWER_1: u8 = b'D';
/// The same with these counts, and with what calls of unknown cost can have used.
const UNCERTAIN_ANSWER_1: u8 = b'U';
/// A call that is about to be sent: no entry, but read as one.
const CALL: u8 = b'N';
/// No entry: the journal was closed here.
const SEAL: u8 = b'S';

/// The most of them that are remembered, in case a server names itself otherwise in each answer.
const MOST_METAS: usize = 1024;

/// How an answer came about, as far as it is the same for many answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct AnswerMeta {
    model: String,
    #[serde(default, alias = "served_by", skip_serializing_if = "Option::is_none")]
    provider_model: Option<String>,
    finish_reason: FinishReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<(OutputMode, Dialect)>,
    /// Of version 1.
    #[serde(default, skip_serializing)]
    failed_calls: Vec<ErrorKind>,
}

/// What else is known of an answer. A reader leaves out what it does not know, so fields may be added.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct AnswerDetails {
    #[serde(skip_serializing_if = "is_zero")]
    cached_input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    reasoning_tokens: u64,
    #[serde(flatten)]
    prompt: PromptChoice,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
}

/// Whether a byte can be the first of a body.
pub(super) fn is_kind(byte: u8) -> bool {
    matches!(byte & !STARTS_GROUP, JSON | SEAL | CALL) || is_answer(byte & !STARTS_GROUP)
}

fn is_answer(kind: u8) -> bool {
    matches!(
        kind,
        ANSWER | ANSWER_1 | DETAILED_ANSWER_1 | UNCERTAIN_ANSWER_1
    )
}

/// Writes entries as frames, each knowing where it will be in the file.
#[derive(Debug)]
pub(super) struct Encoder {
    metas: HashMap<AnswerMeta, u64>,
    /// Where the next frame begins.
    offset: u64,
    body: Vec<u8>,
    /// Whether the write before the next one does not wait for the disk.
    is_behind_notes: bool,
}

impl Encoder {
    /// Creates an encoder that goes on where a decoder ended.
    pub(super) fn new(decoder: Decoder, offset: u64) -> Self {
        let metas = decoder.metas.into_iter().take(MOST_METAS);
        let metas = metas.zip(1..).collect();
        Self {
            metas,
            offset,
            body: Vec::new(),
            is_behind_notes: false,
        }
    }

    /// Says whether the write that was taken last is of notes alone, which do not wait for the disk.
    pub(super) fn is_behind_notes(&mut self, is_behind: bool) {
        self.is_behind_notes = is_behind;
    }

    /// Appends an entry to `bytes`, which are empty where a write begins.
    pub(super) fn encode(&mut self, entry: Entry, bytes: &mut Vec<u8>) -> Result<()> {
        self.body.clear();
        match entry {
            Entry::Answered(answer) => self.answer(answer)?,
            Entry::Called(note) => put_note(&mut self.body, &note),
            entry => {
                self.body.push(JSON);
                write_json(&mut self.body, &entry)?;
            }
        }
        if self.body.len() > LONGEST_BODY {
            return Err(Error::new(
                ErrorKind::Journal,
                format!("an entry is over {LONGEST_BODY} bytes long"),
            ));
        }
        self.frame(bytes);
        Ok(())
    }

    /// Appends the mark of a journal that was closed.
    pub(super) fn seal(&mut self, bytes: &mut Vec<u8>) {
        self.body.clear();
        self.body.push(SEAL);
        self.frame(bytes);
    }

    fn frame(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() && !self.is_behind_notes {
            self.body[0] |= STARTS_GROUP;
        }
        let before = bytes.len();
        put_frame(bytes, self.offset, &self.body);
        self.offset += (bytes.len() - before) as u64;
        // One entry of a rare size does not keep its room forever.
        self.body.clear();
        self.body.shrink_to(1 << 20);
    }

    fn answer(&mut self, answer: Answer) -> Result<()> {
        // In full, so that a field added later cannot be left out of the journal unnoticed.
        let Answer {
            task,
            topic,
            wanted,
            round,
            model,
            response:
                ChatResponse {
                    text,
                    usage:
                        Usage {
                            input_tokens,
                            output_tokens,
                            cached_input_tokens,
                            cache_write_tokens,
                            reasoning_tokens,
                        },
                    finish_reason,
                    provider_model,
                    asked,
                    backend: _,
                    rate: _,
                },
            prompt,
            attempts,
        } = answer;
        let details = AnswerDetails {
            cached_input_tokens,
            cache_write_tokens,
            reasoning_tokens,
            prompt,
            attempts,
        };
        let body = &mut self.body;
        body.push(ANSWER);
        let meta = AnswerMeta {
            model,
            provider_model,
            finish_reason,
            asked,
            failed_calls: Vec::new(),
        };
        if let Some(number) = self.metas.get(&meta) {
            put_number(body, *number);
        } else {
            put_number(body, 0);
            let json = to_json(&meta)?;
            put_number(body, json.len() as u64);
            body.extend_from_slice(&json);
            if self.metas.len() < MOST_METAS {
                let number = self.metas.len() as u64 + 1;
                self.metas.insert(meta, number);
            }
        }
        for number in [
            task,
            topic as u64,
            wanted,
            u64::from(round),
            input_tokens,
            output_tokens,
        ] {
            put_number(body, number);
        }
        if details == AnswerDetails::default() {
            put_number(body, 0);
        } else {
            let json = to_json(&details)?;
            put_number(body, json.len() as u64);
            body.extend_from_slice(&json);
        }
        body.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn put_note(body: &mut Vec<u8>, note: &CallNote) {
    let (kind, call) = match note.of {
        CallOf::Task(task) => (0, task),
        CallOf::Topics(seed) => (1, seed),
        CallOf::Embeddings(call) => (2, call),
        CallOf::Filters(seed) => (3, seed),
    };
    let UnconfirmedCost {
        calls,
        tokens,
        cost,
        ..
    } = note.most;
    body.push(CALL);
    for number in [kind, call, calls, tokens, cost.nano()] {
        put_number(body, number);
    }
}

fn read_note(mut rest: &[u8]) -> Option<Entry> {
    let mut number = || take_number(&mut rest);
    let of = match number()? {
        0 => CallOf::Task(number()?),
        1 => CallOf::Topics(number()?),
        2 => CallOf::Embeddings(number()?),
        3 => CallOf::Filters(number()?),
        _ => return None,
    };
    let most = UnconfirmedCost::new(number()?, number()?, Usd::from_nano(number()?));
    rest.is_empty()
        .then(|| Entry::Called(CallNote::new(of, most)))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    write_json(&mut json, value)?;
    Ok(json)
}

fn write_json(bytes: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(bytes, value).map_err(|error| {
        Error::new(ErrorKind::Journal, "an entry does not serialise").with_source(error)
    })
}

/// Reads bodies as entries. Each body has to pass through it, in order, since later ones refer to earlier ones.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    metas: Vec<AnswerMeta>,
}

/// Why a body whose checksum is right is no entry.
pub(super) struct NotAnEntry;

impl Decoder {
    /// Returns the entry, or `None` for a mark that is none.
    pub(super) fn decode(&mut self, body: &[u8]) -> Result<Option<Entry>, NotAnEntry> {
        let (kind, mut rest) = split(body)?;
        match kind {
            SEAL => Ok(None),
            CALL => read_note(rest).map(Some).ok_or(NotAnEntry),
            JSON => serde_json::from_slice(rest)
                .map(Some)
                .map_err(|_| NotAnEntry),
            kind if is_answer(kind) => {
                let meta = self.meta(&mut rest)?.clone();
                let answer = read_answer(meta, kind, rest);
                answer
                    .map(|answer| Some(Entry::Answered(answer)))
                    .ok_or(NotAnEntry)
            }
            _ => Err(NotAnEntry),
        }
    }

    /// Returns the JSON of an entry that starts a run, or has it go on with another input.
    pub(super) fn start(body: &[u8]) -> Option<&[u8]> {
        let (kind, json) = split(body).ok()?;
        (kind == JSON && json.starts_with(b"{\"started\"")).then_some(json)
    }

    /// Takes notice of what later bodies refer to, and returns whether the body is an entry with a number.
    pub(super) fn skim(&mut self, body: &[u8]) -> Result<bool, NotAnEntry> {
        let (kind, mut rest) = split(body)?;
        if is_answer(kind) {
            self.meta(&mut rest)?;
        }
        Ok(!matches!(kind, SEAL | CALL))
    }

    fn meta(&mut self, rest: &mut &[u8]) -> Result<&AnswerMeta, NotAnEntry> {
        let number = take_number(rest).ok_or(NotAnEntry)?;
        let index = match usize::try_from(number).map_err(|_| NotAnEntry)? {
            0 => {
                let json = take_json(rest).ok_or(NotAnEntry)?;
                // Beyond the limit the last place serves again and again; no number refers to it.
                self.metas.truncate(MOST_METAS);
                self.metas
                    .push(serde_json::from_slice(json).map_err(|_| NotAnEntry)?);
                self.metas.len() - 1
            }
            number if number <= MOST_METAS => number - 1,
            _ => return Err(NotAnEntry),
        };
        self.metas.get(index).ok_or(NotAnEntry)
    }
}

fn split(body: &[u8]) -> Result<(u8, &[u8]), NotAnEntry> {
    let (kind, rest) = body.split_first().ok_or(NotAnEntry)?;
    Ok((kind & !STARTS_GROUP, rest))
}

fn take_json<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (json, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(json)
}

fn read_answer(meta: AnswerMeta, kind: u8, mut rest: &[u8]) -> Option<Answer> {
    let mut number = || take_number(&mut rest);
    let task = number()?;
    let topic = usize::try_from(number()?).ok()?;
    let wanted = number()?;
    let round = u32::try_from(number()?).ok()?;
    let (input_tokens, output_tokens) = (number()?, number()?);
    let details = if kind == ANSWER {
        match take_json(&mut rest)? {
            [] => AnswerDetails::default(),
            json => serde_json::from_slice(json).ok()?,
        }
    } else {
        details_1(kind, meta.failed_calls, &mut rest)?
    };
    Some(Answer {
        task,
        topic,
        wanted,
        round,
        model: meta.model,
        prompt: details.prompt,
        response: ChatResponse {
            text: String::from_utf8(rest.to_vec()).ok()?,
            usage: Usage {
                input_tokens,
                output_tokens,
                cached_input_tokens: details.cached_input_tokens,
                cache_write_tokens: details.cache_write_tokens,
                reasoning_tokens: details.reasoning_tokens,
            },
            finish_reason: meta.finish_reason,
            provider_model: meta.provider_model,
            asked: meta.asked,
            backend: None,
            rate: None,
        },
        attempts: details.attempts,
    })
}

fn details_1(kind: u8, failed: Vec<ErrorKind>, rest: &mut &[u8]) -> Option<AnswerDetails> {
    let mut number = || take_number(rest);
    let mut details = AnswerDetails::default();
    if kind != ANSWER_1 {
        details.cached_input_tokens = number()?;
        details.cache_write_tokens = number()?;
        details.reasoning_tokens = number()?;
    }
    let unconfirmed = if kind == UNCERTAIN_ANSWER_1 {
        UnconfirmedCost::new(number()?, number()?, Usd::from_nano(number()?))
    } else {
        UnconfirmedCost::default()
    };
    details.attempts = kept_attempts::of_version_1(failed, unconfirmed);
    Some(details)
}
