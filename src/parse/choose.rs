//! Which of several values in an answer are the answer.
//!
//! Values with nothing but separators between them are one block: JSON Lines, or a list without its brackets. Where words
//! part several blocks, these rules hold, each of which would rather lose a record than take a wrong one:
//!
//! - once there is a list, single objects outside it are examples or remarks, and are left out;
//! - a block that words such as "corrected" announce takes the place of those before it;
//! - a block announced as a format or an example is left out if another follows;
//! - a single object announced by "for example" and the like is left out in any case;
//! - what is left is taken together, the same value only once per block it repeats.

use std::collections::HashSet;

use serde_json::Value;

use super::scan::{Cue, Find, Scan};
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
    cue: Cue,
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
        cue,
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
        match blocks.last_mut().filter(|_| joined) {
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
                cue,
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
    blocks.retain(|block| !block.values.is_empty() && (block.list || block.cue != Cue::Aside));
    if blocks.iter().any(|block| block.list) {
        blocks.retain(|block| block.list);
    }
    if let Some(last) = blocks.iter().rposition(|block| block.cue == Cue::Revision) {
        blocks.drain(..last);
    }
    if let Some(real) = blocks
        .iter()
        .position(|block| !matches!(block.cue, Cue::Format | Cue::Aside))
    {
        blocks.drain(..real);
    } else if blocks.len() > 1 {
        blocks.drain(..blocks.len() - 1);
    }
    let mut first = true;
    blocks.retain(|block| std::mem::take(&mut first) || block.cue != Cue::Aside);
}
