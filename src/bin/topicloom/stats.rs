//! `topicloom stats`: what each field of a data set holds.

use std::ops::ControlFlow;

use topicloom::Result;

use crate::args::StatsArgs;
use crate::field_stats::{Distribution, FieldReport, FieldStats, float};
use crate::out;
use crate::records::{Records, Row};

/// Values that are listed.
const MOST_LISTED: usize = 12;

pub(crate) async fn stats(args: StatsArgs) -> Result<()> {
    let mut stats = FieldStats::default();
    let records = Records::of(args.data)?;
    records
        .each(async |row: Row<'_>| {
            stats.see(&row.data);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    let report = stats.finish();
    if args.json {
        let text = serde_json::to_string_pretty(&report);
        return out::line(text.expect("it has no key that JSON cannot hold"));
    }
    out::line(format_args!("{} records", report.records))?;
    for field in &report.fields {
        out::line(format_args!("\n{}", shown(field, report.records)))?;
    }
    if report.unlisted_fields > 0 {
        let more = report.unlisted_fields;
        out::line(format_args!(
            "\nand {more} more fields, of which nothing is said"
        ))?;
    }
    Ok(())
}

/// Writes a heading, and a line for each thing that is known.
fn shown(field: &FieldReport, records: u64) -> String {
    let types: Vec<&str> = field.types.keys().copied().collect();
    let mut lines = vec![format!(
        "{} ({})",
        out::on_one_line(&field.name),
        types.join(", ")
    )];
    let least = if field.distinct_is_least {
        "at least "
    } else {
        ""
    };
    lines.push(format!(
        "in {} of {records} records, {least}{} distinct",
        field.records, field.distinct
    ));
    if field.types.len() > 1 {
        lines.push(listed("types", field.types.iter()));
    }
    if !field.values.is_empty() {
        let values = field.values.iter().map(|(value, count)| (value, count));
        lines.push(listed("values", values));
    }
    for (name, numbers) in [
        ("numbers", &field.numbers),
        ("characters", &field.characters),
        ("words", &field.words),
        ("items", &field.lengths),
    ] {
        if let Some(numbers) = numbers {
            lines.push(distribution(name, numbers));
        }
    }
    if !field.languages.is_empty() {
        lines.push(listed("languages", field.languages.iter()));
    }
    lines.join("\n  ")
}

fn listed<T: AsRef<str>>(
    name: &str,
    counts: impl ExactSizeIterator<Item = (T, impl std::fmt::Display)>,
) -> String {
    let more = counts.len().saturating_sub(MOST_LISTED);
    let one = |(value, count): (T, _)| format!("{} {count}", out::on_one_line(value.as_ref()));
    let counts: Vec<String> = counts.take(MOST_LISTED).map(one).collect();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{name}: {}{more}", counts.join(", "))
}

fn distribution(name: &str, of: &Distribution) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = of.histogram.iter().copied().max().unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Of eight bars.
    let bar = |count: &u64| match count {
        0 => ' ',
        _ => BARS[(float(*count) / float(highest) * 7.0).round() as usize],
    };
    let bars: String = of.histogram.iter().map(bar).collect();
    format!(
        "{name}: {} to {}, median {}, mean {}, 90 % up to {}  {bars}",
        short(of.least),
        short(of.most),
        short(of.median),
        short(of.mean),
        short(of.percentile_90)
    )
}

/// Writes a number with as many digits as are read.
pub(crate) fn short(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number}");
    }
    let digits = if number.abs() >= 100.0 { 0 } else { 2 };
    format!("{number:.digits$}")
}
