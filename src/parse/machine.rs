//! The state of the tolerant reader: where it is, what is open, and what it has found.
//!
//! What moves it is in `tolerant`, for what is right, and in the files beside that, for what may be broken.

use std::ops::{Deref, Range};

use serde_json::{Map, Value};

use super::look::View;
use super::{Repair, Repairs};

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
    pub(super) max_depth: usize,
    pub(super) values_left: usize,
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
    pub(super) fn take_mark(&mut self) {
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

    pub(super) fn open_object(&mut self) -> Step {
        let object = Object {
            start: self.pos,
            ..Object::default()
        };
        self.open(Frame::Object(object))
    }

    pub(super) fn open(&mut self, frame: Frame) -> Step {
        if self.frames.len() >= self.max_depth {
            return Err(End::TooDeep);
        }
        self.frames.push(frame);
        self.state = State::Next { comma: false };
        Ok(())
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
