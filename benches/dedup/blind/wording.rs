//! Says a question in other words, with a clause more, or with talk around it.

use super::super::generate::Dice;
use super::families::{Line, Piece, Values, content_lines, of_half};

#[derive(Debug)]
pub struct Wording {
    synonyms: Vec<String>,
    /// Place and clause.
    clauses: Vec<String>,
    talk: Vec<String>,
}

impl Wording {
    pub fn read() -> Self {
        let mut sections = include_str!("wording.txt").split("\n[").skip(1);
        let mut section = || sections.next().expect("three sections");
        let items = |line: &str| {
            let (name, items) = line.split_once(" | ").expect("a name and items");
            let items = items.split(" | ");
            items
                .map(|item| format!("{name} | {item}"))
                .collect::<Vec<_>>()
        };
        Self {
            synonyms: content_lines(section())
                .skip(1)
                .map(str::to_owned)
                .collect(),
            clauses: content_lines(section()).skip(1).flat_map(items).collect(),
            talk: content_lines(section()).skip(1).flat_map(items).collect(),
        }
    }

    /// Replaces 5 to 30 % of the words, and one at least, by others; words in gaps stay.
    pub fn synonyms(
        &self,
        line: &Line,
        values: &Values,
        part: &str,
        dice: &mut Dice,
    ) -> Option<String> {
        let usable = of_half(&self.synonyms, part);
        // Where in the line, how many bytes, and the group; the longest words first, so that none is torn.
        let mut groups: Vec<Vec<&str>> = self
            .synonyms
            .iter()
            .map(|line| line.split(" | ").collect())
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group[0].len()));
        let mut found: Vec<(usize, usize, &Vec<&str>)> = Vec::new();
        for (piece, text) in line.pieces.iter().enumerate() {
            let Piece::Text(text) = text else { continue };
            let text = text.to_ascii_lowercase();
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
            for group in &groups {
                for (at, word) in text.match_indices(group[0]) {
                    let whole = !letter(text[..at].chars().next_back())
                        && !letter(text[at + word.len()..].chars().next());
                    let free = found.iter().all(|(other, begin, taken)| {
                        *other != piece || at + word.len() <= *begin || at >= begin + taken[0].len()
                    });
                    if whole && free {
                        found.push((piece, at, group));
                    }
                }
            }
        }
        found.retain(|(_, _, group)| {
            usable
                .iter()
                .any(|line| line.split(" | ").eq(group.iter().copied()))
        });
        if found.is_empty() {
            return None;
        }
        let words = line.fill(values).split_whitespace().count();
        let most = (words * (5 + dice.below(26))).div_ceil(100).max(1);
        while found.len() > most {
            found.swap_remove(dice.below(found.len()));
        }
        found.sort_by_key(|(piece, at, _)| std::cmp::Reverse((*piece, *at)));
        let mut pieces: Vec<String> = line
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Slot(slot) => values[slot].clone(),
            })
            .collect();
        for (piece, at, group) in found {
            let other = group[1 + dice.below(group.len() - 1)];
            pieces[piece].replace_range(at..at + group[0].len(), other);
        }
        let text = pieces.concat();
        let (first, rest) = text.split_at(1);
        Some(first.to_uppercase() + rest)
    }

    pub fn clause(&self, text: &str, line: &Line, part: &str, dice: &mut Dice) -> String {
        let usable = of_half(&self.clauses, part);
        let (place, clause) = usable[dice.below(usable.len())]
            .split_once(" | ")
            .expect("made so");
        match place {
            "in front" => {
                let starts_with_text =
                    matches!(&line.pieces[0], Piece::Text(text) if !text.is_empty());
                if starts_with_text && !text.starts_with("I ") {
                    let (first, rest) = text.split_at(1);
                    format!("{clause} {}{rest}", first.to_lowercase())
                } else {
                    format!("{clause} {text}")
                }
            }
            "behind" => {
                let end = text.trim_end_matches(['?', '.']);
                format!("{end} {clause}{}", &text[end.len()..])
            }
            "sentence before" => format!("{clause} {text}"),
            "sentence behind" => format!("{text} {clause}"),
            other => panic!("no place is called {other}"),
        }
    }

    pub fn talk(&self, text: &str, part: &str, dice: &mut Dice) -> String {
        let usable = of_half(&self.talk, part);
        let (_, around) = usable[dice.below(usable.len())]
            .split_once(" | ")
            .expect("made so");
        around.replace("{}", text)
    }
}
