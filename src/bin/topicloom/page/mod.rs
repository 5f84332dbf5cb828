//! `report.html`: a data set and how it was made, on one page without a script.

mod chart;
mod collector;
mod course;
mod words;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde_json::{Value, json};
use topicloom::llm::layers::Spending;
use topicloom::report::{Outcome, TopicExhausted};
use topicloom::report::{Report, ShareReport, TopicReport};
use topicloom::sink::SplitReport;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Result};

use self::chart::{Figure, meter};
use self::words::{count, cut, percent};
use crate::args::ReportArgs;
use crate::field_stats::{Distribution, FieldReport};
use crate::files::{self, ReportFile};
use crate::place::Place;
use crate::replay::{self, Replay};
use crate::roles::Roles;
use crate::stats::short;
use crate::{database, input};

pub(crate) use self::collector::Collector;
pub(crate) use self::course::Course;
pub(crate) use self::words::{cost, span};

/// Rows of each list that are shown; what is behind them is summed up.
const MOST_ROWS: usize = 30;
const MOST_VALUES: usize = 12;
/// Characters of a name, and of a text.
const NAME: usize = 120;
const TEXT: usize = 400;

/// Makes the page of a journal, also while its run goes on.
pub(crate) async fn report(args: ReportArgs) -> Result<()> {
    let place = Place::of(args.journal, args.which)?;
    let output = args.output.as_path();
    let journal = match &place {
        Place::File(path) => Some(&**path),
        Place::Database(_) => None,
    };
    Roles::new()
        .reads("journal", journal)
        .reads("list of prices", args.prices.as_deref())
        .writes_whole("report", Some(output))
        .check()?;
    let Replay {
        said,
        input: replayed,
        pipeline,
    } = Replay::of(place.clone()).await?;
    let prices = input::prices(&said, args.prices.as_deref())?;
    let course = match place {
        Place::File(path) => Course::of_file(&path, prices.clone())?,
        Place::Database(row) => {
            let mut course = Course::new(prices.clone());
            database::each_entry(row, |entry| course.take(entry)).await?;
            course
        }
    };
    let collector = Collector::default();
    let pipeline = collector.watch(pipeline.prices(prices));
    let mut run = pipeline.build().run(replayed)?;
    replay::each(&mut run, async |record| {
        collector.see(&record);
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let report = run.report().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            "the journal holds no run that could be told of",
        )
    })?;
    let page = page(&said, report, &collector, Some(course), None);
    if files::is_stdout(output) {
        return crate::out::line(page);
    }
    ReportFile::open(output)?.write(&page)?;
    eprintln!("the report: {}", output.display());
    Ok(())
}

/// Writes the page. What is not known is left out.
pub(crate) fn page(
    input: &GenerateByTopicInput,
    report: &Report,
    collector: &Collector,
    course: Option<Course>,
    split: Option<&SplitReport>,
) -> String {
    let collected = collector.lock();
    let ended = course
        .as_ref()
        .map_or(Some(report.outcome), |course| course.ended);
    let is_kept = course.is_some();
    let (spending, failed) = match &course {
        Some(course) => (course.budget.spending(), course.failed),
        None => (report.spending, report.calls_failed()),
    };
    let course = course.and_then(|it| it.drawn(&collected.by_task, report.requested));
    let stats = collected.stats.finish();
    let mut facts = facts(report, &spending, failed, ended.map(Outcome::as_str));
    if let Some(course) = &course {
        facts.push(["began", &course.began].map(str::to_owned));
        facts.push(["worked for", &course.worked].map(str::to_owned));
    }
    let outline = json!({
        "instruction": input.user_instruction().map(|it| cut(it, 1_000)),
        "version": env!("CARGO_PKG_VERSION"),
        "facts_of_all": facts,
        "goes_on": ended.is_none(),
        "is_kept": is_kept,
        "figures": course.as_ref().map(|it| &it.figures),
        "left_out": course.as_ref().is_some_and(|it| it.left_out),
        "ahead": course.and_then(|it| it.ahead),
        "topics": topics(report),
        "refusals": collected.refusals(),
        "fields": stats.fields.iter().map(|it| field(it, stats.records)).collect::<Value>(),
        "more_fields": stats.unlisted_fields,
        "pairs": collected.pairs(input.schema()),
        "diversity": diversity(report),
        "shares": shares(report),
        "split": split.map(|split| json!({
            "sides": split.sides.iter().map(|side| json!([cut(&side.name, NAME), count(side.records as u64), count(side.wanted as u64)])).collect::<Value>(),
            "groups": count(split.groups as u64), "grouped": count(split.grouped as u64),
            "shared": percent(split.shared_words),
            "closest": split.closest_sides.as_ref().map(|it| {
                let [one, other] = it.rows.each_ref().map(|it| format!("{} {}", cut(&it.side, NAME), count(it.row as u64)));
                [percent(it.similarity), one, other]
            }),
        })),
        "scores": report.scores.iter().take(MOST_ROWS).map(|(name, it)| json!({
            "name": cut(name, NAME), "mean": it.mean().map(short), "agreement": it.agreement().map(percent),
            "votes": rows(it.votes.iter().map(|(score, votes)| (score.to_string(), *votes))),
        })).collect::<Value>(),
        "people": report.labels.as_ref().map(|it| cut(&it.to_string(), TEXT)),
        "notes": report.notes.iter().chain(&report.warnings).take(MOST_ROWS).map(|it| cut(it, TEXT)).collect::<Value>(),
    });
    let mut environment = Environment::new();
    // Whatever a model or a user wrote is text and never markup.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment
        .render_str(include_str!("page.html"), Serde(&outline))
        .expect("the template is known, and so is what it shows")
}

fn facts(
    report: &Report,
    spending: &Spending,
    failed: u64,
    ended: Option<&str>,
) -> Vec<[String; 2]> {
    let (input, output) = (spending.usage.input_tokens, spending.usage.output_tokens);
    let of = |part: u64, all: u64| format!("{} of {}", count(part), count(all));
    let mut facts = vec![
        ("records", of(report.accepted, report.requested)),
        (
            "the run",
            ended.map_or("goes on, or was interrupted".to_owned(), |it| {
                format!("is {it}")
            }),
        ),
        ("topics", count(by_name(&report.topics).len() as u64)),
        ("candidates", count(report.candidates.total)),
        (
            "accepted of them",
            percent(share(report.candidates.accepted, report.candidates.total)),
        ),
        ("calls", count(spending.calls)),
        ("failed calls", count(failed)),
        (
            "tokens in, out",
            format!("{}, {}", count(input), count(output)),
        ),
        ("cost", words::cost(spending)),
        ("compared by", cut(&report.compared_by, NAME)),
    ];
    let models: Vec<&str> = report.models.keys().map(String::as_str).collect();
    facts.push(("models", cut(&models.join(", "), TEXT)));
    let facts = facts
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value]);
    facts.collect()
}

fn share(part: u64, of: u64) -> f64 {
    crate::field_stats::float(part) / crate::field_stats::float(of.max(1))
}

/// What topics of one name come to, of whatever attributes.
#[derive(Clone, Copy, Default)]
struct TopicSum<'a> {
    quota: u64,
    accepted: u64,
    candidates: u64,
    calls: u64,
    given_up: u64,
    why: Option<&'a TopicExhausted>,
}

impl<'a> TopicSum<'a> {
    fn add(mut self, topic: &'a TopicReport) -> Self {
        self.quota += topic.quota;
        self.accepted += topic.candidates.accepted;
        self.candidates += topic.candidates.total;
        self.calls += topic.calls;
        self.given_up += u64::from(topic.given_up.is_some());
        self.why = self.why.or(topic.given_up.as_ref());
        self
    }

    fn row(&self, name: &str) -> Value {
        let why = self.why.map(|why| match self.given_up {
            1 => format!("given up: {why}"),
            parts => format!("{} parts given up; one since {why}", count(parts)),
        });
        json!({
            "name": cut(name, NAME), "quota": count(self.quota), "accepted": count(self.accepted),
            "meter": meter(self.accepted, self.quota), "candidates": count(self.candidates),
            "yield": percent(share(self.accepted, self.candidates)), "calls": count(self.calls), "why": why,
        })
    }
}

/// Returns topics by their names, those that miss most first.
fn by_name(topics: &[TopicReport]) -> Vec<(&str, TopicSum<'_>)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut sums: Vec<(&str, TopicSum<'_>)> = Vec::new();
    for topic in topics {
        let name = topic.topic.name();
        let place = *places.entry(name).or_insert(sums.len());
        if place == sums.len() {
            sums.push((name, TopicSum::default()));
        }
        sums[place].1 = sums[place].1.add(topic);
    }
    sums.sort_by_key(|(_, sum)| Reverse(sum.quota.saturating_sub(sum.accepted)));
    sums
}

/// Returns a row for each topic, and one for all that are not shown.
fn topics(report: &Report) -> Value {
    let sums = by_name(&report.topics);
    let (shown, rest) = sums.split_at(sums.len().min(MOST_ROWS));
    let mut rows: Vec<Value> = shown.iter().map(|(name, sum)| sum.row(name)).collect();
    if !rest.is_empty() {
        let names: HashSet<&str> = rest.iter().map(|(name, _)| *name).collect();
        let all = report
            .topics
            .iter()
            .filter(|it| names.contains(it.topic.name()));
        let sum = all.fold(TopicSum::default(), TopicSum::add);
        rows.push(sum.row(&format!("{} more topics", count(rest.len() as u64))));
    }
    rows.into()
}

/// Returns a row with a bar for each of the first values, and one for all others.
fn rows(counts: impl ExactSizeIterator<Item = (String, u64)>) -> Value {
    let counts: Vec<(String, u64)> = counts.collect();
    let highest = counts.iter().map(|it| it.1).max().unwrap_or(0);
    let (shown, rest) = counts.split_at(counts.len().min(MOST_VALUES));
    let mut rows: Vec<Value> = shown
        .iter()
        .map(|(name, number)| json!([cut(name, NAME), count(*number), meter(*number, highest)]))
        .collect();
    if !rest.is_empty() {
        let sum = rest.iter().map(|it| it.1).sum();
        let name = format!("{} others", count(rest.len() as u64));
        rows.push(json!([name, count(sum), meter(sum, highest)]));
    }
    rows.into()
}

fn field(field: &FieldReport, records: u64) -> Value {
    let types: Vec<String> = field
        .types
        .iter()
        .map(|(name, number)| match field.types.len() {
            1 => (*name).to_owned(),
            _ => format!("{name} {}", count(*number)),
        })
        .collect();
    let least = if field.distinct_is_least {
        "at least "
    } else {
        ""
    };
    let charts = [
        ("Numbers", &field.numbers),
        ("Characters", &field.characters),
        ("Words", &field.words),
        ("Items", &field.lengths),
    ];
    let charts = charts
        .into_iter()
        .filter_map(|(title, numbers)| Some((title, numbers.as_ref()?)));
    // A few short values say more than how long they are.
    let charts = charts.filter(|(title, _)| field.values.is_empty() || *title == "Numbers");
    let languages = field.languages.iter().map(|(code, number)| match *code {
        "?" => ("not sure".to_owned(), *number),
        code => (code.to_owned(), *number),
    });
    json!({
        "name": cut(&field.name, NAME), "types": types.join(", "),
        "there": format!("{} of {}", count(field.records), count(records)),
        "distinct": format!("{least}{}", count(field.distinct as u64)),
        "values": rows(field.values.iter().cloned()),
        "charts": charts.map(|(title, numbers)| histogram(title, numbers)).collect::<Value>(),
        "languages": if field.values.is_empty() { rows(languages) } else { json!([]) },
    })
}

fn histogram(title: &str, of: &Distribution) -> Value {
    let bars: Vec<[u64; 2]> = of.histogram.iter().map(|it| [*it, 0]).collect();
    let figure = Figure {
        title,
        top: count(of.histogram.iter().copied().max().unwrap_or(0)),
        left: short(of.least),
        right: short(of.most),
        legend: &[],
    };
    let mut drawn = figure.bars(&bars);
    if let [[all, _]] = bars[..] {
        drawn["svg"] = "".into();
        drawn["facts"] = format!("{} in all {}", short(of.least), count(all)).into();
        return drawn;
    }
    let (median, mean, most) = (short(of.median), short(of.mean), short(of.percentile_90));
    drawn["facts"] = format!("median {median}, mean {mean}, 90 % up to {most}").into();
    drawn
}

fn diversity(report: &Report) -> Value {
    let it = &report.diversity;
    if it.records == 0 {
        return Value::Null;
    }
    let known = [
        ("repeats among candidates", it.duplicate_rate.map(percent)),
        ("different words", it.distinct_1.map(percent)),
        ("different pairs of words", it.distinct_2.map(percent)),
        ("different triples of words", it.distinct_3.map(percent)),
        (
            "likeness to the nearest other record",
            it.self_similarity.map(short),
        ),
        ("different openings", Some(count(it.openings.distinct))),
        (
            "share of the most frequent opening",
            Some(percent(it.openings.largest)),
        ),
        (
            "entirely different records that say as much (Vendi)",
            it.vendi.map(short),
        ),
    ];
    let facts = known
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let windows = it.duplicates_over_time.iter();
    let bars: Vec<[u64; 2]> = windows
        .map(|it| [it.candidates - it.duplicates, it.duplicates])
        .collect();
    let figure = Figure {
        title: "Repeats over the run",
        top: count(bars.iter().map(|it| it[0] + it[1]).max().unwrap_or(0)),
        left: "first candidate".to_owned(),
        right: "last".to_owned(),
        legend: &[("one", "new"), ("two", "repeats")],
    };
    json!({"facts": facts.collect::<Vec<_>>(), "figure": figure.bars(&bars)})
}

/// Returns a table for each attribute, and one for the documents: what was wanted of each value, and what was made.
fn shares(report: &Report) -> Value {
    let table = |name: &str, values: &BTreeMap<String, ShareReport>| {
        let mut values: Vec<_> = values.iter().collect();
        values.sort_by_key(|(_, share)| Reverse(share.wanted));
        let (shown, rest) = values.split_at(values.len().min(2 * MOST_VALUES));
        let row = |name: String, wanted, accepted| {
            json!([
                name,
                count(wanted),
                count(accepted),
                meter(accepted, wanted)
            ])
        };
        let shown = shown
            .iter()
            .map(|(name, it)| row(cut(name, NAME), it.wanted, it.accepted));
        let mut rows: Vec<Value> = shown.collect();
        if !rest.is_empty() {
            let wanted = rest.iter().map(|it| it.1.wanted).sum();
            let accepted = rest.iter().map(|it| it.1.accepted).sum();
            rows.push(row(
                format!("{} others", count(rest.len() as u64)),
                wanted,
                accepted,
            ));
        }
        json!({"name": cut(name, NAME), "rows": rows})
    };
    let attributes = report.attributes.iter().take(MOST_ROWS);
    let mut tables: Vec<Value> = attributes
        .map(|(name, values)| table(name, values))
        .collect();
    if !report.documents.is_empty() {
        tables.push(table("documents", &report.documents));
    }
    tables.into()
}
