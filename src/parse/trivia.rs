//! What the tolerant reader finds between tokens: space, comments, and punctuation of any width.

use super::Mend;
use super::tolerant::{Frame, Machine, State};

impl Machine<'_> {
    /// Skips white space, invisible characters, comments and ellipses.
    pub(super) fn skip_trivia(&mut self) {
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

    pub(super) fn skip_ellipsis(&mut self, length: usize) {
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
