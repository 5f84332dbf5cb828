//! Valid JSON escapes that were meant as LaTeX: `\frac` read as a form feed and "rac".
//!
//! A form feed or a backspace is never meant, so those are always undone. A tab, a line feed
//! or a carriage return often is, so those are undone only where the letters complete a command that
//! cannot be words after white space, or where the place is maths and the letters are exactly a command.
//! An author who elsewhere in the same string doubles the backslashes as JSON wants them is believed.

use std::cell::LazyCell;

use super::verbatim;

/// Commands that begin with the letter of an escape, without it: those whose rest begins no word, so that no maths around
/// them is needed, and those that are believed only inside maths.
const COMMANDS: [(u8, &str, &str); 3] = [
    (
        b't',
        "heta imes frac extbf extit extrm exttt extsf herefore riangle ilde binom",
        "o au an anh op ext riangleq iny",
    ),
    (
        b'n',
        "abla otin subseteq",
        "u e eq i ot eg mid leq geq exists parallel earrow",
    ),
    (
        b'r',
        "ho ight ightarrow angle ceil floor vert brace",
        "m ef eal",
    ),
];

/// What a control character and the letters behind it complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Sure,
    InMaths,
    No,
}

/// The escapes in one string, by the places of what they became, in order: the author's way with backslashes.
#[derive(Default)]
pub(super) struct Escapes {
    /// Control characters that may be a backslash and a letter.
    pub(super) suspects: Vec<usize>,
    /// Backslashes that stand alone before something that JSON does not know.
    pub(super) singles: Vec<usize>,
    /// Backslashes that were two and stand before no letter, as at the end of a matrix row.
    pub(super) rows: Vec<usize>,
    /// How many backslashes before letters were escaped as JSON wants.
    pub(super) doubled: usize,
}

impl Escapes {
    /// Forgets those from this place on, as the text ends there.
    pub(super) fn truncate(&mut self, end: usize) {
        for places in [&mut self.suspects, &mut self.singles, &mut self.rows] {
            places.truncate(places.partition_point(|at| *at < end));
        }
    }
}

/// Undoes LaTeX in a string that was valid JSON, and returns how many escapes were undone.
pub(super) fn undo_valid(text: &mut String) -> u32 {
    let bytes = text.as_bytes();
    // A drive letter: its path goes on behind other control characters.
    let is_drive = |(at, _): (usize, &str)| bytes.get(at + 1).is_some_and(u8::is_ascii_control);
    let has_drive = LazyCell::new(|| text.match_indices(':').any(is_drive));
    let suspects: Vec<usize> = suspects(bytes, || *has_drive).collect();
    if suspects.is_empty() {
        return 0;
    }
    let is_command = |pair: &&[u8]| pair[0] == b'\\' && pair[1].is_ascii_alphabetic();
    let doubled = bytes.windows(2).filter(is_command).count();
    let escapes = Escapes {
        suspects,
        doubled,
        ..Escapes::default()
    };
    undo(text, escapes)
}

/// Finds the control characters that may be the start of a command.
fn suspects(bytes: &[u8], has_drive: impl Fn() -> bool) -> impl Iterator<Item = usize> {
    // Whole chunks are looked at first, which compiles to a few wide instructions. Few line breaks stand before a
    // small letter, so few chunks need a closer look.
    const CHUNK: usize = 256;
    let holds_one = |(chunk, nexts): &(&[u8], &[u8])| {
        let found = chunk.iter().zip(*nexts).fold(0, |any, (byte, next)| {
            let strong = byte & !4 == 8; // U+0008 and U+000C
            any | u8::from((*byte < 0x20) & (next.is_ascii_lowercase() | strong))
        });
        found != 0
    };
    let nexts = bytes.get(1..).unwrap_or_default();
    bytes
        .chunks(CHUNK)
        .zip(nexts.chunks(CHUNK))
        .enumerate()
        .filter(move |(_, pair)| holds_one(pair))
        .flat_map(|(index, _)| index * CHUNK..(index + 1) * CHUNK)
        .filter(|at| at + 1 < bytes.len())
        .chain(bytes.len().checked_sub(1))
        .filter(move |at| is_suspect(bytes, *at, &has_drive))
}

/// Whether a control character and what follows it may be a command, or a part of a path.
fn is_suspect(bytes: &[u8], at: usize, has_drive: impl Fn() -> bool) -> bool {
    match bytes[at] {
        0x08 | 0x0c => true,
        b'\t' | b'\n' | b'\r' => command(bytes, at) != Command::No || has_drive(),
        _ => false,
    }
}

/// Undoes LaTeX, and what paths and patterns need, at the suspects. Returns how many escapes were undone.
pub(super) fn undo(text: &mut String, escapes: Escapes) -> u32 {
    let Escapes {
        suspects,
        singles,
        rows,
        doubled,
    } = escapes;
    let has_matrix = || text.contains("\\begin{") || text.contains("\u{8}egin{");
    // An author who does not escape wrote both backslashes at the end of a row.
    let doubles_rows = doubled == 0 && !singles.is_empty() && !rows.is_empty() && has_matrix();
    if suspects.is_empty() && !doubles_rows {
        return 0;
    }
    let bytes = text.as_bytes();
    let strong = |at: usize| matches!(bytes[at], 0x08 | 0x0c);
    let careless = !singles.is_empty() || suspects.iter().any(|&at| strong(at));
    let careful = doubled > 0 && !careless;
    let mut maths: Option<Vec<(usize, usize)>> = None;
    let mut undone = verbatim::find(text, &suspects, &singles);
    if doubles_rows {
        undone.extend(&rows);
    }
    let ends_row = |at: usize| doubles_rows && rows.binary_search(&at.wrapping_sub(1)).is_ok();
    let feeds_line = |at| opens_display(bytes, at) || (bytes[at] == b'\n' && ends_row(at));
    let mut in_maths = |at| inside(maths.get_or_insert_with(|| maths_spans(bytes)), at);
    for &at in &suspects {
        let mut is_command = || match command(bytes, at) {
            Command::Sure => true,
            Command::InMaths => !feeds_line(at) && in_maths(at),
            Command::No => false,
        };
        let found = strong(at) || (!careful && is_command());
        if found {
            undone.push(at);
        }
    }
    if undone.is_empty() {
        return 0;
    }
    undone.sort_unstable();
    undone.dedup();
    let mut repaired = String::with_capacity(text.len() + undone.len());
    let mut from = 0;
    for &at in &undone {
        repaired.push_str(&text[from..at]);
        repaired.push('\\');
        repaired.push(char::from(letter(bytes[at])));
        from = at + 1;
    }
    repaired.push_str(&text[from..]);
    *text = repaired;
    u32::try_from(undone.len()).unwrap_or(u32::MAX)
}

fn letter(control: u8) -> u8 {
    match control {
        0x08 => b'b',
        0x0c => b'f',
        b'\t' => b't',
        b'\n' => b'n',
        b'\r' => b'r',
        other => other,
    }
}

fn command(bytes: &[u8], at: usize) -> Command {
    // The longest command has nine letters; a longer run is none.
    let letters = &bytes[at + 1..bytes.len().min(at + 11)];
    let run = letters
        .split(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    // Most line breaks stand before a capital.
    if !run.first().is_some_and(u8::is_ascii_lowercase) {
        return Command::No;
    }
    let first = letter(bytes[at]);
    let is_in = |rests: &str| {
        let mut rests = rests.as_bytes().split(|byte| *byte == b' ');
        rests.any(|rest| rest == run)
    };
    match COMMANDS.iter().find(|(of, ..)| *of == first) {
        Some((_, sure, _)) if is_in(sure) => Command::Sure,
        Some((_, _, in_maths)) if is_in(in_maths) => Command::InMaths,
        _ => Command::No,
    }
}

/// A line feed right after the opening of display maths, or after a row's end, is a line feed.
fn opens_display(bytes: &[u8], at: usize) -> bool {
    let openings = [&b"$$"[..], b"\\[", b"\\\\"];
    let opens = openings
        .iter()
        .any(|opening| bytes[..at].ends_with(opening));
    bytes[at] == b'\n' && opens
}

fn inside(spans: &[(usize, usize)], at: usize) -> bool {
    let next = spans.partition_point(|(start, _)| *start <= at);
    next > 0 && at < spans[next - 1].1
}

/// Finds the maths in a text: `$...$` by Pandoc's rules, which keep prices out, `$$...$$`, `\(...\)`, `\[...\]`.
fn maths_spans(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut open: Option<(usize, &[u8])> = None;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if let Some((start, close)) = open {
            if rest.starts_with(close) && closes(bytes, at, close) {
                spans.push((start, at));
                open = None;
                at += close.len();
            } else {
                // Maths does not go on over a blank line.
                open = open.filter(|_| !rest.starts_with(b"\n\n"));
                at += 1 + usize::from(is_escape(rest) && !matches!(rest[1], b')' | b']'));
            }
        } else if let Some(close) = opens(rest) {
            open = Some((at, close));
            at += close.len();
        } else {
            at += 1 + usize::from(is_escape(rest));
        }
    }
    spans
}

fn is_escape(rest: &[u8]) -> bool {
    rest[0] == b'\\' && rest.len() > 1
}

/// Returns what closes the maths that opens here.
fn opens(rest: &[u8]) -> Option<&'static [u8]> {
    match rest {
        [b'$', b'$', ..] => Some(b"$$"),
        // A control character may be the start of a command.
        [b'$', next, ..] if !next.is_ascii_whitespace() || next.is_ascii_control() => Some(b"$"),
        [b'\\', b'(', ..] => Some(b"\\)"),
        [b'\\', b'[', ..] => Some(b"\\]"),
        _ => None,
    }
}

fn closes(bytes: &[u8], at: usize, close: &[u8]) -> bool {
    if close != b"$" {
        return true;
    }
    let before = bytes[at - 1];
    let after = bytes.get(at + 1).copied().unwrap_or(b' ');
    !before.is_ascii_whitespace() && !after.is_ascii_digit()
}
