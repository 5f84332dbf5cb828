//! What the tolerant reader passes over between tokens.

use super::Repair;
use super::machine::{Frame, Machine, Object, State};

impl Machine<'_> {
    /// Skips white space, invisible characters, comments and ellipses.
    pub(super) fn skip_trivia(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c => self.pos += 1,
                b'/' | b'#' => match self.comment(self.pos) {
                    Some(end) => {
                        self.repair(Repair::Comment);
                        self.pos = end;
                    }
                    None => return,
                },
                b'.' if self.starts(self.pos, "...") => self.skip_ellipsis(),
                0xe2 if self.starts(self.pos, "…") => self.skip_ellipsis(),
                0xc2.. if self.is_invisible(self.pos) => {
                    if !self.starts(self.pos, "\u{a0}") {
                        self.repair(Repair::InvisibleCharacter);
                    }
                    self.pos = self.past(self.pos);
                }
                _ => return,
            }
        }
    }

    /// Skips an ellipsis of three bytes: three dots, or the character.
    fn skip_ellipsis(&mut self) {
        self.repair(Repair::Ellipsis);
        self.pos += 3;
        let shape = self.view.shape;
        let holds = |frame: &Frame| match frame {
            Frame::Object(Object { key: Some(key), .. }) => shape.recognises(key),
            _ => false,
        };
        // Records that are left out are not there; what is left out within one is a part of it.
        let in_record = self.in_object() || self.frames.iter().any(holds);
        let mut frames = self.frames.iter_mut().rev();
        if let Some(Frame::Object(object)) =
            frames.find(|frame| in_record && matches!(frame, Frame::Object(_)))
        {
            object.hole = true;
        }
        // In `[..., {` the comma belongs to the ellipsis.
        if self.state != State::After && !self.in_object() {
            let next = self.look(self.pos, true);
            if next.mark == b',' {
                self.pos = self.past(next.at);
            }
        }
    }
}
