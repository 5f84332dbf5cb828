//! Records in other forms than JSON: tables, labelled lines, YAML.
//!
//! Looked for only where an answer holds no JSON. The keys are known, so a table whose head names them and lines that start
//! with them leave no doubt; prose does neither. All values are texts, or lists of them.

use serde_json::{Map, Value};

use super::{Answer, Fault, Limits, Mend, Shape, strict, thinking};

/// Reads the records of an answer that holds no JSON, if it has them in another form.
pub(super) fn read(answer: Answer, text: &str, shape: &Shape) -> Answer {
    if shape.is_open() || !matches!(answer.fault, Some(Fault::NoJson | Fault::OnlyThinking)) {
        return answer;
    }
    let ends = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| matches!(byte, b'<' | b'[' | b'.' | 0xe2));
    let mut thought = ends.filter_map(|(at, _)| match thinking::tag(text, at) {
        Some(thinking::Tag::Close { length }) => Some(at + length),
        Some(thinking::Tag::Open { .. }) => Some(text.len()),
        None => None,
    });
    let text = &text[thought.next_back().unwrap_or(0)..];
    // What a backslash became is brought back in JSON only.
    if text.contains(['\u{8}', '\u{c}']) {
        return answer;
    }
    let mut reader = Reader {
        shape,
        records: Vec::new(),
        record: Map::new(),
        key: None,
        value: Vec::new(),
        spoilt: false,
        dropped: false,
        cut: false,
    };
    if !reader.table(text) {
        reader.labels(text);
    }
    if reader.records.is_empty() {
        return answer;
    }
    let mut found = Answer {
        values: reader.records,
        mends: answer.mends,
        fault: match (reader.cut, reader.dropped) {
            (true, _) => Some(Fault::Truncated),
            (false, true) => Some(Fault::Malformed),
            (false, false) => None,
        },
    };
    found
        .values
        .iter()
        .for_each(|_| found.mends.add(Mend::PlainForm));
    found
}

struct Reader<'a> {
    shape: &'a Shape,
    records: Vec<Value>,
    record: Map<String, Value>,
    /// The property whose lines are being read.
    key: Option<&'a str>,
    value: Vec<&'a str>,
    /// Whether the record holds something that cannot be read.
    spoilt: bool,
    dropped: bool,
    cut: bool,
}

impl<'a> Reader<'a> {
    /// Reads the first table whose head names every property that a record must have.
    fn table(&mut self, text: &'a str) -> bool {
        let mut lines = text.split_inclusive('\n').peekable();
        let names = loop {
            let Some(line) = lines.next() else {
                return false;
            };
            let is_rule =
                |line: &&str| line.contains('-') && line.trim().chars().all(|c| "|:- ".contains(c));
            if !line.contains('|') || lines.peek().is_none_or(|line| !is_rule(line)) {
                continue;
            }
            let names: Vec<_> = cells(line)
                .iter()
                .map(|cell| self.shape.meant(cell.trim_matches('*')))
                .collect();
            let head = names
                .iter()
                .flatten()
                .map(|name| ((*name).to_owned(), Value::Null))
                .collect();
            if self.shape.is_filled(&head) {
                break names;
            }
        };
        for line in lines.skip(1).take_while(|line| line.contains('|')) {
            let cells = cells(line);
            if cells.len() != names.len()
                || !line.trim_end().ends_with('|') && !line.ends_with('\n')
            {
                self.cut |= !line.ends_with('\n');
                self.dropped = true;
                continue;
            }
            let members = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
            self.record = members
                .filter_map(|(name, cell)| Some(((*name)?.to_owned(), cell.into())))
                .collect();
            self.finish_record();
        }
        true
    }

    /// Reads lines that start with a key and a colon, and the lines that go on with them.
    fn labels(&mut self, text: &'a str) {
        let mut blank = false;
        let mut block = None;
        for line in text.split_inclusive('\n') {
            let bare = line.trim();
            let indent = line.len() - line.trim_start().len();
            if block.is_some_and(|least| bare.is_empty() || indent > least) {
                self.value.push(line.trim_end());
                continue;
            }
            block = None;
            let label = label(line);
            if let Some((key, value)) =
                label.and_then(|(name, value)| Some((self.shape.meant(name)?, value)))
            {
                self.finish_value();
                if self.record.contains_key(key) {
                    self.finish_record();
                }
                self.key = Some(key);
                self.value.push(value);
                block = matches!(value, "|" | "|-" | ">" | ">-").then_some(indent);
            } else if bare.is_empty() {
                blank = true;
                continue;
            } else if bare.starts_with(['#', '`', '~', '='])
                || bare.starts_with("---")
                || label.is_some()
            {
                // Something of its own. Under a key without a text, it is what the key holds.
                self.spoilt |= label.is_some() && self.value == [""];
                self.finish_value();
            } else if self.key.is_some() {
                if blank && !bare.starts_with(['-', '*']) {
                    // Another paragraph, or words between the records: both could be.
                    self.finish_value();
                } else {
                    self.value.push(bare);
                }
            } else if !self.record.is_empty() && !self.shape.is_filled(&self.record) {
                self.spoilt = true;
            }
            blank = false;
        }
        // Without a line break or a full stop at its end, the last text may go on.
        let ends = text.ends_with([
            '\n', '.', '!', '?', '"', ')', ']', '。', '！', '？', '।', '؟',
        ]);
        self.cut = self.key.is_some() && !ends;
        self.spoilt |= self.cut;
        self.finish_value();
        self.finish_record();
    }

    fn finish_value(&mut self) {
        let lines = std::mem::take(&mut self.value);
        if let Some(key) = self.key.take() {
            match value(&lines) {
                Some(value) => drop(self.record.insert(key.to_owned(), value)),
                None => self.spoilt = true,
            }
        }
    }

    fn finish_record(&mut self) {
        let record = std::mem::take(&mut self.record);
        if std::mem::take(&mut self.spoilt) || !self.shape.is_filled(&record) {
            self.dropped |= !record.is_empty();
        } else {
            self.records.push(Value::Object(record));
        }
    }
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in line.chars() {
        let cell = cells.last_mut().expect("there is always one");
        match c {
            '|' if escaped => {
                cell.pop();
                cell.push(c);
            }
            '|' => cells.push(String::new()),
            _ => cell.push(c),
        }
        escaped = c == '\\';
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Splits `- **Key:** value` into its name and value.
fn label(line: &str) -> Option<(&str, &str)> {
    let start = line
        .trim()
        .trim_start_matches(['-', '*', '>', ' ', '•', '#', '"']);
    let number = start
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start_matches(['.', ')']);
    let start = if number.len() < start.len() {
        number.trim_start()
    } else {
        start
    };
    let (name, value) = start.split_once([':', '：'])?;
    let spaced = value.is_empty() || value.starts_with([' ', '*', '_']) || start.contains('：');
    let named = !name.is_empty()
        && name.len() <= 64
        && name.split_whitespace().count() <= 3
        && !name.contains(['.', ',', '?']);
    (spaced && named).then(|| (name, value.trim_start_matches(['*', '_']).trim()))
}

/// Makes a value of the lines of one.
fn value(lines: &[&str]) -> Option<Value> {
    let (first, rest) = lines.split_first()?;
    let item = |line: &str| {
        Some(
            line.trim()
                .strip_prefix("- ")
                .or_else(|| line.trim().strip_prefix("* "))?
                .trim()
                .to_owned(),
        )
    };
    Some(match (*first, rest) {
        ("" | "|" | "|-" | ">" | ">-", rest) if !rest.is_empty() => {
            let items: Option<Vec<String>> = rest.iter().map(|line| item(line)).collect();
            if let (Some(items), "") = (items, *first) {
                return items.iter().map(|item| value(&[item])).collect();
            }
            let full = rest.iter().filter(|line| !line.trim().is_empty());
            let indent = full
                .map(|line| line.len() - line.trim_start().len())
                .min()
                .unwrap_or(0);
            let lines: Vec<&str> = rest
                .iter()
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            let between = if first.starts_with('>') { " " } else { "\n" };
            lines.join(between).trim().into()
        }
        (first, []) if first.starts_with('"') && first.ends_with('"') => {
            strict::read(first, &Limits::default())?.0
        }
        (first, []) if first.len() > 1 && first.starts_with('\'') && first.ends_with('\'') => {
            first[1..first.len() - 1].replace("''", "'").into()
        }
        (first, []) if first.starts_with('[') && first.ends_with(']') => {
            let items = first[1..first.len() - 1].split(',').map(str::trim);
            strict::read(first, &Limits::default())
                .map_or_else(|| items.collect(), |(list, _)| list)
        }
        ("" | "|" | "|-" | ">" | ">-", []) => return None,
        // A text that opens a quote and closes it nowhere is not all of it.
        (first, _)
            if first.starts_with(['"', '\'']) && first.matches(&first[..1]).count() % 2 == 1 =>
        {
            return None;
        }
        _ => lines.join("\n").trim().into(),
    })
}
