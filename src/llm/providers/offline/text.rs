//! Texts drawn from the templates in `texts.txt`, which the names of fields choose between.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::LazyLock;

use super::subject;
use crate::llm::ChatRequest;
use crate::random::Random;

/// How often a text is drawn anew before it is cut or stretched to the asked-for length.
const DRAWS: usize = 6;

/// The ways to write something, by the names of what is written.
type Templates = HashMap<&'static str, Vec<&'static str>>;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| {
    let mut templates = Templates::new();
    let mut names = Vec::new();
    for line in include_str!("texts.txt")
        .lines()
        .filter(|line| !line.starts_with("# "))
    {
        let (header, line) = line
            .strip_prefix('[')
            .and_then(|line| line.split_once("] "))
            .unwrap_or(("", line));
        if !header.is_empty() {
            names = header.split(' ').collect();
        }
        let words = line.strip_prefix("= ").map(|words| words.split(' '));
        let ways: Vec<_> = words.map_or_else(|| vec![line], Iterator::collect);
        for name in &names {
            templates.entry(name).or_default().extend(&ways);
        }
    }
    templates
});

/// Returns the ways to write a field: the last word of its name says what it is, and one before describes it.
fn ways_of(field: &str, mark: &str) -> Option<&'static Vec<&'static str>> {
    let words = words(field);
    (0..words.len()).rev().find_map(|at| {
        let word = &words[at];
        let one = word.strip_suffix("ies").map(|stem| format!("{stem}y"));
        let one = one.unwrap_or_else(|| word.strip_suffix('s').unwrap_or(word).to_owned());
        let pair = words[..at].last().map(|before| format!("{before}-{word}"));
        let names = pair
            .into_iter()
            .chain([format!("{mark}{word}"), format!("{mark}{one}")]);
        names
            .into_iter()
            .find_map(|name| TEMPLATES.get(name.as_str()))
    })
}

/// Splits `camelCase`, `snake_case`, `kebab-case` and spaced names into lower-case words.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        was_lower = c.is_lowercase();
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Returns the range in which a number of this name usually lies.
pub(super) fn usual_range(field: &str, is_integer: bool) -> Option<(i64, i64)> {
    let ways = ways_of(field, "#")?;
    range(ways.get(usize::from(!is_integer)).unwrap_or(&ways[0]))
}

fn range<N: std::str::FromStr>(text: &str) -> Option<(N, N)> {
    let (low, high) = text.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// How many characters a text may have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Length {
    pub(super) min: usize,
    pub(super) max: Option<usize>,
}

impl Length {
    pub(super) fn fits(self, text: &str) -> bool {
        let chars = text.chars().count();
        chars >= self.min && self.max.is_none_or(|max| chars <= max)
    }
}

/// Writes the texts of one answer; the fields of one record share what they are about.
pub(super) struct Writer {
    pub(super) random: Random,
    topic: String,
    subject: String,
    focus: String,
    other: String,
    /// What can be quoted.
    sentences: Vec<String>,
    /// In lower case.
    topics_in_use: HashSet<String>,
}

impl Writer {
    /// Creates a writer about what a request is about; what it does not say is made up.
    pub(super) fn new(random: Random, request: &ChatRequest, asks_for_topics: bool) -> Self {
        let mut writer = Self {
            random,
            topic: String::new(),
            subject: String::new(),
            focus: String::new(),
            other: String::new(),
            sentences: Vec::new(),
            topics_in_use: HashSet::new(),
        };
        let topic = subject::topic(request);
        if asks_for_topics {
            writer.topics_in_use = subject::topics_in_use(request).collect();
        }
        if topic.is_none() {
            writer.sentences = subject::sentences(request);
        }
        // To look for it takes longer than all the rest.
        let subject =
            (asks_for_topics || topic.is_none()).then(|| subject::of_instruction(request));
        writer.subject = subject.flatten().unwrap_or_else(|| writer.named("area"));
        writer.topic = topic.map_or_else(|| writer.subject.clone(), str::to_owned);
        writer.begin_record();
        writer
    }

    /// Chooses anew what the texts are about.
    pub(super) fn begin_record(&mut self) {
        (self.focus, self.other) = (self.named("phrase"), self.named("phrase"));
    }

    /// Writes the text of a field.
    pub(super) fn text(&mut self, field: &str, length: Length) -> String {
        if field == "quote" && !self.sentences.is_empty() {
            let at = self.random.below(self.sentences.len() as u64);
            return self.sentences[usize::try_from(at).unwrap_or(0)].clone();
        }
        let ways = ways_of(field, "").unwrap_or(&TEMPLATES["sentence"]);
        let mut text = self.drawn(ways);
        for _ in 1..DRAWS {
            if length.fits(&text) {
                return text;
            }
            text = self.drawn(ways);
        }
        if length.max.is_some_and(|max| text.chars().count() > max) {
            text = self.named("noun");
        }
        let mut chars = text.chars().count();
        while chars < length.min {
            let more = self.named("body");
            chars += 1 + more.chars().count();
            text.extend([" ", &more]);
        }
        // Cut after a word if that leaves enough.
        if let Some((end, _)) = length.max.and_then(|max| text.char_indices().nth(max)) {
            let space = text[..end].rfind(' ');
            let cut = space.filter(|space| text[..*space].chars().count() >= length.min.max(1));
            text.truncate(cut.unwrap_or(end));
        }
        text
    }

    /// Writes a text in one of JSON Schema's formats, or returns `None` for one that is not known.
    pub(super) fn format(&mut self, format: &str) -> Option<String> {
        TEMPLATES.get(format).map(|ways| self.drawn(ways))
    }

    /// Writes the name of a topic that is not in use and was not written before.
    pub(super) fn new_topic(&mut self) -> String {
        // Far more topics can be made than anyone lists; should all draws fail, a repeated one is honest.
        let mut topic = self.named("new-topic");
        for _ in 0..1_000 {
            if self.topics_in_use.insert(topic.to_lowercase()) {
                break;
            }
            topic = self.named("new-topic");
        }
        topic
    }

    fn named(&mut self, name: &str) -> String {
        self.drawn(&TEMPLATES[name])
    }

    fn drawn(&mut self, ways: &[&str]) -> String {
        let mut text = String::with_capacity(160);
        self.write(ways, &mut text);
        text
    }

    fn write(&mut self, ways: &[&str], out: &mut String) {
        let way = ways[self.random.index(ways.len())];
        if !way.contains(' ') && !way.contains('{') {
            out.extend(way.chars().map(|c| if c == '_' { ' ' } else { c }));
            return;
        }
        let mut rest = way;
        while let Some((text, (slot, after))) = rest
            .split_once('{')
            .and_then(|(text, rest)| Some((text, rest.split_once('}')?)))
        {
            out.push_str(text);
            self.fill(slot, out);
            rest = after;
        }
        out.push_str(rest);
    }

    fn fill(&mut self, slot: &str, out: &mut String) {
        let start = out.len();
        let is_capital = slot.starts_with(|first: char| first.is_ascii_uppercase());
        match slot {
            "focus" => out.push_str(&self.focus),
            "other" => out.push_str(&self.other),
            "subject" => out.push_str(&self.subject),
            "topic" | "Topic" => out.push_str(&self.topic),
            "line" => out.push_str("\n    "),
            _ if slot.starts_with('x') => {
                for _ in 0..slot[1..].parse().unwrap_or(0) {
                    write!(out, "{:x}", self.random.below(16)).expect("a String takes all");
                }
            }
            _ => match range::<u64>(slot) {
                Some((low, high)) => {
                    let number = low + self.random.below(high - low + 1);
                    let width = slot
                        .find("..")
                        .filter(|_| slot.starts_with('0'))
                        .unwrap_or(0);
                    write!(out, "{number:0width$}").expect("a String takes all");
                }
                None if is_capital => self.write(&TEMPLATES[slot.to_lowercase().as_str()], out),
                None => self.write(&TEMPLATES[slot], out),
            },
        }
        if let Some(first) = out.get_mut(start..=start).filter(|_| is_capital) {
            first.make_ascii_uppercase();
        }
    }
}
