//! Thinking sections, whatever tags a model puts around them.

/// Names in `<name>…</name>`, as reasoning models and prompts for them use.
const NAMES: [&str; 14] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reason",
    "reflection",
    "scratchpad",
    "analysis",
    "inner_monologue",
    "seed:think",
    "antthinking",
    "chain_of_thought",
    "brainstorm",
];

/// The kinds of section from this on have a pair of marks instead of a name.
const FIRST_PAIR: usize = NAMES.len();

/// Tags of other forms: Mistral, Kimi, Sky-T1, Cohere, and the channels of gpt-oss.
const PAIRS: [(&str, &[&str]); 5] = [
    ("[THINK]", &["[/THINK]"]),
    ("◁think▷", &["◁/think▷"]),
    ("<|begin_of_thought|>", &["<|end_of_thought|>"]),
    ("<|START_THINKING|>", &["<|END_THINKING|>"]),
    (
        "<|channel|>analysis",
        &["<|end|>", "<|channel|>final", "<|start|>"],
    ),
];

/// Ends of thoughts whose beginning has no mark: what a command-line tool writes, and channels without their special tokens.
const ENDS: [&str; 2] = ["...done thinking.", "assistantfinal"];

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// A section starts; its text begins after this many bytes.
    Open { length: usize, kind: usize },
    /// A section ends that was not seen to start.
    Close { length: usize },
}

/// Returns the tag at a place.
pub(super) fn tag(text: &str, at: usize) -> Option<Tag> {
    let rest = &text.as_bytes()[at..];
    match (rest[0], rest.get(1)?) {
        (b'[', b'T' | b'/') | (b'<', b'/' | b'|' | b'a'..=b'z' | b'A'..=b'Z') | (0xe2, 0x97) => {}
        (b'.' | b'a', _) => {
            let end = ENDS.iter().find(|end| rest.starts_with(end.as_bytes()))?;
            return Some(Tag::Close { length: end.len() });
        }
        _ => return None,
    }
    for (index, (open, closes)) in PAIRS.iter().enumerate() {
        if rest.starts_with(open.as_bytes()) {
            let kind = FIRST_PAIR + index;
            let length = open.len();
            return Some(Tag::Open { length, kind });
        }
        let close = closes[0].as_bytes();
        if close != b"<|end|>" && rest.starts_with(close) {
            let length = close.len();
            return Some(Tag::Close { length });
        }
    }
    let closing = rest.starts_with(b"</");
    let (kind, length) = named(rest.get(1 + usize::from(closing)..)?)?;
    let length = 1 + usize::from(closing) + length;
    Some(if closing {
        Tag::Close { length }
    } else {
        Tag::Open { length, kind }
    })
}

/// Matches `name>` or `name attributes>`.
fn named(rest: &[u8]) -> Option<(usize, usize)> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_:".contains(byte);
    let length = rest.iter().take(24).take_while(is_part).count();
    let is_named = |name: &str| name.as_bytes().eq_ignore_ascii_case(&rest[..length]);
    let kind = NAMES.iter().position(|name| is_named(name))?;
    let tail = rest[length..]
        .iter()
        .take(64)
        .position(|byte| matches!(byte, b'>' | b'<' | b'\n' | b'"' | b'{'))
        .filter(|tail| rest[length + tail] == b'>')?;
    (tail == 0 || rest[length] == b' ').then_some((kind, length + tail + 1))
}

/// Returns where the section of a kind ends, from `from` on: after its closing tag.
pub(super) fn end(text: &str, from: usize, kind: usize) -> Option<usize> {
    if let Some(index) = kind.checked_sub(FIRST_PAIR) {
        let closes = PAIRS[index].1.iter();
        let ends = closes.filter_map(|close| Some(text[from..].find(close)? + close.len()));
        return ends.min().map(|end| from + end);
    }
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(next) = text[at..].find("</") {
        at += next + 2;
        if let Some((closed, length)) = named(&bytes[at..])
            && closed == kind
        {
            return Some(at + length);
        }
    }
    None
}

/// Returns the end of the last closing tag in a text that no opening tag in it belongs to.
pub(super) fn lone_close(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut found = None;
    let may_open = |(_, byte): &(usize, u8)| matches!(byte, b'<' | b'[' | 0xe2);
    for (at, _) in text.bytes().enumerate().filter(may_open) {
        match tag(text, at) {
            Some(Tag::Open { .. }) => depth += 1,
            Some(Tag::Close { length }) if depth == 0 => found = Some(at + length),
            Some(Tag::Close { .. }) => depth -= 1,
            None => {}
        }
    }
    found
}

/// How many kinds of section there are.
pub(super) const KINDS: usize = FIRST_PAIR + PAIRS.len();
