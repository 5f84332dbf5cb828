//! Whether a text matches, by backtracking.

use super::{MAX_STEPS, Node};

/// How deep a match may recurse: half a kilobyte each, a fraction of the two megabytes of a thread.
const MAX_NESTING: u32 = 1_000;

/// Looks for a match in one text.
pub(super) struct Matcher {
    pub(super) text: Vec<char>,
    pub(super) steps: u32,
    pub(super) nesting: u32,
}

pub(super) type Rest<'a> = &'a mut dyn FnMut(&mut Matcher, usize) -> bool;

impl Matcher {
    /// Matches by backtracking: calls `rest` with each place where the node may end.
    pub(super) fn node(&mut self, node: &Node, at: usize, rest: Rest<'_>) -> bool {
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
