//! How arrays and objects end in the tolerant reader: at their bracket, without it, or not at all.

use serde_json::Value;

use super::Mend;
use super::tolerant::{End, Frame, Machine, Object, State, Step};

impl Machine<'_> {
    /// A brace in an array: one too many after an element, or the end of the object around, the array's own
    /// bracket being missing.
    pub(super) fn stray_brace(&mut self, length: usize) -> Step<Option<Value>> {
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
            // A brace where a bracket belongs, if the record goes on.
            let Some(Frame::Object(around)) = self.parent() else {
                return Err(self.broken());
            };
            if self.new_member_at(next, around) {
                self.pos += length;
            }
            return self.close_array();
        }
        Err(self.broken())
    }

    /// Whether the object whose brace seems to be here goes on: a comma, and one of its keys that it has not got yet.
    pub(super) fn member_goes_on(&self, after: usize) -> bool {
        let Some(object) = self.top_object() else {
            return false;
        };
        self.is_element()
            && self.shape.overlap(&object.map) > 0
            && self.new_member_at(self.look(after, true).0, object)
    }

    /// Whether a comma stands here, and after it a member that the object lacks and a record has.
    fn new_member_at(&self, comma: usize, object: &Object) -> bool {
        let Some((b',', length)) = self.mark(comma) else {
            return false;
        };
        let next = self.look(comma + length, true).0;
        self.member_at(next)
            && self
                .key_text(next)
                .is_some_and(|key| !object.map.contains_key(key))
    }

    /// Whether a comma and another record stand here.
    pub(super) fn record_follows(&self, after: usize) -> bool {
        let next = self.look(after, true).0;
        let Some((b',', length)) = self.mark(next) else {
            return false;
        };
        let brace = self.look(next + length, true).0;
        matches!(self.mark(brace), Some((b'{', _))) && self.record_starts(brace)
    }

    /// Whether a quote here belongs to nothing: only closing brackets follow, or nothing.
    pub(super) fn stray_quote(&self, at: usize) -> bool {
        let next = self.look(at + 1, false).0;
        self.bytes.get(at) == Some(&b'"')
            && (next == self.bytes.len() || matches!(self.mark(next), Some((b'}' | b']', _))))
    }

    /// A closing fence ends the answer, so brackets still open were forgotten, not cut off.
    pub(super) fn close_at_fence(&mut self, in_object: bool) -> Step<Option<Value>> {
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

    pub(super) fn close_array(&mut self) -> Step<Option<Value>> {
        match self.frames.pop() {
            Some(Frame::Array(items)) => Ok(self.finish(Value::Array(items))),
            _ => Err(End::Broken),
        }
    }

    pub(super) fn close_object(&mut self) -> Step<Option<Value>> {
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
    pub(super) fn finish(&mut self, value: Value) -> Option<Value> {
        self.firm = true;
        if self.frames.is_empty() {
            return Some(value);
        }
        self.complete(value);
        None
    }

    /// Leaves an object out: its key in an object around it goes too.
    pub(super) fn finish_dropped(&mut self) -> Option<Value> {
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

    pub(super) fn complete(&mut self, value: Value) {
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
    pub(super) fn unwind(&mut self, end: End) -> (Value, usize, End) {
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
    pub(super) fn note_record(&mut self) {
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
}
