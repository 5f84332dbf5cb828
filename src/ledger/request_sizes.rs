//! How many records are asked for at once: as many as fit into an answer, learned from the answers of each model.

use std::mem;
use std::sync::Arc;

use crate::input::RecordsPerRequest;

/// Answers of a run after which a model that gave none of them no longer counts.
const FORGOTTEN_AFTER: u64 = 64;

/// Whole answers after a cut before more records are asked for, where nobody tells how long answers are.
const WHOLE_BEFORE_MORE: u32 = 8;

/// How many times as many are asked for as came whole, where lengths are known: longer answers have their own ways to fail.
const MOST_GROWTH: u64 = 4;

/// Standard deviations of the length of a record that are left room for. What is cut off loses a part of one record; a request
/// for few has the same chance to end in a loop.
const HEADROOM: f64 = 1.0;

/// The same where what needs more is taken for a loop.
const HEADROOM_BEFORE_LOOP: f64 = 2.0;

/// Weight of the latest answer in a mean of lengths, and in that of their deviations (as in RFC 6298).
const LATEST: f64 = 0.125;
const LATEST_DEVIATION: f64 = 0.25;

/// Records that have room in what a record took up that did not end: one so long is taken for a loop.
const LOOP_LENGTH: f64 = 2.0;

/// Loops of a model after which its answers get no more room than records need: a loop goes on for as long as it may.
const LOOPS_BEFORE_LIMIT: u32 = 2;

/// Answers cut off at that limit after which the next ones go without it until one loops: what is long is not seen to its end
/// there.
const CUTS_AT_LIMIT: u32 = 4;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerEnd {
    Whole,
    /// It ran into the output limit, which stays as it is.
    Cut,
    /// It repeated itself until it ran into the output limit.
    Loop,
    /// It ran into the output limit, which is raised for the next ones.
    CutAndRaised,
    /// Nothing in it could be read as a record.
    Unusable,
    /// It was refused, whatever was asked for.
    Declined,
}

/// What an answer tells of how many records fit into one.
#[derive(Debug)]
pub(crate) struct AnswerSize<'a> {
    pub(crate) model: &'a Arc<str>,
    pub(crate) asked: u64,
    /// Those that came whole.
    pub(crate) records: u64,
    pub(crate) end: AnswerEnd,
    /// Tokens of the answer, 0 where unknown, and those of them that were hidden reasoning.
    pub(crate) tokens: u64,
    pub(crate) reasoning: u64,
    /// The part of the text that belongs to no whole record, from 0 to 1.
    pub(crate) unfinished: f64,
    /// The output limit of the topic's next task, where it is known.
    pub(crate) limit: Option<u64>,
    /// Whether it had less room, because of loops before it.
    pub(crate) is_limited: bool,
}

/// How many records are asked for at once.
///
/// Each model has its own size; which model answers next is not known here, so the smallest counts of those that
/// answered lately. Depends only on the answers and their order, so that a resumed run asks as one that was never interrupted.
#[derive(Debug)]
pub(super) struct RequestSizes {
    rule: RecordsPerRequest,
    models: Vec<ModelSize>,
    answers: u64,
}

impl RequestSizes {
    pub(super) fn new(rule: RecordsPerRequest) -> Self {
        Self {
            rule,
            models: Vec::new(),
            answers: 0,
        }
    }

    /// Returns how many records to ask for, where `open` are open in all and `tasks` may share them.
    pub(super) fn next(&self, open: u64, tasks: u64) -> u64 {
        let fits = self.heard().map(ModelSize::fits).min();
        let fits = fits.unwrap_or_else(|| self.first());
        match self.rule {
            RecordsPerRequest::Fixed(_) => fits,
            // Several small requests at once bring the records sooner than one large one.
            RecordsPerRequest::Auto => fits.min(open.div_ceil(tasks)),
        }
    }

    /// Returns the output limit of a request for this many records, where models have lost themselves in loops.
    pub(super) fn limit(&self, records: u64) -> Option<u64> {
        let limits = self.heard().map(|model| model.limit(records));
        limits.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Returns the models that answered lately.
    fn heard(&self) -> impl Iterator<Item = &ModelSize> {
        let heard = |model: &&ModelSize| self.answers - model.latest <= FORGOTTEN_AFTER;
        self.models.iter().filter(heard)
    }

    /// Takes note of an answer.
    pub(super) fn saw(&mut self, answer: &AnswerSize<'_>) {
        self.answers += 1;
        let (rule, first, latest) = (self.rule, self.first(), self.answers);
        let models = &mut self.models;
        let place = models
            .iter()
            .position(|model| model.name == *answer.model)
            .unwrap_or_else(|| {
                models.push(ModelSize::new(Arc::clone(answer.model), first));
                models.len() - 1
            });
        models[place].latest = latest;
        models[place].saw(answer, rule);
    }

    /// Takes note that no answer for this many records came in time, from any model.
    pub(super) fn timed_out(&mut self, asked: u64) {
        if self.rule == RecordsPerRequest::Auto {
            self.models.iter_mut().for_each(|model| model.halve(asked));
        }
    }

    /// Whether the size is to be learned and no answer has come yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.rule == RecordsPerRequest::Auto && self.answers == 0
    }

    fn first(&self) -> u64 {
        match self.rule {
            RecordsPerRequest::Fixed(records) => records,
            RecordsPerRequest::Auto => 1,
        }
    }
}

#[derive(Debug)]
struct ModelSize {
    name: Arc<str>,
    /// The number of its latest answer.
    latest: u64,
    /// Asked for at most.
    size: u64,
    /// Whole answers since the last cut; `None` before the first one.
    whole_since_cut: Option<u32>,
    /// Whether the last answer that came whole or was cut off was cut off, though its records had room.
    was_cut: bool,
    /// Loops since an answer that says that long ones are no loops.
    loops: u32,
    /// Those since that were cut off at the limit that loops brought.
    cuts_at_limit: u32,
    /// Tokens of a record, and how much they vary.
    record: Option<(f64, f64)>,
    reasoning: f64,
    /// Tokens that an answer may have, where known.
    room: Option<u64>,
}

impl ModelSize {
    fn new(name: Arc<str>, size: u64) -> Self {
        Self {
            name,
            latest: 0,
            size,
            whole_since_cut: None,
            was_cut: false,
            loops: 0,
            cuts_at_limit: 0,
            record: None,
            reasoning: 0.0,
            room: None,
        }
    }

    /// Returns how many records fit into an answer.
    fn fits(&self) -> u64 {
        self.fits_by_length().unwrap_or(u64::MAX).min(self.size)
    }

    /// The same by the lengths of records, where they are known.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Some thousand tokens.
    fn fits_by_length(&self) -> Option<u64> {
        let room = self.room? as f64 - self.reasoning;
        Some(((room / self.record_room(HEADROOM)?) as u64).max(1))
    }

    /// Returns the tokens that a record is left room for.
    fn record_room(&self, deviations: f64) -> Option<f64> {
        let (mean, deviation) = self.record?;
        Some(mean + deviations * deviation)
    }

    /// Returns the output limit of a request for this many records. How long a model thinks is not limited.
    fn limit(&self, records: u64) -> Option<u64> {
        let is_limited = self.loops >= LOOPS_BEFORE_LIMIT
            && self.cuts_at_limit < CUTS_AT_LIMIT
            && self.reasoning <= 0.0;
        is_limited.then(|| self.needed(records)).flatten()
    }

    /// Returns the tokens that this many records need, and one more: what is cut off there although its records are no longer
    /// than others is a loop.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Some thousand tokens.
    fn needed(&self, records: u64) -> Option<u64> {
        Some((self.record_room(HEADROOM_BEFORE_LOOP)? * (records + 1) as f64).ceil() as u64)
    }

    /// Whether the record that an answer broke off in is far longer than those that came whole, there and before.
    #[allow(clippy::cast_precision_loss)] // Some thousand tokens.
    fn is_endless(&self, answer: &AnswerSize<'_>) -> bool {
        let written = answer.tokens.saturating_sub(answer.reasoning) as f64;
        let unfinished = written * answer.unfinished;
        let whole = (written - unfinished) / answer.records.max(1) as f64;
        self.record_room(HEADROOM_BEFORE_LOOP)
            .is_some_and(|room| unfinished >= LOOP_LENGTH * room.max(whole))
    }

    fn saw(&mut self, answer: &AnswerSize<'_>, rule: RecordsPerRequest) {
        self.room = answer.limit.or(self.room);
        match answer.end {
            AnswerEnd::Whole => self.whole(answer, rule.most()),
            AnswerEnd::Unusable if rule == RecordsPerRequest::Auto => self.halve(answer.asked),
            AnswerEnd::Unusable | AnswerEnd::Declined => {}
            AnswerEnd::CutAndRaised => self.loops = 0,
            AnswerEnd::Cut | AnswerEnd::Loop => self.cut(answer),
        }
    }

    fn whole(&mut self, answer: &AnswerSize<'_>, most: u64) {
        self.was_cut = false;
        let written = answer.tokens.saturating_sub(answer.reasoning);
        if self
            .needed(answer.asked)
            .is_some_and(|needed| written > needed)
        {
            self.loops = 0;
        }
        self.learn_length(answer);
        let whole = self.whole_since_cut.map(|whole| whole + 1);
        self.whole_since_cut = whole;
        // A model that gives a part of what it is asked for gives no more if asked for more.
        if answer.asked < self.fits() || answer.records.saturating_mul(2) <= answer.asked {
            return;
        }
        if self.fits_by_length().is_some() {
            let grown = answer.asked.saturating_mul(MOST_GROWTH);
            self.size = self.size.max(grown).min(most);
        } else if whole.is_none_or(|whole| whole >= WHOLE_BEFORE_MORE) {
            self.size = self.size.saturating_mul(2).min(most);
            self.whole_since_cut = whole.map(|_| 0);
        }
    }

    #[allow(clippy::cast_precision_loss)] // Some thousand tokens.
    fn learn_length(&mut self, answer: &AnswerSize<'_>) {
        if answer.tokens == 0 || answer.records == 0 {
            return;
        }
        let written = answer.tokens.saturating_sub(answer.reasoning) as f64;
        let length = written / answer.records as f64;
        self.reasoning += LATEST * (answer.reasoning as f64 - self.reasoning);
        self.record = Some(match self.record {
            None => (length, length / 4.0),
            Some((mean, deviation)) => (
                mean + LATEST * (length - mean),
                deviation + LATEST_DEVIATION * ((length - mean).abs() - deviation),
            ),
        });
    }

    fn cut(&mut self, answer: &AnswerSize<'_>) {
        let is_loop = answer.end == AnswerEnd::Loop || self.is_endless(answer);
        if !is_loop {
            self.loops = 0;
        } else if answer.is_limited {
            self.cuts_at_limit += 1;
        } else {
            (self.loops, self.cuts_at_limit) = (self.loops + 1, 0);
        }
        if is_loop || answer.is_limited {
            return;
        }
        // An answer of records that have room is no longer for want of it.
        let has_room = self
            .fits_by_length()
            .is_some_and(|fits| answer.asked <= fits);
        if has_room && !mem::replace(&mut self.was_cut, true) {
            return;
        }
        if answer.limit.is_none() && answer.tokens > 0 {
            self.room = Some(answer.tokens);
        }
        self.size = self.size.min(answer.records.max(1));
        self.whole_since_cut = Some(0);
    }

    fn halve(&mut self, asked: u64) {
        self.size = self.size.min((asked / 2).max(1));
    }
}
