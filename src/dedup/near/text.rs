//! Brings a text to one form before it is read: plain signs, nothing invisible, no markup.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::dedup::fold::is_invisible;

/// Brings a text to one form: NFKC, plain quotes and dashes, nothing invisible, no markup.
pub(super) fn normalised(text: &str) -> Cow<'_, str> {
    let text = if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(plain(text))
    };
    let text = if text.contains('&') {
        Cow::Owned(text.replace("&nbsp;", " ").replace("&amp;", "&"))
    } else {
        text
    };
    let text = match without_wrapping(&text) {
        whole if whole.len() == text.len() => text,
        inner => Cow::Owned(inner.to_owned()),
    };
    if text.contains(['*', '_', '<']) {
        Cow::Owned(without_markup(&text))
    } else {
        text
    }
}

/// Takes off what lists and pages put around a sentence: a bullet, a number, tags.
fn without_wrapping(text: &str) -> &str {
    let text = text.trim();
    if text.bytes().filter(|b| *b == b' ').take(3).count() < 3 {
        return text;
    }
    let mut inner = text;
    if let Some((label, link)) = text
        .strip_prefix('[')
        .and_then(|text| text.split_once("]("))
        && link
            .strip_suffix(')')
            .is_some_and(|link| !link.contains(char::is_whitespace))
    {
        inner = label;
    }
    while let Some((name, after)) = tag(inner)
        && let Some(body) = after
            .strip_suffix('>')
            .and_then(|body| body.strip_suffix(name)?.strip_suffix("</"))
    {
        inner = body;
    }
    let inner = inner
        .trim_start_matches(|c: char| matches!(c, '-' | '*' | '>' | '#' | '•') || c.is_whitespace())
        .trim_start();
    if inner.len() < text.len()
        && text.len() - text.trim_start_matches(['-', '*', '#']).len() > 0
        && !text
            .trim_start_matches(['-', '*', '#', '>', '•'])
            .starts_with(' ')
    {
        return text;
    }
    let (head, rest) = inner.split_once(' ').unwrap_or((inner, ""));
    let number = head
        .trim_start_matches('(')
        .trim_end_matches(['.', ')', ':']);
    let enumerates = number.len() < head.len()
        && head.ends_with(['.', ')', ':'])
        && (number.len() == 1 && number.as_bytes()[0].is_ascii_alphabetic()
            || !number.is_empty()
                && number.len() < 4
                && number.bytes().all(|b| b.is_ascii_digit()));
    if enumerates && rest.starts_with(|c: char| c.is_alphabetic() || c == '"') {
        rest
    } else {
        inner
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' | '«' | '»' | '‹' | '›' => plain.push('"'),
            '「' | '」' | '『' | '』' | '《' | '》' => plain.push_str(" \" "),
            '–' | '‐' | '‑' | '−' => plain.push('-'),
            '—' => plain.push_str(" - "),
            '。' | '।' | '۔' => plain.push_str(". "),
            '、' | '，' | '،' => plain.push_str(", "),
            '？' | '؟' => plain.push_str("? "),
            '！' => plain.push_str("! "),
            '：' => plain.push_str(": "),
            '；' | '؛' => plain.push_str("; "),
            // Raised digits are exponents: 10² is not 102.
            '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' => {
                plain.push('^');
                plain.extend(c.nfkc());
            }
            'ё' => plain.push('е'),
            'Ё' => plain.push('Е'),
            // Signs that only lengthen or point Arabic letters.
            '\u{640}' | '\u{64b}'..='\u{652}' | '¿' | '¡' => {}
            c if is_invisible(c) => {}
            c => plain.push(c),
        }
    }
    plain.nfkc().collect()
}

/// Takes away emphasis (`**word**`, `_word_`) and tags around prose.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let words = text.split_whitespace().count();
    let mut rest = text;
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut at_start = true;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '*' | '_') {
            let run = rest.len() - rest.trim_start_matches(c).len();
            let (sign, after) = rest.split_at(run);
            let inside = after.chars().next().is_some_and(|c| !c.is_whitespace());
            let behind_word = out.chars().next_back().is_some_and(|c| !c.is_whitespace());
            if run <= 3 && at_start && inside {
                open.push((out.len(), sign));
                out.push_str(sign);
                rest = after;
                continue;
            }
            let ends = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
            if behind_word
                && ends
                && let Some(&(start, opened)) = open.last()
                && opened == sign
            {
                open.pop();
                out.replace_range(start..start + sign.len(), "");
                rest = after;
                continue;
            }
            out.push_str(sign);
            rest = after;
            at_start = false;
            continue;
        }
        if c == '<'
            && words > 3
            && let Some((name, after)) = tag(rest)
            && let closing = format!("</{name}>")
            && after.matches(closing.as_str()).count() == 1
            && text.matches('<').count() == 2
        {
            let (inner, behind) = after.split_once(closing.as_str()).unwrap_or((after, ""));
            out.push_str(inner);
            rest = behind;
            continue;
        }
        out.push(c);
        at_start = !c.is_alphanumeric();
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn tag(text: &str) -> Option<(&str, &str)> {
    let (tag, after) = text.strip_prefix('<')?.split_once('>')?;
    let name = tag.split(' ').next()?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())).then_some((name, after))
}

/// Splits off what stands between two of the sign a text begins with.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    for fence in ["```", "``", "`"] {
        if let Some(after) = text.strip_prefix(fence) {
            let (inner, behind) = after.split_once(fence)?;
            return (!inner.trim().is_empty()).then_some((inner, behind));
        }
    }
    let after = text.strip_prefix('$')?;
    let (inner, behind) = after.split_once('$')?;
    let tight = !inner.is_empty() && inner.trim().len() == inner.len();
    let price = inner.contains(' ') && inner.starts_with(|c: char| c.is_ascii_digit())
        || behind.starts_with(|c: char| c.is_ascii_digit());
    (tight && !price).then_some((inner, behind))
}

/// Returns whether every sign of a text counts: source code, formulas, markup as data.
pub(super) fn is_code(text: &str) -> bool {
    let signs = text.bytes().filter(|b| is_sign_of_code(*b)).count();
    if signs < 3 {
        return false;
    }
    let letters = text.bytes().filter(|b| !b.is_ascii_whitespace()).count();
    signs * 8 >= letters
}

/// Returns whether a text holds no word, but signs, letters or names of a notation: moves, formulas, keys, identifiers.
pub(super) fn is_symbolic(text: &str) -> bool {
    let text = text.trim_ascii();
    let is_number = || {
        text.bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','))
    };
    text.is_ascii()
        && (is_identifier(text) || text.split_ascii_whitespace().all(is_short) && !is_number())
}

/// Returns whether something is too short to be a word, or none for its digits and signs.
fn is_short(part: &str) -> bool {
    let word = part.trim_matches(['.', ',', ';', ':', '?', '!', '"']);
    !word.bytes().any(|b| b.is_ascii_alphanumeric())
        || word.len() < 2
        || part.len() < 5 && !word.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Returns whether it is one name such as `userName`.
fn is_identifier(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_inner_capital = |two: &[u8]| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase();
    !bytes.iter().any(u8::is_ascii_whitespace) && bytes.windows(2).any(has_inner_capital)
}

// A match, since looking a byte up in a slice costs a hundred times as much.
fn is_sign_of_code(byte: u8) -> bool {
    matches!(
        byte,
        b'{' | b'}'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'='
            | b'+'
            | b'*'
            | b'\\'
            | b'|'
            | b'&'
            | b'^'
            | b'~'
            | b'_'
            | b';'
            | b'@'
            | b'#'
    )
}
