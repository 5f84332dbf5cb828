//! Which of several values in an answer are the answer.
//!
//! Values with nothing but separators between them are one block: JSON Lines, or a list without its brackets. Where words
//! or tags part several blocks, these rules hold. What they leave out is counted as [`Mend::Superseded`]:
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
use super::scan::{Find, Scan};
use super::tolerant::{End, Found};
use super::{Answer, Fault, Mend, Mends};

/// What one value gives.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) values: Vec<Value>,
    /// Whether they came as a list.
    pub(super) list: bool,
    /// Parts that are nothing wanted.
    pub(super) strays: usize,
    pub(super) mends: Mends,
}

struct Block {
    values: Vec<Value>,
    list: bool,
    strays: usize,
    serious: bool,
    label: Label,
    tag: Option<String>,
    in_sentence: bool,
    mends: Mends,
    finds: usize,
    fault: Option<Fault>,
}

/// Turns what an answer holds into what it answers. `take` says what a value gives, being told whether it comes after
/// one that broke off.
pub(super) fn choose(scan: Scan, mut take: impl FnMut(&mut Found, bool) -> Taken) -> Answer {
    let mut blocks: Vec<Block> = Vec::new();
    let mut idle = false;
    let thinking = scan.mends.count(Mend::Thinking) > 0 && scan.mends.count(Mend::Prose) == 0;
    for Find {
        mut found,
        joined,
        after_break,
        label,
        tag,
        in_sentence,
    } in scan.finds
    {
        let taken = take(&mut found, after_break);
        let fault = fault_of(&found);
        let mut mends = found.mends;
        mends.merge(&taken.mends);
        // A whole value with nothing in it, such as an echoed schema, belongs to no block.
        if taken.values.is_empty() && found.end == End::Whole && found.dropped == 0 {
            idle = true;
            continue;
        }
        let belongs = |block: &&mut Block| {
            joined
                && block.tag == tag
                && (block.list || !taken.list || block.label.cue == Cue::None)
        };
        match blocks.last_mut().filter(belongs) {
            Some(block) => {
                block.list |= taken.list || !(block.values.is_empty() || taken.values.is_empty());
                block.values.extend(taken.values);
                block.strays += taken.strays;
                block.serious |= found.serious;
                block.mends.merge(&mends);
                block.finds += 1;
                block.fault = graver(block.fault, fault);
            }
            None => blocks.push(Block {
                values: taken.values,
                list: taken.list,
                strays: taken.strays,
                serious: found.serious,
                label,
                tag,
                in_sentence,
                mends,
                finds: 1,
                fault,
            }),
        }
    }
    let empty = blocks.is_empty() && !idle;
    // Brackets that are about something else only matter if there is nothing better.
    let any = blocks.iter().any(|block| !block.values.is_empty());
    let broken = blocks
        .iter()
        .filter(|block| block.serious || !block.values.is_empty() || !any)
        .map(|block| block.fault)
        .fold(None, graver);
    let found: usize = blocks.iter().map(|block| block.values.len()).sum();
    narrow(&mut blocks);

    let mut mends = scan.mends;
    let mut values: Vec<Value> = Vec::new();
    let mut strays = 0;
    let several = blocks.len() > 1;
    let mut seen = HashSet::new();
    for mut block in blocks {
        mends.merge(&block.mends);
        if block.finds > 1 {
            mends.add(Mend::ValueSequence);
        }
        strays += block.strays;
        if several {
            block.values.retain(|value| seen.insert(value.to_string()));
        }
        if values.is_empty() {
            values = block.values;
        } else {
            values.append(&mut block.values);
        }
    }
    (values.len()..found).for_each(|_| mends.add(Mend::Superseded));
    let fault = if broken.is_some() {
        broken
    } else if values.is_empty() && (scan.unfinished_thinking || (empty && thinking)) {
        Some(Fault::OnlyThinking)
    } else if empty {
        Some(Fault::NoJson)
    } else if values.is_empty() || strays > 0 {
        Some(Fault::NotRecords)
    } else {
        None
    };
    Answer {
        values,
        mends,
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

fn graver(one: Option<Fault>, other: Option<Fault>) -> Option<Fault> {
    let gravity = |fault| match fault {
        Some(Fault::TooMany) => 4,
        Some(Fault::TooDeep) => 3,
        Some(Fault::Truncated) => 2,
        Some(Fault::Malformed) => 1,
        _ => 0,
    };
    if gravity(other) > gravity(one) {
        other
    } else {
        one
    }
}

/// Leaves out blocks that are not the answer.
fn narrow(blocks: &mut Vec<Block>) {
    blocks.retain(|block| !block.values.is_empty());
    let cue = |block: &Block| block.label.cue;
    let outside = |block: &Block| block.tag.is_none();
    if blocks.iter().any(|block| {
        outside(block) && (block.list || (cue(block) == Cue::None && !block.in_sentence))
    }) {
        blocks.retain(outside);
    }
    if blocks.iter().any(|block| block.list) {
        blocks.retain(|block| {
            block.list || !(block.in_sentence || matches!(cue(block), Cue::Format | Cue::Aside))
        });
    }
    if let Some(last) = (1..blocks.len()).rev().find(|at| revises(blocks, *at)) {
        blocks.drain(..last);
    }
    let (one, others) = match blocks.split_first() {
        Some(split) if !split.1.is_empty() => split,
        _ => {
            blocks.retain(|block| block.list || cue(block) != Cue::Aside);
            return;
        }
    };
    let counted = blocks.iter().filter(|block| block.label.counts).count() > 1;
    let announced = |block: &Block| {
        matches!(cue(block), Cue::Format | Cue::Aside) && !(counted && block.label.counts)
    };
    if announced(one) && others.iter().all(|other| other.label.is_like(&one.label)) {
        return;
    }
    match blocks.iter().position(|block| !announced(block)) {
        Some(real) => blocks.drain(..real),
        None => blocks.drain(..blocks.len() - 1),
    };
    let mut first = true;
    blocks.retain(|block| {
        std::mem::take(&mut first) || block.list || cue(block) != Cue::Aside || !announced(block)
    });
}

/// Whether a block takes the place of those before it.
fn revises(blocks: &[Block], at: usize) -> bool {
    let (before, block) = (&blocks[..at], &blocks[at]);
    // After a draft in its own tag, a tag that is named as an answer is holds it.
    if block.tag.is_some()
        && before
            .iter()
            .all(|other| other.tag.is_some() && other.tag != block.tag)
    {
        return block.label.is_plain;
    }
    if block.label.cue != Cue::Revision {
        return false;
    }
    let labels: Vec<&Label> = before.iter().map(|block| &block.label).collect();
    if block.label.is_plain {
        return !block.label.ends_series(&labels);
    }
    // Each text is looked up once: both sides are parts of one answer.
    let texts = |block: &Block| -> HashSet<String> {
        let members = block.values.iter().filter_map(Value::as_object).flatten();
        members
            .filter_map(|(key, value)| value.as_str().map(|text| format!("{key} {text}")))
            .collect()
    };
    let said = texts(block);
    before.iter().any(|other| !texts(other).is_disjoint(&said))
}
