//! The tolerant reader: one JSON value out of text that may be broken.
//!
//! A machine with an explicit stack, so that no nesting can overflow it. It moves forward only, each byte
//! being read once but for look-aheads of bounded length. Where the text stops or makes no sense, the machine stops
//! too and hands back what it has, saying which objects and arrays were still open.

use std::ops::Range;

use serde_json::{Map, Value};

use super::text::Role;
use super::{Limits, Mend, Mends, Shape};

/// A value found in an answer.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) value: Value,
    /// How many levels were still open at the end: the value itself, its last child, that one's last child...
    pub(super) open: usize,
    pub(super) end: End,
    pub(super) span: Range<usize>,
    pub(super) mends: Mends,
    /// Whether a key of the record was seen in it.
    pub(super) serious: bool,
    /// Where the record that did not end starts, and how many levels from its own inwards were open.
    pub(super) record: Option<(usize, usize)>,
    /// Objects left out because their keys start over without a whole record on either side.
    pub(super) dropped: usize,
}

/// How the reading of a value ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At its last bracket.
    Whole,
    /// At the end of the text.
    Cut,
    /// Where going on would be guessing, inside something that is JSON.
    Broken,
    /// Where going on would be guessing, in brackets that are no JSON so far, such as a footnote mark.
    NotJson,
    /// At the limit of depth.
    TooDeep,
    /// At the limit of values.
    TooMany,
}

/// Reads the value that starts with the bracket at `start`, or with a key whose brace is missing.
pub(super) fn read(
    text: &str,
    start: usize,
    shape: &Shape,
    limits: &Limits,
    values_left: &mut usize,
    stack: &mut Vec<Frame>,
) -> Found {
    let mut machine = Machine {
        text,
        bytes: text.as_bytes(),
        pos: start,
        shape,
        frames: std::mem::take(stack),
        mends: Mends::default(),
        max_depth: limits.max_depth,
        values_left: *values_left,
        firm: false,
        ellipsis: false,
        pairs: 0,
        known: false,
        record: None,
        dropped: 0,
        state: State::Value,
    };
    // At a key, its brace is missing.
    if machine.quote_at(start).is_some() && machine.open_object(0).is_ok() {
        machine.mend(Mend::MissingOpen);
    }
    let (value, open, end) = machine.run();
    *values_left = machine.values_left;
    machine.frames.clear();
    *stack = machine.frames;
    Found {
        value,
        open,
        end,
        span: start..machine.pos,
        mends: machine.mends,
        serious: machine.known || shape.is_open(),
        record: machine.record,
        dropped: machine.dropped,
    }
}

pub(super) type Step<T = ()> = Result<T, End>;

pub(super) enum Frame {
    Array(Vec<Value>),
    Object(Object),
}

#[derive(Default)]
pub(super) struct Object {
    /// Where its brace stands.
    pub(super) start: usize,
    pub(super) map: Map<String, Value>,
    pub(super) key: Option<String>,
    /// Whether the first key had no quotes, so that others may have none either.
    pub(super) bare_keys: bool,
    /// Whether an ellipsis stands for members that are not there.
    pub(super) hole: bool,
    /// Records that were closed because the keys started over.
    pub(super) split: Vec<Map<String, Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A value must come.
    Value,
    /// An element may come, or the end of the array.
    Element,
    /// A key may come, or the end of the object. Says whether a comma came before.
    Key { comma: bool },
    /// A value came.
    After,
}

pub(super) struct Machine<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    pub(super) shape: &'a Shape,
    pub(super) frames: Vec<Frame>,
    pub(super) mends: Mends,
    max_depth: usize,
    values_left: usize,
    /// Whether the last value's end is beyond doubt even if the text ends right after it.
    pub(super) firm: bool,
    pub(super) ellipsis: bool,
    /// Members read so far: with one, the brackets are no mere punctuation of prose.
    pub(super) pairs: usize,
    /// Whether a key of the record was read.
    pub(super) known: bool,
    pub(super) record: Option<(usize, usize)>,
    pub(super) dropped: usize,
    pub(super) state: State,
}

impl Machine<'_> {
    fn run(&mut self) -> (Value, usize, End) {
        loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(value)) => return (value, 0, End::Whole),
                Err(end) => return self.unwind(end),
            }
        }
    }

    fn step(&mut self) -> Step<Option<Value>> {
        self.skip_trivia();
        match self.state {
            State::Value => self.value(),
            State::Element => self.element(),
            State::Key { comma } => self.key(comma),
            State::After => self.after(),
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    pub(super) fn mend(&mut self, mend: Mend) {
        self.mends.add(mend);
    }

    pub(super) fn broken(&self) -> End {
        if self.pairs == 0 && !self.known && self.frames.len() <= 2 {
            End::NotJson
        } else {
            End::Broken
        }
    }

    fn value(&mut self) -> Step<Option<Value>> {
        let Some(byte) = self.peek() else {
            return Err(End::Cut);
        };
        if self.values_left == 0 {
            return Err(End::TooMany);
        }
        if matches!(self.frames.last(), Some(Frame::Array(_)))
            && let Some(start) = self.record_after_words(self.pos)
        {
            self.mend(Mend::StrayText);
            self.pos = start;
        }
        if self.member_in_list() {
            return self.open_or_close_for_member();
        }
        self.values_left -= 1;
        if let Some(bracket) = self.bracket(self.pos) {
            match bracket {
                (b'{', length) => {
                    self.open_object(length)?;
                    return Ok(None);
                }
                (b'[', length) => {
                    self.open(Frame::Array(Vec::new()), length)?;
                    self.state = State::Element;
                    return Ok(None);
                }
                _ => return Err(self.broken()),
            }
        }
        let value = if self.quote_at(self.pos).is_some() {
            let role = match self.frames.last() {
                Some(Frame::Object(_)) => Role::Member,
                _ => Role::Element,
            };
            Value::String(self.string(role)?)
        } else if byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.') {
            self.number()?
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            self.word()?
        } else {
            self.bare_text()?
        };
        self.complete(value);
        Ok(None)
    }

    /// Whether `"key":` stands where an element of an array would.
    fn member_in_list(&self) -> bool {
        let may_be = match self.frames.last() {
            Some(Frame::Array(items)) => items
                .last()
                .is_none_or(|item| item.is_object() || self.parent_is_object()),
            _ => false,
        };
        may_be && self.member_at(self.pos)
    }

    /// Opens the record whose brace is missing, or closes the list whose bracket is.
    fn open_or_close_for_member(&mut self) -> Step<Option<Value>> {
        if let (Some(Frame::Object(around)), Some(key)) = (self.parent(), self.key_text(self.pos))
            && self.shape.overlap(&around.map) > 0
            && !around.map.contains_key(key)
        {
            self.mend(Mend::MissingClose);
            let closed = self.close_array();
            self.state = State::Key { comma: true };
            return closed;
        }
        self.mend(Mend::MissingOpen);
        self.open_object(0)?;
        Ok(None)
    }

    /// Returns where the record starts that words, a number or a dash stand before on its line.
    pub(super) fn record_after_words(&self, from: usize) -> Option<usize> {
        let first = *self.bytes.get(from)?;
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b" .:#)'-".contains(byte);
        if !(first.is_ascii_alphanumeric() || first == b'-') {
            return None;
        }
        let at = from
            + self.bytes[from..]
                .iter()
                .take(80)
                .take_while(is_word)
                .count();
        (self.bytes.get(at) == Some(&b'{') && self.record_starts(at)).then_some(at)
    }

    fn open_object(&mut self, length: usize) -> Step {
        let start = self.pos;
        self.open(
            Frame::Object(Object {
                start,
                ..Object::default()
            }),
            length,
        )?;
        self.state = State::Key { comma: false };
        Ok(())
    }

    fn open(&mut self, frame: Frame, length: usize) -> Step {
        if self.frames.len() >= self.max_depth {
            return Err(End::TooDeep);
        }
        if length > 1 {
            self.mend(Mend::FullWidthPunctuation);
        }
        self.pos += length;
        self.frames.push(frame);
        Ok(())
    }

    fn element(&mut self) -> Step<Option<Value>> {
        match self.mark(self.pos) {
            Some((b']', _)) => {
                self.state = State::After;
                Ok(None)
            }
            Some((b',', length)) => {
                self.pos += length;
                self.mend(Mend::ExtraComma);
                Ok(None)
            }
            _ => self.value(),
        }
    }

    fn key(&mut self, comma: bool) -> Step<Option<Value>> {
        let Some(byte) = self.peek() else {
            return Err(End::Cut);
        };
        match self.mark(self.pos) {
            Some((b'}', _)) => {
                if comma {
                    self.mend(Mend::ExtraComma);
                }
                self.state = State::After;
                return Ok(None);
            }
            Some((b',', length)) => {
                self.pos += length;
                self.mend(Mend::ExtraComma);
                return Ok(None);
            }
            // `{"a": 1, {"a": 2}`: the brace before the comma is missing.
            Some((b'{', _)) if comma && self.is_element() && self.top_is_filled() => {
                self.mend(Mend::MissingClose);
                let closed = self.close_object();
                self.state = State::Value;
                return closed;
            }
            // A symbol of Ruby, or bold.
            _ if matches!(byte, b':' | b'*') => {
                self.pos += 1;
                self.mend(Mend::StrayText);
                return Ok(None);
            }
            _ => {}
        }
        let (key, mut quoted) = if self.quote_at(self.pos).is_some() {
            (self.string(Role::Key)?, true)
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80 {
            (self.bare_key()?, false)
        } else {
            return Err(self.broken());
        };
        let known = self.shape.recognises(&key);
        self.known |= known;
        if known && !quoted && self.peek() == Some(b'"') {
            self.pos += 1;
            self.mend(Mend::MissingQuote);
            quoted = true;
        }
        while self.peek() == Some(b'*') {
            self.pos += 1;
            self.mend(Mend::StrayText);
        }
        self.skip_trivia();
        match self.colon(self.pos) {
            Some((length, mend)) => {
                self.pos += length;
                mend.into_iter().for_each(|mend| self.mend(mend));
                while let Some((length, _)) = self.colon(self.pos) {
                    self.pos += length;
                    self.mend(Mend::StrayText);
                }
            }
            _ if self.pos >= self.bytes.len() => return Err(End::Cut),
            _ if quoted && known && self.starts_value() => {
                self.mend(Mend::MissingColon);
            }
            _ if !quoted && self.pairs > 0 && self.words_before_key(self.pos) => {
                self.mend(Mend::StrayText);
                return Ok(None);
            }
            _ => return Err(self.broken()),
        }
        if !quoted {
            self.mend(Mend::UnquotedKey);
        }
        let key = self.bare_of_invisibles(key);
        if let Some(Frame::Object(object)) = self.frames.last_mut() {
            object.bare_keys |= !quoted;
            object.key = Some(key);
        }
        self.state = State::Value;
        Ok(None)
    }

    fn after(&mut self) -> Step<Option<Value>> {
        let Some(byte) = self.peek() else {
            return Err(End::Cut);
        };
        let in_object = matches!(self.frames.last(), Some(Frame::Object(_)));
        match self.mark(self.pos) {
            Some((b',', length)) => {
                if length > 1 {
                    self.mend(Mend::FullWidthPunctuation);
                }
                self.pos += length;
                self.state = if in_object {
                    State::Key { comma: true }
                } else {
                    self.after_comma()
                };
                Ok(None)
            }
            // `{"a": 1}, "b": 2}`: a brace too early.
            Some((b'}', length)) if in_object && self.member_goes_on(self.pos + length) => {
                self.pos += length;
                self.mend(Mend::ExtraClose);
                Ok(None)
            }
            Some((b'}', length)) if in_object => {
                self.pos += length;
                if length > 1 {
                    self.mend(Mend::FullWidthPunctuation);
                }
                self.close_object()
            }
            Some((b']', length)) if !in_object => {
                self.pos += length;
                if length > 1 {
                    self.mend(Mend::FullWidthPunctuation);
                }
                self.close_array()
            }
            Some((b']', length)) if self.is_element() && self.top_is_filled() => {
                self.mend(Mend::MissingClose);
                // A bracket where a brace belongs, if another record follows.
                if self.frames.len() > 1 && self.record_follows(self.pos + length) {
                    self.pos += length;
                }
                self.close_object()
            }
            Some((b'}', length)) if !in_object => self.stray_brace(length),
            Some((b'{', _)) if in_object => {
                if self.is_element() && self.top_is_filled() {
                    self.mend(Mend::MissingClose);
                    return self.close_object();
                }
                Err(self.broken())
            }
            Some((b';', length)) => {
                self.pos += length;
                self.mend(Mend::ExtraComma);
                Ok(None)
            }
            _ if self.firm && self.stray_quote(self.pos) => {
                self.pos += 1;
                self.mend(Mend::StrayText);
                Ok(None)
            }
            _ if matches!(byte, b'.' | b'|') && in_object => {
                self.pos += 1;
                self.mend(Mend::MissingComma);
                self.state = State::Key { comma: true };
                Ok(None)
            }
            _ if self.at_fence(self.pos) => self.close_at_fence(in_object),
            _ if self.starts_member(in_object, byte) => {
                self.mend(Mend::MissingComma);
                self.state = if in_object {
                    State::Key { comma: false }
                } else {
                    State::Value
                };
                Ok(None)
            }
            _ => Err(self.broken()),
        }
    }

    /// Eats further commas after one in an array, and a comma before the end.
    fn after_comma(&mut self) -> State {
        self.state = State::Element;
        self.skip_trivia();
        while let Some((b',', length)) = self.mark(self.pos) {
            self.pos += length;
            self.mend(Mend::ExtraComma);
            self.skip_trivia();
        }
        if let Some((b']', _)) = self.mark(self.pos) {
            self.mend(Mend::ExtraComma);
            return State::After;
        }
        State::Value
    }

    fn starts_member(&self, in_object: bool, byte: u8) -> bool {
        if in_object {
            self.quote_at(self.pos).is_some() || self.bare_key_known(self.pos)
        } else {
            self.starts_value() && !(byte.is_ascii_alphabetic())
        }
    }

    pub(super) fn starts_value(&self) -> bool {
        let Some(byte) = self.peek() else {
            return false;
        };
        self.quote_at(self.pos).is_some()
            || matches!(self.bracket(self.pos), Some((b'{' | b'[', _)))
            || byte.is_ascii_alphanumeric()
            || byte == b'-'
    }

    pub(super) fn top_object(&self) -> Option<&Object> {
        match self.frames.last() {
            Some(Frame::Object(object)) => Some(object),
            _ => None,
        }
    }

    pub(super) fn top_is_filled(&self) -> bool {
        self.top_object()
            .is_some_and(|object| self.shape.is_filled(&object.map))
    }

    /// Whether the innermost object is an element of an array, or stands alone.
    pub(super) fn is_element(&self) -> bool {
        !self.parent_is_object()
    }

    pub(super) fn parent(&self) -> Option<&Frame> {
        self.frames.len().checked_sub(2).map(|at| &self.frames[at])
    }

    pub(super) fn parent_is_object(&self) -> bool {
        matches!(self.parent(), Some(Frame::Object(_)))
    }
}
