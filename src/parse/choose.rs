//! Which of several values in an answer are the answer.
//!
//! Values with nothing but separators between them are one block: JSON Lines, or a list without its brackets. Where words
//! or tags part several blocks, these rules hold. What they leave out is counted as [`Repair::Superseded`]:
//!
//! - what lies in a pair of tags gives way to what lies outside;
//! - once there is a list, single objects that are announced as an example, or stand in a sentence, are left out;
//! - a block that words such as "corrected" announce takes the place of those before it, if the words speak of the answer
//!   itself or both blocks say the same of something;
//! - a block announced as a format or an example is left out if another follows, unless all are so announced, or by number;
//! - what is left is taken together, the same value only once per block it repeats.

use std::collections::HashSet;

use serde_json::Value;

use super::label::{Cue, Label};
use super::machine::{End, Found};
use super::scan::{Place, Scan};
use super::{Answer, Fault, Repair, Repairs};

/// What one value gives.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) values: Vec<Value>,
    /// Whether they came as a list.
    pub(super) list: bool,
    /// Parts that are nothing wanted.
    pub(super) strays: usize,
    pub(super) repairs: Repairs,
}

/// Pairs each child of a value with how many of its levels were not closed. Only those of the last one may be.
pub(super) fn with_open<T>(
    children: impl ExactSizeIterator<Item = T>,
    open: usize,
) -> impl Iterator<Item = (T, usize)> {
    let last = children.len().saturating_sub(1);
    let inner = open.saturating_sub(1);
    children
        .enumerate()
        .map(move |(at, child)| (child, if at == last { inner } else { 0 }))
}

struct Block {
    taken: Taken,
    place: Place,
    label: Label,
    serious: bool,
    finds: usize,
    fault: Option<Fault>,
}

/// Turns what an answer holds into what it answers. `take` says what a value gives, being told whether it comes after
/// one that broke off.
pub(super) fn choose(scan: Scan, mut take: impl FnMut(&mut Found, bool) -> Taken) -> Answer {
    let mut blocks: Vec<Block> = Vec::new();
    let mut idle = false;
    let thinking = scan.repairs[Repair::Thinking] > 0 && scan.repairs[Repair::Prose] == 0;
    for mut find in scan.finds {
        let found = &mut find.found;
        let mut taken = take(found, find.after_break);
        let fault = fault_of(found);
        taken.repairs.merge(&found.repairs);
        // A whole value with nothing in it, such as an echoed schema, belongs to no block.
        if taken.values.is_empty() && found.end == End::Whole && found.dropped == 0 {
            idle = true;
            continue;
        }
        let belongs = |block: &&mut Block| {
            let announced = taken.list && !block.taken.list && block.label.cue != Cue::None;
            find.joined && block.place.tag == find.place.tag && !announced
        };
        match blocks.last_mut().filter(belongs) {
            Some(block) => {
                let several = !(block.taken.values.is_empty() || taken.values.is_empty());
                block.taken.list |= taken.list || several;
                block.taken.values.extend(taken.values);
                block.taken.strays += taken.strays;
                block.taken.repairs.merge(&taken.repairs);
                block.serious |= found.serious;
                block.finds += 1;
                block.fault = block.fault.max(fault);
            }
            None => blocks.push(Block {
                taken,
                label: Label::of(&find.place.before),
                place: find.place,
                serious: find.found.serious,
                finds: 1,
                fault,
            }),
        }
    }
    let empty = blocks.is_empty() && !idle;
    // Brackets that are about something else only matter if there is nothing better.
    let any = blocks.iter().any(|block| !block.is_empty());
    let broken = blocks
        .iter()
        .filter(|block| block.serious || !block.is_empty() || !any)
        .fold(None, |fault, block| fault.max(block.fault));
    let found: usize = blocks.iter().map(|block| block.taken.values.len()).sum();
    narrow(&mut blocks);

    let mut repairs = scan.repairs;
    let mut values: Vec<Value> = Vec::new();
    let mut strays = 0;
    let several = blocks.len() > 1;
    let mut seen = HashSet::new();
    for Block {
        mut taken, finds, ..
    } in blocks
    {
        repairs.merge(&taken.repairs);
        if finds > 1 {
            repairs.add(Repair::ValueSequence);
        }
        strays += taken.strays;
        if several {
            taken.values.retain(|value| seen.insert(value.to_string()));
        }
        values.append(&mut taken.values);
    }
    (values.len()..found).for_each(|_| repairs.add(Repair::Superseded));
    let only_thinking = scan.unfinished_thinking || (empty && thinking);
    let fault = match values.is_empty() {
        _ if broken.is_some() => broken,
        true if only_thinking => Some(Fault::OnlyThinking),
        _ if empty => Some(Fault::NoJson),
        none => (none || strays > 0).then_some(Fault::NotRecords),
    };
    Answer {
        values,
        repairs,
        fault,
    }
}

/// What befell the reading of a value.
fn fault_of(found: &Found) -> Option<Fault> {
    match found.end {
        End::TooMany => Some(Fault::TooMany),
        End::TooDeep => Some(Fault::TooDeep),
        End::Cut => Some(Fault::Truncated),
        End::Broken => Some(Fault::Malformed),
        End::Whole | End::NotJson => (found.dropped > 0).then_some(Fault::Malformed),
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        self.taken.values.is_empty()
    }

    fn is_outside(&self) -> bool {
        self.place.tag.is_none()
    }

    fn is_example(&self) -> bool {
        matches!(self.label.cue, Cue::Format | Cue::Aside)
    }
}

/// Leaves out blocks that are not the answer.
fn narrow(blocks: &mut Vec<Block>) {
    blocks.retain(|block| !block.is_empty());
    let stands = |block: &Block| block.label.cue == Cue::None && !block.place.in_sentence;
    if blocks
        .iter()
        .any(|block| block.is_outside() && (block.taken.list || stands(block)))
    {
        blocks.retain(Block::is_outside);
    }
    if blocks.iter().any(|block| block.taken.list) {
        blocks.retain(|block| block.taken.list || !(block.place.in_sentence || block.is_example()));
    }
    if let Some(last) = (1..blocks.len()).rev().find(|at| revises(blocks, *at)) {
        blocks.drain(..last);
    }
    if blocks.len() < 2 {
        return blocks.retain(|block| block.taken.list || block.label.cue != Cue::Aside);
    }
    let one = &blocks[0].label;
    if blocks.iter().all(|other| other.label.is_like(one)) {
        return;
    }
    let counted = blocks.iter().filter(|block| block.label.counts()).count() > 1;
    let announced = |block: &Block| block.is_example() && !(counted && block.label.counts());
    let real = blocks.iter().position(|block| !announced(block));
    blocks.drain(..real.unwrap_or(blocks.len() - 1));
    blocks.retain(|block| block.taken.list || block.label.cue != Cue::Aside);
}

/// Whether a block takes the place of those before it.
fn revises(blocks: &[Block], at: usize) -> bool {
    let (before, block) = (&blocks[..at], &blocks[at]);
    // After a draft in its own tag, a tag that is named as an answer is holds it.
    let label = &block.label;
    let other_tag = |other: &Block| !other.is_outside() && other.place.tag != block.place.tag;
    if !block.is_outside() && before.iter().all(other_tag) {
        return label.is_plain;
    }
    if label.cue != Cue::Revision {
        return false;
    }
    if label.is_plain {
        return !label.ends_series(before.iter().map(|block| &block.label));
    }
    // Each text is looked up once: both sides are parts of one answer.
    let texts = |block: &Block| -> HashSet<String> {
        let members = block
            .taken
            .values
            .iter()
            .filter_map(Value::as_object)
            .flatten();
        members
            .filter_map(|(key, value)| value.as_str().map(|text| format!("{key} {text}")))
            .collect()
    };
    let said = texts(block);
    before.iter().any(|other| !texts(other).is_disjoint(&said))
}
