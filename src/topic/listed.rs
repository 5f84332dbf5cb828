//! Finds the names in an answer, in whatever form a model lists them.

use serde_json::{Map, Value};

use crate::parse::{self, Limits};

/// Longer than this, a part of a text between commas is no name.
const WORDS_OF_A_PART: usize = 7;

/// Returns what an answer lists: JSON in any shape, or a list in words.
pub(super) fn listed(text: &str) -> Vec<String> {
    let names = parse::strings(text, &Limits::default()).values.into_iter();
    let names: Vec<String> = names
        .filter_map(|value| match value {
            Value::String(name) => Some(name),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return apart(names);
    }
    let text = after_thoughts(text);
    let mut names = Vec::new();
    if let Some(value) = json_in(text) {
        names_in(&value, &mut names);
    }
    if names.is_empty() {
        names = in_words(text);
    }
    apart(names)
}

/// Takes a list apart that came as one text.
fn apart(names: Vec<String>) -> Vec<String> {
    match &names[..] {
        [one] if one.contains('\n') => in_words(one),
        [one] => between_commas(one).unwrap_or(names),
        _ => names,
    }
}

/// Leaves out what stands in a tag before the answer, such as `<think>`.
fn after_thoughts(text: &str) -> &str {
    let text = text.trim();
    let Some(rest) = text.strip_prefix('<') else {
        return text;
    };
    let name = rest.split('>').next().unwrap_or_default();
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_');
    let end = is_name
        .then(|| text.split_once(&format!("</{name}>")))
        .flatten();
    end.map_or(text, |(_, after)| after)
}

/// Returns the first list or object of a text.
fn json_in(text: &str) -> Option<Value> {
    /// Brackets that are looked at. What comes after this many that begin nothing is prose.
    const TRIES: usize = 20;
    text.match_indices(['{', '['])
        .take(TRIES)
        .find_map(|(start, _)| {
            let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter();
            values.next()?.ok()
        })
}

/// Adds the names at the leaves of a value: of categories, that is what is in them.
fn names_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(name) => names.push(name.clone()),
        Value::Array(items) => items.iter().for_each(|item| names_in(item, names)),
        Value::Object(object)
            if object
                .values()
                .any(|value| value.is_array() || value.is_object()) =>
        {
            let groups = object.values().filter(|value| !value.is_string());
            groups.for_each(|group| names_in(group, names));
        }
        Value::Object(object) => names.extend(names_of_pairs(object)),
        _ => {}
    }
}

/// Returns the names in an object of texts: `{"name": "description"}`, or numbers for keys and names for values. Of an
/// object that describes one thing, its first text is the name.
fn names_of_pairs(object: &Map<String, Value>) -> Vec<String> {
    let texts: Vec<(&str, &str)> = object
        .iter()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect();
    let numbered = |key: &str| key.ends_with(|letter: char| letter.is_ascii_digit());
    // A key of a programmer's making is a field; the keys of a list of names are words.
    let is_field = |key: &str| {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        key.chars().all(is_plain)
    };
    if texts.iter().all(|(key, _)| numbered(key)) {
        return texts.iter().map(|(_, value)| (*value).to_owned()).collect();
    }
    if object.len() <= 4 && texts.iter().all(|(key, _)| is_field(key)) && one_is_longer(&texts) {
        return texts
            .iter()
            .take(1)
            .map(|(_, value)| (*value).to_owned())
            .collect();
    }
    object.keys().cloned().collect()
}

/// Whether the first text is shorter than one that follows, as a name is beside its description; or stands alone.
fn one_is_longer(texts: &[(&str, &str)]) -> bool {
    let length = |(_, value): &(&str, &str)| value.len();
    match texts.split_first() {
        Some((first, [])) => length(first) > 0,
        Some((first, rest)) => {
            let is_keyed = first.0.len() < length(first);
            is_keyed && rest.iter().any(|text| length(text) > length(first))
        }
        None => false,
    }
}

/// A line of a list.
#[derive(Clone, Copy)]
struct Item<'a> {
    indent: usize,
    text: &'a str,
}

/// Returns the names that a list in words has: numbered, with bullets, as YAML, as a table, a name on each line, or all on
/// one line between commas. Prose gives none.
fn in_words(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("```"))
        .collect();
    if let Some(names) = in_table(&lines) {
        return names;
    }
    let items: Vec<Item<'_>> = lines.iter().filter_map(|line| item(line)).collect();
    if let [one] = &items[..] {
        return without_descriptions(&numbered_on_one_line(one.text));
    }
    if !items.is_empty() {
        return without_descriptions(&leaves(&items));
    }
    let headings: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    if headings.len() > 1 {
        return without_descriptions(&headings);
    }
    // What leads to the list ends in a colon.
    let is_lead = |line: &&str| line.trim().ends_with(':');
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| !is_lead(line))
        .map(str::trim)
        .collect();
    match &lines[..] {
        [one] => between_commas(one).unwrap_or_default(),
        lines if lines.len() > 1 => {
            let names = without_descriptions(lines);
            let are_names = names.iter().all(|name| {
                name.split_whitespace().count() <= WORDS_OF_A_PART
                    && !name.ends_with(['.', '!', ','])
            });
            if are_names { names } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// Takes the first item of a list apart where the others follow on the same line.
fn numbered_on_one_line(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    for number in 2.. {
        let next = [format!(" {number}. "), format!(" {number}) ")]
            .into_iter()
            .find_map(|mark| rest.split_once(&mark));
        let Some((part, after)) = next else {
            break;
        };
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Reads a line with the mark of a list: a number, a letter, a bullet.
fn item(line: &str) -> Option<Item<'_>> {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let bare = text.trim_start_matches(['*', '_', '(', '#', ' ']);
    let bullet = text
        .strip_prefix(['-', '*', '•', '–', '—', '+', '·', '▪', '◦', '●'])
        // `**Bold**` is no bullet.
        .filter(|rest| rest.starts_with(char::is_whitespace));
    let text = numbered(bare).or(bullet)?.trim();
    (!text.is_empty()).then_some(Item { indent, text })
}

/// Returns what follows a number, a letter or a Roman numeral at the start of a line.
fn numbered(text: &str) -> Option<&str> {
    let (mark, rest) = text.split_at(text.find(['.', ')', ':', '、', '．'])?);
    let is_number = mark.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = mark.len() == 1 && mark.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_roman = mark.bytes().all(|byte| b"IVX".contains(&byte));
    let mut rest = rest.chars();
    let sign = rest.next()?;
    let rest = rest.as_str();
    let is_apart = rest.starts_with(char::is_whitespace);
    // `1.Reefs` is numbered; `3.5 mm` and `U.S. law` are not.
    let is_mark = if is_number {
        is_apart || rest.starts_with(|next: char| next.is_alphabetic() || "*_\"".contains(next))
    } else {
        (is_letter || is_roman) && is_apart && sign != ':'
    };
    (!mark.is_empty() && is_mark).then_some(rest)
}

/// Returns the items that no others are listed under. One alone under each is a description of it.
fn leaves<'a>(items: &[Item<'a>]) -> Vec<&'a str> {
    let is_parent = |at: usize| {
        items
            .get(at + 1)
            .is_some_and(|next| next.indent > items[at].indent)
    };
    let top = items.iter().map(|item| item.indent).min().unwrap_or(0);
    let parents = (0..items.len()).filter(|at| is_parent(*at)).count();
    let below = items.iter().filter(|item| item.indent > top).count();
    if parents > 0 && below <= parents {
        return items
            .iter()
            .filter(|item| item.indent == top)
            .map(|item| item.text)
            .collect();
    }
    (0..items.len())
        .filter(|at| !is_parent(*at))
        .map(|at| items[at].text)
        .collect()
}

/// Cuts off what is said about each name behind a dash, a colon or an arrow. Where the same word stands before all of them,
/// as in YAML, the name is behind it.
fn without_descriptions(items: &[&str]) -> Vec<String> {
    const SEPARATORS: [&str; 10] = [
        ":** ", ": ", " - ", " – ", " — ", "—", " -> ", " → ", " => ", "： ",
    ];
    // `Topic 1:`, `Topic 2:` are as good as the same word.
    let key = |before: &str| {
        let is_sign = |letter: char| letter.is_ascii_digit() || "*_: ".contains(letter);
        before.trim_matches(is_sign).to_lowercase()
    };
    let are_same =
        |words: &[&str]| words.len() > 1 && words.iter().all(|it| key(it) == key(words[0]));
    let bold: Option<Vec<&str>> = items.iter().map(|item| bold(item)).collect();
    if let Some(names) = bold.filter(|names| !are_same(names)) {
        return names.iter().map(|name| bare(name)).collect();
    }
    // Two of three: a name may have one of its own, and a description may be missing.
    let common = SEPARATORS.iter().find(|separator| {
        let with = items
            .iter()
            .filter(|item| item.contains(**separator))
            .count();
        items.len() > 1 && with * 3 >= items.len() * 2
    });
    let Some(separator) = common else {
        return items.iter().map(|item| bare(item)).collect();
    };
    let parts: Vec<(&str, &str)> = items
        .iter()
        .map(|item| item.split_once(separator).unwrap_or((item, "")))
        .collect();
    // Of YAML's objects, the first key begins an item, and is the same in all.
    let before: Vec<&str> = parts.iter().map(|(before, _)| *before).collect();
    let keyed = are_same(&before);
    parts
        .iter()
        .map(|(before, after)| bare(if keyed { after } else { before }))
        .collect()
}

/// Returns what is bold at the start of an item.
fn bold(item: &str) -> Option<&str> {
    Some(item.strip_prefix("**")?.split_once("**")?.0)
}

/// Takes off what marks a text as bold, quoted or code.
fn bare(text: &str) -> String {
    let marks = ['*', '_', '`', '"', '“', '”', '«', '»', ' ', '\t', ','];
    let bare = text.trim_matches(marks).trim_end_matches([':', ';']);
    bare.trim_matches(marks).to_owned()
}

/// Reads a table of Markdown: the first column whose cells have letters and differ.
fn in_table(lines: &[&str]) -> Option<Vec<String>> {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .filter(|line| line.trim().starts_with('|'))
        .map(|line| {
            line.trim()
                .trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect()
        })
        .collect();
    let is_rule = |row: &Vec<&str>| {
        row.iter()
            .all(|cell| cell.chars().all(|letter| "-: ".contains(letter)))
    };
    let rule = rows.iter().position(is_rule)?;
    let rows = &rows[rule + 1..];
    let columns = rows.iter().map(Vec::len).min()?;
    (0..columns).find_map(|column| {
        let cells: Vec<String> = rows.iter().map(|row| bare(row[column])).collect();
        let has_letters = |cell: &String| cell.chars().any(char::is_alphabetic);
        (!cells.is_empty() && cells.iter().all(has_letters)).then_some(cells)
    })
}

/// Takes a line apart at its commas or semicolons, if what is between them can be nothing but names.
fn between_commas(line: &str) -> Option<Vec<String>> {
    let line = line.trim().trim_end_matches('.');
    // `Topics: a, b, c`.
    let line = match line.split_once(": ") {
        Some((lead, rest)) if !lead.contains(',') => rest,
        _ => line,
    };
    let at = if line.contains(';') {
        [';', ';']
    } else {
        [',', '、']
    };
    let parts: Vec<String> = line
        .split(at)
        .map(|part| {
            bare(
                part.trim()
                    .trim_start_matches("and ")
                    .trim_start_matches("& "),
            )
        })
        .filter(|part| !part.is_empty())
        .collect();
    let is_name = |part: &String| {
        part.split_whitespace().count() <= WORDS_OF_A_PART
            && !part.contains(['.', '!', '?', ':'])
            && part.chars().any(char::is_alphabetic)
    };
    let words: usize = parts
        .iter()
        .map(|part| part.split_whitespace().count())
        .sum();
    // Sentences have long parts between their commas, and few.
    let is_list = parts.len() >= 3 && parts.iter().all(is_name) && words <= 4 * parts.len();
    is_list.then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["Rocky shores", "Sand dunes", "River deltas", "Salt marshes"];

    #[test]
    fn a_list_is_read_in_every_form() {
        let forms = include_str!("../../tests/cases/topics/forms.txt");
        let mut read = 0;
        for form in forms.split("\n=====\n") {
            let (about, text) = form.split_once('\n').unwrap();
            assert_eq!(listed(text), NAMES, "{about}");
            read += 1;
        }
        assert!(read >= 30, "{read}");
    }

    #[test]
    fn prose_is_no_list() {
        let texts = include_str!("../../tests/cases/topics/prose.txt");
        let mut read = 0;
        for text in texts.split("\n=====\n") {
            assert_eq!(listed(text), Vec::<String>::new(), "{text}");
            read += 1;
        }
        assert!(read >= 8, "{read}");
    }

    #[test]
    fn a_mark_of_its_own_stays_in_a_name() {
        assert_eq!(
            listed("1. C++ - the language\n2. Catch-22\n3. 2001: A Space Odyssey"),
            ["C++ - the language", "Catch-22", "2001: A Space Odyssey"]
        );
    }
}
