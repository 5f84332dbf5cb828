//! What stands at a place of an answer: marks, quotes, keys, comments. It looks ahead, never further than a key is long,
//! and changes nothing, so every reader of an answer and every repair asks here.

use super::{Repair, Shape, scalar};

/// How far a look-ahead for a key goes, in bytes. Longer keys exist, but none in a record worth guessing for.
pub(super) const KEY_REACH: usize = 256;

/// An answer and the keys that a record in it has.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) shape: &'a Shape,
}

/// What comes behind white space.
#[derive(Clone, Copy)]
pub(super) struct Next {
    pub(super) at: usize,
    /// Whether a line ended on the way.
    pub(super) newline: bool,
    /// The punctuation mark there, or 0.
    pub(super) mark: u8,
}

/// A kind of quotes around a string.
pub(super) struct Quote {
    pub(super) open: &'static str,
    closers: &'static [&'static str],
    pub(super) repair: Option<Repair>,
}

const fn quote(
    open: &'static str,
    closers: &'static [&'static str],
    repair: Option<Repair>,
) -> Quote {
    Quote {
        open,
        closers,
        repair,
    }
}

const CURLY: &[&str] = &["”", "“", "\""];
const SINGLE_CURLY: &[&str] = &["’", "'"];

static QUOTES: [Quote; 11] = [
    quote("\"", &["\""], None),
    quote("'", &["'"], Some(Repair::SingleQuotes)),
    quote("`", &["`"], Some(Repair::OtherQuotes)),
    quote("“", CURLY, Some(Repair::TypographicQuotes)),
    quote("”", CURLY, Some(Repair::TypographicQuotes)),
    quote("„", CURLY, Some(Repair::TypographicQuotes)),
    quote("‟", CURLY, Some(Repair::TypographicQuotes)),
    quote("‘", SINGLE_CURLY, Some(Repair::TypographicQuotes)),
    quote("’", SINGLE_CURLY, Some(Repair::TypographicQuotes)),
    quote("«", &["»"], Some(Repair::TypographicQuotes)),
    quote("＂", &["＂"], Some(Repair::FullWidthPunctuation)),
];

static TRIPLES: [Quote; 2] = [
    quote("\"\"\"", &["\"\"\""], Some(Repair::OtherQuotes)),
    quote("'''", &["'''"], Some(Repair::OtherQuotes)),
];

impl Quote {
    pub(super) fn is_triple(&self) -> bool {
        self.open.len() == 3 && self.open.is_ascii()
    }

    /// Whether a raw line break is an error between these quotes: not between backticks, nor between three.
    pub(super) fn is_one_line(&self) -> bool {
        self.repair != Some(Repair::OtherQuotes)
    }

    /// The bytes that a closing quote may start with.
    pub(super) fn closing_bytes(&self) -> [u8; 2] {
        [self.closers[0], self.closers[self.closers.len() - 1]].map(|closer| closer.as_bytes()[0])
    }

    #[inline]
    pub(super) fn closing_length(&self, rest: &[u8]) -> Option<usize> {
        // Most bytes close nothing, and need no closer look.
        if !self.closing_bytes().contains(rest.first()?) {
            return None;
        }
        let mut closers = self.closers.iter().map(|closer| closer.as_bytes());
        closers
            .find(|closer| rest.starts_with(closer))
            .map(<[u8]>::len)
    }
}

/// Whether a member starts at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// With a key that a record has.
    Known,
    /// With something that could be a key.
    Plausible,
    /// With something that has a key's quotes and colon but reads like a sentence.
    Odd,
    /// The text ends before that can be told.
    Cut,
    No,
}

impl<'a> View<'a> {
    pub(super) fn is_end(&self, at: usize) -> bool {
        at >= self.bytes.len()
    }

    pub(super) fn starts(&self, at: usize, with: &str) -> bool {
        self.bytes[at..].starts_with(with.as_bytes())
    }

    pub(super) fn char_at(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    /// Returns where the character at a place ends.
    pub(super) fn past(&self, at: usize) -> usize {
        at + self.char_at(at).map_or(1, char::len_utf8)
    }

    /// Returns where a run of such bytes ends, after `most` at most.
    pub(super) fn run(&self, at: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
        let bytes = self.bytes[at..].iter().take(most);
        at + bytes.take_while(|byte| is(**byte)).count()
    }

    /// Skips white space, and comments if asked to.
    pub(super) fn look(&self, from: usize, comments: bool) -> Next {
        let mut at = from;
        let mut newline = false;
        while let Some(&byte) = self.bytes.get(at) {
            at = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => at + 1,
                b'/' | b'#' if comments => match self.comment(at) {
                    Some(end) => end,
                    None => break,
                },
                0xc2.. if self.is_invisible(at) => self.past(at),
                _ => break,
            };
            newline |= byte == b'\n';
        }
        let mark = self.mark(at);
        Next { at, newline, mark }
    }

    /// Returns where what comes behind white space stands.
    pub(super) fn next(&self, from: usize) -> usize {
        self.look(from, false).at
    }

    /// Returns where a comment that starts here ends.
    pub(super) fn comment(&self, at: usize) -> Option<usize> {
        let end = if self.starts(at, "/*") {
            self.text[at + 2..].find("*/").map(|end| at + 2 + end + 2)
        } else if self.starts(at, "//") || self.starts(at, "#") {
            self.text[at..].find('\n').map(|end| at + end)
        } else {
            return None;
        };
        Some(end.unwrap_or(self.bytes.len()))
    }

    /// Whether a space or an invisible character beyond ASCII stands here.
    pub(super) fn is_invisible(&self, at: usize) -> bool {
        self.char_at(at)
            .is_some_and(|c| c.is_whitespace() || is_invisible(c))
    }

    /// Returns the punctuation mark at a place in its plain form, be it full-width, and 0 if there is none.
    pub(super) fn mark(&self, at: usize) -> u8 {
        match self.bytes.get(at).copied().unwrap_or(0) {
            byte @ (b'{' | b'}' | b'[' | b']' | b',' | b':' | b';') => byte,
            0xd8 | 0xe3 | 0xef => match self.char_at(at) {
                Some('，' | '،' | '、') => b',',
                Some('｛') => b'{',
                Some('｝') => b'}',
                Some('［') => b'[',
                Some('］') => b']',
                Some('：') => b':',
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(super) fn at_fence(&self, at: usize) -> bool {
        self.starts(at, "```") || self.starts(at, "~~~")
    }

    /// Returns the length of a colon, or of what other languages write for it, and what that repairs.
    pub(super) fn colon(&self, at: usize) -> Option<(usize, Option<Repair>)> {
        match self.bytes.get(at)? {
            b':' => Some((1, None)),
            _ if self.mark(at) == b':' => Some((3, Some(Repair::FullWidthPunctuation))),
            b'=' if self.starts(at, "=>") => Some((2, Some(Repair::MissingColon))),
            b'=' => Some((1, Some(Repair::MissingColon))),
            _ => None,
        }
    }

    pub(super) fn has_colon(&self, from: usize) -> bool {
        self.colon(self.next(from)).is_some()
    }

    pub(super) fn quote_at(&self, at: usize) -> Option<&'static Quote> {
        match self.bytes.get(at)? {
            b'"' => return Some(&QUOTES[0]),
            b'\'' | 0xc2 | 0xe2 | 0xef => {}
            b'`' if !self.at_fence(at) => {}
            _ => return None,
        }
        QUOTES.iter().find(|quote| self.starts(at, quote.open))
    }

    pub(super) fn triple_at(&self, at: usize) -> Option<&'static Quote> {
        let doubled = self.bytes.get(at) == self.bytes.get(at + 1);
        let mut triples = TRIPLES.iter();
        triples.find(|quote| doubled && self.starts(at, quote.open))
    }

    pub(super) fn literal_at(&self, at: usize) -> bool {
        let end = self.run(at, 16, |byte| byte.is_ascii_alphabetic());
        scalar::literal(&self.text[at..end]).is_some()
    }

    /// Returns the text of the key whose opening quote is here, if one ends within reach, and where its closing quote ends.
    fn key_and_end(&self, at: usize) -> Option<(&'a str, usize)> {
        let quote = self.quote_at(at)?;
        let start = at + quote.open.len();
        let reach = (start + KEY_REACH).min(self.bytes.len());
        let mut end = start;
        while end < reach {
            if let Some(length) = quote.closing_length(&self.bytes[end..]) {
                return Some((self.text.get(start..end)?, end + length));
            }
            end += if self.bytes[end] == b'\\' { 2 } else { 1 };
        }
        None
    }

    pub(super) fn key_text(&self, at: usize) -> Option<&'a str> {
        Some(self.key_and_end(at)?.0)
    }

    pub(super) fn key_at(&self, at: usize) -> Key {
        let Some((text, end)) = self.key_and_end(at) else {
            let is_cut = self.quote_at(at).is_some() && self.is_end(at + KEY_REACH);
            return if is_cut { Key::Cut } else { Key::No };
        };
        let next = self.next(end);
        let colon = self.colon(next).is_some();
        // The colon of a key that is known may be missing.
        if (colon || self.quote_at(next).is_some()) && self.shape.recognises(text) {
            Key::Known
        } else if self.is_end(next) {
            Key::Cut
        } else if !colon {
            Key::No
        } else if text.len() <= 64 && !text.contains(['.', ',', ';', '?', '!', '(', '{', '[']) {
            Key::Plausible
        } else {
            Key::Odd
        }
    }

    /// Returns the key whose opening quote is here, if its colon follows.
    pub(super) fn member_name(&self, at: usize) -> Option<&'a str> {
        let (key, end) = self.key_and_end(at)?;
        let end = self.run(end, usize::MAX, |byte| byte == b'*');
        self.has_colon(end).then_some(key)
    }

    /// Whether a key that a record has, and its colon, stand here.
    pub(super) fn member_at(&self, at: usize) -> bool {
        self.member_name(at)
            .is_some_and(|key| self.shape.recognises(key))
    }

    /// Returns the length of a key without quotes: letters of any script, digits, `_`, `-`, `$`. No more than 64 characters.
    pub(super) fn bare_key_length(&self, at: usize) -> usize {
        let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
        let part = self.text[at..].chars().take(64).take_while(is_part);
        part.map(char::len_utf8).sum()
    }

    pub(super) fn bare_key_at(&self, at: usize) -> bool {
        let length = self.bare_key_length(at);
        length > 0 && self.has_colon(at + length)
    }

    /// Whether a known key without quotes, and its colon, stand here.
    pub(super) fn bare_key_known(&self, at: usize) -> bool {
        let end = at + self.bare_key_length(at);
        // The closing quote may be there without the opening one.
        let quote = usize::from(self.bytes.get(end) == Some(&b'"'));
        end > at && self.has_colon(end + quote) && self.shape.recognises(&self.text[at..end])
    }

    /// Whether only words stand between here and a member, on this line.
    pub(super) fn words_before_key(&self, at: usize) -> bool {
        self.member_at(self.run(at, 40, |byte| byte.is_ascii_alphanumeric() || byte == b' '))
    }

    /// Whether an object that looks like a record starts at a brace.
    pub(super) fn record_starts(&self, brace: usize) -> bool {
        match self.key_at(self.next(self.past(brace))) {
            Key::Known | Key::Cut => true,
            Key::Plausible => self.shape.is_open(),
            Key::Odd | Key::No => false,
        }
    }

    /// Returns where the record starts that words, a number or a dash stand before on its line.
    pub(super) fn record_after_words(&self, from: usize) -> Option<usize> {
        let first = *self.bytes.get(from)?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b" .:#)'-".contains(&byte);
        let at = self.run(from, 80, is_word);
        ((first.is_ascii_alphanumeric() || first == b'-')
            && self.bytes.get(at) == Some(&b'{')
            && self.record_starts(at))
        .then_some(at)
    }
}

pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{202a}'..='\u{202e}'
    )
}
