//! A second labelled set, written without having read the rules, the lists or the first set: other subjects, frames and
//! words. Its content is split in two halves by name; what is missed in the open half may be looked at, what is missed
//! in the closed half only counts.

mod families;
mod forms;
mod wording;

use std::collections::{HashMap, HashSet};

use super::generate::{Dice, Kind, Labelled, REPEATS};
pub use families::CLOSED;
use families::{Content, Family, LineKind, Values};

/// Draws `count` questions: six in ten new, two in ten repeats, two in ten neighbours that differ in what matters.
pub fn generate(count: usize, seed: u64) -> Vec<Labelled> {
    let content = Content::read();
    let mut drawing = Drawing::new(&content, seed);
    while drawing.set.len() < count * 6 / 10 {
        drawing.base();
    }
    while drawing.set.len() < count * 8 / 10 {
        drawing.neighbour();
    }
    while drawing.set.len() < count {
        drawing.repeat();
    }
    shuffle(drawing.set, &mut drawing.dice)
}

/// What a question asks: its family, the line of its family if that asks another thing, and what fills it.
type Key = (usize, usize, Vec<String>);

struct Drawing<'a> {
    content: &'a Content,
    dice: Dice,
    clusters: HashMap<Key, u32>,
    /// Per family, what was asked in plain lines.
    asked: Vec<Vec<(u32, Values, usize)>>,
    texts: HashSet<String>,
    set: Vec<Labelled>,
}

impl<'a> Drawing<'a> {
    fn new(content: &'a Content, seed: u64) -> Self {
        Self {
            content,
            dice: Dice(seed),
            clusters: HashMap::new(),
            asked: vec![Vec::new(); content.families.len()],
            texts: HashSet::new(),
            set: Vec::new(),
        }
    }

    /// Books a question that was not asked before; false if it was.
    fn book(&mut self, family: usize, line: usize, values: &Values, kind: Kind) -> bool {
        let of = &self.content.families[family];
        let asks = &of.lines[line];
        let group = if asks.kind.is_neighbour() { line } else { 0 };
        let key = (family, group, of.key(asks, values));
        let fresh = u32::try_from(self.clusters.len()).expect("fewer");
        let text = asks.fill(values);
        if self.clusters.contains_key(&key) || !self.texts.insert(text.clone()) {
            return false;
        }
        self.clusters.insert(key, fresh);
        if group == 0 {
            self.asked[family].push((fresh, values.clone(), line));
        }
        self.push(of, text, fresh, kind);
        true
    }

    fn push(&mut self, family: &Family, text: String, cluster: u32, kind: Kind) {
        self.set.push(Labelled {
            text,
            cluster,
            kind,
            part: family.part,
        });
    }

    fn base(&mut self) {
        let family = self.dice.below(self.content.families.len());
        let of = &self.content.families[family];
        let line = of
            .draw_line(LineKind::Plain, &mut self.dice)
            .expect("each has one");
        let values = self.content.draw(of, &mut self.dice);
        self.book(family, line, &values, Kind::Base);
    }

    fn neighbour(&mut self) {
        let Some((family, _, mut values, line)) = self.asked() else {
            return;
        };
        let of = &self.content.families[family];
        let others: Vec<usize> = (0..of.lines.len())
            .filter(|line| of.lines[*line].kind.is_neighbour())
            .collect();
        let changes = of.slots().count() + usize::from(of.one_way.is_some());
        let at = self.dice.below(others.len() + changes.max(1));
        if let Some(line) = others.get(at) {
            let LineKind::Neighbour(kind) = of.lines[*line].kind else {
                unreachable!("only these were listed");
            };
            self.book(family, *line, &values, kind);
        } else if let Some((one, other)) = of.one_way.as_ref().filter(|_| at == others.len()) {
            let (first, second) = (values[one].clone(), values[other].clone());
            values.insert(one.clone(), second);
            values.insert(other.clone(), first);
            self.book(family, line, &values, Kind::Direction);
        } else {
            let slots: Vec<_> = of.slots().collect();
            let slot = slots[self.dice.below(slots.len())];
            let kind = self.content.change(slot, &mut values, &mut self.dice);
            self.book(family, line, &values, kind);
        }
    }

    /// Draws a family, then something that it asked.
    fn asked(&mut self) -> Option<(usize, u32, Values, usize)> {
        let family = self.dice.below(self.content.families.len());
        let asked = &self.asked[family];
        if asked.is_empty() {
            return None;
        }
        let (cluster, values, line) = &asked[self.dice.below(asked.len())];
        Some((family, *cluster, values.clone(), *line))
    }

    /// Says something again in a way drawn first, so that each way has its share.
    fn repeat(&mut self) {
        let kind = REPEATS[self.dice.below(REPEATS.len())];
        for _ in 0..1_000 {
            let Some((family, cluster, values, line)) = self.asked() else {
                continue;
            };
            let of = &self.content.families[family];
            let text = of.lines[line].fill(&values);
            if let Some(text) = self.say_again(of, line, &values, kind, text) {
                self.push(of, text, cluster, kind);
                return;
            }
        }
    }

    fn say_again(
        &mut self,
        family: &Family,
        line: usize,
        values: &Values,
        kind: Kind,
        text: String,
    ) -> Option<String> {
        let dice = &mut self.dice;
        let wording = &self.content.wording;
        let other = |kind: LineKind, family: &Family, dice: &mut Dice| {
            let drawn = family.draw_line(kind, dice)?;
            (drawn != line).then(|| family.lines[drawn].fill(values))
        };
        match kind {
            Kind::Exact => Some(text),
            Kind::CaseAndSpace => forms::case_and_space(&text, dice),
            Kind::UnicodeForm => forms::unicode(&text, dice),
            Kind::Markup => Some(forms::markup(&text, dice)),
            _ if family.part == families::LANGUAGES => None,
            Kind::WordOrder => {
                if let Some((one, another)) = &family.either_way
                    && dice.below(2) == 0
                {
                    let mut turned = values.clone();
                    turned.insert(one.clone(), values[another].clone());
                    turned.insert(another.clone(), values[one].clone());
                    return Some(family.lines[line].fill(&turned));
                }
                (line == 0)
                    .then(|| other(LineKind::Order, family, dice))
                    .flatten()
            }
            Kind::Inflection => (line == 0)
                .then(|| other(LineKind::Inflection, family, dice))
                .flatten(),
            Kind::Paraphrase => other(LineKind::Plain, family, dice),
            Kind::Synonyms => wording.synonyms(&family.lines[line], values, family.part, dice),
            Kind::ClauseAdded => {
                Some(wording.clause(&text, &family.lines[line], family.part, dice))
            }
            Kind::Boilerplate => Some(wording.talk(&text, family.part, dice)),
            _ => unreachable!("not a way to say a thing again"),
        }
    }
}

/// Mixes the stream. What is repeated comes first, but in half of the pairs, where it comes second.
fn shuffle(mut set: Vec<Labelled>, dice: &mut Dice) -> Vec<Labelled> {
    for at in (1..set.len()).rev() {
        set.swap(at, dice.below(at + 1));
    }
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, labelled) in set.iter().enumerate() {
        places.entry(labelled.cluster).or_default().push(at);
    }
    for (cluster, places) in places {
        let base = places
            .iter()
            .find(|at| !REPEATS.contains(&set[**at].kind))
            .expect("a cluster has a base");
        if places.len() > 2 || cluster % 2 == 0 {
            set.swap(places[0], *base);
        }
    }
    set
}
