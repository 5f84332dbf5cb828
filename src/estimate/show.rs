//! An estimate as a table.

use std::fmt::{self, Display};

use super::{Estimate, Spread};

impl Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "", &Spread::new("low", "likely", "high"))?;
        row(f, "\ncalls", &self.calls)?;
        row(f, "\ntokens in", &self.input_tokens)?;
        row(f, "\ntokens out", &self.output_tokens)?;
        if let Some(cost) = self.cost {
            let cost = cost.each(|usd| format!("${:.4}", usd.as_dollars()));
            row(f, "\ncost", &cost)?;
        }
        if let Some(why) = &self.no_cost {
            write!(f, "\nno cost: {why}")?;
        }
        for assumption in &self.assumptions {
            write!(f, "\nassumed: {assumption}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, spread: &Spread<impl Display>) -> fmt::Result {
    let width = 14 + name.matches('\n').count();
    let Spread { low, likely, high } = spread;
    write!(f, "{name:<width$} {low:>14} {likely:>14} {high:>14}")
}
