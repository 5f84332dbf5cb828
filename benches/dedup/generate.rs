//! A labelled set of questions: which ones repeat which, and how. Seeded, so that it is the same everywhere.

use super::vocabulary::Part;

/// A question and what it is.
#[derive(Debug, Clone)]
pub struct Labelled {
    pub text: String,
    /// Questions that say the same share it.
    pub cluster: u32,
    /// How it was made from the base of its cluster, or from that of another.
    pub kind: Kind,
    /// The part of the content that it comes from.
    pub part: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Base,
    Exact,
    CaseAndSpace,
    UnicodeForm,
    Markup,
    WordOrder,
    Inflection,
    Synonyms,
    ClauseAdded,
    Boilerplate,
    Paraphrase,
    OtherNumber,
    OtherUnit,
    OtherOperator,
    OtherEntity,
    Opposite,
    Negation,
    Direction,
    /// Another thing asked of the same.
    Aspect,
}

pub const REPEATS: [Kind; 10] = [
    Kind::Exact,
    Kind::CaseAndSpace,
    Kind::UnicodeForm,
    Kind::Markup,
    Kind::WordOrder,
    Kind::Inflection,
    Kind::Synonyms,
    Kind::ClauseAdded,
    Kind::Boilerplate,
    Kind::Paraphrase,
];

pub const NEIGHBOURS: [Kind; 7] = [
    Kind::OtherNumber,
    Kind::OtherUnit,
    Kind::OtherOperator,
    Kind::OtherEntity,
    Kind::Opposite,
    Kind::Negation,
    Kind::Direction,
];

/// The `SplitMix64` generator: small, seeded, good enough to draw words.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

/// What fills a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slots {
    t: String,
    u: String,
    f: &'static str,
    n: usize,
    m: usize,
    v: &'static str,
    o: &'static str,
}

/// Draws `count` questions: some alone, some with a repeat, some with a neighbour that differs in what matters.
pub fn generate(part: &Part, count: usize, seed: u64) -> Vec<Labelled> {
    let mut dice = Dice(seed);
    let mut used = std::collections::HashSet::new();
    let mut set: Vec<Labelled> = Vec::with_capacity(count + 2);
    let mut cluster = 0;
    while set.len() < count {
        cluster += 2;
        match dice.below(6) {
            0 | 1 => {
                let family = part.families[dice.below(part.families.len())];
                let slots = slots(part, &mut dice);
                let key = (family[0].as_ptr() as usize, relevant(family[0], &slots));
                if !used.insert(key) || !used.insert((0, fill(family[0], &slots, 0, 0))) {
                    continue;
                }
                let kind = REPEATS[dice.below(REPEATS.len())];
                let Some(text) = repeat(part, family, &slots, kind, &mut dice) else {
                    continue;
                };
                set.push(Labelled {
                    text: fill(family[0], &slots, 0, 0),
                    cluster,
                    kind: Kind::Base,
                    part: part.name,
                });
                set.push(Labelled {
                    text,
                    cluster,
                    kind,
                    part: part.name,
                });
            }
            2 | 3 => {
                let kind = NEIGHBOURS[dice.below(NEIGHBOURS.len())];
                let (first, second) = neighbours(part, kind, &mut dice);
                if first == second
                    || !used.insert((0, first.clone()))
                    || !used.insert((0, second.clone()))
                {
                    continue;
                }
                set.push(Labelled {
                    text: first,
                    cluster,
                    kind: Kind::Base,
                    part: part.name,
                });
                set.push(Labelled {
                    text: second,
                    cluster: cluster + 1,
                    kind,
                    part: part.name,
                });
            }
            _ => {
                let family = part.families[dice.below(part.families.len())];
                let slots = slots(part, &mut dice);
                let key = (family[0].as_ptr() as usize, relevant(family[0], &slots));
                if used.insert(key) && used.insert((0, fill(family[0], &slots, 0, 0))) {
                    set.push(Labelled {
                        text: fill(family[0], &slots, 0, 0),
                        cluster,
                        kind: Kind::Base,
                        part: part.name,
                    });
                }
            }
        }
    }
    // In a stream either of two can come first.
    for at in (1..set.len()).rev() {
        set.swap(at, dice.below(at + 1));
    }
    set
}

fn thing(part: &Part, dice: &mut Dice) -> String {
    format!("{} {}", dice.pick(part.qualifiers), dice.pick(part.nouns))
}

fn slots(part: &Part, dice: &mut Dice) -> Slots {
    let t = thing(part, dice);
    let u = loop {
        let u = thing(part, dice);
        if u != t {
            break u;
        }
    };
    let f = part.fields[dice.below(part.fields.len())];
    Slots {
        t,
        u,
        f,
        n: dice.below(900) + 12,
        m: dice.below(90) + 2,
        v: part.units[dice.below(part.units.len())],
        o: part.operators[dice.below(part.operators.len())],
    }
}

/// Names the slots a frame uses, so that two bases are never the same question.
fn relevant(frame: &str, slots: &Slots) -> String {
    let Slots { t, u, f, n, .. } = slots;
    let mut key: Vec<String> = Vec::new();
    if frame.contains("{t}") {
        key.push(t.clone());
    }
    if frame.contains("{u}") {
        key.push(u.clone());
    }
    // "The difference between A and B" is that between B and A.
    if frame.contains("between") || frame.contains("related") {
        key.sort_unstable();
    }
    if frame.contains("{f}") {
        key.push((*f).to_owned());
    }
    if frame.contains("{n}") {
        key.push(n.to_string());
    }
    key.join("|")
}

/// Fills a frame; `synonyms` and `forms` are bits that say which alternatives to take instead of the first.
fn fill(frame: &str, slots: &Slots, synonyms: u64, forms: u64) -> String {
    let mut out = String::new();
    let mut rest = frame;
    let (mut synonym, mut form) = (0, 0);
    while let Some(at) = rest.find(['[', '<', '{']) {
        out.push_str(&rest[..at]);
        let (open, close) = match rest.as_bytes()[at] {
            b'[' => ('[', ']'),
            b'<' => ('<', '>'),
            _ => ('{', '}'),
        };
        let end = at
            + rest[at..]
                .find(close)
                .expect("a frame closes what it opens");
        let inner = &rest[at + 1..end];
        if open == '{' {
            match inner {
                "t" => out.push_str(&slots.t),
                "u" => out.push_str(&slots.u),
                "f" => out.push_str(slots.f),
                "n" => out.push_str(&slots.n.to_string()),
                "m" => out.push_str(&slots.m.to_string()),
                "v" => out.push_str(slots.v),
                "o" => out.push_str(slots.o),
                other => panic!("no slot {other}"),
            }
        } else {
            let options: Vec<&str> = inner.split('|').collect();
            let (bits, index) = if open == '[' {
                (synonyms, &mut synonym)
            } else {
                (forms, &mut form)
            };
            let other = bits >> (*index * 4) & 0xf;
            *index += 1;
            let choice = if other == 0 || options.len() == 1 {
                0
            } else {
                1 + other as usize % (options.len() - 1)
            };
            out.push_str(options[choice]);
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

fn repeat(
    part: &Part,
    family: &[&str],
    slots: &Slots,
    kind: Kind,
    dice: &mut Dice,
) -> Option<String> {
    let base = fill(family[0], slots, 0, 0);
    let text = match kind {
        Kind::Exact => base.clone(),
        Kind::CaseAndSpace => match dice.below(3) {
            0 => base.to_uppercase(),
            1 => base.to_lowercase().replace(' ', "  "),
            _ => format!("  {}\n", base.to_lowercase().trim_end_matches(['?', '.'])),
        },
        Kind::UnicodeForm => match dice.below(4) {
            0 => base
                .chars()
                .map(|c| {
                    if c.is_ascii_graphic() {
                        char::from_u32(c as u32 + 0xfee0).unwrap_or(c)
                    } else {
                        c
                    }
                })
                .collect(),
            1 => {
                let at = base.char_indices().nth(dice.below(base.len() - 2) + 1)?.0;
                format!("{}\u{200b}{}", &base[..at], &base[at..])
            }
            2 => format!("“{base}”"),
            _ => base.replace(' ', "\u{a0}"),
        },
        Kind::Markup => match dice.below(5) {
            0 => format!("**{base}**"),
            1 => format!("<p>{base}</p>"),
            2 => base.replacen(&slots.t, &format!("*{}*", slots.t), 1),
            3 => base.replacen(&slots.t, &format!("<b>{}</b>", slots.t), 1),
            _ => format!("{}. {base}", dice.below(40) + 1),
        },
        Kind::WordOrder => {
            // By the design of the families the second frame is the first in another order, where there is one.
            let second = family[1];
            let reordered = second.starts_with(['I', 'W', 'D', 'T', 'O']) && second.contains(", ")
                || family[0].contains(" and {u}") && second.contains("{u} and");
            if !reordered {
                return None;
            }
            fill(second, slots, 0, 0)
        }
        Kind::Inflection => fill(family[0], slots, 0, 0x1111_1111),
        Kind::Synonyms => {
            let mut bits = 0;
            let count = family[0].matches('[').count();
            if count == 0 {
                return None;
            }
            // One to three of them: 5 to 30 % of the words.
            for _ in 0..=dice.below(3) {
                bits |= ((dice.below(15) + 1) as u64) << (dice.below(count) * 4);
            }
            fill(family[0], slots, bits, 0)
        }
        Kind::ClauseAdded => {
            let clause = dice.pick(part.clauses);
            let (body, end) = base.split_at(base.len() - 1);
            format!("{body}{clause}{end}")
        }
        Kind::Boilerplate => match dice.below(3) {
            0 => format!("{}{base}", dice.pick(part.before)),
            1 => format!("{base}{}", dice.pick(part.after)),
            _ => format!("{}{base}{}", dice.pick(part.before), dice.pick(part.after)),
        },
        Kind::Paraphrase => {
            let other = 1 + dice.below(family.len() - 1);
            fill(family[other], slots, 0, 0)
        }
        _ => return None,
    };
    (kind == Kind::Exact || text != base).then_some(text)
}

fn neighbours(part: &Part, kind: Kind, dice: &mut Dice) -> (String, String) {
    let slots_a = slots(part, dice);
    let mut slots_b = slots_a.clone();
    let with = |slot: &str, dice: &mut Dice| {
        let frames: Vec<&str> = part
            .calculations
            .iter()
            .chain(part.families.iter().map(|f| &f[0]))
            .copied()
            .collect();
        let fitting: Vec<&str> = frames
            .into_iter()
            .filter(|frame| frame.contains(slot))
            .collect();
        dice.pick(&fitting)
    };
    let other = |items: &[&'static str], not: &str, dice: &mut Dice| loop {
        let item = dice.pick(items);
        if item != not {
            return item;
        }
    };
    let frame = match kind {
        Kind::OtherNumber => {
            slots_b.n += 1 + dice.below(50);
            with("{n}", dice)
        }
        Kind::OtherUnit => {
            slots_b.v = other(part.units, slots_a.v, dice);
            with("{v}", dice)
        }
        Kind::OtherOperator => {
            slots_b.o = other(part.operators, slots_a.o, dice);
            with("{o}", dice)
        }
        Kind::Direction => {
            let frame = dice.pick(part.directed);
            std::mem::swap(&mut slots_b.t, &mut slots_b.u);
            frame
        }
        Kind::Opposite => {
            let (a, b) = part.opposites[dice.below(part.opposites.len())];
            return (fill(a, &slots_a, 0, 0), fill(b, &slots_a, 0, 0));
        }
        Kind::Negation => {
            let (a, b) = part.negations[dice.below(part.negations.len())];
            return (fill(a, &slots_a, 0, 0), fill(b, &slots_a, 0, 0));
        }
        _ => {
            // Half of it differs in a word of the name, half in the field.
            if dice.below(2) == 0 {
                let (qualifier, noun) = slots_a.t.split_once(' ').expect("a thing has two words");
                slots_b.t = if dice.below(2) == 0 {
                    format!("{} {noun}", other(part.qualifiers, qualifier, dice))
                } else {
                    format!("{qualifier} {}", other(part.nouns, noun, dice))
                };
                with("{t}", dice)
            } else {
                slots_b.f = other(part.fields, slots_a.f, dice);
                with("{f}", dice)
            }
        }
    };
    (fill(frame, &slots_a, 0, 0), fill(frame, &slots_b, 0, 0))
}
