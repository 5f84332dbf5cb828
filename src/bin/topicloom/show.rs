//! `topicloom show`: a page of records.

use std::ops::ControlFlow;

use console::{Term, measure_text_width};
use topicloom::random::{Random, Reservoir};
use topicloom::record::at_path;
use topicloom::{Error, ErrorKind, JsonRecord, Result};

use crate::args::ShowArgs;
use crate::out;
use crate::records::{Records, Row, in_words};

/// Characters of a text that a card shows.
const SHOWN: usize = 600;
/// Columns on which nobody likes to read longer lines.
const WIDEST_CARD: usize = 110;
const NARROWEST_COLUMN: usize = 12;

/// A record, and where it stands.
type Placed = (String, u64, JsonRecord);

pub(crate) async fn show(args: ShowArgs) -> Result<()> {
    let filters = filters(&args)?;
    let records = Records::of(args.data)?;
    let mut sample = args
        .seed
        .map(|seed| Reservoir::new(args.records, Random::new(seed)));
    let (mut page, mut found): (Vec<Placed>, u64) = (Vec::new(), 0);
    records
        .each(async |row: Row<'_>| {
            let has = |(field, value): &(String, String)| has(&row.data, field, value);
            if !filters.iter().all(has) {
                return Ok(ControlFlow::Continue(()));
            }
            found += 1;
            let placed = (row.source.to_owned(), row.number, row.data);
            if let Some(sample) = &mut sample {
                sample.add(|| placed);
            } else if found > args.skip + args.records as u64 {
                // One more tells whether there are more.
                return Ok(ControlFlow::Break(()));
            } else if found > args.skip {
                page.push(placed);
            }
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    page.extend(sample.map(Reservoir::into_kept).into_iter().flatten());
    page.sort_by(|(source, number, _), (other, its, _)| (source, number).cmp(&(other, its)));
    let width = usize::from(Term::stdout().size().1);
    if args.table && !page.is_empty() {
        out::line(table(&page, width))?;
    } else {
        for placed in &page {
            out::line(card(placed, width.min(WIDEST_CARD), args.full))?;
        }
    }
    let shown = page.len() as u64;
    match args.seed {
        Some(_) => eprintln!("{shown} of {found} records, drawn at random"),
        None if shown == 0 => eprintln!("no such record"),
        None if found > args.skip + shown => {
            eprintln!("there are more: `--skip {}`", args.skip + shown);
        }
        None => {}
    }
    Ok(())
}

/// Returns the fields that are asked for, and their values.
fn filters(args: &ShowArgs) -> Result<Vec<(String, String)>> {
    let topic = args
        .topic
        .iter()
        .map(|topic| Ok(("topic".to_owned(), topic.clone())));
    let said = args.filters.iter().map(|said| {
        let parts = said.split_once('=');
        let parts = parts.map(|(field, value)| (field.to_owned(), value.to_owned()));
        parts.ok_or_else(|| {
            let message = "`--where` needs a field and a value, such as `difficulty=hard`";
            Error::new(ErrorKind::InvalidInput, message)
        })
    });
    topic.chain(said).collect()
}

fn has(data: &JsonRecord, field: &str, value: &str) -> bool {
    at_path(data, field).is_some_and(|there| in_words(there) == value)
}

/// Writes a record with a field under the other.
fn card((source, number, data): &Placed, width: usize, full: bool) -> String {
    let head = format!("── {}:{number} ", out::on_one_line(source));
    let line = "─".repeat(width.saturating_sub(measure_text_width(&head)));
    let names = || data.keys().map(|name| out::on_one_line(name));
    let longest = names().map(|name| measure_text_width(&name)).max();
    let margin = longest.unwrap_or_default().min(width / 3) + 2;
    let mut card = format!("{head}{line}\n");
    for (name, value) in names().zip(data.values()) {
        let text = out::clean(&in_words(value)).replace('\t', "    ");
        let length = text.chars().count();
        let text = if full || length <= SHOWN + SHOWN / 10 {
            text
        } else {
            let shown: String = text.chars().take(SHOWN).collect();
            format!("{}… ({} more characters)", shown.trim_end(), length - SHOWN)
        };
        let mut name = cut(&name, margin - 2);
        for line in wrapped(&text, width.saturating_sub(margin).max(NARROWEST_COLUMN)) {
            let space = " ".repeat(margin - measure_text_width(&name));
            let line = format!("{name}{space}{line}");
            card += line.trim_end();
            card.push('\n');
            name.clear();
        }
    }
    card
}

/// Breaks a text into lines that are no wider than this: between words, and in one that is longer than a line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut line, mut used) = (String::new(), 0);
        for word in paragraph.split_inclusive(' ') {
            let needed = measure_text_width(word.trim_end());
            if used > 0 && used + needed > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if needed <= width {
                line += word;
                used += measure_text_width(word);
                continue;
            }
            for character in word.chars() {
                let needed = measure_text_width(character.encode_utf8(&mut [0; 4]));
                if used + needed > width {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(character);
                used += needed;
            }
        }
        lines.push(line);
    }
    lines
}

/// Writes a line for each record, with as many fields as there is room for.
fn table(page: &[Placed], width: usize) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in page.iter().flat_map(|(_, _, data)| data.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let number = page.iter().map(|(_, number, _)| number.to_string().len());
    let number = number.max().unwrap_or(1);
    let room = width.saturating_sub(number);
    let unlisted = names.split_off(names.len().min((room / (NARROWEST_COLUMN + 2)).max(1)));
    let cell = |data: &JsonRecord, name: &str| {
        let text = data
            .get(name)
            .filter(|value| !value.is_null())
            .map(in_words);
        out::on_one_line(&text.unwrap_or_default())
    };
    // What a short column does not need is for the long ones.
    let needed = |name: &&str| {
        let cells = page
            .iter()
            .map(|(_, _, data)| measure_text_width(&cell(data, name)));
        cells
            .chain([measure_text_width(&out::on_one_line(name))])
            .max()
            .unwrap_or_default()
    };
    let needs: Vec<usize> = names.iter().map(needed).collect();
    let (mut widths, mut left) = (vec![0; names.len()], room);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|at| needs[*at]);
    for (done, at) in order.into_iter().enumerate() {
        let share = (left / (names.len() - done)).saturating_sub(2).max(1);
        widths[at] = needs[at].min(share);
        left = left.saturating_sub(widths[at] + 2);
    }
    let line = |head: &str, cells: &mut dyn Iterator<Item = String>| {
        let mut line = format!("{head:>number$}");
        for (text, width) in cells.zip(&widths) {
            let text = cut(&text, *width);
            let space = " ".repeat(width - measure_text_width(&text));
            line.extend(["  ", &text, &space]);
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(
        "",
        &mut names.iter().map(|name| out::on_one_line(name)),
    )];
    for (_, number, data) in page {
        lines.push(line(
            &number.to_string(),
            &mut names.iter().map(|name| cell(data, name)),
        ));
    }
    if !unlisted.is_empty() {
        let unlisted = out::on_one_line(&unlisted.join(", "));
        lines.push(format!("not shown for want of room: {unlisted}"));
    }
    lines.join("\n")
}

/// Returns as much of a text as this many columns hold.
fn cut(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let (mut cut, mut used) = (String::new(), 1);
    for character in text.chars() {
        used += measure_text_width(character.encode_utf8(&mut [0; 4]));
        if used > width {
            break;
        }
        cut.push(character);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn placed(data: &Value) -> Placed {
        let data = data.as_object().expect("the test gives an object").clone();
        ("a.jsonl".to_owned(), 7, data)
    }

    #[test]
    fn a_card_keeps_to_the_width_and_gives_a_terminal_no_orders() {
        let data = json!({
            "question": "Why do tides rise twice a day, and not once?\nSay it in a word.",
            "word": "x".repeat(30), "wide": "潮の満ち引きはなぜ一日に二度起こるのか", "evil\u{1b}[2J": "\u{1b}[31m\u{7}red",
            "n": 3, "list": ["a", 1],
        });
        let card = card(&placed(&data), 40, false);
        assert!(
            !card.contains('\u{1b}') && !card.contains('\u{7}'),
            "{card}"
        );
        for line in card.lines() {
            assert!(measure_text_width(line) <= 40, "{line}");
        }
        for part in [
            "a.jsonl:7",
            "  Say it in a word.",
            "[\"a\",1]",
            "\\u001b[31m\\u0007red",
        ] {
            assert!(card.contains(part), "{part} in {card}");
        }
    }

    #[test]
    fn a_long_text_says_how_much_is_left() {
        let data = json!({"text": "word ".repeat(400)});
        let short = card(&placed(&data), 80, false);
        assert!(short.contains("… (1400 more characters)"), "{short}");
        let full = card(&placed(&data), 80, true);
        assert_eq!(full.matches("word").count(), 400);
    }

    #[test]
    fn a_table_gives_room_to_those_who_need_it() {
        let page = [
            placed(
                &json!({"id": 1, "question": "What is a tide, and what has the moon to do with it?", "level": "easy"}),
            ),
            placed(&json!({"id": 22, "question": "Short\nlines", "extra": null})),
        ];
        let shown = table(&page, 60);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines.iter().all(|line| measure_text_width(line) <= 60),
            "{shown}"
        );
        assert!(
            lines[1].contains("What is a tide, and what has the") && lines[1].contains("easy"),
            "{shown}"
        );
        assert!(lines[2].contains("Short\\nlines"), "{shown}");
        let narrow = table(&page, 20);
        assert!(
            narrow.contains("not shown for want of room: question"),
            "{narrow}"
        );
    }
}
