//! Texts drawn from a pattern.

use crate::random::Random;

use super::{MAX_STEPS, Node};

/// Writes a text that follows the pattern, anchors and lookahead aside.
pub(super) struct Drawer<'r> {
    /// How far repetitions go beyond their least.
    pub(super) stretch: usize,
    /// How many bytes the text may have.
    pub(super) limit: usize,
    pub(super) steps: u32,
    pub(super) random: &'r mut Random,
}

impl Drawer<'_> {
    /// Appends a text for this node, or gives up and returns `None`.
    pub(super) fn node(&mut self, node: &Node, out: &mut String) -> Option<()> {
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
