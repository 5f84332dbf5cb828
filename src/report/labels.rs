//! How a judge compares with people.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How the judge of a run compares with people, on records that both looked at.
///
/// In JSON also: `accuracy`, `kappa` and of each criterion `agreement` and `difference`, each null where it cannot be said.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LabelsReport {
    /// Records that the judge gave a word on.
    pub records: u64,
    /// Records on which it gave none.
    pub undecided: u64,
    /// Accepted by the judge and by people.
    pub both: u64,
    /// Accepted by the judge alone.
    pub judge_alone: u64,
    /// Accepted by people alone.
    pub people_alone: u64,
    /// Accepted by neither.
    pub neither: u64,
    /// How the scores compare, by criterion.
    pub criteria: BTreeMap<String, LabelsOfCriterion>,
    /// The records that one accepts and the other does not: the first hundred.
    pub differing: Vec<Differing>,
}

/// How a judge's scores by one criterion compare with those of people.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LabelsOfCriterion {
    /// Records that both scored.
    pub records: u64,
    /// Of those, records to which the judge, in the mean of its votes and rounded, gave the score that people gave.
    pub agreeing: u64,
    /// What the judge gave more than people, over all.
    pub more: f64,
}

/// A record that a judge accepts and people do not, or the other way round.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Differing {
    /// Its row among the labels, from 1.
    pub row: u64,
    /// Whether the judge accepts it.
    pub judge: bool,
    /// Whether people do.
    pub people: bool,
    /// The mean scores of the judge.
    pub scores: BTreeMap<String, f64>,
    /// The scores of people.
    pub scores_of_people: BTreeMap<String, i64>,
}

const MOST_LISTED: usize = 100;

/// Rows that fit into a line.
const MOST_NAMED: usize = 10;

#[allow(clippy::cast_precision_loss)] // Of a ratio, a few digits are read.
impl LabelsReport {
    /// Returns the part of the records about which the judge decides as people do; `None` where there are none.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let all = self.decided();
        (all > 0).then(|| (self.both + self.neither) as f64 / all as f64)
    }

    /// Returns Cohen's kappa: 1 where judge and people always agree, 0 where they do as often as chance would have it. `None`
    /// where chance alone has them agree always: both say the same of each record.
    #[must_use]
    pub fn kappa(&self) -> Option<f64> {
        let wide = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let [both, judge, people, neither] =
            [self.both, self.judge_alone, self.people_alone, self.neither].map(wide);
        let all = both + judge + people + neither;
        let by_chance = (both + judge) * (both + people) + (neither + judge) * (neither + people);
        let room = all * all - by_chance;
        (room > 0.0).then(|| (all * (both + neither) - by_chance) / room)
    }

    fn decided(&self) -> u64 {
        self.both + self.judge_alone + self.people_alone + self.neither
    }

    /// Adds a record of this row: whether the judge and, where they say it, people accept it, and the scores of each.
    pub(crate) fn add(
        &mut self,
        row: u64,
        (judge, scores): (bool, BTreeMap<String, f64>),
        (people, scores_of_people): (Option<bool>, &BTreeMap<String, i64>),
    ) {
        self.records += 1;
        for (name, given) in scores_of_people {
            if let Some(score) = scores.get(name) {
                let criterion = self.criteria.entry(name.clone()).or_default();
                let more = score - *given as f64;
                criterion.records += 1;
                criterion.agreeing += u64::from((score.round() - *given as f64).abs() < 0.5);
                criterion.more += more;
            }
        }
        let Some(people) = people else {
            return;
        };
        let cell = match (judge, people) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.judge_alone,
            (false, true) => &mut self.people_alone,
            (false, false) => &mut self.neither,
        };
        *cell += 1;
        if judge != people && self.differing.len() < MOST_LISTED {
            self.differing.push(Differing {
                row,
                judge,
                people,
                scores,
                scores_of_people: scores_of_people.clone(),
            });
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Of a ratio, a few digits are read.
impl LabelsOfCriterion {
    /// Returns the part of the records to which both gave the same score.
    #[must_use]
    pub fn agreement(&self) -> Option<f64> {
        (self.records > 0).then(|| self.agreeing as f64 / self.records as f64)
    }

    /// Returns what the judge gives more than people, in the mean; below 0 it is stricter than they are.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.records > 0).then(|| self.more / self.records as f64)
    }
}

impl Serialize for LabelsReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("LabelsReport", 10)?;
        report.serialize_field("records", &self.records)?;
        report.serialize_field("undecided", &self.undecided)?;
        report.serialize_field("accuracy", &self.accuracy())?;
        report.serialize_field("kappa", &self.kappa())?;
        report.serialize_field("both", &self.both)?;
        report.serialize_field("judge_alone", &self.judge_alone)?;
        report.serialize_field("people_alone", &self.people_alone)?;
        report.serialize_field("neither", &self.neither)?;
        report.serialize_field("criteria", &self.criteria)?;
        report.serialize_field("differing", &self.differing)?;
        report.end()
    }
}

impl Serialize for LabelsOfCriterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("LabelsOfCriterion", 3)?;
        report.serialize_field("records", &self.records)?;
        report.serialize_field("agreement", &self.agreement())?;
        report.serialize_field("difference", &self.difference())?;
        report.end()
    }
}

/// Writes `accuracy 92 %, kappa 0.81 on 50 records; clear: same score 70 %, +0.3; they differ on rows 3, 17`.
impl fmt::Display for LabelsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accuracy() {
            Some(accuracy) => write!(f, "accuracy {:.0} %", accuracy * 100.0)?,
            None => f.write_str("accuracy not known")?,
        }
        match self.kappa() {
            Some(kappa) => write!(f, ", kappa {kappa:.2}")?,
            None => f.write_str(", kappa not defined")?,
        }
        write!(f, " on {} records", self.decided())?;
        if self.undecided > 0 {
            write!(f, ", {} undecided", self.undecided)?;
        }
        for (name, criterion) in &self.criteria {
            let agreement = criterion.agreement().unwrap_or_default() * 100.0;
            let difference = criterion.difference().unwrap_or_default();
            write!(f, "; {name}: same score {agreement:.0} %, {difference:+.1}")?;
        }
        let named = self.differing.iter().take(MOST_NAMED);
        let named: Vec<String> = named.map(|it| it.row.to_string()).collect();
        if named.is_empty() {
            return Ok(());
        }
        write!(f, "; they differ on rows {}", named.join(", "))?;
        match self.judge_alone + self.people_alone - named.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(both: u64, judge_alone: u64, people_alone: u64, neither: u64) -> LabelsReport {
        LabelsReport {
            both,
            judge_alone,
            people_alone,
            neither,
            ..LabelsReport::default()
        }
    }

    #[test]
    fn kappa_is_as_in_the_books() {
        let near = |report: LabelsReport, wanted: f64| {
            let kappa = report.kappa().expect("it is defined");
            assert!((kappa - wanted).abs() < 5e-5, "{kappa} {wanted}");
        };
        // Two readers of 50 grant proposals: 0.7 observed, 0.5 by chance.
        near(table(20, 5, 10, 15), 0.4);
        // The same 60 % observed, with margins that are alike and that are not.
        near(table(45, 15, 25, 15), 0.1304);
        near(table(25, 35, 5, 35), 0.2593);
        // The paradox of a high agreement and a low kappa: 85 % of 100 (Feinstein and Cicchetti 1990).
        near(table(80, 10, 5, 5), 0.3182);
        near(table(10, 0, 0, 10), 1.0);
        near(table(0, 10, 10, 0), -1.0);
        near(table(10, 10, 10, 10), 0.0);
        // One of them always says the same: no better than chance, and not undefined.
        near(table(9, 1, 0, 0), 0.0);
    }

    #[test]
    fn kappa_is_null_where_all_say_the_same() {
        for report in [table(12, 0, 0, 0), table(0, 0, 0, 12)] {
            assert_eq!((report.kappa(), report.accuracy()), (None, Some(1.0)));
            assert_eq!(json!(report)["kappa"], json!(null));
        }
        assert_eq!(
            (table(0, 0, 0, 0).kappa(), table(0, 0, 0, 0).accuracy()),
            (None, None)
        );
    }

    #[test]
    fn what_differs_is_named_by_its_row() {
        let mut report = LabelsReport::default();
        let scores = |score: f64| BTreeMap::from([("clear".to_owned(), score)]);
        let people = |score: i64| BTreeMap::from([("clear".to_owned(), score)]);
        report.add(1, (true, scores(4.5)), (Some(true), &people(5)));
        report.add(2, (true, scores(4.0)), (Some(false), &people(2)));
        report.add(3, (false, scores(1.0)), (None, &people(1)));
        report.add(4, (false, BTreeMap::new()), (Some(true), &BTreeMap::new()));
        let said = "accuracy 33 %, kappa -0.50 on 3 records; clear: same score 67 %, +0.5; they differ on rows 2, 4";
        assert_eq!(report.to_string(), said);
        let json = json!(report);
        assert_eq!(
            json["differing"][0],
            json!({
                "row": 2, "judge": true, "people": false, "scores": {"clear": 4.0}, "scores_of_people": {"clear": 2},
            })
        );
        assert_eq!(json["records"], 4);
    }
}
