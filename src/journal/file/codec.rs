//! How entries become bodies of frames, and back.
//!
//! An answer is a few numbers and its text as it is; how it came about is written once and then by number. All
//! other entries are rare and are JSON.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::frame::{LONGEST_BODY, put_frame, put_number, take_number};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Answer, Entry};
use crate::llm::layers::Uncertain;
use crate::llm::price::Usd;
use crate::llm::{ChatResponse, FinishReason, OutputMode, Usage};
use crate::schema::Dialect;

/// The high bit of the first byte of a body: a write began here, so everything before it was on the disk, where
/// the journal waits for the disk at all.
pub(super) const STARTS_GROUP: u8 = 0x80;

/// The other bits: an entry as JSON.
const JSON: u8 = b'J';
/// An answer.
const ANSWER: u8 = b'A';
/// An answer with counts of cached and reasoning tokens.
const DETAILED_ANSWER: u8 = b'D';
/// An answer with these counts, and with what calls of unknown cost can have used.
const UNCERTAIN_ANSWER: u8 = b'U';
/// No entry: the journal was closed here.
const SEAL: u8 = b'S';

/// The most manners that are remembered, in case a server names itself otherwise in each answer.
const MOST_MANNERS: usize = 1024;

/// How an answer came about, which is the same for many answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Manner {
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
    finish_reason: FinishReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<(OutputMode, Dialect)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed_calls: Vec<ErrorKind>,
}

/// Whether a byte can be the first of a body.
pub(super) fn is_kind(byte: u8) -> bool {
    matches!(byte & !STARTS_GROUP, JSON | SEAL) || is_answer(byte & !STARTS_GROUP)
}

fn is_answer(kind: u8) -> bool {
    matches!(kind, ANSWER | DETAILED_ANSWER | UNCERTAIN_ANSWER)
}

/// Writes entries as frames, each knowing where it will be in the file.
#[derive(Debug)]
pub(super) struct Encoder {
    manners: HashMap<Manner, u64>,
    /// Where the next frame begins.
    offset: u64,
    body: Vec<u8>,
}

impl Encoder {
    /// Creates an encoder that goes on where a decoder ended.
    pub(super) fn new(decoder: Decoder, offset: u64) -> Self {
        let manners = decoder.manners.into_iter().take(MOST_MANNERS);
        let manners = manners.zip(1..).collect();
        Self {
            manners,
            offset,
            body: Vec::new(),
        }
    }

    /// Appends an entry to `bytes`, which are empty where a write begins.
    pub(super) fn encode(&mut self, entry: Entry, bytes: &mut Vec<u8>) -> Result<()> {
        self.body.clear();
        match entry {
            Entry::Answered(answer) => self.answer(answer)?,
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
        if bytes.is_empty() {
            self.body[0] |= STARTS_GROUP;
        }
        let before = bytes.len();
        put_frame(bytes, self.offset, &self.body);
        self.offset += (bytes.len() - before) as u64;
        // One entry of a rare size does not keep its room for good.
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
                    served_by,
                    asked,
                    answered_by: _,
                    rate: _,
                },
            failed_calls,
            uncertain,
        } = answer;
        let details = [cached_input_tokens, cache_write_tokens, reasoning_tokens];
        let kind = if !uncertain.is_none() {
            UNCERTAIN_ANSWER
        } else if details.iter().any(|count| *count > 0) {
            DETAILED_ANSWER
        } else {
            ANSWER
        };
        let body = &mut self.body;
        body.push(kind);
        let manner = Manner {
            model,
            served_by,
            finish_reason,
            asked,
            failed_calls,
        };
        if let Some(number) = self.manners.get(&manner) {
            put_number(body, *number);
        } else {
            put_number(body, 0);
            let json = to_json(&manner)?;
            put_number(body, json.len() as u64);
            body.extend_from_slice(&json);
            if self.manners.len() < MOST_MANNERS {
                let number = self.manners.len() as u64 + 1;
                self.manners.insert(manner, number);
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
        if kind != ANSWER {
            for count in details {
                put_number(body, count);
            }
        }
        if kind == UNCERTAIN_ANSWER {
            let Uncertain {
                calls,
                tokens,
                cost,
                ..
            } = uncertain;
            for number in [calls, tokens, cost.nano()] {
                put_number(body, number);
            }
        }
        body.extend_from_slice(text.as_bytes());
        Ok(())
    }
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
    manners: Vec<Manner>,
}

/// Why a body whose checksum is right is no entry.
pub(super) struct NotAnEntry;

impl Decoder {
    /// Returns the entry, or `None` for a mark that is none.
    pub(super) fn decode(&mut self, body: &[u8]) -> Result<Option<Entry>, NotAnEntry> {
        let (kind, mut rest) = split(body)?;
        match kind {
            SEAL => Ok(None),
            JSON => serde_json::from_slice(rest)
                .map(Some)
                .map_err(|_| NotAnEntry),
            kind if is_answer(kind) => {
                let manner = self.manner(&mut rest)?.clone();
                let answer = read_answer(manner, kind, rest);
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

    /// Takes notice of what later bodies refer to, and returns whether the body is an entry.
    pub(super) fn skim(&mut self, body: &[u8]) -> Result<bool, NotAnEntry> {
        let (kind, mut rest) = split(body)?;
        if is_answer(kind) {
            self.manner(&mut rest)?;
        }
        Ok(kind != SEAL)
    }

    fn manner(&mut self, rest: &mut &[u8]) -> Result<&Manner, NotAnEntry> {
        let number = take_number(rest).ok_or(NotAnEntry)?;
        let index = match usize::try_from(number).map_err(|_| NotAnEntry)? {
            0 => {
                let length = take_number(rest).ok_or(NotAnEntry)?;
                let length = usize::try_from(length).map_err(|_| NotAnEntry)?;
                let (json, after) = rest.split_at_checked(length).ok_or(NotAnEntry)?;
                *rest = after;
                // Beyond the limit the last place serves again and again; no number refers to it.
                self.manners.truncate(MOST_MANNERS);
                self.manners
                    .push(serde_json::from_slice(json).map_err(|_| NotAnEntry)?);
                self.manners.len() - 1
            }
            number if number <= MOST_MANNERS => number - 1,
            _ => return Err(NotAnEntry),
        };
        self.manners.get(index).ok_or(NotAnEntry)
    }
}

fn split(body: &[u8]) -> Result<(u8, &[u8]), NotAnEntry> {
    let (kind, rest) = body.split_first().ok_or(NotAnEntry)?;
    Ok((kind & !STARTS_GROUP, rest))
}

fn read_answer(manner: Manner, kind: u8, mut rest: &[u8]) -> Option<Answer> {
    let mut number = || take_number(&mut rest);
    let task = number()?;
    let topic = usize::try_from(number()?).ok()?;
    let wanted = number()?;
    let round = u32::try_from(number()?).ok()?;
    let mut usage = Usage::new(number()?, number()?);
    if kind != ANSWER {
        usage.cached_input_tokens = number()?;
        usage.cache_write_tokens = number()?;
        usage.reasoning_tokens = number()?;
    }
    let uncertain = if kind == UNCERTAIN_ANSWER {
        Uncertain::new(number()?, number()?, Usd::from_nano(number()?))
    } else {
        Uncertain::default()
    };
    Some(Answer {
        task,
        topic,
        wanted,
        round,
        model: manner.model,
        response: ChatResponse {
            text: String::from_utf8(rest.to_vec()).ok()?,
            usage,
            finish_reason: manner.finish_reason,
            served_by: manner.served_by,
            asked: manner.asked,
            answered_by: None,
            rate: None,
        },
        failed_calls: manner.failed_calls,
        uncertain,
    })
}
