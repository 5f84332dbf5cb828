//! Reads the families, the values that fill them, and other wordings.

use std::collections::BTreeMap;

use super::super::generate::{Dice, Kind};

pub const OPEN: &str = "open half";
pub const CLOSED: &str = "closed half";
pub const LANGUAGES: &str = "other languages";

/// Halves the content by name.
fn half(name: &str) -> &'static str {
    let sum = name.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    // The low bits of this sum hang on few letters.
    if (sum ^ sum >> 15) % 2 == 0 {
        OPEN
    } else {
        CLOSED
    }
}

pub type Values = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    Plain,
    Order,
    Inflection,
    Neighbour(Kind),
}

impl LineKind {
    pub fn is_neighbour(self) -> bool {
        matches!(self, Self::Neighbour(_))
    }
}

#[derive(Debug)]
pub enum Piece {
    Text(String),
    Slot(String),
}

#[derive(Debug)]
pub struct Line {
    pub kind: LineKind,
    pub pieces: Vec<Piece>,
}

impl Line {
    fn read(kind: LineKind, text: &str, ranges: &mut BTreeMap<String, (usize, usize)>) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, behind) = after.split_once('}').expect("a gap is closed");
            let slot = match slot.split_once(':') {
                Some((name, range)) => {
                    let (low, high) = range.split_once('-').expect("low-high");
                    let number = |text: &str| text.parse().expect("a number");
                    ranges.insert(name.to_owned(), (number(low), number(high)));
                    name
                }
                None => slot,
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Slot(slot.to_owned()));
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self { kind, pieces }
    }

    pub fn fill(&self, values: &Values) -> String {
        let text: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Slot(slot) => values[slot].as_str(),
            })
            .collect();
        let mut chars = text.chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        first.chain(chars).collect()
    }

    fn slots(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) => Some(slot.as_str()),
            Piece::Text(_) => None,
        })
    }
}

#[derive(Debug)]
pub struct Family {
    pub part: &'static str,
    pub lines: Vec<Line>,
    pub either_way: Option<(String, String)>,
    pub one_way: Option<(String, String)>,
    ranges: BTreeMap<String, (usize, usize)>,
}

impl Family {
    fn read(block: &str) -> Self {
        let mut lines = block.lines().filter(|line| !line.is_empty());
        let name = lines.next().expect("a block has a name");
        let mut family = Self {
            part: if name.ends_with(" lang") {
                LANGUAGES
            } else {
                half(name)
            },
            lines: Vec::new(),
            either_way: None,
            one_way: None,
            ranges: BTreeMap::new(),
        };
        let pair = |names: &str| {
            let (one, other) = names.split_once(' ').expect("two gaps");
            Some((one.to_owned(), other.to_owned()))
        };
        for line in lines {
            if let Some(names) = line.strip_prefix("sym ") {
                family.either_way = pair(names);
                continue;
            } else if let Some(names) = line.strip_prefix("dir ") {
                family.one_way = pair(names);
                continue;
            }
            let (kind, text) = match line.split_once(' ').unwrap_or_default() {
                ("~", text) => (LineKind::Order, text),
                ("^", text) => (LineKind::Inflection, text),
                ("!negation", text) => (LineKind::Neighbour(Kind::Negation), text),
                ("!antonym", text) => (LineKind::Neighbour(Kind::Opposite), text),
                ("!direction", text) => (LineKind::Neighbour(Kind::Direction), text),
                ("!aspect", text) => (LineKind::Neighbour(Kind::Aspect), text),
                _ => (LineKind::Plain, line),
            };
            family
                .lines
                .push(Line::read(kind, text, &mut family.ranges));
        }
        family
    }

    /// The gaps of the first line, which all plain lines share.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.lines[0].slots()
    }

    /// What a line asks, besides what all its fillings ask.
    pub fn key(&self, line: &Line, values: &Values) -> Vec<String> {
        let mut slots: Vec<&str> = line.slots().collect();
        slots.sort_unstable();
        let mut key: Vec<String> = slots.iter().map(|slot| values[*slot].clone()).collect();
        if let Some((one, other)) = &self.either_way {
            let at = |name: &str| slots.iter().position(|slot| *slot == name);
            if let (Some(one), Some(other)) = (at(one), at(other))
                && key[one] > key[other]
            {
                key.swap(one, other);
            }
        }
        key
    }

    pub fn draw_line(&self, kind: LineKind, dice: &mut Dice) -> Option<usize> {
        let of_kind: Vec<usize> = (0..self.lines.len())
            .filter(|at| self.lines[*at].kind == kind)
            .collect();
        (!of_kind.is_empty()).then(|| of_kind[dice.below(of_kind.len())])
    }
}

#[derive(Debug)]
struct List {
    kind: Kind,
    values: Vec<String>,
}

#[derive(Debug)]
pub struct Content {
    pub families: Vec<Family>,
    pub wording: super::wording::Wording,
    lists: BTreeMap<String, List>,
}

impl Content {
    pub fn read() -> Self {
        let families = include_str!("families.txt");
        let list = |line: &str| {
            let mut parts = line.split(" | ");
            let name = parts.next().expect("a name").to_owned();
            let kind = match parts.next().expect("a kind") {
                "entity" => Kind::OtherEntity,
                "unit" => Kind::OtherUnit,
                "operator" => Kind::OtherOperator,
                "number" => Kind::OtherNumber,
                "antonym" => Kind::Opposite,
                other => panic!("no kind of change is called {other}"),
            };
            let values = parts
                .flat_map(|value| match kind {
                    Kind::Opposite => value.split('/').map(str::to_owned).collect(),
                    _ => vec![value.to_owned()],
                })
                .collect();
            (name, List { kind, values })
        };
        Self {
            families: families.split("\n\n# ").skip(1).map(Family::read).collect(),
            wording: super::wording::Wording::read(),
            lists: content_lines(include_str!("slots.txt")).map(list).collect(),
        }
    }

    fn list(&self, slot: &str) -> &List {
        let name = slot.trim_end_matches(|c: char| c.is_ascii_digit());
        &self.lists[name]
    }

    pub fn draw(&self, family: &Family, dice: &mut Dice) -> Values {
        let mut values = Values::new();
        let mut slots: Vec<&str> = family.lines.iter().flat_map(Line::slots).collect();
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            loop {
                let value = if let Some((low, high)) = family.ranges.get(slot) {
                    (low + dice.below(high - low + 1)).to_string()
                } else {
                    let values = &self.list(slot).values;
                    values[dice.below(values.len())].clone()
                };
                if values.values().all(|other| *other != value) {
                    values.insert(slot.to_owned(), value);
                    break;
                }
            }
        }
        values
    }

    /// Puts another value into a gap, and returns what such a change is called.
    pub fn change(&self, slot: &str, values: &mut Values, dice: &mut Dice) -> Kind {
        if let Ok(number) = values[slot].parse::<usize>() {
            let other = match dice.below(3) {
                0 => number + 1,
                1 => number * 10,
                _ => number + 2 + dice.below(40),
            };
            values.insert(slot.to_owned(), other.to_string());
            return Kind::OtherNumber;
        }
        let list = self.list(slot);
        let at = list.values.iter().position(|value| *value == values[slot]);
        let other = match (list.kind, at) {
            (Kind::Opposite, Some(at)) => list.values[at ^ 1].clone(),
            _ => list.values[dice.below(list.values.len())].clone(),
        };
        if values.values().all(|value| *value != other) {
            values.insert(slot.to_owned(), other);
        }
        list.kind
    }
}

/// Lines that are neither empty nor a comment.
pub fn content_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Those of a half.
pub fn of_half<'a, T: AsRef<str>>(items: &'a [T], part: &str) -> Vec<&'a T> {
    items
        .iter()
        .filter(|item| half(item.as_ref()) == part)
        .collect()
}
