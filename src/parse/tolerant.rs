//! The tolerant reader: one JSON value out of text that may be broken.
//!
//! A machine with an explicit stack, so that no nesting can overflow it. It moves forward only, each byte
//! being read once but for look-aheads of bounded length. Where the text stops or makes no sense, the machine stops
//! too and hands back what it has, saying which objects and arrays were still open.

use std::ops::Range;

use serde_json::{Map, Value};

use super::text::Role;
use super::{Limits, Mend, Mends, Shape, scalar};

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

/// Reads the value that starts with the bracket at `start`.
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
    start: usize,
    pub(super) map: Map<String, Value>,
    key: Option<String>,
    /// Whether the first key had no quotes, so that others may have none either.
    pub(super) bare_keys: bool,
    /// Whether an ellipsis stands for members that are not there.
    hole: bool,
    /// Records that were closed because the keys started over.
    split: Vec<Map<String, Value>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
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
    ellipsis: bool,
    /// Members read so far: with one, the brackets are no mere punctuation of prose.
    pairs: usize,
    /// Whether a key of the record was read.
    known: bool,
    record: Option<(usize, usize)>,
    dropped: usize,
    state: State,
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

    fn broken(&self) -> End {
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
        self.values_left -= 1;
        if let Some(bracket) = self.bracket(self.pos) {
            match bracket {
                (b'{', length) => {
                    let object = Object {
                        start: self.pos,
                        ..Object::default()
                    };
                    self.open(Frame::Object(object), length)?;
                    self.state = State::Key { comma: false };
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
            return Err(self.broken());
        };
        self.complete(value);
        Ok(None)
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
            _ => {}
        }
        let (key, quoted) = if self.quote_at(self.pos).is_some() {
            (self.string(Role::Key)?, true)
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80 {
            (self.bare_key()?, false)
        } else {
            return Err(self.broken());
        };
        self.known |= self.shape.knows(&key);
        self.skip_trivia();
        match self.mark(self.pos) {
            Some((b':', length)) => {
                if length > 1 {
                    self.mend(Mend::FullWidthPunctuation);
                }
                self.pos += length;
            }
            _ if self.bytes[self.pos..].starts_with(b"=>") => {
                self.pos += 2;
                self.mend(Mend::MissingColon);
            }
            _ if self.pos >= self.bytes.len() => return Err(End::Cut),
            _ if quoted && self.shape.knows(&key) && self.starts_value() => {
                self.mend(Mend::MissingColon);
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
            Some((b']', _)) if self.is_element() && self.top_is_filled() => {
                self.mend(Mend::MissingClose);
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

    fn starts_value(&self) -> bool {
        let Some(byte) = self.peek() else {
            return false;
        };
        self.quote_at(self.pos).is_some()
            || matches!(self.bracket(self.pos), Some((b'{' | b'[', _)))
            || byte.is_ascii_alphanumeric()
            || byte == b'-'
    }

    /// A brace in an array: one too many after an element, or the end of the object around, the array's own
    /// bracket being missing.
    fn stray_brace(&mut self, length: usize) -> Step<Option<Value>> {
        let Some(Frame::Array(items)) = self.frames.last() else {
            return Err(self.broken());
        };
        let after_object = items.last().is_some_and(Value::is_object);
        let next = self.look(self.pos + length, true).0;
        let goes_on = match self.mark(next) {
            Some((b',', comma)) => {
                let next = self.look(next + comma, true).0;
                matches!(self.mark(next), Some((b'{', _)))
            }
            Some((b'{' | b']', _)) => true,
            _ => false,
        };
        if after_object && goes_on {
            self.pos += length;
            self.mend(Mend::ExtraClose);
            return Ok(None);
        }
        if self.parent_is_object() {
            self.mend(Mend::MissingClose);
            return self.close_array();
        }
        Err(self.broken())
    }

    /// A closing fence ends the answer, so brackets still open were forgotten, not cut off.
    fn close_at_fence(&mut self, in_object: bool) -> Step<Option<Value>> {
        if in_object && self.pairs == 0 {
            return Err(self.broken());
        }
        self.mend(Mend::MissingClose);
        if in_object {
            self.close_object()
        } else {
            self.close_array()
        }
    }

    fn close_array(&mut self) -> Step<Option<Value>> {
        match self.frames.pop() {
            Some(Frame::Array(items)) => Ok(self.finish(Value::Array(items))),
            _ => Err(End::Broken),
        }
    }

    fn close_object(&mut self) -> Step<Option<Value>> {
        let Some(Frame::Object(object)) = self.frames.pop() else {
            return Err(End::Broken);
        };
        if object.hole {
            self.dropped += 1;
            return Ok(self.finish_dropped());
        }
        if object.split.is_empty() {
            return Ok(self.finish(Value::Object(object.map)));
        }
        let alike = object.split.iter().all(|one| {
            one.len() == object.map.len() && one.keys().all(|key| object.map.contains_key(key))
        });
        if !alike {
            self.dropped += 1;
            return Ok(self.finish_dropped());
        }
        let mut records: Vec<Value> = object.split.into_iter().map(Value::Object).collect();
        records.push(Value::Object(object.map));
        if let Some(Frame::Array(items)) = self.frames.last_mut() {
            items.append(&mut records);
            self.firm = true;
            self.state = State::After;
            return Ok(None);
        }
        Ok(self.finish(Value::Array(records)))
    }

    /// Completes a container: the whole value if none is open around it.
    fn finish(&mut self, value: Value) -> Option<Value> {
        self.firm = true;
        if self.frames.is_empty() {
            return Some(value);
        }
        self.complete(value);
        None
    }

    /// Leaves an object out: its key in an object around it goes too.
    fn finish_dropped(&mut self) -> Option<Value> {
        self.firm = true;
        self.state = State::After;
        match self.frames.last_mut() {
            None => return Some(Value::Array(Vec::new())),
            Some(Frame::Array(_)) => {}
            Some(Frame::Object(object)) => {
                object.key = None;
                object.hole = true;
            }
        }
        None
    }

    fn complete(&mut self, value: Value) {
        self.state = State::After;
        self.ellipsis = false;
        match self.frames.last_mut() {
            Some(Frame::Array(items)) => items.push(value),
            Some(Frame::Object(object)) => {
                let Some(key) = object.key.take() else {
                    return;
                };
                self.pairs += 1;
                let Some(old) = object.map.get(&key) else {
                    object.map.insert(key, value);
                    return;
                };
                let same = *old == value;
                let starts_over = object.map.len() > 1
                    && object.map.keys().next() == Some(&key)
                    && self.shape.overlap(&object.map) > 0;
                if !same && starts_over {
                    object.split.push(std::mem::take(&mut object.map));
                    object.map.insert(key, value);
                    self.mends.add(Mend::SplitObject);
                } else {
                    object.map.insert(key, value);
                    self.mends.add(Mend::DuplicateKey);
                }
            }
            None => {}
        }
    }

    /// Hands back what was read when the reading stopped. Only what is open is partial: its whole children stay.
    fn unwind(&mut self, end: End) -> (Value, usize, End) {
        let mut end = end;
        self.note_record();
        if end == End::Cut && self.state == State::After {
            // A scalar at the very end may go on; an object with every property of a record lacks only its brace.
            let ends_line = self.text[self.text.trim_end().len()..].contains('\n');
            let closes = match self.frames.last_mut() {
                Some(Frame::Array(items)) => {
                    if items
                        .last()
                        .is_some_and(|item| !item.is_object() && !item.is_array())
                    {
                        items.pop();
                    }
                    false
                }
                // After a line break nothing is left of a text that could go on.
                Some(Frame::Object(object)) => {
                    self.firm
                        && ends_line
                        && !object.hole
                        && object.split.is_empty()
                        && self.shape.is_plainly(&object.map)
                }
                None => false,
            };
            if closes && let Ok(done) = self.close_object() {
                self.mend(Mend::MissingClose);
                if let Some(value) = done {
                    return (value, 0, End::Whole);
                }
            }
        }
        if end == End::Broken {
            end = self.broken();
        }
        let mut open = 0;
        let mut partial: Option<Value> = None;
        while let Some(frame) = self.frames.pop() {
            let value = match frame {
                Frame::Array(mut items) => {
                    items.extend(partial.take());
                    Value::Array(items)
                }
                Frame::Object(mut object) => {
                    match (object.key, partial.take()) {
                        (Some(key), Some(child)) if !object.map.contains_key(&key) => {
                            object.map.insert(key, child);
                        }
                        _ => open = 0,
                    }
                    Value::Object(object.map)
                }
            };
            open += 1;
            partial = Some(value);
        }
        (partial.unwrap_or(Value::Null), open, end)
    }

    /// Remembers which of the open levels is the record that did not end, for finding the next one after it.
    fn note_record(&mut self) {
        let level = self.frames.iter().position(|frame| match frame {
            Frame::Object(object) => {
                self.shape.overlap(&object.map) > 0
                    || object.key.as_ref().is_some_and(|key| self.shape.knows(key))
            }
            Frame::Array(_) => false,
        });
        let level = level.unwrap_or(self.frames.len().saturating_sub(1));
        self.record = match self.frames.get(level) {
            Some(Frame::Object(object)) => Some((object.start, self.frames.len() - level)),
            _ => None,
        };
    }

    pub(super) fn top_object(&self) -> Option<&Object> {
        match self.frames.last() {
            Some(Frame::Object(object)) => Some(object),
            _ => None,
        }
    }

    fn top_is_filled(&self) -> bool {
        self.top_object()
            .is_some_and(|object| self.shape.is_filled(&object.map))
    }

    /// Whether the innermost object is an element of an array, or stands alone.
    fn is_element(&self) -> bool {
        !self.parent_is_object()
    }

    pub(super) fn parent(&self) -> Option<&Frame> {
        self.frames.len().checked_sub(2).map(|at| &self.frames[at])
    }

    fn parent_is_object(&self) -> bool {
        matches!(self.parent(), Some(Frame::Object(_)))
    }

    fn number(&mut self) -> Step<Value> {
        let start = self.pos;
        let mut end = start + self.token_length(start);
        if matches!(self.frames.last(), Some(Frame::Object(_))) {
            end = self.thousands(start, end);
        }
        let token = &self.text[start..end];
        if end < self.bytes.len() && !self.ends_token(end) {
            return Err(self.broken());
        }
        if end == self.bytes.len() {
            return Err(End::Cut);
        }
        let Some((value, mend)) = scalar::number(token) else {
            return Err(self.broken());
        };
        if let Some(mend) = mend {
            self.mend(mend);
        }
        self.pos = end;
        self.firm = true;
        Ok(value)
    }

    fn token_length(&self, start: usize) -> usize {
        self.bytes[start..]
            .iter()
            .take_while(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')
            })
            .count()
    }

    /// Extends digits by groups of three after commas, which inside an object can be nothing else.
    fn thousands(&self, start: usize, end: usize) -> usize {
        let digits = self.text[start..end].trim_start_matches(['+', '-']);
        if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return end;
        }
        let mut at = end;
        while let [b',', a, b, c, ..] = self.bytes[at..]
            && [a, b, c].iter().all(|byte| byte.is_ascii_digit())
            && !self.bytes.get(at + 4).is_some_and(u8::is_ascii_digit)
        {
            at += 4;
        }
        if at > end && self.bytes.get(at) == Some(&b'.') {
            at += self.token_length(at);
        }
        at
    }

    fn ends_token(&self, at: usize) -> bool {
        self.bytes[at].is_ascii_whitespace()
            || matches!(
                self.bytes[at],
                b',' | b'}' | b']' | b'/' | b'#' | b'`' | b';'
            )
            || self.mark(at).is_some()
            || self.invisible(at).is_some()
    }

    fn word(&mut self) -> Step<Value> {
        let start = self.pos;
        let end = start
            + self.bytes[start..]
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                .count();
        if end == self.bytes.len() {
            return Err(End::Cut);
        }
        if !self.ends_token(end) {
            return Err(self.broken());
        }
        let word = &self.text[start..end];
        let value = if let Some((value, mend)) = scalar::literal(word) {
            if let Some(mend) = mend {
                self.mends.add(mend);
            }
            value
        } else if matches!(self.frames.last(), Some(Frame::Object(_)))
            && word.len() <= 64
            && self.ends_member(end)
        {
            self.mends.add(Mend::UnquotedValue);
            Value::String(word.to_owned())
        } else {
            return Err(self.broken());
        };
        self.pos = end;
        self.firm = true;
        Ok(value)
    }

    /// Whether nothing more of a value can follow on this line.
    fn ends_member(&self, at: usize) -> bool {
        let (next, newline) = self.look(at, true);
        newline || matches!(self.mark(next), Some((b',' | b'}' | b']', _)))
    }

    fn bare_key(&mut self) -> Step<String> {
        let start = self.pos;
        let length = bare_key_length(&self.text[start..]);
        if length == 0 {
            return Err(self.broken());
        }
        if start + length == self.bytes.len() {
            return Err(End::Cut);
        }
        self.pos += length;
        Ok(self.text[start..self.pos].to_owned())
    }

    /// Takes invisible characters off the rim of a key if that makes it a known one.
    fn bare_of_invisibles(&mut self, key: String) -> String {
        if self.shape.knows(&key) {
            return key;
        }
        let bare = key.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        if bare.len() < key.len() && self.shape.knows(bare) {
            let bare = bare.to_owned();
            self.mend(Mend::InvisibleCharacter);
            return bare;
        }
        key
    }

    /// Skips white space, invisible characters, comments and ellipses.
    fn skip_trivia(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c => self.pos += 1,
                b'/' | b'#' => match self.comment(self.pos) {
                    Some(end) => {
                        self.mend(Mend::Comment);
                        self.pos = end;
                    }
                    None => return,
                },
                b'.' if self.bytes[self.pos..].starts_with(b"...") => self.skip_ellipsis(3),
                0xc2.. => {
                    let Some(length) = self.invisible(self.pos) else {
                        if self.bytes[self.pos..].starts_with("…".as_bytes()) {
                            self.skip_ellipsis(3);
                            continue;
                        }
                        return;
                    };
                    if !self.bytes[self.pos..].starts_with("\u{a0}".as_bytes()) {
                        self.mend(Mend::InvisibleCharacter);
                    }
                    self.pos += length;
                }
                _ => return,
            }
        }
    }

    fn skip_ellipsis(&mut self, length: usize) {
        self.mend(Mend::Ellipsis);
        self.pos += length;
        if let Some(Frame::Object(object)) = self.frames.last_mut() {
            object.hole = true;
        }
        // In `[..., {` the comma belongs to the ellipsis.
        if self.state == State::Element || self.state == State::Value {
            let next = self.look(self.pos, true).0;
            if let Some((b',', comma)) = self.mark(next) {
                self.pos = next + comma;
            }
            if matches!(self.frames.last(), Some(Frame::Array(_))) {
                self.state = State::Element;
            }
        }
    }

    /// Returns where a comment that starts at `at` ends.
    pub(super) fn comment(&self, at: usize) -> Option<usize> {
        let rest = &self.bytes[at..];
        if rest.starts_with(b"/*") {
            let close = self.text[at + 2..].find("*/");
            return Some(close.map_or(self.bytes.len(), |close| at + 2 + close + 2));
        }
        if rest.starts_with(b"//") || rest.starts_with(b"#") {
            let line = rest.iter().position(|byte| *byte == b'\n');
            return Some(line.map_or(self.bytes.len(), |line| at + line));
        }
        None
    }

    /// Returns the length of a space or invisible character beyond ASCII.
    pub(super) fn invisible(&self, at: usize) -> Option<usize> {
        if self.bytes[at] < 0xc2 {
            return None;
        }
        let c = self.text.get(at..)?.chars().next()?;
        (c.is_whitespace() || is_invisible(c)).then(|| c.len_utf8())
    }

    pub(super) fn bracket(&self, at: usize) -> Option<(u8, usize)> {
        self.mark(at)
            .filter(|(mark, _)| matches!(mark, b'{' | b'}' | b'[' | b']'))
    }

    /// Returns the punctuation mark at a place, be it full-width, and its length.
    pub(super) fn mark(&self, at: usize) -> Option<(u8, usize)> {
        let byte = *self.bytes.get(at)?;
        match byte {
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b';' => Some((byte, 1)),
            0xd8 if self.bytes[at..].starts_with("،".as_bytes()) => Some((b',', 2)),
            0xe3 if self.bytes[at..].starts_with("、".as_bytes()) => Some((b',', 3)),
            0xef => match self.text.get(at..)?.chars().next()? {
                '｛' => Some((b'{', 3)),
                '｝' => Some((b'}', 3)),
                '［' => Some((b'[', 3)),
                '］' => Some((b']', 3)),
                '，' => Some((b',', 3)),
                '：' => Some((b':', 3)),
                '；' => Some((b';', 3)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn at_fence(&self, at: usize) -> bool {
        let rest = &self.bytes[at..];
        rest.starts_with(b"```") || rest.starts_with(b"~~~")
    }
}

pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{202a}'..='\u{202e}'
    )
}

/// The length of a key without quotes: letters of any script, digits, `_`, `-`, `$`. Longer than 64 bytes is none.
pub(super) fn bare_key_length(text: &str) -> usize {
    let mut length = 0;
    for c in text.chars() {
        if !(c.is_alphanumeric() || matches!(c, '_' | '-' | '$')) {
            break;
        }
        length += c.len_utf8();
        if length > 64 {
            return 0;
        }
    }
    length
}
