//! Records in other forms than JSON: tables, labelled lines, YAML.
//!
//! Looked for only where an answer holds no JSON. The keys are known, so a table whose head names them and lines that start
//! with them leave no doubt; prose does neither. All values are texts, or lists of them.

use serde_json::{Map, Value};

use super::{Answer, Fault, Limits, Repair, Shape, strict, thinking};

/// Reads the records of an answer that holds no JSON, if it has them in another form.
pub(super) fn read(answer: Answer, text: &str, shape: &Shape) -> Answer {
    if shape.is_open() || !matches!(answer.fault, Some(Fault::NoJson | Fault::OnlyThinking)) {
        return answer;
    }
    let may_be_tag = |(_, byte): &(usize, u8)| matches!(byte, b'<' | b'[' | b'.' | 0xe2);
    let marks = text.bytes().enumerate().filter(may_be_tag);
    let mut thought = marks.filter_map(|(at, _)| match thinking::tag(text, at)? {
        thinking::Tag::Close { length } => Some(at + length),
        thinking::Tag::Open { .. } => Some(text.len()),
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
        fault: None,
    };
    if !reader.table(text) {
        reader.labels(text);
    }
    if reader.records.is_empty() {
        return answer;
    }
    let mut repairs = answer.repairs;
    reader
        .records
        .iter()
        .for_each(|_| repairs.add(Repair::PlainForm));
    Answer {
        values: reader.records,
        repairs,
        fault: reader.fault,
    }
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
    fault: Option<Fault>,
}

impl<'a> Reader<'a> {
    /// Reads the first table whose head names every property that a record must have.
    fn table(&mut self, text: &'a str) -> bool {
        let mut lines = text.split_inclusive('\n').peekable();
        let names = loop {
            let Some(line) = lines.next() else {
                return false;
            };
            let is_rule = |line: &&str| line.trim().chars().all(|c| "|:- ".contains(c));
            if !line.contains('|') || !lines.peek().is_some_and(is_rule) {
                continue;
            }
            let cells = cells(line).into_iter();
            let names: Vec<_> = cells
                .map(|cell| self.shape.meant(cell.trim_matches('*')))
                .collect();
            let known = names.iter().flatten();
            let head = known
                .map(|name| ((*name).to_owned(), Value::Null))
                .collect();
            if self.shape.is_filled(&head) {
                break names;
            }
        };
        for line in lines.skip(1).take_while(|line| line.contains('|')) {
            let cells = cells(line);
            let ends = line.ends_with('\n');
            if cells.len() != names.len() || !(ends || line.trim_end().ends_with('|')) {
                self.drop(!ends);
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
            let member = label.and_then(|(name, value)| self.shape.meant(name).zip(Some(value)));
            if let Some((key, value)) = member {
                // A line that only counts is the number of what comes.
                if self.value.len() > 1 {
                    self.value.pop_if(|line| is_number(line));
                }
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
                if blank && !["- ", "* "].iter().any(|item| bare.starts_with(item)) {
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
        let ends = text.ends_with(|c| "\n.!?\")]。！？।؟".contains(c));
        let cut = self.key.is_some() && !ends;
        self.spoilt |= cut;
        self.finish_value();
        self.finish_record();
        if cut {
            self.drop(true);
        }
    }

    fn drop(&mut self, cut: bool) {
        let fault = if cut {
            Fault::Truncated
        } else {
            Fault::Malformed
        };
        self.fault = self.fault.max(Some(fault));
    }

    fn finish_value(&mut self) {
        let value = value(&std::mem::take(&mut self.value));
        if let Some(key) = self.key.take() {
            self.spoilt |= value.is_none();
            self.record
                .extend(value.map(|value| (key.to_owned(), value)));
        }
    }

    fn finish_record(&mut self) {
        let record = std::mem::take(&mut self.record);
        if !std::mem::take(&mut self.spoilt) && self.shape.is_filled(&record) {
            self.records.push(Value::Object(record));
        } else if !record.is_empty() {
            self.drop(false);
        }
    }
}

/// The cells of a row, where a backslash keeps a bar from ending one.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    let mut cells = vec![String::new()];
    for c in line.chars() {
        let cell = cells.last_mut().expect("there is always one");
        let escaped = c == '|' && cell.ends_with('\\');
        if escaped {
            cell.pop();
        }
        if c == '|' && !escaped {
            cells.push(String::new());
        } else {
            cell.push(c);
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn is_number(line: &str) -> bool {
    let bare = line.trim_matches(['*', ' ', '#', '(', ')']);
    bare.strip_suffix('.')
        .is_some_and(|digits| digits.parse::<u32>().is_ok())
}

/// Splits `- **Key:** value` into its name and value.
fn label(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let start = line.trim_start_matches(['-', '*', '>', ' ', '•', '#', '"']);
    let start = start.trim_start_matches(|c: char| c.is_ascii_digit());
    let start = start.trim_start_matches(['.', ')', ' ']);
    let (name, value) = start.split_once([':', '：'])?;
    let spaced = value.is_empty() || value.starts_with([' ', '*', '_']) || start.contains('：');
    let named = !name.is_empty() && name.len() <= 64 && !name.contains(['.', ',', '?']);
    (spaced && named && name.split_whitespace().count() <= 3)
        .then(|| (name, value.trim_start_matches(['*', '_']).trim()))
}

/// Makes a value of the lines of one.
fn value<'a>(lines: &[&'a str]) -> Option<Value> {
    let (first, rest) = lines.split_first()?;
    let item = |line: &&'a str| {
        let line = line.trim();
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
        item.map(str::trim)
    };
    let is_quoted = |quote: char| {
        first.len() > 1 && first.starts_with(quote) && first.ends_with(quote) && rest.is_empty()
    };
    Some(match (*first, rest) {
        ("" | "|" | "|-" | ">" | ">-", rest) if !rest.is_empty() => {
            let items: Option<Vec<&str>> = rest.iter().map(item).collect();
            if let Some(items) = items.filter(|_| first.is_empty()) {
                return items.into_iter().map(|item| value(&[item])).collect();
            }
            let full = rest.iter().filter(|line| !line.trim().is_empty());
            let indent = full.map(|line| line.len() - line.trim_start().len()).min();
            let line = |line: &&'a str| line.get(indent.unwrap_or(0)..).unwrap_or_default();
            let lines: Vec<&str> = rest.iter().map(line).collect();
            let between = if first.starts_with('>') { " " } else { "\n" };
            lines.join(between).trim().into()
        }
        ("" | "|" | "|-" | ">" | ">-", _) => return None,
        (first, _) if is_quoted('"') => strict::read(first, &Limits::default())?.0,
        (first, _) if is_quoted('\'') => first[1..first.len() - 1].replace("''", "'").into(),
        (first, []) if first.starts_with('[') && first.ends_with(']') => {
            let items = first[1..first.len() - 1].split(',').map(str::trim);
            let list = strict::read(first, &Limits::default());
            list.map_or_else(|| items.collect(), |(list, _)| list)
        }
        // A text that opens a quote and closes it nowhere is not all of it.
        (first, _)
            if first.starts_with(['"', '\'']) && first.matches(&first[..1]).count() % 2 == 1 =>
        {
            return None;
        }
        _ => lines.join("\n").trim().into(),
    })
}
