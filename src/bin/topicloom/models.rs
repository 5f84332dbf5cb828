//! `topicloom models`: which providers are known, and what each needs.

use topicloom::llm::models::{KnownProvider, known_providers};
use topicloom::{Result, environment};

use crate::out;

pub(crate) fn show() -> Result<()> {
    let head = ["prefix", "key variable", "key", "URL variable", "URL"].map(str::to_owned);
    let known = known_providers();
    let rows: Vec<[String; 5]> = [head].into_iter().chain(known.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    for [name, key, there, variable, url] in &rows {
        let [a, b, c, d] = widths;
        out::line(format_args!(
            "{name:<a$}  {key:<b$}  {there:<c$}  {variable:<d$}  {url}"
        ))?;
    }
    out::line(
        "\nAny other NAME/model is a server that speaks OpenAI's format, with its URL in NAME_API_BASE and its key, if it \
         needs one, in NAME_API_KEY; an input can say so too, in `providers`.",
    )
}

fn row(known: &KnownProvider) -> [String; 5] {
    let there = match (is_any_set(&known.key_variables), known.needs_key) {
        (true, _) => "set",
        (false, true) => "missing",
        (false, false) => "not needed",
    };
    [
        [&[known.name], &*known.other_names].concat().join(", "),
        known.key_variables.join(", "),
        there.to_owned(),
        known.base_url_variables.join(", "),
        url(known),
    ]
}

/// The URL in use; one from the environment may hold a secret and is not shown.
fn url(known: &KnownProvider) -> String {
    if is_any_set(&known.base_url_variables) {
        "(from the variable)".to_owned()
    } else {
        known.base_url.unwrap_or("(yours)").to_owned()
    }
}

fn is_any_set(variables: &[String]) -> bool {
    let is_set = |variable: &String| {
        environment::var(variable).is_some_and(|value| !value.trim().is_empty())
    };
    variables.iter().any(is_set)
}
