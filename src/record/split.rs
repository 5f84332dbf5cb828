//! Sides of a data set, such as what a model is trained with and what it is tested with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// The sides that a data set is split into, each with its share.
///
/// Written as `train=0.9,test=0.1`. Shares add up to 1.
///
/// ```
/// use topicloom::record::Split;
///
/// let split: Split = "train=.8,validation=.1,test=.1".parse()?;
/// assert_eq!(split.names().collect::<Vec<_>>(), ["train", "validation", "test"]);
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    said: String,
    sides: Vec<(String, f64)>,
}

/// Ways to put groups on sides that are tried before one is taken in which the counts are not what they should be.
const MOST_TRIES: u64 = 64;

impl Split {
    /// Returns the names of the sides.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sides.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the file of a side: `data.train.jsonl.gz` for `data.jsonl.gz`. Of a name that begins with `train-`, as files in folders
    /// do, the side takes that place.
    #[must_use]
    pub fn file_of(side: &str, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(rest) = name.strip_prefix("train-") {
            return path.with_file_name(format!("{side}-{rest}"));
        }
        let (stem, endings) = match name.strip_suffix(".gz") {
            Some(inner) => (inner, ".gz"),
            None => (&*name, ""),
        };
        let named = match stem.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
            Some((stem, ending)) => format!("{stem}.{side}.{ending}{endings}"),
            None => format!("{stem}.{side}{endings}"),
        };
        path.with_file_name(named)
    }

    /// Returns how many of this number of records each side gets: they add up, and none is further from its share than one record.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Shares of a count.
    pub(crate) fn counts(&self, records: usize) -> Vec<usize> {
        let shares: Vec<f64> = self
            .sides
            .iter()
            .map(|(_, share)| share * records as f64)
            .collect();
        // A share such as 0.1 of 30 is meant to be 3.
        let mut counts: Vec<usize> = shares.iter().map(|share| (share + 1e-9) as usize).collect();
        let mut by_rest: Vec<usize> = (0..counts.len()).collect();
        by_rest.sort_by(|&one, &other| {
            let rest = |side: usize| shares[side] - counts[side] as f64;
            rest(other).total_cmp(&rest(one))
        });
        let missing = records.saturating_sub(counts.iter().sum());
        for &side in by_rest.iter().cycle().take(missing) {
            counts[side] += 1;
        }
        counts
    }

    /// Returns the side of each record, by the numbers of its groups: each group is on one side. The same groups get the same
    /// sides, always.
    pub(crate) fn assign(&self, groups: &[usize]) -> Vec<usize> {
        let mut sizes = vec![0_usize; groups.len()];
        groups.iter().for_each(|&group| sizes[group] += 1);
        let counts = self.counts(groups.len());
        let tries = (0..MOST_TRIES).map(|number| {
            let random = Random::new(number).fork("split");
            let side_of = place(&sizes, counts.clone(), random);
            let off = (0..counts.len()).map(|side| {
                let there: usize = groups.iter().filter(|&&it| side_of[it] == side).count();
                there.abs_diff(counts[side])
            });
            (off.sum::<usize>(), side_of)
        });
        let mut best: Option<(usize, Vec<usize>)> = None;
        for (off, side_of) in tries {
            if best.as_ref().is_none_or(|(least, _)| off < *least) {
                best = Some((off, side_of));
            }
            if best.as_ref().is_some_and(|(least, _)| *least == 0) {
                break;
            }
        }
        let side_of = best.map(|(_, side_of)| side_of).unwrap_or_default();
        groups.iter().map(|&group| side_of[group]).collect()
    }
}

/// Puts groups on sides, large ones first, each where there is room for it, by chance.
fn place(sizes: &[usize], mut room: Vec<usize>, mut random: Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).filter(|&group| sizes[group] > 0).collect();
    random.shuffle(&mut order);
    order.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
    let mut side_of = vec![0; sizes.len()];
    for group in order {
        let fits = |side: &usize| room[*side] >= sizes[group];
        let fitting: usize = (0..room.len()).filter(fits).map(|side| room[side]).sum();
        let side = if fitting > 0 {
            let mut drawn = random.index(fitting);
            let mut possible = (0..room.len()).filter(fits);
            let chosen = possible.find(|&side| {
                let is_here = drawn < room[side];
                drawn = drawn.saturating_sub(room[side]);
                is_here
            });
            chosen.expect("what was drawn is below the room of all of them")
        } else {
            (0..room.len()).max_by_key(|&side| room[side]).unwrap_or(0)
        };
        room[side] = room[side].saturating_sub(sizes[group]);
        side_of[group] = side;
    }
    side_of
}

impl FromStr for Split {
    type Err = Error;

    /// Reads `NAME=SHARE,NAME=SHARE`.
    fn from_str(said: &str) -> Result<Self> {
        let invalid = |problem: String| {
            let message =
                format!("{problem}; write shares that add up to 1, such as `train=0.9,test=0.1`");
            Error::new(ErrorKind::InvalidInput, message)
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        let mut sides: Vec<(String, f64)> = Vec::new();
        for side in said.split(',') {
            let (name, share) = side.split_once('=').unwrap_or((side, ""));
            let name = name.trim();
            let share = share.trim().parse::<f64>().ok();
            let Some(share) = share.filter(|share| is_name(name) && *share > 0.0 && *share <= 1.0)
            else {
                return Err(invalid(format!("`{side}` is no side with its share")));
            };
            if sides.iter().any(|(known, _)| known == name) {
                return Err(invalid(format!("`{name}` is there twice")));
            }
            sides.push((name.to_owned(), share));
        }
        let sum: f64 = sides.iter().map(|(_, share)| share).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(invalid(format!("the shares add up to {sum}")));
        }
        Ok(Self {
            said: said.to_owned(),
            sides,
        })
    }
}

/// Writes what it was read from.
impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_wherever_groups_leave_room() {
        let split: Split = "train=.8, validation=.1,test=.1".parse().unwrap();
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let records = 40 + random.index(200);
            // Each record follows the one before it into its group, or begins one.
            let mut groups = vec![0];
            for record in 1..records {
                let last = groups[record - 1];
                groups.push(if random.below(4) == 0 { last } else { record });
            }
            let sides = split.assign(&groups);
            let count = |side| sides.iter().filter(|it| **it == side).count();
            assert_eq!((0..3).map(count).collect::<Vec<_>>(), split.counts(records));
            for (one, other) in groups.iter().zip(&sides) {
                assert_eq!(sides[*one], *other, "a group is on two sides");
            }
            assert_eq!(sides, split.assign(&groups));
        }
    }

    #[test]
    fn shares_are_rounded_so_that_nothing_is_lost() {
        let counts = |said: &str, records| said.parse::<Split>().unwrap().counts(records);
        assert_eq!(counts("train=.9,test=.1", 30), [27, 3]);
        assert_eq!(counts("train=.9,test=.1", 5), [5, 0]);
        assert_eq!(counts("a=.5,b=.5", 5), [3, 2]);
        assert_eq!(counts("a=.333333,b=.333333,c=.333334", 10), [3, 3, 4]);
        assert_eq!(counts("train=.9,test=.1", 0), [0, 0]);
    }

    #[test]
    fn a_side_is_named_before_the_ending() {
        let file = |path: &str| {
            Split::file_of("test", Path::new(path))
                .display()
                .to_string()
        };
        assert_eq!(file("a/data.jsonl"), "a/data.test.jsonl");
        assert_eq!(file("data.v2.csv.gz"), "data.v2.test.csv.gz");
        assert_eq!(file("data"), "data.test");
        assert_eq!(file(".hidden"), ".hidden.test");
        assert_eq!(
            file("data/train-00000-of-00001.parquet"),
            "data/test-00000-of-00001.parquet"
        );
    }

    #[test]
    fn one_group_that_is_too_large_is_still_on_one_side() {
        let split: Split = "train=.5,test=.5".parse().unwrap();
        let sides = split.assign(&[0; 9]);
        assert!(sides.iter().all(|side| *side == sides[0]));
    }

    #[test]
    fn what_is_no_split_says_so() {
        for said in [
            "train",
            "train=.9",
            "train=.9,test=.2",
            "a=.5,a=.5",
            "a b=1",
            "a=-1,b=2",
            "a/b=.5,c=.5",
        ] {
            let error = said.parse::<Split>().unwrap_err();
            assert!(error.message().contains("`train=0.9,test=0.1`"), "{error}");
        }
    }
}
