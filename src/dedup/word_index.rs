//! Finds records by the words that they share, without comparing each with each.

/// Which records may share how many words with another one.
///
/// The words of a record are in an order that is the same for all, rare ones first. So where two records have their first common word
/// in certain places, no more words can be common than stand behind it in either (Xiao, Wang, Lin, Yu 2008). Records of one
/// length that have a word in one place are a run, and one look tells whether any of them can be similar enough.
pub(super) struct WordIndex<'a> {
    words: &'a RankedWords,
    /// Only records of different sides are found by one another.
    sides: &'a [usize],
    /// Of each word, by its rank, where its runs end.
    ends: Vec<usize>,
    runs: Vec<Run>,
    /// The records of all runs, in each run by their sides.
    members: Vec<u32>,
}

/// Records of one length that have a word in one place.
struct Run {
    length: u32,
    place: u32,
    end: usize,
}

type Marks = [u64; 8];

/// The words of all records, as ranks that rise with how many records have them.
pub(super) struct RankedWords {
    words: Vec<u32>,
    ends: Vec<usize>,
    /// A bit for each word of a record, by chance shared by several.
    marks: Vec<Marks>,
    ranks: usize,
}

impl RankedWords {
    /// Takes the words of all records, one after the other, as numbers; where those of each record end; and in how many records
    /// each number is.
    pub(super) fn new(numbers: &[u32], ends: &[usize], counts: &[u32]) -> Self {
        let mut by_count: Vec<u32> = (0..).take(counts.len()).collect();
        by_count.sort_unstable_by_key(|number| (counts[*number as usize], *number));
        let mut rank_of = vec![0; counts.len()];
        for (rank, number) in (0..).zip(&by_count) {
            rank_of[*number as usize] = rank;
        }
        let mut words: Vec<u32> = numbers
            .iter()
            .map(|number| rank_of[*number as usize])
            .collect();
        let mut start = 0;
        let mut marks = Vec::with_capacity(ends.len());
        for &end in ends {
            let own = &mut words[start..end];
            own.sort_unstable();
            let mut bits = Marks::default();
            for rank in own {
                let bit = *rank as usize % (64 * bits.len());
                bits[bit / 64] |= 1 << (bit % 64);
            }
            marks.push(bits);
            start = end;
        }
        Self {
            words,
            ends: ends.to_vec(),
            marks,
            ranks: counts.len(),
        }
    }

    pub(super) fn of(&self, record: usize) -> &[u32] {
        let start = record.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[record]]
    }

    /// Returns how many words two records share, if these are `fewest` or more.
    fn shared(&self, one: usize, other: usize, fewest: usize) -> Option<usize> {
        let (left, right) = (self.of(one), self.of(other));
        let mut alone = 0;
        for (marks, other_marks) in self.marks[one].iter().zip(&self.marks[other]) {
            alone += (marks & !other_marks).count_ones() as usize;
            if left.len() - alone < fewest {
                return None;
            }
        }
        let (mut at, mut other_at, mut shared) = (0, 0, 0);
        while at < left.len() && other_at < right.len() {
            let rest = (left.len() - at).min(right.len() - other_at);
            if shared + rest < fewest {
                return None;
            }
            let (word, other_word) = (left[at], right[other_at]);
            shared += usize::from(word == other_word);
            at += usize::from(word <= other_word);
            other_at += usize::from(other_word <= word);
        }
        (shared >= fewest).then_some(shared)
    }
}

/// From which similarity on a record is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    AtLeast(f64),
    MoreThan(f64),
}

impl Wanted {
    /// Returns how many words two records have to share that have this many, added up.
    fn of_two(self, words: usize) -> usize {
        self.words(words, |similarity| similarity / (1.0 + similarity))
    }

    /// Returns how many of its words a record has to share with any other.
    fn of_one(self, words: usize) -> usize {
        self.words(words, |similarity| similarity)
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Numbers of words.
    fn words(self, of: usize, share: impl Fn(f64) -> f64) -> usize {
        // Rounding must not ask for one more than there has to be, nor for one less.
        match self {
            Self::AtLeast(similarity) => (share(similarity) * of as f64 - 1e-9).ceil() as usize,
            Self::MoreThan(similarity) => (share(similarity) * of as f64 + 1e-9) as usize + 1,
        }
    }
}

impl<'a> WordIndex<'a> {
    /// Reads the words of all records, for searches from this similarity on.
    pub(super) fn new(words: &'a RankedWords, sides: &'a [usize], least: f64) -> Self {
        let mut places = Vec::new();
        for (record, number) in (0..words.ends.len()).zip(0_u32..) {
            let own = words.of(record);
            let length = u32::try_from(own.len()).unwrap_or(u32::MAX);
            // Behind these there are too few left.
            let early = (own.len() + 1).saturating_sub(Wanted::AtLeast(least).of_one(own.len()));
            for (place, word) in (0_u32..).zip(own.iter().take(early)) {
                places.push((*word, length, place, sides[record], number));
            }
        }
        places.sort_unstable();
        let mut index = Self {
            words,
            sides,
            ends: Vec::with_capacity(words.ranks),
            runs: Vec::new(),
            members: places.iter().map(|(.., record)| *record).collect(),
        };
        let mut end = 0;
        for run in
            places.chunk_by(|one, other| (one.0, one.1, one.2) == (other.0, other.1, other.2))
        {
            let (word, length, place, ..) = run[0];
            index.ends.resize(word as usize, index.runs.len());
            end += run.len();
            index.runs.push(Run { length, place, end });
        }
        index.ends.resize(words.ranks, index.runs.len());
        index
    }

    /// Shows the records of other sides that are as similar as wanted, each with its similarity, until `found` wants nothing more; it
    /// returns what it wants from then on. Takes as many looks as there are, and returns whether these were enough.
    pub(super) fn search(
        &self,
        record: usize,
        mut wanted: Wanted,
        looks: &mut u64,
        mut found: impl FnMut(usize, f64) -> Option<Wanted>,
    ) -> bool {
        let own = self.words.of(record);
        for (place, &word) in own.iter().enumerate() {
            let rest = own.len() - place;
            if rest < wanted.of_one(own.len()) {
                break;
            }
            let word = word as usize;
            let first = word.checked_sub(1).map_or(0, |before| self.ends[before]);
            for number in first..self.ends[word] {
                let Some(left) = looks.checked_sub(1) else {
                    return false;
                };
                *looks = left;
                let run = &self.runs[number];
                let length = run.length as usize;
                let most = rest.min(length - run.place as usize);
                let mut fewest = wanted.of_two(own.len() + length);
                if most < fewest {
                    continue;
                }
                for &other in self.others(number, record) {
                    let other = other as usize;
                    let Some(left) = looks.checked_sub(1) else {
                        return false;
                    };
                    *looks = left;
                    let Some(shared) = self.words.shared(record, other, fewest) else {
                        continue;
                    };
                    let Some(next) = found(other, share(shared, own.len() + length - shared))
                    else {
                        return true;
                    };
                    wanted = next;
                    fewest = wanted.of_two(own.len() + length);
                    if most < fewest {
                        break;
                    }
                }
            }
        }
        true
    }

    /// Returns those of a run that are on other sides than a record.
    fn others(&self, run: usize, record: usize) -> impl Iterator<Item = &u32> {
        let start = run.checked_sub(1).map_or(0, |before| self.runs[before].end);
        let members = &self.members[start..self.runs[run].end];
        let side = self.sides[record];
        let from = members.partition_point(|it| self.sides[*it as usize] < side);
        let to = members.partition_point(|it| self.sides[*it as usize] <= side);
        members[..from].iter().chain(&members[to..])
    }
}

#[allow(clippy::cast_precision_loss)] // Numbers of words.
fn share(shared: usize, all: usize) -> f64 {
    shared as f64 / all as f64
}
