//! Texts drawn from the templates in `texts.txt`, which the names of fields choose between.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::subject;
use crate::llm::ChatRequest;
use crate::random::Random;

/// How often a text is drawn anew before it is cut or stretched to the asked-for length.
const DRAWS: usize = 6;

/// The ways to write something, by the names of what is written.
static TEMPLATES: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut templates = HashMap::<_, Vec<_>>::new();
    let mut names = Vec::new();
    let lines = include_str!("texts.txt").lines();
    for mut line in lines.filter(|line| !line.starts_with("# ")) {
        if let Some((header, text)) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("] "))
        {
            (names, line) = (header.split(' ').collect(), text);
        }
        let words = line.strip_prefix("= ").map(|words| words.split(' '));
        let ways: Vec<&str> = words.map_or_else(|| vec![line], Iterator::collect);
        for name in &names {
            templates.entry(*name).or_default().extend(&ways);
        }
    }
    templates
});

/// Returns the ways to write a field: the last word of its name that is known says what it is.
fn ways_of(field: &str, mark: &str) -> Option<&'static Vec<&'static str>> {
    words(field).iter().rev().find_map(|word| {
        let one = word.strip_suffix("ies").map(|stem| format!("{stem}y"));
        let one = one.unwrap_or_else(|| word.strip_suffix('s').unwrap_or(word).to_owned());
        let names = [format!("{mark}{word}"), format!("{mark}{one}")];
        names.iter().find_map(|name| TEMPLATES.get(name.as_str()))
    })
}

/// Splits `camelCase`, `snake_case`, `kebab-case` and spaced names into lower-case words.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_uppercase() && spaced.ends_with(char::is_lowercase) {
            spaced.push(' ');
        }
        spaced.push(if c.is_alphanumeric() { c } else { ' ' });
    }
    spaced.split_whitespace().map(str::to_lowercase).collect()
}

/// Returns the range in which a number of this name usually lies.
pub(super) fn usual_range(field: &str, is_integer: bool) -> (f64, f64) {
    let ways = ways_of(field, "#").unwrap_or(&TEMPLATES["#number"]);
    range(ways.get(usize::from(!is_integer)).unwrap_or(&ways[0])).unwrap_or_default()
}

fn range<N: std::str::FromStr>(text: &str) -> Option<(N, N)> {
    let (low, high) = text.split_once("..")?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Writes the texts of one answer; the fields of one record share what they are about.
pub(super) struct Writer {
    pub(super) random: Random,
    /// What the texts are about, by the name of its slot.
    about: HashMap<&'static str, String>,
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
            about: HashMap::new(),
            sentences: Vec::new(),
            topics_in_use: HashSet::new(),
        };
        let mut topic = subject::topic(request).map(str::to_owned);
        if asks_for_topics || topic.is_none() {
            let subject = subject::of_instruction(request);
            let subject = subject.unwrap_or_else(|| writer.named("area"));
            topic.get_or_insert_with(|| subject.clone());
            writer.about.insert("subject", subject);
            writer.sentences = subject::sentences(request);
            writer.topics_in_use = subject::topics_in_use(request).collect();
        }
        writer.about.extend(topic.map(|topic| ("topic", topic)));
        writer.begin_record();
        writer
    }

    /// Chooses anew what the texts are about.
    pub(super) fn begin_record(&mut self) {
        for slot in ["focus", "other"] {
            let about = self.named("phrase");
            self.about.insert(slot, about);
        }
    }

    /// Writes the text of a field, as long as is asked for.
    pub(super) fn text(&mut self, field: &str, length: &RangeInclusive<usize>) -> String {
        if let Some(quote) = self
            .random
            .choose(&self.sentences)
            .filter(|_| field == "quote")
        {
            return quote.clone();
        }
        let ways = ways_of(field, "").unwrap_or(&TEMPLATES["sentence"]);
        for _ in 0..DRAWS {
            let text = if field == "topics" {
                self.new_topic()
            } else {
                self.drawn(ways)
            };
            if length.contains(&text.chars().count()) {
                return text;
            }
        }
        let mut text = self.named("noun");
        while text.chars().count() < *length.start() {
            text.extend([" ", &self.named("body")]);
        }
        text.chars().take(*length.end()).collect()
    }

    /// Writes a text in one of JSON Schema's formats, or returns `None` for one that is not known.
    pub(super) fn format(&mut self, format: &str) -> Option<String> {
        TEMPLATES.get(format).map(|ways| self.drawn(ways))
    }

    /// Writes the name of a topic that is not in use and was not written before, unless a thousand draws find none.
    fn new_topic(&mut self) -> String {
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
        if !way.contains([' ', '{']) {
            out.push_str(&way.replace('_', " "));
            return;
        }
        // Every other part is a slot.
        for (at, part) in way.split(['{', '}']).enumerate() {
            if at % 2 == 0 {
                out.push_str(part);
            } else {
                self.fill(part, out);
            }
        }
    }

    fn fill(&mut self, slot: &str, out: &mut String) {
        let start = out.len();
        let name = slot.to_lowercase();
        if let Some(about) = self.about.get(name.as_str()) {
            out.push_str(about);
        } else if let Some((low, high)) = range::<u64>(&name) {
            let number = low + self.random.below(high - low + 1);
            let width = name.find('.').filter(|_| name.starts_with('0'));
            write!(out, "{number:0width$}", width = width.unwrap_or(0))
                .expect("a String takes all");
        } else {
            self.write(&TEMPLATES[name.as_str()], out);
        }
        if let Some(first) = out.get_mut(start..=start).filter(|_| name != slot) {
            first.make_ascii_uppercase();
        }
    }
}
