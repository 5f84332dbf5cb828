//! Prices by model name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Price, litellm};
use crate::error::{Error, ErrorKind, Result};
use crate::llm::ModelName;

/// Prices by model name: the ones known to this release, and the caller's own.
///
/// The known ones are a small table, each row with its source and the day it was read. Prices change and
/// depend on contracts, so set your own with [`with`](Self::with) where it matters. A model that is not in
/// the table has no price: nothing is guessed from a similar name, since a dated snapshot may cost more than
/// the model it belongs to.
///
/// Where a published price depends on something a call does not tell, such as the hour, the table has the
/// highest one, so that caps hold and the reported cost is an upper bound; the row says so.
///
/// ```
/// use topicloom::llm::price::{Price, PriceTable};
///
/// let prices = PriceTable::known().with("own/model", Price::per_million(1.0, 2.0)?);
/// assert!(prices.get("openai/gpt-4o-mini").is_some());
/// assert!(prices.get("own/model").is_some());
/// assert!(prices.get("own/another").is_none());
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    known: Option<&'static HashMap<String, Price>>,
    own: Arc<HashMap<String, Price>>,
}

impl PriceTable {
    /// Creates a table of the prices known to this release.
    #[must_use]
    pub fn known() -> Self {
        Self {
            known: Some(&KNOWN),
            own: Arc::default(),
        }
    }

    /// Creates a table without prices.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sets the price of a model, named as `provider/model`, or of all models of a provider, as `provider/*`.
    #[must_use]
    pub fn with(mut self, model: impl Into<String>, price: Price) -> Self {
        Arc::make_mut(&mut self.own).insert(model.into(), price);
        self
    }

    /// Adds prices from JSON, by model.
    ///
    /// A price is an object with `input` and `output`, and where they are known `cached_input`, `cache_write`, `long` and
    /// `max_output_tokens`, in dollars per million tokens. Rows of LiteLLM's `model_prices_and_context_window.json` are
    /// read too; those without a price per token are left out.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::llm::price::PriceTable;
    ///
    /// let prices = json!({
    ///     "own/model": {"input": 0.5, "output": 2},
    ///     "gpt-7": {"litellm_provider": "openai", "input_cost_per_token": 2e-6, "output_cost_per_token": 1e-5},
    /// });
    /// let prices = PriceTable::known().with_json(prices.as_object().expect("it is an object"))?;
    /// assert!(prices.get("own/model").is_some() && prices.get("openai/gpt-7").is_some());
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the row that is no price.
    pub fn with_json(mut self, prices: &Map<String, Value>) -> Result<Self> {
        for (name, row) in prices {
            if litellm::is_row(row) {
                if let Some((name, price)) = litellm::price(name, row) {
                    self = self.with(name, price);
                }
            } else {
                self = self.with(canonical(name)?, own(name, row)?);
            }
        }
        Ok(self)
    }

    /// Returns the price of a model, the caller's own before the known one, that of the model before that of
    /// its provider.
    #[must_use]
    pub fn get(&self, model: &str) -> Option<Price> {
        let of_provider = |table: &HashMap<String, Price>| {
            let (provider, _) = model.split_once('/')?;
            table.get(&format!("{provider}/*")).copied()
        };
        let tables = [Some(&*self.own), self.known];
        let mut tables = tables
            .into_iter()
            .flatten()
            .filter(|table| !table.is_empty());
        tables.find_map(|table| table.get(model).copied().or_else(|| of_provider(table)))
    }
}

/// Returns a model's name as it is looked up.
fn canonical(name: &str) -> Result<String> {
    Ok(name.parse::<ModelName>()?.as_str().to_owned())
}

/// Reads a price in the form of the table's own file.
fn own(name: &str, row: &Value) -> Result<Price> {
    const KEYS: [&str; 6] = [
        "input",
        "output",
        "cached_input",
        "cache_write",
        "long",
        "max_output_tokens",
    ];
    let keys = row.as_object().into_iter().flat_map(Map::keys);
    let unknown = keys.filter(|key| !KEYS.contains(&key.as_str())).count();
    serde_json::from_value(row.clone())
        .ok()
        .filter(|_| unknown == 0)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the price of `{name}` cannot be read; write dollars per million tokens, such as \
                     {{\"input\": 0.5, \"output\": 2}}"
                ),
            )
        })
}

static KNOWN: LazyLock<HashMap<String, Price>> =
    LazyLock::new(|| parse(include_str!("prices.json")).expect("a test parses the table"));

/// The file: rates in dollars per million tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), allow(dead_code))] // Sources and dates are for readers, and for the test.
struct File {
    about: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[cfg_attr(not(test), allow(dead_code))]
struct Row {
    model: String,
    #[serde(flatten)]
    price: Price,
    source: String,
    read: String,
    #[serde(default)]
    note: Option<String>,
}

fn parse(text: &str) -> serde_json::Result<HashMap<String, Price>> {
    let file: File = serde_json::from_str(text)?;
    Ok(file
        .rows
        .into_iter()
        .map(|row| (row.model, row.price))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::price::Usd;

    #[test]
    fn every_row_has_a_source_and_a_date_and_sane_rates() {
        let file: File = serde_json::from_str(include_str!("prices.json")).unwrap();
        assert!(!file.about.is_empty());
        let mut seen = std::collections::BTreeSet::new();
        for row in &file.rows {
            let name = &row.model;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.parse::<ModelName>().is_ok(), "{name}");
            assert!(
                row.source.starts_with("https://") || row.source == "local",
                "{name}"
            );
            assert!(
                row.read.len() == 7 && row.read.starts_with("202"),
                "{name}: {}",
                row.read
            );
            assert!(row.note.as_deref() != Some(""), "{name}");
            let rates = &row.price.rates;
            assert!(
                rates.input <= rates.output,
                "{name}: prompts cost no more than answers"
            );
            assert!(
                rates
                    .cached_input
                    .is_none_or(|cached| cached <= rates.input),
                "{name}"
            );
            assert!(
                rates.cache_write.is_none_or(|write| write >= rates.input),
                "{name}"
            );
            assert!(rates.output <= Usd::from_dollars(100.0).unwrap(), "{name}");
            if let Some(long) = row.price.long {
                assert!(
                    long.rates.input >= rates.input && long.rates.output >= rates.output,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn the_callers_price_comes_first() {
        let own = Price::per_million(1.0, 2.0).unwrap();
        let prices = PriceTable::known().with("openai/gpt-4o-mini", own);
        assert_eq!(prices.get("openai/gpt-4o-mini"), Some(own));
        assert_ne!(PriceTable::known().get("openai/gpt-4o-mini"), Some(own));
    }

    #[test]
    fn a_similar_name_has_no_price() {
        let prices = PriceTable::known();
        assert!(prices.get("openai/gpt-4o").is_some());
        assert!(
            prices.get("openai/gpt-4o-2024-05-13").is_none(),
            "it costs twice as much"
        );
        assert!(prices.get("azure/gpt-4o").is_none());
        assert!(prices.get("gpt-4o").is_none());
    }

    #[test]
    fn a_models_own_row_comes_before_its_providers() {
        let (all, one) = (
            Price::per_million(1.0, 1.0).unwrap(),
            Price::per_million(2.0, 2.0).unwrap(),
        );
        let prices = PriceTable::empty().with("own/*", all).with("own/dear", one);
        assert_eq!(prices.get("own/any"), Some(all));
        assert_eq!(prices.get("own/dear"), Some(one));
    }

    #[test]
    fn models_on_ones_own_machine_cost_nothing_per_token() {
        let price = PriceTable::known().get("ollama/llama3.2").unwrap();
        assert_eq!(price.most(1_000_000, 1_000_000), Usd::ZERO);
    }
}
