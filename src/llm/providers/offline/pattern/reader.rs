//! Reads a pattern.

use super::class::{Class, DIGITS, LETTERS, LOWER, NEW_LINE, SPACE, UPPER, WORD, complement};
use super::{MAX_TEXT, Node};

/// How deep groups may nest; a schema is the caller's, but the stack is not.
const MAX_DEPTH: usize = 64;

/// Goes through the characters of a pattern once.
pub(super) struct Reader {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) depth: usize,
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

    pub(super) fn either(&mut self) -> Result<Node, String> {
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
        let mut class = Class::of(&[], self.take('^'));
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
