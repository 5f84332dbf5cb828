//! Regular expressions: texts that match one, and whether a text does.
//!
//! Understood is what schemas use: literals, classes, groups, alternation, repetition, anchors, word
//! boundaries and lookahead. Back-references and lookbehind are not, and are said to be so.

use std::cell::OnceCell;

use crate::random::Random;

/// How deep groups may nest; a schema is the caller's, but the stack is not.
const MAX_DEPTH: usize = 64;
/// How many characters a text is given at most.
const MAX_TEXT: usize = 100_000;
/// How many steps a draw or a match may take, against patterns that would take for ever.
const MAX_STEPS: u32 = 200_000;
/// How deep a match may recurse: half a kilobyte each, a fraction of the two megabytes of a thread.
const MAX_NESTING: u32 = 1_000;

/// A regular expression in the dialect of JSON Schema (ECMA-262), or at least the greater part of it.
#[derive(Debug)]
pub(super) struct Pattern(Node);

#[derive(Debug)]
enum Node {
    Char(char),
    Class(Class),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
    Start,
    End,
    WordBoundary(bool),
    Ahead(Box<Node>, bool),
}

#[derive(Debug, Default)]
struct Class {
    ranges: Vec<(char, char)>,
    is_negated: bool,
    plain: OnceCell<Vec<char>>,
}

impl Class {
    fn of(ranges: &[(char, char)], is_negated: bool) -> Self {
        Self {
            ranges: ranges.to_vec(),
            is_negated,
            plain: OnceCell::new(),
        }
    }

    fn contains(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|&(low, high)| (low..=high).contains(&c))
            != self.is_negated
    }

    /// Lists the characters to draw from: plain ones if there are any.
    fn plain(&self) -> Vec<char> {
        let printable: Vec<char> = (' '..='~').filter(|c| self.contains(*c)).collect();
        let alphanumeric = || {
            printable
                .iter()
                .copied()
                .filter(char::is_ascii_alphanumeric)
        };
        if self.is_negated && alphanumeric().next().is_some() {
            return alphanumeric().collect();
        }
        if printable.is_empty() && self.is_negated {
            return ('\u{a1}'..='\u{2fff}')
                .find(|c| self.contains(*c))
                .into_iter()
                .collect();
        }
        printable
    }

    fn draw(&self, random: &mut Random) -> Option<char> {
        let plain = self.plain.get_or_init(|| self.plain());
        if !plain.is_empty() || self.is_negated {
            return random.choose(plain).copied();
        }
        let &(low, high) = random.choose(&self.ranges)?;
        let width = u64::from(u32::from(high) - u32::from(low)) + 1;
        let drawn = u32::from(low) + u32::try_from(random.below(width)).ok()?;
        // The range may reach over the surrogates, which are no characters.
        Some(char::from_u32(drawn).unwrap_or(low))
    }
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: &[(char, char)] = &[
    (' ', ' '),
    ('\t', '\r'),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
const NEW_LINE: &[(char, char)] = &[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];
/// Letters of Latin and its neighbours stand in for all of Unicode's.
const UPPER: &[(char, char)] = &[('A', 'Z'), ('À', 'Ö'), ('Ø', 'Þ')];
const LOWER: &[(char, char)] = &[('a', 'z'), ('ß', 'ö'), ('ø', 'ÿ')];
const LETTERS: &[(char, char)] = &[('A', 'Z'), ('a', 'z'), ('À', 'Ö'), ('Ø', 'ö'), ('ø', 'ÿ')];

impl Pattern {
    /// Reads a pattern, or says what in it is not understood.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader {
            chars: text.chars().collect(),
            at: 0,
            depth: 0,
        };
        let node = reader.either()?;
        if reader.at < reader.chars.len() {
            return Err("a `)` too many".to_owned());
        }
        Ok(Self(node))
    }

    /// Draws a text that matches and whose length is in the range; `None` if none was found.
    pub(super) fn draw(
        &self,
        min: usize,
        max: Option<usize>,
        random: &mut Random,
    ) -> Option<String> {
        // How far repetitions may go beyond their least: first as people write, then short and long.
        const STRETCHES: [usize; 10] = [4, 2, 1, 0, 8, 16, 24, 32, 64, 256];
        // A character has at most four bytes.
        let limit = max.map_or(MAX_TEXT, |max| max.saturating_mul(4).min(MAX_TEXT));
        for round in 0..STRETCHES.len() * 16 {
            let stretch = match round % (STRETCHES.len() + 1) {
                index if index < STRETCHES.len() => STRETCHES[index],
                _ => min,
            };
            let mut text = String::new();
            let mut drawer = Drawer {
                stretch,
                limit,
                steps: 0,
                random,
            };
            if drawer.node(&self.0, &mut text).is_none() {
                continue;
            }
            let chars = text.chars().count();
            if chars >= min && max.is_none_or(|max| chars <= max) && self.matches(&text) {
                return Some(text);
            }
        }
        None
    }

    /// Returns whether the pattern matches somewhere in the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut matcher = Matcher {
            text: text.chars().collect(),
            steps: 0,
            nesting: 0,
        };
        (0..=matcher.text.len()).any(|start| matcher.node(&self.0, start, &mut |_, _| true))
    }
}

struct Drawer<'r> {
    /// How far repetitions go beyond their least.
    stretch: usize,
    /// How many bytes the text may have.
    limit: usize,
    steps: u32,
    random: &'r mut Random,
}

impl Drawer<'_> {
    fn node(&mut self, node: &Node, out: &mut String) -> Option<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS || out.len() > self.limit {
            return None;
        }
        match node {
            Node::Char(c) => out.push(*c),
            Node::Class(class) => out.push(class.draw(self.random)?),
            Node::Sequence(nodes) => {
                for node in nodes {
                    self.node(node, out)?;
                }
            }
            Node::Either(nodes) => {
                let node = self.random.choose(nodes)?;
                self.node(node, out)?;
            }
            Node::Repeat(node, min, max) => {
                let stretch = self.stretch;
                let room = max.map_or(stretch, |max| stretch.min(max.saturating_sub(*min)));
                for _ in 0..min + self.random.index(room + 1) {
                    self.node(node, out)?;
                }
            }
            // These ask about the text around them, which the match afterwards looks at.
            Node::Start | Node::End | Node::WordBoundary(_) | Node::Ahead(..) => {}
        }
        Some(())
    }
}

struct Matcher {
    text: Vec<char>,
    steps: u32,
    nesting: u32,
}

type Rest<'a> = &'a mut dyn FnMut(&mut Matcher, usize) -> bool;

impl Matcher {
    /// Matches by backtracking: calls `rest` with each place where the node may end.
    fn node(&mut self, node: &Node, at: usize, rest: Rest<'_>) -> bool {
        self.steps += 1;
        self.nesting += 1;
        let is_match =
            self.steps <= MAX_STEPS && self.nesting <= MAX_NESTING && self.one_node(node, at, rest);
        self.nesting -= 1;
        is_match
    }

    fn one_node(&mut self, node: &Node, at: usize, rest: Rest<'_>) -> bool {
        match node {
            Node::Char(c) => self.text.get(at) == Some(c) && rest(self, at + 1),
            Node::Class(class) => {
                self.text.get(at).is_some_and(|c| class.contains(*c)) && rest(self, at + 1)
            }
            Node::Sequence(nodes) => self.sequence(nodes, at, rest),
            Node::Either(nodes) => nodes.iter().any(|node| self.node(node, at, rest)),
            Node::Repeat(node, min, max) => self.repeat(node, *min, *max, at, rest),
            Node::Start => at == 0 && rest(self, at),
            Node::End => at == self.text.len() && rest(self, at),
            Node::WordBoundary(wanted) => {
                let is_word = |index: Option<usize>| {
                    let c = index.and_then(|index| self.text.get(index));
                    c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
                };
                let is_boundary = is_word(at.checked_sub(1)) != is_word(Some(at));
                is_boundary == *wanted && rest(self, at)
            }
            Node::Ahead(node, wanted) => {
                self.node(node, at, &mut |_, _| true) == *wanted && rest(self, at)
            }
        }
    }

    fn sequence(&mut self, nodes: &[Node], at: usize, rest: Rest<'_>) -> bool {
        match nodes {
            [] => rest(self, at),
            [first, others @ ..] => self.node(first, at, &mut |matcher, at| {
                matcher.sequence(others, at, rest)
            }),
        }
    }

    fn repeat(
        &mut self,
        node: &Node,
        min: usize,
        max: Option<usize>,
        at: usize,
        rest: Rest<'_>,
    ) -> bool {
        // A single character needs no recursion, so that long texts do not exhaust the stack.
        if let Node::Char(_) | Node::Class(_) = node {
            let mut longest = 0;
            while max.is_none_or(|max| longest < max)
                && self.text.get(at + longest).is_some_and(|c| match node {
                    Node::Class(class) => class.contains(*c),
                    Node::Char(wanted) => wanted == c,
                    _ => false,
                })
            {
                longest += 1;
            }
            return (min..=longest).rev().any(|count| rest(self, at + count));
        }
        if max == Some(0) {
            return rest(self, at);
        }
        let again = self.node(node, at, &mut |matcher, end| {
            // An empty repetition changes nothing and would repeat for ever.
            (end > at || min > 0)
                && matcher.repeat(
                    node,
                    min.saturating_sub(1),
                    max.map(|max| max - 1),
                    end,
                    rest,
                )
        });
        again || (min == 0 && rest(self, at))
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let is_there = self.peek() == Some(c);
        self.at += usize::from(is_there);
        is_there
    }

    fn take_all(&mut self, text: &str) -> bool {
        let is_there = text.chars().eq(self
            .chars
            .iter()
            .skip(self.at)
            .take(text.chars().count())
            .copied());
        if is_there {
            self.at += text.chars().count();
        }
        is_there
    }

    fn either(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("groups nested deeper than {MAX_DEPTH}"));
        }
        let mut branches = vec![self.sequence()?];
        while self.take('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 {
            branches.remove(0)
        } else {
            Node::Either(branches)
        })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                None => return Ok(node),
            },
            _ => return Ok(node),
        };
        self.at += 1;
        self.take('?');
        if max.is_some_and(|max| max < min) || min > MAX_TEXT {
            return Err("a repetition that cannot be".to_owned());
        }
        Ok(Node::Repeat(Box::new(node), min, max))
    }

    /// Reads `{2}`, `{2,}` or `{2,5}` up to its last brace; anything else is a literal brace.
    fn counts(&mut self) -> Option<(usize, Option<usize>)> {
        let close = self.chars[self.at..].iter().position(|c| *c == '}')? + self.at;
        let inside: String = self.chars[self.at + 1..close].iter().collect();
        let counts = match inside.split_once(',') {
            None => {
                let count = inside.parse().ok()?;
                (count, Some(count))
            }
            Some((min, "")) => (min.parse().ok()?, None),
            Some((min, max)) => (min.parse().ok()?, Some(max.parse().ok()?)),
        };
        self.at = close;
        Some(counts)
    }

    fn atom(&mut self) -> Result<Node, String> {
        let c = self.chars[self.at];
        self.at += 1;
        Ok(match c {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => Node::Class(Class::of(NEW_LINE, true)),
            '[' => Node::Class(self.class()?),
            '(' => self.group()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err(format!("nothing to repeat before `{c}`")),
            c => Node::Char(c),
        })
    }

    fn group(&mut self) -> Result<Node, String> {
        let mut ahead = None;
        if self.take_all("?=") {
            ahead = Some(true);
        } else if self.take_all("?!") {
            ahead = Some(false);
        } else if self.take_all("?<=") || self.take_all("?<!") {
            return Err("lookbehind".to_owned());
        } else if self.take_all("?<") || self.take_all("?P<") {
            while self.peek().is_some_and(|c| c != '>') {
                self.at += 1;
            }
            self.take('>');
        } else if self.take('?') && !self.take(':') {
            return Err("flags in a group".to_owned());
        }
        let node = self.either()?;
        if !self.take(')') {
            return Err("a group without its end".to_owned());
        }
        Ok(match ahead {
            Some(wanted) => Node::Ahead(Box::new(node), wanted),
            None => node,
        })
    }

    fn class(&mut self) -> Result<Class, String> {
        let mut class = Class {
            ranges: Vec::new(),
            is_negated: self.take('^'),
            plain: OnceCell::new(),
        };
        while !self.take(']') {
            let Some(low) = self.class_item(&mut class)? else {
                continue;
            };
            let is_range = self.peek() == Some('-')
                && self.chars.get(self.at + 1).is_some_and(|next| *next != ']');
            if !is_range {
                class.ranges.push((low, low));
                continue;
            }
            self.at += 1;
            match self.class_item(&mut class)? {
                Some(high) if low <= high => class.ranges.push((low, high)),
                Some(_) => return Err("a range out of order".to_owned()),
                None => class.ranges.extend([(low, low), ('-', '-')]),
            }
        }
        Ok(class)
    }

    /// Reads one character of a class, or adds a class escape such as `\d` and returns nothing.
    fn class_item(&mut self, class: &mut Class) -> Result<Option<char>, String> {
        let c = self.peek().ok_or("a class without its end")?;
        self.at += 1;
        if c != '\\' {
            return Ok(Some(c));
        }
        match self.escape()? {
            Node::Char(c) => Ok(Some(c)),
            // In a class, `\b` is the backspace.
            Node::WordBoundary(true) => Ok(Some('\u{8}')),
            Node::Class(inner) if inner.is_negated => {
                class.ranges.extend(complement(&inner.ranges));
                Ok(None)
            }
            Node::Class(inner) => {
                class.ranges.extend(inner.ranges);
                Ok(None)
            }
            _ => Err("an escape that has no place in a class".to_owned()),
        }
    }

    fn escape(&mut self) -> Result<Node, String> {
        let c = self.peek().ok_or("a backslash at the end")?;
        self.at += 1;
        Ok(match c {
            'd' => Node::Class(Class::of(DIGITS, false)),
            'D' => Node::Class(Class::of(DIGITS, true)),
            'w' => Node::Class(Class::of(WORD, false)),
            'W' => Node::Class(Class::of(WORD, true)),
            's' => Node::Class(Class::of(SPACE, false)),
            'S' => Node::Class(Class::of(SPACE, true)),
            'b' => Node::WordBoundary(true),
            'B' => Node::WordBoundary(false),
            't' => Node::Char('\t'),
            'n' => Node::Char('\n'),
            'r' => Node::Char('\r'),
            'f' => Node::Char('\u{c}'),
            'v' => Node::Char('\u{b}'),
            '0' => Node::Char('\0'),
            'x' => Node::Char(self.hex(2)?),
            'u' if self.take('{') => {
                let digits = self.chars[self.at..]
                    .iter()
                    .take_while(|c| **c != '}')
                    .count();
                let c = self.hex(digits)?;
                self.take('}');
                Node::Char(c)
            }
            'u' => Node::Char(self.hex(4)?),
            'p' | 'P' => self.property(c == 'P')?,
            '1'..='9' | 'k' => return Err("a back-reference".to_owned()),
            c if c.is_alphanumeric() => return Err(format!("the escape `\\{c}`")),
            c => Node::Char(c),
        })
    }

    fn hex(&mut self, digits: usize) -> Result<char, String> {
        let text: String = self.chars.iter().skip(self.at).take(digits).collect();
        self.at += digits;
        let code = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        code.ok_or_else(|| "an escape that names no character".to_owned())
    }

    fn property(&mut self, is_negated: bool) -> Result<Node, String> {
        let rest: String = self.chars[self.at..].iter().collect();
        let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, _)) = name else {
            return Err("a property without its name".to_owned());
        };
        self.at += name.chars().count() + 2;
        let ranges = match name {
            "L" | "Letter" | "Alphabetic" => LETTERS,
            "Lu" | "Uppercase_Letter" | "Uppercase" => UPPER,
            "Ll" | "Lowercase_Letter" | "Lowercase" => LOWER,
            "N" | "Nd" | "Number" => DIGITS,
            other => return Err(format!("the property `{other}`")),
        };
        Ok(Node::Class(Class::of(ranges, is_negated)))
    }
}

/// All characters outside these ranges, which are in order.
fn complement(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = 0;
    for (low, high) in sorted {
        if let (Some(from), Some(to)) = (
            char::from_u32(next),
            u32::from(low).checked_sub(1).and_then(char::from_u32),
        ) && from <= to
        {
            gaps.push((from, to));
        }
        next = u32::from(high) + 1;
    }
    if let Some(from) = char::from_u32(next) {
        gaps.push((from, char::MAX));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_texts_match() {
        for pattern in [
            "^[A-Z]{3}-\\d{4}$",
            "^(foo|ba[rz])+$",
            "^\\+?[1-9]\\d{1,14}$",
            "[^,;]+",
            "^#[0-9a-fA-F]{6}$",
            "^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,}$",
            "^(?!0)\\d{3}$",
            "^[\\w.+-]+@[\\w-]+\\.[\\w.-]+$",
            "^\\p{Lu}\\p{L}*$",
            "^(?<year>\\d{4})-(?:0[1-9]|1[0-2])$",
            "\\bword\\b",
            "^.{0,5}$",
            "^[^\\s]{2,3}$",
            "^a{2}b{1,}?c{0}$",
            "",
            "^\\u00e9\\x41$",
            "^[\\]\\-^]+$",
            "^$",
        ] {
            let parsed = Pattern::read(pattern).unwrap();
            let outside = fancy(pattern);
            for seed in 0..50 {
                let text = parsed.draw(0, None, &mut Random::new(seed));
                let text = text.unwrap_or_else(|| panic!("nothing matches {pattern}"));
                assert!(
                    outside.is_valid(&text.clone().into()),
                    "{pattern}: {text:?}"
                );
            }
        }
    }

    fn fancy(pattern: &str) -> jsonschema::Validator {
        jsonschema::validator_for(&serde_json::json!({ "pattern": pattern })).unwrap()
    }

    #[test]
    fn matching_agrees_with_another_engine() {
        let patterns = [
            "^a*b?$",
            "(ab|a)(c|bcd)$",
            "^[^a]+$",
            "\\bx",
            "^(a|b)*c$",
            "a(?!b)",
            "^(a*)*$",
        ];
        let texts = [
            "", "a", "ab", "aab", "abc", "abcd", "bcd", "x", "axe", " x", "ababc", "aaaa", "b",
        ];
        for pattern in patterns {
            let (ours, theirs) = (Pattern::read(pattern).unwrap(), fancy(pattern));
            for text in texts {
                assert_eq!(
                    ours.matches(text),
                    theirs.is_valid(&text.into()),
                    "{pattern} {text:?}"
                );
            }
        }
    }

    #[test]
    fn lengths_are_kept() {
        let pattern = Pattern::read("^[a-z]+( [a-z]+)*$").unwrap();
        for (min, max) in [(1, 1), (5, 5), (40, 44), (300, 600)] {
            let text = pattern.draw(min, Some(max), &mut Random::new(1)).unwrap();
            assert!((min..=max).contains(&text.len()), "{text:?}");
        }
        let fixed = Pattern::read("^abc$").unwrap();
        assert_eq!(fixed.draw(4, None, &mut Random::new(1)), None);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for pattern in ["(?<=a)b", "(a)\\1", "[z-a]", "(", ")", "[a", "a{3,2}", "*a"] {
            assert!(Pattern::read(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::read(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn a_pattern_made_to_take_for_ever_ends() {
        let pattern = Pattern::read("^(a+)+$").unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(40))));
    }
}
