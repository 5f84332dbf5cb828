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
    dropped: usize,
    cue: Cue,
    mends: Mends,
    finds: usize,
    ends: Vec<End>,
}

/// Turns what an answer holds into what it answers, `take` saying what a value gives.
pub(super) fn choose(scan: Scan, mut take: impl FnMut(&mut Found) -> Taken) -> Answer {
    let mut blocks: Vec<Block> = Vec::new();
    let thinking = scan.mends.count(Mend::Thinking) > 0 && scan.mends.count(Mend::Prose) == 0;
    for Find {
        mut found,
        joined,
        cue,
    } in scan.finds
    {
        let taken = take(&mut found);
        let mut mends = found.mends;
        mends.merge(&taken.mends);
        match blocks.last_mut().filter(|_| joined) {
            Some(block) => {
                block.list |= taken.list || !(block.values.is_empty() || taken.values.is_empty());
                block.values.extend(taken.values);
                block.strays += taken.strays;
                block.dropped += found.dropped;
                block.mends.merge(&mends);
                block.finds += 1;
                block.ends.push(found.end);
            }
            None => blocks.push(Block {
                values: taken.values,
                list: taken.list,
                strays: taken.strays,
                dropped: found.dropped,
                cue,
                mends,
                finds: 1,
                ends: vec![found.end],
            }),
        }
    }
    let empty = blocks.is_empty();
    let ends: Vec<End> = blocks
        .iter()
        .flat_map(|block| block.ends.iter().copied())
        .collect();
    let dropped: usize = blocks.iter().map(|block| block.dropped).sum();
    let chosen = narrow(blocks);

    let mut mends = scan.mends;
    let mut values: Vec<Value> = Vec::new();
    let mut strays = 0;
    for mut block in chosen {
        mends.merge(&block.mends);
        if block.finds > 1 {
            mends.add(Mend::ValueSequence);
        }
        strays += block.strays;
        if values.is_empty() {
            values = block.values;
        } else {
            block.values.retain(|value| !values.contains(value));
            values.extend(block.values);
        }
    }
    let fault = if let Some(fault) = fault_of(&ends, dropped) {
        Some(fault)
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

fn fault_of(ends: &[End], dropped: usize) -> Option<Fault> {
    let ended = |end: End| ends.contains(&end);
    if ended(End::TooMany) {
        Some(Fault::TooMany)
    } else if ended(End::TooDeep) {
        Some(Fault::TooDeep)
    } else if ended(End::Cut) {
        Some(Fault::Truncated)
    } else if ended(End::Broken) || dropped > 0 {
        Some(Fault::Malformed)
    } else {
        None
    }
}

/// Leaves out blocks that are not the answer.
fn narrow(blocks: Vec<Block>) -> Vec<Block> {
    let mut blocks: Vec<Block> = blocks
        .into_iter()
        .filter(|block| !block.values.is_empty() && (block.list || block.cue != Cue::Aside))
        .collect();
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
    blocks
}
