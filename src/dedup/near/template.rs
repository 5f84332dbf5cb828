//! The sentences that nearly all records of a run have, and which therefore tell none from another.

use super::reading::Sentence;

/// Records before anything counts as a template: a young run knows too little.
const YOUNG: u32 = 32;

/// Records among which a sentence has to be seen first to be counted: what is in none of them is not in nearly all.
const FIRST: u32 = 4;

/// The sentences of a run that can still be in nearly all records, and how many have each.
#[derive(Debug, Default)]
pub(super) struct Template {
    records: u32,
    sentences: Vec<(Sentence, u32)>,
}

impl Template {
    /// Counts the sentences of a record that was accepted.
    pub(super) fn observe(&mut self, record: &[Sentence]) {
        self.records += 1;
        for (sentence, records) in &mut self.sentences {
            *records += u32::from(record.contains(sentence));
        }
        if self.records <= FIRST {
            for sentence in record {
                if !self.sentences.iter().any(|(known, _)| known == sentence) {
                    self.sentences.push((*sentence, 1));
                }
            }
        } else if self.records.is_power_of_two() {
            let all = self.records;
            self.sentences
                .retain(|(_, records)| records * 10 >= all * 8);
        }
    }

    /// Returns the words and the phrases that a record lacks of the template: with them it says what it would say in the
    /// form of the others.
    pub(super) fn missing_in(&self, record: &[Sentence]) -> (u64, u64) {
        let mut missing = (0_u64, 0_u64);
        if self.records < YOUNG {
            return missing;
        }
        for (sentence, records) in &self.sentences {
            if records * 20 >= self.records * 19 && !record.contains(sentence) {
                missing.0 = missing.0.wrapping_add(sentence.words);
                missing.1 = missing.1.wrapping_add(sentence.phrases);
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(number: u64) -> Sentence {
        Sentence {
            phrases: number * 10,
            words: number,
        }
    }

    #[test]
    fn what_nearly_all_records_have_is_completed_where_it_is_missing() {
        let mut template = Template::default();
        for number in 0..100 {
            let is_known = template.missing_in(&[sentence(number)]) != (0, 0);
            assert_eq!(is_known, number >= u64::from(YOUNG));
            template.observe(&[sentence(700), sentence(number)]);
        }
        assert_eq!(template.missing_in(&[sentence(5)]), (700, 7_000));
        assert_eq!(template.missing_in(&[sentence(5), sentence(700)]), (0, 0));
    }

    #[test]
    fn what_half_of_the_records_have_counts() {
        let mut template = Template::default();
        for number in 0..100 {
            template.observe(&[sentence(700 + number % 2)]);
        }
        assert_eq!(template.missing_in(&[]), (0, 0));
    }
}
