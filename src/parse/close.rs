//! How arrays and objects end in the tolerant reader: at their bracket, or not at all.

use serde_json::Value;

use super::Repair;
use super::machine::{End, Frame, Machine, State, Step};

impl Machine<'_> {
    /// Ends the innermost array or object.
    pub(super) fn close(&mut self) -> Step {
        let object = match self.frames.pop() {
            Some(Frame::Array(items)) => return self.finish(Value::Array(items)),
            Some(Frame::Object(object)) => object,
            None => return Err(End::Broken),
        };
        let alike = object.split.iter().all(|one| {
            one.len() == object.map.len() && one.keys().all(|key| object.map.contains_key(key))
        });
        if object.hole || !alike {
            return self.drop_object();
        }
        if object.split.is_empty() {
            return self.finish(Value::Object(object.map));
        }
        let records = object.split.into_iter().chain([object.map]);
        self.finish(records.map(Value::Object).collect())
    }

    /// Ends what is innermost although its bracket is missing.
    pub(super) fn close_unmarked(&mut self) -> Step {
        self.repair(Repair::MissingClose);
        self.close()
    }

    /// Completes a container: the whole value if none is open around it.
    fn finish(&mut self, value: Value) -> Step {
        self.firm = true;
        if self.frames.is_empty() {
            self.found.value = value;
            return Err(End::Whole);
        }
        self.complete(value);
        Ok(())
    }

    /// Leaves an object out: one around it lacks a value for its key, and so goes too.
    fn drop_object(&mut self) -> Step {
        self.found.dropped += 1;
        if self.frames.is_empty() {
            return self.finish(Value::Array(Vec::new()));
        }
        self.firm = true;
        self.state = State::After;
        if let Some(Frame::Object(object)) = self.frames.last_mut() {
            object.key = None;
            object.hole = true;
        }
        Ok(())
    }

    pub(super) fn complete(&mut self, value: Value) {
        self.state = State::After;
        match self.frames.last_mut() {
            Some(Frame::Array(items)) => items.push(value),
            Some(Frame::Object(object)) => {
                let Some(key) = object.key.take() else {
                    return;
                };
                self.pairs += 1;
                let old = object.map.get(&key);
                // The same key with another text: if it is the first one, the next record starts without a brace.
                let starts_over = old.is_some_and(|old| *old != value)
                    && object.map.len() > 1
                    && object.map.keys().next() == Some(&key)
                    && self.view.shape.overlap(&object.map) > 0;
                if starts_over {
                    object.split.push(std::mem::take(&mut object.map));
                    self.found.repairs.add(Repair::SplitObject);
                }
                if object.map.insert(key, value).is_some() {
                    self.found.repairs.add(Repair::DuplicateKey);
                }
            }
            None => {}
        }
    }

    /// Gathers what was read when the reading stopped, and how many levels of it are open. Only what is open is
    /// partial: its whole children stay.
    pub(super) fn unwind(&mut self, end: End) {
        self.found.end = end;
        if end == End::Whole {
            return;
        }
        self.note_record();
        if end == End::Cut && self.state == State::After {
            // A scalar at the very end may go on; an object with every property of a record lacks only its brace.
            let ends_line = self.text[self.text.trim_end().len()..].contains('\n');
            let closes = match self.frames.last_mut() {
                Some(Frame::Array(items)) => {
                    items.pop_if(|item| !item.is_object() && !item.is_array());
                    false
                }
                // After a line break nothing is left of a text that could go on.
                Some(Frame::Object(object)) => {
                    self.firm && ends_line && self.view.shape.is_plainly(&object.map)
                }
                None => false,
            };
            if closes && self.close_unmarked() == Err(End::Whole) {
                self.found.end = End::Whole;
                return;
            }
        }
        if end == End::Broken {
            self.found.end = self.broken();
        }
        let mut partial: Option<Value> = None;
        while let Some(frame) = self.frames.pop() {
            partial = Some(match frame {
                Frame::Array(mut items) => {
                    items.extend(partial);
                    Value::Array(items)
                }
                Frame::Object(mut object) => {
                    match (object.key, partial) {
                        (Some(key), Some(child)) if !object.map.contains_key(&key) => {
                            object.map.insert(key, child);
                        }
                        _ => self.found.open = 0,
                    }
                    Value::Object(object.map)
                }
            });
            self.found.open += 1;
        }
        self.found.value = partial.unwrap_or(Value::Null);
    }

    /// Remembers which of the open levels is the record that did not end, for finding the next one after it.
    fn note_record(&mut self) {
        let shape = self.shape;
        let is_record = |frame: &Frame| match frame {
            Frame::Object(object) => {
                shape.overlap(&object.map) > 0
                    || object.key.as_ref().is_some_and(|key| shape.knows(key))
            }
            Frame::Array(_) => false,
        };
        let level = self.frames.iter().position(is_record);
        let level = level.unwrap_or(self.frames.len().saturating_sub(1));
        self.found.record = match self.frames.get(level) {
            Some(Frame::Object(object)) => Some((object.start, self.frames.len() - level)),
            _ => None,
        };
    }
}
