//! The tolerant reader: one JSON value out of text that may be broken.
//!
//! A machine with an explicit stack, so that no nesting can overflow it. It moves forward only, each byte
//! being read once but for look-aheads of bounded length. Where the text stops or makes no sense, the machine stops
//! too and hands back what it has, saying which objects and arrays were still open.
//!
//! Here is JSON's grammar alone. At each place where it may be broken, what can be broken there is asked first, in
//! `breakage`; what ends a string is for `quote` to say, and what a scalar is for `token`.

use serde_json::Value;

use super::look::View;
use super::machine::{End, Found, Frame, Machine, State, Step};
use super::quote::Role;
use super::{Limits, Repair, Repairs};

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
}
