//! What may be broken between values: marks, keys and brackets that are missing, too many or something else.
//!
//! One function for each place, and in it one arm for each kind of breakage, in the order they are tried. Each looks
//! whether the kind is here; if so it repairs that, says under which name, and puts the machine where it goes on. The keys of
//! the record are what makes them decidable: where they do not tell, nothing is done and the grammar gives up.

use serde_json::Value;

use super::Repair;
use super::machine::{End, Frame, Machine, Object, State, Step};

impl Machine<'_> {
    /// Repairs what stands where a value must come; returns whether the machine has moved on.
    pub(super) fn is_broken_before_value(&mut self) -> Step<bool> {
        if !matches!(self.frames.last(), Some(Frame::Array(_))) {
            return Ok(false);
        }
        // `1. {"key": …`: words before a record.
        if let Some(start) = self.record_after_words(self.pos) {
            self.repair(Repair::StrayText);
            self.pos = start;
            return Ok(false);
        }
        if !self.member_at(self.pos) {
            return Ok(false);
        }
        let goes_on = self
            .parent_object()
            .zip(self.key_text(self.pos))
            .is_some_and(|(around, key)| {
                self.shape.overlap(&around.map) > 0 && !around.map.contains_key(key)
            });
        if goes_on {
            // `"list": ["a", "key": …`: the bracket of a list before the next member.
            self.close_unmarked()?;
            self.state = State::Next { comma: true };
        } else {
            // `["key": …`: the brace of a record in a list.
            self.repair(Repair::MissingOpen);
            self.open_object()?;
        }
        Ok(true)
    }

    /// Repairs what stands where a key must come; returns whether the machine has moved on.
    pub(super) fn is_broken_before_key(&mut self) -> Step<bool> {
        match self.mark(self.pos) {
            // `{"a": 1, {"a": 2}`: the brace before the comma is missing.
            b'{' if self.is_whole_element() => {
                self.close_unmarked()?;
                self.state = State::Value;
            }
            // A symbol of Ruby, or bold.
            _ if matches!(self.peek(), Some(b':' | b'*')) => self.leave_out(Repair::StrayText),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads the colon behind a key, or what stands for it; returns whether a value comes.
    pub(super) fn takes_colon(&mut self, mut quoted: bool) -> Step<bool> {
        // `key": …`: the opening quote of a key, or `"key"": …`: a quote too many.
        if self.peek() == Some(b'"') && self.has_colon(self.pos + 1) {
            let repair = if quoted {
                Repair::StrayText
            } else {
                Repair::MissingQuote
            };
            self.leave_out(repair);
            quoted = true;
        }
        while self.peek() == Some(b'*') {
            self.leave_out(Repair::StrayText);
        }
        self.skip_trivia();
        if let Some((length, repair)) = self.colon(self.pos) {
            self.pos += length;
            repair.into_iter().for_each(|repair| self.repair(repair));
            while let Some((length, _)) = self.colon(self.pos) {
                self.pos += length;
                self.repair(Repair::StrayText);
            }
        } else if self.peek().is_none() {
            return Err(End::Cut);
        } else if quoted && self.starts_value() {
            self.repair(Repair::MissingColon);
        } else if !quoted && self.words_before_key(self.pos) {
            // `, and "key": …`: words between members.
            self.repair(Repair::StrayText);
            return Ok(false);
        } else {
            return Err(self.broken());
        }
        if !quoted {
            self.repair(Repair::UnquotedKey);
            if let Some(Frame::Object(object)) = self.frames.last_mut() {
                object.bare_keys = true;
            }
        }
        Ok(true)
    }

    /// Repairs what stands where a comma or the closing bracket must come; returns whether the machine has moved on.
    pub(super) fn is_broken_behind_value(&mut self) -> Step<bool> {
        let object = self.in_object();
        let next = self.past(self.pos);
        match self.mark(self.pos) {
            // `{"a": 1}, "b": 2}`: a brace too early. `[{"a": 1}}, {`: a brace too many.
            b'}' if self.record_goes_on(next) || self.list_goes_on(next) => {
                self.leave_out(Repair::ExtraClose);
            }
            // `{"list": ["a"}`: a bracket missing.
            b'}' if !object && self.parent_object().is_some() => self.close_unmarked()?,
            // `[{"a": 1]`: a brace missing, or a bracket in its place if another record follows.
            b']' if self.is_whole_element() => {
                let other = self.behind_comma(next);
                if other.is_some_and(|at| self.mark(at) == b'{' && self.record_starts(at)) {
                    self.pos = next;
                }
                self.close_unmarked()?;
            }
            // `{"a": 1 {"a": 2}`: a brace missing before the next record.
            b'{' if self.is_whole_element() => self.close_unmarked()?,
            b',' | b'}' | b']' => return Ok(false),
            b';' => self.leave_out(Repair::ExtraComma),
            _ if self.firm && self.stray_quote(self.pos) => self.leave_out(Repair::StrayText),
            _ if object && matches!(self.peek(), Some(b'.' | b'|')) => {
                self.leave_out(Repair::MissingComma);
                self.state = State::Next { comma: true };
            }
            // A closing fence ends the answer, so brackets still open were forgotten, not cut off.
            _ if self.at_fence(self.pos) => self.close_unmarked()?,
            b'{' if object => return Err(self.broken()),
            _ => {
                self.repair(Repair::MissingComma);
                self.state = State::Next { comma: false };
            }
        }
        Ok(true)
    }

    /// Whether the innermost object has all of a record, and stands alone or in a list.
    fn is_whole_element(&self) -> bool {
        let filled = |object: &Object| self.shape.is_filled(&object.map);
        self.parent_object().is_none() && self.top_object().is_some_and(filled)
    }

    /// Whether the object whose brace seems to be here goes on: a comma, and one of its keys that it has not got yet.
    fn record_goes_on(&self, after: usize) -> bool {
        let is_record = |object: &Object| {
            self.new_member_at(after, object) && self.shape.overlap(&object.map) > 0
        };
        self.parent_object().is_none() && self.top_object().is_some_and(is_record)
    }

    /// Whether a list goes on, or ends, behind a brace that follows one of its objects.
    fn list_goes_on(&self, after: usize) -> bool {
        let Some(Frame::Array(items)) = self.frames.last() else {
            return false;
        };
        let next = self.look(after, true);
        items.last().is_some_and(Value::is_object)
            && match next.mark {
                b',' => self.look(self.past(next.at), true).mark == b'{',
                // With nothing behind it, the bracket is that of a list further out.
                b']' => self.parent_object().is_none() || !self.is_end(self.next(next.at + 1)),
                mark => mark == b'{',
            }
    }

    /// Whether a comma comes, and after it a member that the object lacks and a record has.
    fn new_member_at(&self, after: usize, object: &Object) -> bool {
        self.behind_comma(after).is_some_and(|at| {
            let key = self.key_text(at);
            self.member_at(at) && key.is_some_and(|key| !object.map.contains_key(key))
        })
    }

    fn behind_comma(&self, after: usize) -> Option<usize> {
        let next = self.look(after, true);
        (next.mark == b',').then(|| self.look(self.past(next.at), true).at)
    }

    fn starts_value(&self) -> bool {
        let byte = self.bytes[self.pos];
        self.quote_at(self.pos).is_some() || byte.is_ascii_alphanumeric() || b"{[-".contains(&byte)
    }

    /// Whether a quote here belongs to nothing: only closing brackets follow, or nothing.
    pub(super) fn stray_quote(&self, at: usize) -> bool {
        self.bytes.get(at) == Some(&b'"') && {
            let next = self.look(at + 1, false);
            self.is_end(next.at) || matches!(next.mark, b'}' | b']')
        }
    }
}
