//! Cuts a text into words, numbers, signs and breaks, free of everything that is only form: Unicode forms, case,
//! quotes, invisible characters, markup.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_64;

use super::super::fold::{fold_case, is_invisible};

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word of a script with spaces.
    Word,
    /// A number in digits.
    Number,
    /// An operator or a currency sign.
    Sign,
    /// A character of a script without spaces.
    Glyph,
    /// A pictograph.
    Emoji,
    /// A comma, semicolon or dash.
    Pause,
    /// A colon.
    Colon,
    /// An opening parenthesis.
    Open,
    /// A closing parenthesis.
    Close,
    /// The end of a sentence.
    Stop,
    /// The end of a sentence that asks.
    Ask,
}

impl Kind {
    pub(super) fn is_break(self) -> bool {
        matches!(
            self,
            Self::Pause | Self::Colon | Self::Open | Self::Close | Self::Stop | Self::Ask
        )
    }
}

/// A piece of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme {
    pub(super) kind: Kind,
    /// Starts with a capital letter.
    pub(super) capital: bool,
    /// Has two capital letters and more, and no small one.
    pub(super) shouted: bool,
    /// Stands in quotes that hold a part of the text.
    pub(super) quoted: bool,
    /// Of its folded form.
    pub(super) hash: u64,
    start: u32,
    end: u32,
}

/// A text in pieces.
#[derive(Debug, Default)]
pub(super) struct Lexemes {
    pub(super) pieces: Vec<Lexeme>,
    folded: String,
    /// Whether it has words in small letters, so that others stand out in capitals.
    pub(super) mixed_case: bool,
}

impl Lexemes {
    /// Returns the folded form of a piece.
    pub(super) fn folded(&self, piece: &Lexeme) -> &str {
        &self.folded[piece.start as usize..piece.end as usize]
    }

    /// Returns the length in words; two glyphs count as a word, as they do on average in Chinese.
    pub(super) fn words(&self) -> usize {
        let (mut words, mut glyphs) = (0, 0);
        for piece in &self.pieces {
            match piece.kind {
                Kind::Word | Kind::Number => words += 1,
                Kind::Glyph => glyphs += 1,
                _ => {}
            }
        }
        words + glyphs / 2
    }
}

impl Lexemes {
    /// Adds the pieces of another text.
    pub(super) fn append(&mut self, other: &Self) {
        let offset = u32::try_from(self.folded.len()).unwrap_or(u32::MAX);
        self.folded.push_str(&other.folded);
        self.pieces.extend(other.pieces.iter().map(|piece| Lexeme {
            start: piece.start.saturating_add(offset),
            end: piece.end.saturating_add(offset),
            ..*piece
        }));
    }
}

/// Returns the hash of a folded word.
pub(super) fn hash(word: &str) -> u64 {
    xxh3_64(word.as_bytes())
}

/// Cuts a text into pieces.
pub(super) fn lex(text: &str) -> Lexemes {
    let text = decode(text);
    if text.is_ascii() {
        Lexer::new(&text).run()
    } else {
        Lexer::new(&plain(&text)).run()
    }
}

/// Puts characters in the place of the entities of HTML.
fn decode(text: &str) -> Cow<'_, str> {
    if !(text.contains('&') && text.contains(';')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let stands_for = rest.split_once(';').and_then(|(name, behind)| {
            let name = &name[1..];
            let known = ENTITIES.iter().find(|(known, _)| *known == name);
            let c = match (known, name.strip_prefix(['#'])) {
                (Some((_, c)), _) => *c,
                (None, Some(code)) => {
                    let hexadecimal = code.strip_prefix(['x', 'X']);
                    let code = match hexadecimal {
                        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                        None => code.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
                (None, None) => return None,
            };
            Some((c, behind))
        });
        if let Some((c, behind)) = stands_for {
            out.push(c);
            rest = behind;
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Brings a text to one Unicode form: NFKC, plain quotes and dashes, no invisible characters, no marks that
/// writers of Arabic and Hebrew leave out as they like.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut raised = false;
    for original in text.chars() {
        // A raised digit is a power, which NFKC would glue to its base: 5² is not 52.
        let is_raised = matches!(original, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹');
        if is_raised && !raised && !out.is_empty() {
            out.push('^');
        }
        raised = is_raised;
        if is_invisible(original) {
            continue;
        }
        // Each character alone, so that the rare sequences that only compose together are left to the second pass.
        if original.is_ascii() {
            out.push(original);
        } else {
            out.extend(std::iter::once(original).nfkc().filter_map(simplify));
        }
    }
    if out.is_ascii() {
        out
    } else {
        out.nfkc().filter(|c| !is_optional_mark(*c)).collect()
    }
}

fn simplify(c: char) -> Option<char> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | '´' => '\'',
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' | '「' | '」' | '『' | '』' | '‹' | '›' => {
            '"'
        }
        '‐' | '‑' | '−' => '-',
        '–' | '‒' => '–',
        '—' | '―' => '—',
        '×' | '∙' | '·' | '⋅' => '*',
        '÷' | '∕' | '⁄' => '/',
        '、' | '،' => ',',
        '。' | '۔' | '।' | '…' => '.',
        '؟' => '?',
        '؛' => ';',
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ى' => 'ي',
        'ё' => 'е',
        'Ё' => 'Е',
        'ـ' | '\u{fffc}' | '\u{fffd}' => return None,
        c if is_optional_mark(c) => return None,
        c => c,
    })
}

/// Returns whether a mark is optional in writing: Arabic vowel signs, Hebrew points.
fn is_optional_mark(c: char) -> bool {
    matches!(c, '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}')
}

/// Returns whether a character belongs to a script that is written without spaces.
fn is_glyph(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' | '々')
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{2300}'..='\u{23ff}')
}

/// Tags of HTML that shape a text without meaning anything. Others, as in `Vec<String>`, are kept.
const TAGS: [&str; 30] = [
    "b",
    "i",
    "u",
    "em",
    "strong",
    "p",
    "br",
    "div",
    "span",
    "code",
    "pre",
    "a",
    "ul",
    "ol",
    "li",
    "sup",
    "sub",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "mark",
    "small",
    "html",
    "body",
    "q",
    "hr",
];

/// Entities of HTML that have a name and often stand in texts, and what they stand for.
const ENTITIES: [(&str, char); 14] = [
    ("nbsp", ' '),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("lt", '<'),
    ("gt", '>'),
    ("lsquo", '\''),
    ("rsquo", '\''),
    ("ldquo", '"'),
    ("rdquo", '"'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
    ("times", '×'),
];

/// Marks of chat formats that have no common form.
const MARKERS: [&str; 6] = ["[INST]", "[/INST]", "<s>", "</s>", "<<SYS>>", "<</SYS>>"];

/// How far is looked around a sign; a bound against long runs of signs.
const NEARBY: usize = 64;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the sign stands that closes a formula between dollar signs.
    formula_end: usize,
    /// Where the mark stands that closes a quotation; 0 before the first.
    quote_end: usize,
    out: Lexemes,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            formula_end: usize::MAX,
            quote_end: 0,
            out: Lexemes {
                // A word and its space take about six letters of English.
                pieces: Vec::with_capacity(text.len() / 5 + 4),
                folded: String::with_capacity(text.len() + 8),
                mixed_case: false,
            },
        }
    }

    fn run(mut self) -> Lexemes {
        while let Some(c) = self.peek(self.at) {
            match c {
                'a'..='z' | 'A'..='Z' => self.word(),
                '0'..='9' => self.number(false),
                ' ' | '`' | '\'' | '~' | '\\' | '_' | '@' => self.at += 1,
                '"' => self.quote(),
                '|' | '&' => self.joining_sign(c),
                '#' => self.heading(),
                '\n' | '\r' => self.line_end(),
                _ if c.is_ascii() => self.sign(c),
                _ => self.beyond_ascii(c),
            }
        }
        self.out
    }

    fn peek(&self, at: usize) -> Option<char> {
        let byte = *self.text.as_bytes().get(at)?;
        if byte < 0x80 {
            Some(char::from(byte))
        } else {
            self.text[at..].chars().next()
        }
    }

    fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    fn push(&mut self, kind: Kind, capital: bool, start: usize) {
        let hash = xxh3_64(&self.out.folded.as_bytes()[start..]);
        self.out.pieces.push(Lexeme {
            kind,
            capital,
            shouted: false,
            quoted: self.quote_end > 0 && self.at <= self.quote_end,
            hash,
            // Texts are far below 4 GB; a longer one would only blur the folded forms of its end.
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(self.out.folded.len()).unwrap_or(u32::MAX),
        });
    }

    fn push_break(&mut self, kind: Kind) {
        let repeats = self.out.pieces.last().is_some_and(|last| last.kind == kind);
        if !repeats {
            self.out.pieces.push(Lexeme {
                kind,
                capital: false,
                shouted: false,
                quoted: false,
                hash: 0,
                start: 0,
                end: 0,
            });
        }
    }

    fn push_char(&mut self, kind: Kind, c: char) {
        let start = self.out.folded.len();
        self.out.folded.push(c);
        self.push(kind, false, start);
    }

    /// Returns the plain letters and digits from here on.
    fn ascii_run(&self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.bytes().position(|b| !b.is_ascii_alphanumeric());
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Takes a word: letters, digits and marks, inner apostrophes and underscores, dots of an abbreviation, and
    /// the signs of names such as C++ and C#.
    fn word(&mut self) {
        let start = self.out.folded.len();
        let from = self.at;
        let capital = self.peek(from).is_some_and(char::is_uppercase);
        let mut small = false;
        while let Some(c) = self.peek(self.at) {
            if c.is_ascii_alphanumeric() {
                let letters = self.ascii_run();
                small |= letters.bytes().any(|b| b.is_ascii_lowercase());
                let folded = self.out.folded.len();
                self.out.folded.push_str(letters);
                self.out.folded[folded..].make_ascii_lowercase();
                self.at += letters.len();
            } else if c == ' ' {
                break;
            } else if c.is_ascii() {
                let next = self.peek(self.at + 1);
                let inner = next.is_some_and(|n| n.is_alphanumeric() && !is_glyph(n));
                let single = self.at == from + 1
                    || self.at >= from + 2 && self.text.as_bytes()[self.at - 2] == b'.';
                match c {
                    '\'' | '_' if inner => self.out.folded.push(c),
                    '&' if inner && capital => self.out.folded.push(c),
                    '.' if single
                        && (next.is_some_and(|n| n.is_ascii_alphabetic())
                            || self.at >= from + 3) =>
                    {
                        self.out.folded.push(c);
                    }
                    '+' | '#' if self.at == from + 1 && !inner => {
                        self.out.folded.push(c);
                        if next == Some('+') && c == '+' {
                            self.out.folded.push('+');
                            self.at += 1;
                        }
                    }
                    _ => break,
                }
                self.at += 1;
            } else if (c.is_alphanumeric() || is_combining(c)) && !is_glyph(c) {
                small |= !c.is_uppercase();
                self.out.folded.extend(fold_case(c));
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
        self.push(Kind::Word, capital, start);
        self.out.mixed_case |= small;
        let shouted = capital && !small && self.out.folded.len() - start > 1;
        if let Some(word) = self.out.pieces.last_mut() {
            word.shouted = shouted;
        }
    }

    /// Takes a number, without the commas that group its digits and the zeros in front; a name such as `3d` or
    /// `2nd` is a word, a unit that sticks to a number is a word of its own.
    fn number(&mut self, negative: bool) {
        let start = self.out.folded.len();
        if negative {
            self.out.folded.push('-');
        }
        let bytes = self.text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        while let Some(&byte) = bytes.get(self.at) {
            let grouping = byte == b','
                && digit(self.at + 1)
                && digit(self.at + 2)
                && digit(self.at + 3)
                && !digit(self.at + 4);
            match byte {
                b'0'..=b'9' => self.out.folded.push(char::from(byte)),
                b'.' if digit(self.at + 1) => self.out.folded.push('.'),
                _ if grouping => {}
                _ => break,
            }
            self.at += 1;
        }
        let letters = bytes[self.at..]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric())
            .count();
        let suffix = self.text[self.at..self.at + letters].to_ascii_lowercase();
        if matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") {
            self.out.folded.push_str(&suffix);
            self.at += letters;
        } else if letters > 0 && !super::lexicon::is_unit(&suffix) {
            self.out.folded.push_str(&suffix);
            self.at += letters;
            self.push(Kind::Word, false, start);
            return;
        }
        self.push(Kind::Number, false, start);
    }

    /// Takes the end of a line: a pause, and the bullet or quote mark of the next line with it. A line that is only
    /// wrapped goes on with a small letter.
    fn line_end(&mut self) {
        let rest = &self.text[self.at..];
        self.at += if rest.starts_with("\r\n") { 2 } else { 1 };
        let behind = self.text[self.at..].trim_start_matches([' ', '\t']);
        let wrapped = behind.starts_with(|c: char| c.is_lowercase());
        if !self.out.pieces.is_empty() && !wrapped {
            self.push_break(Kind::Pause);
        }
    }

    /// Takes the marks of a heading, which close what stands before them.
    fn heading(&mut self) {
        let marks = self.text[self.at..]
            .bytes()
            .take_while(|b| *b == b'#')
            .count();
        self.at += marks;
        if marks > 1 && !self.out.pieces.is_empty() {
            self.push_break(Kind::Stop);
        }
    }

    fn at_line_start(&self) -> bool {
        let mark = |c: &char| matches!(c, ' ' | '\t' | '>' | '*' | '-' | '#');
        let mut before = self.text[..self.at].chars().rev().take(NEARBY);
        before.find(|c| !mark(c)).is_none_or(|c| c == '\n')
    }

    fn sign(&mut self, c: char) {
        let before = self.before();
        let after = self.peek(self.at + 1);
        let spaced =
            before.is_none_or(char::is_whitespace) && after.is_none_or(char::is_whitespace);
        let tight =
            before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        let digits =
            before.is_some_and(|b| b.is_ascii_digit()) && after.is_some_and(|a| a.is_ascii_digit());
        let symbols = tight && self.between_symbols();
        match c {
            '.' | '!' if c == '.' || after != Some('=') => self.push_break(Kind::Stop),
            '?' => self.push_break(Kind::Ask),
            ',' | ';' => self.push_break(Kind::Pause),
            ':' => self.push_break(Kind::Colon),
            '(' => self.push_break(Kind::Open),
            ')' => self.push_break(Kind::Close),
            '[' | '<' if self.marker() => return,
            ']' if after == Some('(') => {
                // The address of a Markdown link.
                let end = self.text[self.at..].find(')').unwrap_or(1);
                self.at += end;
            }
            '$' if self.at == self.formula_end || self.formula() => {}
            '<' if self.tag() => return,
            '-' if self.text[self.at..].starts_with("--") => {
                self.push_break(Kind::Pause);
                self.at += 1;
            }
            '-' | '*' | '>' | '+' if spaced && self.at_line_start() => {}
            '-' if !tight && after.is_some_and(|a| a.is_ascii_digit()) => {
                let calculates = self
                    .out
                    .pieces
                    .last()
                    .is_some_and(|p| p.kind == Kind::Number);
                if calculates {
                    self.push_char(Kind::Sign, '-');
                } else {
                    self.at += 1;
                    self.number(true);
                    return;
                }
            }
            '-' if digits || symbols => self.push_char(Kind::Sign, '-'),
            '-' if spaced => {
                // Between words a spaced hyphen is a dash.
                let symbol = self
                    .out
                    .pieces
                    .last()
                    .is_some_and(|p| p.kind == Kind::Number || p.end - p.start == 1);
                if symbol {
                    self.push_char(Kind::Sign, '-');
                } else {
                    self.push_break(Kind::Pause);
                }
            }
            '*' | '/' if digits || symbols || spaced || self.between_operands() => {
                self.push_char(Kind::Sign, c);
            }
            '+' | '=' | '<' | '>' | '^' | '%' | '$' | '!' => self.push_char(Kind::Sign, c),
            _ => {}
        }
        self.at += 1;
    }

    /// Remembers where a quotation ends that starts here, unless it is the whole text.
    fn quote(&mut self) {
        let behind = self.at + 1;
        if self.at >= self.quote_end
            && let Some(length) = self.text[behind..].find('"')
        {
            let mut after = self.text[behind + length..].chars().take(NEARBY);
            if !self.out.pieces.is_empty() || after.any(char::is_alphanumeric) {
                self.quote_end = behind + length;
            }
        }
        self.at = behind;
    }

    /// Takes a sign that joins two operands, and reads over it between words, where it is an "and" or the border of
    /// a table's column.
    fn joining_sign(&mut self, c: char) {
        if self.between_operands() {
            self.push_char(Kind::Sign, c);
        }
        self.at += 1;
    }

    /// Returns whether numbers, single letters or parentheses stand on both sides, as in `x & 7` and `sin(x)/x`.
    fn between_operands(&self) -> bool {
        let is_sign = |c: &char| matches!(c, ' ' | '&' | '|' | '/' | '*');
        let before = self.text[..self.at].chars().rev().take(NEARBY);
        let after = self.text[self.at..].chars().take(NEARBY);
        // Each of these signs is of one byte.
        let before = &self.text[..self.at - before.take_while(is_sign).count()];
        let after = &self.text[self.at + after.take_while(is_sign).count()..];
        let is_letter = |c: char| c.is_alphanumeric() || c == '_';
        let ends =
            |word: &str| word.chars().all(|c| c.is_ascii_digit()) || word.chars().nth(1).is_none();
        let left = before.rsplit(|c| !is_letter(c)).next().unwrap_or_default();
        let right = after.split(|c| !is_letter(c)).next().unwrap_or_default();
        let left = before.ends_with(')') || !left.is_empty() && ends(left);
        left && (after.starts_with('(') || !right.is_empty() && ends(right))
    }

    /// Returns whether the sign here stands between numbers or single letters, as in `x-y` and `2*n`.
    fn between_symbols(&self) -> bool {
        let word = |c: &char| c.is_alphanumeric();
        let left = self.text[..self.at].chars().rev().take_while(word).take(3);
        let right = self.text[self.at + 1..].chars().take_while(word).take(3);
        let (left, right): (Vec<char>, Vec<char>) = (left.collect(), right.collect());
        let symbol = |side: &[char]| side.len() == 1 || side.iter().all(char::is_ascii_digit);
        symbol(&left) && symbol(&right)
    }

    /// Returns whether a formula in TeX starts here, and remembers its end: `$x^2$` but not `$5 or $6`.
    fn formula(&mut self) -> bool {
        let rest = &self.text[self.at + 1..];
        let Some(length) = rest.find('$') else {
            return false;
        };
        let (inner, behind) = (&rest[..length], &rest[length + 1..]);
        let is_formula = length > 0
            && !inner.starts_with(char::is_whitespace)
            && !inner.ends_with(char::is_whitespace)
            && !behind.starts_with(|c: char| c.is_ascii_digit());
        if is_formula {
            self.formula_end = self.at + 1 + length;
        }
        is_formula
    }

    /// Skips a mark of a chat format, if there is one here: `[INST]`, `<|user|>`. It closes what stands before it.
    fn marker(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let length = match rest.strip_prefix("<|").and_then(|inner| inner.find("|>")) {
            Some(inner) if inner < 20 => inner + 4,
            _ => match MARKERS.iter().find(|marker| rest.starts_with(**marker)) {
                Some(marker) => marker.len(),
                None => return false,
            },
        };
        self.at += length;
        if !self.out.pieces.is_empty() {
            self.push_break(Kind::Stop);
        }
        true
    }

    /// Skips a tag of HTML, if there is one here.
    fn tag(&mut self) -> bool {
        let rest = &self.text[self.at + 1..];
        let Some(end) = rest.find('>') else {
            return false;
        };
        let inner = rest[..end].trim_matches(['/', ' ']);
        let name = inner.split(' ').next().unwrap_or_default();
        let known = TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name));
        if known {
            self.at += end + 2;
            if matches!(
                name.to_ascii_lowercase().as_str(),
                "p" | "br" | "li" | "div"
            ) && !self.out.pieces.is_empty()
            {
                self.push_break(Kind::Pause);
            }
        }
        known
    }

    fn beyond_ascii(&mut self, c: char) {
        if is_glyph(c) {
            self.push_char(Kind::Glyph, c);
        } else if c.is_alphabetic() {
            return self.word();
        } else if c.is_numeric() {
            self.push_char(Kind::Number, c);
        } else if c == '–' {
            let digits = self.before().is_some_and(|b| b.is_ascii_digit())
                && self
                    .peek(self.at + c.len_utf8())
                    .is_some_and(|a| a.is_ascii_digit());
            if digits {
                self.push_char(Kind::Sign, '-');
            } else {
                self.push_break(Kind::Pause);
            }
        } else if c == '—' {
            self.push_break(Kind::Pause);
        } else if is_emoji(c) {
            self.push_char(Kind::Emoji, c);
        } else if is_operator(c) {
            self.push_char(Kind::Sign, c);
        }
        self.at += c.len_utf8();
    }
}

fn is_combining(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

fn is_operator(c: char) -> bool {
    matches!(c, '€' | '£' | '¥' | '₹' | '₽' | '₩' | '°' | '±' | '√' | '∞' | '¬' | '\u{2190}'..='\u{21ff}' | '\u{2200}'..='\u{22ff}')
}
