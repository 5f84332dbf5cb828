//! Changes of form that say nothing.

use unicode_normalization::UnicodeNormalization;

use super::super::generate::Dice;

pub fn case_and_space(text: &str, dice: &mut Dice) -> Option<String> {
    let changed = match dice.below(8) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        2 => text
            .split(' ')
            .map(|word| {
                let mut chars = word.chars();
                let first = chars.next().into_iter().flat_map(char::to_uppercase);
                first.chain(chars).collect()
            })
            .collect::<Vec<String>>()
            .join(" "),
        3 => format!("  {}\n", text.replace(' ', "  ")),
        4 => text.replace(' ', "\t"),
        5 => text.trim_end_matches(['?', '.', '؟']).to_owned(),
        6 => format!("{}\r\n\r\n", text.replacen(' ', "\r\n", 1)),
        _ => text.replace('?', "??").replace('.', "..."),
    };
    (changed != text).then_some(changed)
}

pub fn unicode(text: &str, dice: &mut Dice) -> Option<String> {
    let insert = |mark: char, each: usize| -> String {
        let letters = text.chars().enumerate();
        letters
            .flat_map(|(at, c)| {
                let here = c.is_alphabetic() && at % each == 1;
                std::iter::once(c).chain(here.then_some(mark))
            })
            .collect()
    };
    let map = |change: &dyn Fn(char) -> char| -> String { text.chars().map(change).collect() };
    let is_arabic = text.contains(|c| matches!(c, 'ا'..='ي'));
    let shifted = |c: char, from: char, to: u32| {
        char::from_u32(u32::from(c) - u32::from(from) + to).expect("a letter of that alphabet")
    };
    let changed = match dice.below(12) {
        0 => text.nfd().collect(),
        1 => map(&|c| match c {
            '!'..='~' => shifted(c, '!', 0xff01),
            ' ' => '\u{3000}',
            c => c,
        }),
        2 => insert('\u{200b}', 3),
        3 => insert('\u{ad}', 5),
        4 => text.replace('\'', "\u{2019}"),
        5 => text.replace(' ', "\u{a0}"),
        6 => map(&|c| match c {
            'a'..='z' => shifted(c, 'a', 0x1d41a),
            'A'..='Z' => shifted(c, 'A', 0x1d400),
            c => c,
        }),
        7 => text.replace("fi", "\u{fb01}").replace("fl", "\u{fb02}"),
        8 => format!("\u{feff}{text}\u{200e}"),
        9 => text.replace('?', "\u{ff1f}").replace("؟", "?"),
        10 => map(&|c| match c {
            '0'..='9' => shifted(c, '0', 0x1d7ce),
            '-' => '\u{2010}',
            c => c,
        }),
        // Arabic vowel marks and the stretching line; half-width katakana for some letters.
        _ if is_arabic && dice.below(2) == 0 => insert('\u{640}', 4),
        _ if is_arabic => insert('\u{64e}', 2),
        _ => text
            .replace('フ', "ﾌ")
            .replace('ラ', "ﾗ")
            .replace('ン', "ﾝ")
            .replace('ス', "ｽ")
            .replace('\u{fe0f}', ""),
    };
    (changed != text).then_some(changed)
}

pub fn markup(text: &str, dice: &mut Dice) -> String {
    let around = [
        "**{}**",
        "*{}*",
        "<p>{}</p>",
        "# {}",
        "## {}\n",
        "> {}",
        "- {}",
        "* {}",
        "1. {}",
        "12) {}",
        "Q: {}",
        "**Q:** {}",
        "Question 7: {}",
        "(b) {}",
        "\"{}\"",
        "\u{201c}{}\u{201d}",
        "<b>Question:</b> {}",
        "```\n{}\n```",
        "{} 🤔",
        "👉 {}",
        "<div class=\"q\">{}</div>",
        "{}<br>",
        "[{}](https://example.org/q/7)",
        "__{}__",
        "Q7. {}",
        "{} \\n",
        "• {}",
        "<li>{}</li>",
        "### Question\n\n{}",
        "({})",
        "❓ {}",
        "- [ ] {}",
    ];
    let words = [
        "**{}**",
        "*{}*",
        "`{}`",
        "<b>{}</b>",
        "_{}_",
        "<em>{}</em>",
        "[{}](https://example.org)",
    ];
    match dice.below(5) {
        0 => {
            let all: Vec<&str> = text.split(' ').collect();
            let marked = dice.below(all.len().saturating_sub(1).max(1));
            let mark = dice.pick(&words);
            let mut all: Vec<String> = all.iter().map(|word| (*word).to_owned()).collect();
            all[marked] = mark.replace("{}", &all[marked]);
            all.join(" ")
        }
        1 => text.replace(' ', "&nbsp;").replace('\'', "&#39;"),
        _ => dice.pick(&around).replace("{}", text),
    }
}
