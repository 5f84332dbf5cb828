//! The tolerant reader: one JSON value out of text that may be broken.
//!
//! A machine with an explicit stack, so that no nesting can overflow it. It moves forward only, each byte
//! being read once but for look-aheads of bounded length. Where the text stops or makes no sense, the machine stops
//! too and hands back what it has, saying which objects and arrays were still open.
//!
//! Here is JSON's grammar alone. At each place where it may be broken, what can be broken there is asked first, in
//! `breakage`; what ends a string is for `quote` to say, and what a scalar is for `token`.

use std::ops::{Deref, Range};

use serde_json::{Map, Value};

use super::look::View;
use super::text::Role;
use super::{Limits, Repair, Repairs};

/// A value found in an answer.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) value: Value,
    /// How many levels were still open at the end: the value itself, its last child, that one's last child...
    pub(super) open: usize,
    pub(super) end: End,
    pub(super) span: Range<usize>,
    pub(super) repairs: Repairs,
    /// Whether a key of the record was seen in it.
    pub(super) serious: bool,
    /// Where the record that did not end starts, and how many levels from its own inwards were open.
    pub(super) record: Option<(usize, usize)>,
    /// Objects left out because their keys start over without a whole record on either side.
    pub(super) dropped: usize,
}

impl Found {
    /// A value that `serde_json` could read.
    pub(super) fn strict((value, repairs): (Value, Repairs), span: Range<usize>) -> Self {
        Self {
            value,
            open: 0,
            end: End::Whole,
            span,
            repairs,
            serious: true,
            record: None,
            dropped: 0,
        }
    }
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
    view: View<'_>,
    start: usize,
    limits: &Limits,
    values_left: &mut usize,
    stack: &mut Vec<Frame>,
) -> Found {
    let mut machine = Machine {
        view,
        pos: start,
        frames: std::mem::take(stack),
        max_depth: limits.max_depth,
        values_left: *values_left,
        firm: false,
        pairs: 0,
        known: false,
        state: State::Value,
        found: Found::strict((Value::Null, Repairs::default()), start..start),
    };
    // At a key, its brace is missing.
    if view.quote_at(start).is_some() && machine.open_object().is_ok() {
        machine.repair(Repair::MissingOpen);
    }
    machine.run();
    *values_left = machine.values_left;
    machine.frames.clear();
    *stack = machine.frames;
    let mut found = machine.found;
    found.span.end = machine.pos;
    found.serious = machine.known || view.shape.is_open();
    found
}

/// What one step gives, or how the reading ends.
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
    /// An element or a key may come, or the end of what is open. Says whether a comma came before.
    Next { comma: bool },
    /// A value came.
    After,
}

pub(super) struct Machine<'a> {
    pub(super) view: View<'a>,
    pub(super) pos: usize,
    pub(super) frames: Vec<Frame>,
    max_depth: usize,
    values_left: usize,
    /// Whether the last value's end is beyond doubt even if the text ends right after it.
    pub(super) firm: bool,
    /// Members read so far: with one, the brackets are no mere punctuation of prose.
    pub(super) pairs: usize,
    /// Whether a key of the record was read.
    pub(super) known: bool,
    pub(super) state: State,
    pub(super) found: Found,
}

impl<'a> Deref for Machine<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Machine<'_> {
    fn run(&mut self) {
        let mut step = Ok(());
        while step.is_ok() {
            self.skip_trivia();
            step = match self.state {
                State::Value => self.value(),
                State::Next { comma } => self.next_part(comma),
                State::After => self.after(),
            };
        }
        self.unwind(step.err().unwrap_or(End::Whole));
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    pub(super) fn repair(&mut self, repair: Repair) {
        self.found.repairs.add(repair);
    }

    /// Leaves out the character here.
    pub(super) fn leave_out(&mut self, repair: Repair) {
        self.repair(repair);
        self.pos = self.past(self.pos);
    }

    /// Takes the punctuation mark here, of whatever width.
    fn take_mark(&mut self) {
        let past = self.past(self.pos);
        if past > self.pos + 1 {
            self.repair(Repair::FullWidthPunctuation);
        }
        self.pos = past;
    }

    pub(super) fn broken(&self) -> End {
        if self.pairs == 0 && !self.known && self.frames.len() <= 2 {
            End::NotJson
        } else {
            End::Broken
        }
    }

    fn value(&mut self) -> Step {
        let byte = self.peek().ok_or(End::Cut)?;
        if self.values_left == 0 {
            return Err(End::TooMany);
        }
        if self.is_broken_before_value()? {
            return Ok(());
        }
        self.values_left -= 1;
        let value = match self.mark(self.pos) {
            b'{' => {
                self.open_object()?;
                self.take_mark();
                return Ok(());
            }
            b'[' => {
                self.open(Frame::Array(Vec::new()))?;
                self.take_mark();
                return Ok(());
            }
            b'}' | b']' => return Err(self.broken()),
            _ if self.quote_at(self.pos).is_some() => {
                let role = if self.in_object() {
                    Role::Member
                } else {
                    Role::Element
                };
                Value::String(self.string(role)?)
            }
            _ if byte.is_ascii_digit() || b"-+.".contains(&byte) => self.number()?,
            _ if byte.is_ascii_alphabetic() || byte == b'_' => self.word()?,
            _ => self.bare_text()?,
        };
        self.complete(value);
        Ok(())
    }

    pub(super) fn open_object(&mut self) -> Step {
        let object = Object {
            start: self.pos,
            ..Object::default()
        };
        self.open(Frame::Object(object))
    }

    fn open(&mut self, frame: Frame) -> Step {
        if self.frames.len() >= self.max_depth {
            return Err(End::TooDeep);
        }
        self.frames.push(frame);
        self.state = State::Next { comma: false };
        Ok(())
    }

    /// Reads an element or a key, or sees the closing bracket in its place.
    fn next_part(&mut self, comma: bool) -> Step {
        let object = self.in_object();
        match self.mark(self.pos) {
            mark @ (b'}' | b']') if object == (mark == b'}') => {
                if comma {
                    self.repair(Repair::ExtraComma);
                }
                self.state = State::After;
            }
            b',' => self.leave_out(Repair::ExtraComma),
            _ if object => return self.key(),
            _ => return self.value(),
        }
        Ok(())
    }

    fn key(&mut self) -> Step {
        let byte = self.peek().ok_or(End::Cut)?;
        if self.is_broken_before_key()? {
            return Ok(());
        }
        let quoted = self.quote_at(self.pos).is_some();
        let key = if quoted {
            self.string(Role::Key)?
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80 {
            let start = self.pos;
            self.pos += self.bare_key_length(start);
            self.text[start..self.pos].to_owned()
        } else {
            return Err(self.broken());
        };
        let known = self.shape.recognises(&key);
        self.known |= known;
        if !self.takes_colon(quoted)? {
            return Ok(());
        }
        if let Some(Frame::Object(object)) = self.frames.last_mut() {
            object.key = Some(key);
        }
        self.state = State::Value;
        Ok(())
    }

    fn after(&mut self) -> Step {
        self.peek().ok_or(End::Cut)?;
        if self.is_broken_behind_value()? {
            return Ok(());
        }
        let object = self.in_object();
        match self.mark(self.pos) {
            b',' => {
                self.take_mark();
                self.state = State::Next { comma: true };
                Ok(())
            }
            mark @ (b'}' | b']') if object == (mark == b'}') => {
                self.take_mark();
                self.close()
            }
            _ => Err(self.broken()),
        }
    }

    pub(super) fn in_object(&self) -> bool {
        self.top_object().is_some()
    }

    pub(super) fn top_object(&self) -> Option<&Object> {
        match self.frames.last() {
            Some(Frame::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// Returns the object that what is innermost belongs to. Without one, that is an element of an array, or stands alone.
    pub(super) fn parent_object(&self) -> Option<&Object> {
        match self.frames.len().checked_sub(2).map(|at| &self.frames[at]) {
            Some(Frame::Object(object)) => Some(object),
            _ => None,
        }
    }
}
