//! The state of a run, as a fold over what happened. Pure: no I/O, no clock, no async.
//!
//! Whether a record is accepted depends only on the order in which answers are settled, never on when tasks
//! were issued; so folding a journal gives the same records as the run that wrote it.

mod asked_again;
mod breaker;
mod open_topics;

use self::breaker::Breaker;
use self::open_topics::OpenTopics;
use crate::counts::Counts;
use crate::diversity::{Patience, Sightings};
use crate::error::{Error, ErrorKind, Result};
use crate::outcome::{AnswerFault, GiveUp, Miss, Rejection};
use crate::random::Random;
use crate::report::CandidateCounts;
use crate::schedule::{SchedulingPolicy, TopicProgress};

pub(crate) use self::asked_again::AskedAgain;
pub(crate) use self::breaker::Opened;

/// How a topic that gave records before may fail in a row, by mere bad luck, before it is given up: one in
/// fifty. Rarer luck would let a dry topic spend more before it is seen to be dry.
const GIVE_UP_LUCK: f64 = 0.02;

/// The most misses in a row that are waited out, as a multiple of the threshold. At the default of 3 this is
/// reached by topics that refuse nine records in ten, for which thirty attempts are worth three records.
const PATIENCE: u32 = 10;

/// Failed calls say more about the provider than about the topic, so a topic may have three times as many.
const CALL_PATIENCE: u32 = 3;

/// What the ledger decides by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerRules {
    /// Attempts in a row that give nothing before a topic is given up.
    pub(crate) miss_threshold: u32,
    /// Records asked for in one call.
    pub(crate) records_per_request: u64,
    /// Rounds of failing calls before the run is stopped.
    pub(crate) breaker_rounds: u32,
    /// Whether the open quota of a topic that is given up moves to the others.
    pub(crate) reallocate: bool,
    /// Seeds the order in which topics are served.
    pub(crate) seed: u64,
}

/// One ask: a topic and a number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Unique in the run, counting from 0.
    pub(crate) id: u64,
    /// Index of the topic in the plan.
    pub(crate) topic: usize,
    /// Records asked for.
    pub(crate) wanted: u64,
    /// The round of misses it belongs to: 1, or one more than the rounds that gave nothing before it.
    pub(crate) round: u32,
    /// The breaker's mark at the time it was issued.
    epoch: u64,
}

impl Task {
    /// Creates the task that a journal tells of.
    pub(crate) fn replayed(id: u64, topic: usize, wanted: u64, round: u32) -> Self {
        Self {
            id,
            topic,
            wanted,
            round,
            epoch: 0,
        }
    }
}

/// What the ledger counted for one topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicStats {
    pub(crate) tasks: u64,
    /// Calls of the tasks that ended, retries included.
    pub(crate) calls: u64,
    pub(crate) answers: u64,
    pub(crate) cancelled: u64,
    pub(crate) faults: Counts<AnswerFault>,
    pub(crate) failures: Counts<ErrorKind>,
    pub(crate) candidates: CandidateCounts,
    pub(crate) given_up: Option<GiveUp>,
    pub(crate) moved_away: u64,
    pub(crate) moved_in: u64,
    pub(crate) last_miss: Option<Miss>,
}

/// What is known of a topic's luck beside its progress.
#[derive(Debug, Clone, Copy, Default)]
struct Streak {
    /// Rounds of misses in a row; a task is a new round only if it was issued after the round before it.
    rounds: u32,
    /// Failed calls in a row.
    failures: u32,
    /// Attempts that gave something, and that gave nothing, before the current streak.
    hits: u32,
    earlier_misses: u32,
    /// Records that one answer was seen to hold, where answers were cut off.
    fits: Option<u64>,
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: LedgerRules,
    progress: Vec<TopicProgress>,
    streaks: Vec<Streak>,
    stats: Vec<TopicStats>,
    /// What each topic has left to give, as far as its repetitions tell.
    sightings: Vec<Sightings>,
    open: OpenTopics,
    breaker: Breaker,
    next_task: u64,
    quota: u64,
    accepted: u64,
}

impl Ledger {
    /// Creates the state before the first task, from the quotas of the plan.
    pub(crate) fn new(quotas: &[u64], rules: LedgerRules) -> Self {
        let mut order: Vec<usize> = (0..quotas.len())
            .filter(|&topic| quotas[topic] > 0)
            .collect();
        Random::new(rules.seed)
            .fork("topic order")
            .shuffle(&mut order);
        Self {
            rules,
            progress: quotas
                .iter()
                .map(|&quota| TopicProgress::new(quota))
                .collect(),
            streaks: vec![Streak::default(); quotas.len()],
            stats: vec![TopicStats::default(); quotas.len()],
            sightings: vec![Sightings::new(); quotas.len()],
            open: OpenTopics::new(quotas.len(), order),
            breaker: Breaker::new(rules.breaker_rounds),
            next_task: 0,
            quota: quotas.iter().sum(),
            accepted: 0,
        }
    }

    /// Returns the next task, or `None` while nothing is open.
    ///
    /// # Errors
    ///
    /// Where the policy picks a topic that is not open.
    pub(crate) fn issue(&mut self, policy: &mut dyn SchedulingPolicy) -> Result<Option<Task>> {
        if self.open.as_slice().is_empty() {
            return Ok(None);
        }
        let topic = policy.pick(&self.progress, self.open.as_slice());
        if !self.open.contains(topic) {
            return Err(Error::new(
                ErrorKind::Plugin,
                "the scheduling policy picked a topic that is not open",
            ));
        }
        let task = Task {
            id: self.next_task,
            topic,
            wanted: self.progress[topic]
                .open()
                .min(self.rules.records_per_request)
                .min(self.streaks[topic].fits.unwrap_or(u64::MAX)),
            round: self.streaks[topic].rounds + 1,
            epoch: self.breaker.epoch(),
        };
        self.book(&task);
        Ok(Some(task))
    }

    /// Books a task as in flight: one that was issued, or one that a journal tells of.
    pub(crate) fn book(&mut self, task: &Task) {
        self.next_task = self.next_task.max(task.id + 1);
        self.stats[task.topic].tasks += 1;
        self.progress[task.topic].in_flight += task.wanted;
        self.refresh(task.topic);
    }

    /// Returns whether another record of the topic would be accepted if it were new.
    pub(crate) fn has_room(&self, topic: usize) -> bool {
        self.progress[topic].accepted < self.progress[topic].quota
    }

    /// Asks the topic for no more than `records` at a time from now on, and for one at least.
    pub(crate) fn ask_for_at_most(&mut self, topic: usize, records: u64) {
        let fits = &mut self.streaks[topic].fits;
        let least = fits.map_or(records, |known| known.min(records));
        *fits = Some(least.max(1));
    }

    /// Returns the number of the task that is issued next.
    pub(crate) fn next_task(&self) -> u64 {
        self.next_task
    }

    /// Books that candidates were found, before each is accepted or rejected.
    pub(crate) fn found(&mut self, topic: usize, candidates: usize) {
        self.stats[topic].candidates.total += candidates as u64;
    }

    /// Books an accepted record; the caller has asked [`has_room`](Self::has_room).
    pub(crate) fn accept(&mut self, topic: usize) {
        debug_assert!(self.has_room(topic), "nothing over quota is accepted");
        self.sightings[topic].seen_new(self.accepted);
        self.progress[topic].accepted += 1;
        self.stats[topic].candidates.accepted += 1;
        self.accepted += 1;
    }

    /// Books a candidate that repeats the record of this ordinal, or something that is no record of the run.
    pub(crate) fn repeated(&mut self, topic: usize, of: Option<u64>) {
        match of {
            Some(ordinal) => self.sightings[topic].seen_again(ordinal),
            None => self.sightings[topic].seen_known(),
        }
        self.reject(topic, Rejection::Duplicate);
    }

    /// Books a rejected candidate.
    pub(crate) fn reject(&mut self, topic: usize, rejection: Rejection) {
        self.stats[topic].candidates.rejected.add(rejection);
    }

    /// Closes a task that was answered, after its candidates were booked. Returns the topic's end, if this is it.
    ///
    /// `miss` is why the answer gave nothing, or `None` where a record was accepted; `fault` is what was wrong
    /// with the answer itself, which may be set beside records that came before a cut.
    pub(crate) fn answered(
        &mut self,
        task: &Task,
        miss: Option<Miss>,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) -> Option<GiveUp> {
        self.close(task, miss, fault, failed_calls);
        let given_up = match miss {
            None => {
                self.hit(task.topic);
                None
            }
            Some(miss) => self.miss(task, miss),
        };
        self.refresh(task.topic);
        given_up
    }

    /// Closes a task whose answer gave nothing, and says more of how it was asked for than of its topic.
    pub(crate) fn excused(
        &mut self,
        task: &Task,
        miss: Miss,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) {
        self.close(task, Some(miss), fault, failed_calls);
        self.stats[task.topic].last_miss = Some(miss);
        self.refresh(task.topic);
    }

    fn close(
        &mut self,
        task: &Task,
        miss: Option<Miss>,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) {
        let stats = &mut self.stats[task.topic];
        stats.answers += 1;
        stats.calls += failed_calls as u64 + 1;
        if let Some(fault) = fault {
            stats.faults.add(fault);
        }
        self.breaker
            .answered(failed_calls, !miss.is_some_and(is_of_no_use));
        self.release(task);
        self.streaks[task.topic].failures = 0;
    }

    /// Closes a task whose call failed for good. Returns the topic's end, if this is it.
    pub(crate) fn failed(&mut self, task: &Task, kind: ErrorKind, calls: usize) -> Option<GiveUp> {
        let stats = &mut self.stats[task.topic];
        stats.failures.add(kind);
        stats.calls += calls as u64;
        let were_paid = matches!(kind, ErrorKind::Malformed | ErrorKind::Empty);
        self.breaker.failed(calls, task.epoch, were_paid);
        self.release(task);
        let given_up = if is_provider_trouble(kind) {
            let streak = &mut self.streaks[task.topic];
            streak.failures += 1;
            let failures = streak.failures;
            self.stats[task.topic].last_miss = Some(Miss::Call(kind));
            (failures >= self.rules.miss_threshold * CALL_PATIENCE)
                .then(|| self.give_up(task.topic, GiveUp::new(failures, Miss::Call(kind))))
                .flatten()
        } else {
            self.miss(task, Miss::Call(kind))
        };
        self.refresh(task.topic);
        given_up
    }

    /// Closes a task that was cancelled before an answer arrived.
    pub(crate) fn cancelled(&mut self, task: &Task) {
        self.stats[task.topic].cancelled += 1;
        self.release(task);
        self.refresh(task.topic);
    }

    /// Returns why no more calls are worth their price, if so.
    pub(crate) fn is_hopeless(&self) -> Option<Opened> {
        self.breaker.is_open()
    }

    /// Forgets failed calls of an earlier process: its outage may be over.
    pub(crate) fn forget_outage(&mut self) {
        self.breaker = Breaker::new(self.rules.breaker_rounds);
    }

    /// Returns whether every record asked for was accepted.
    pub(crate) fn is_complete(&self) -> bool {
        self.accepted == self.quota
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(crate) fn progress(&self) -> &[TopicProgress] {
        &self.progress
    }

    pub(crate) fn stats(&self) -> &[TopicStats] {
        &self.stats
    }

    fn release(&mut self, task: &Task) {
        self.progress[task.topic].in_flight -= task.wanted;
    }

    fn hit(&mut self, topic: usize) {
        let streak = &mut self.streaks[topic];
        streak.earlier_misses += self.progress[topic].misses;
        streak.hits += 1;
        streak.rounds = 0;
        self.progress[topic].misses = 0;
    }

    fn miss(&mut self, task: &Task, miss: Miss) -> Option<GiveUp> {
        let streak = &mut self.streaks[task.topic];
        if task.round == streak.rounds + 1 {
            streak.rounds += 1;
        }
        let progress = &mut self.progress[task.topic];
        progress.misses += 1;
        let (misses, rounds) = (progress.misses, streak.rounds);
        let wanted = progress.quota.saturating_sub(progress.accepted);
        let enough = misses_to_give_up(
            self.rules.miss_threshold,
            streak.hits,
            streak.earlier_misses,
        );
        self.stats[task.topic].last_miss = Some(miss);
        if miss == Miss::Rejected(Rejection::Duplicate)
            && let Some(dry) = self.sightings[task.topic].is_dry(wanted, &Patience::default())
        {
            return self.give_up(task.topic, GiveUp::dry(misses, dry));
        }
        if rounds >= self.rules.miss_threshold && misses >= enough {
            return self.give_up(task.topic, GiveUp::new(misses, miss));
        }
        None
    }

    fn give_up(&mut self, topic: usize, given_up: GiveUp) -> Option<GiveUp> {
        let progress = &mut self.progress[topic];
        if progress.given_up || progress.accepted >= progress.quota {
            return None;
        }
        progress.given_up = true;
        self.stats[topic].given_up = Some(given_up);
        if self.rules.reallocate {
            self.move_quota_away(topic);
        }
        Some(given_up)
    }

    /// Moves what a given-up topic still owes to the topics that go on, evenly and in the order of the plan.
    fn move_quota_away(&mut self, from: usize) {
        let others: Vec<usize> = (0..self.progress.len())
            .filter(|&topic| !self.progress[topic].given_up && self.progress[topic].quota > 0)
            .collect();
        let Some(count) = u64::try_from(others.len()).ok().filter(|&count| count > 0) else {
            return;
        };
        let moved = self.progress[from].quota - self.progress[from].accepted;
        self.progress[from].quota -= moved;
        self.stats[from].moved_away += moved;
        for (&topic, place) in others.iter().zip(0..) {
            let share = moved / count + u64::from(place < moved % count);
            self.progress[topic].quota += share;
            self.stats[topic].moved_in += share;
            self.refresh(topic);
        }
    }

    /// Puts a topic in or out of the open set.
    ///
    /// A topic in doubt, because its last attempts or its very first one gave nothing, is asked one task at a
    /// time: it may be dry, and then everything else in flight for it is lost.
    fn refresh(&mut self, topic: usize) {
        let progress = &self.progress[topic];
        let in_doubt = progress.misses >= self.rules.miss_threshold
            || (progress.misses > 0 && progress.accepted == 0)
            || self.streaks[topic].failures > 0;
        let may_ask = !in_doubt || progress.in_flight == 0;
        self.open.set(topic, progress.open() > 0 && may_ask);
    }
}

/// Whether an answer was paid for nothing that could be read.
fn is_of_no_use(miss: Miss) -> bool {
    use AnswerFault::{Empty, NoRecords, Unreadable};
    matches!(miss, Miss::Answer(Empty | NoRecords | Unreadable))
}

/// Whether a failed call says more about the provider than about what was asked.
fn is_provider_trouble(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RateLimited | ErrorKind::Overloaded | ErrorKind::Timeout | ErrorKind::Network
    )
}

/// Returns how many misses in a row give a topic up: the threshold for one that never gave anything, and more
/// for one that did, so that bad luck alone is rarely enough.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A small positive number, by `min`.
fn misses_to_give_up(threshold: u32, hits: u32, earlier_misses: u32) -> u32 {
    if hits == 0 {
        return threshold;
    }
    let miss_rate =
        (f64::from(earlier_misses) + 1.0) / (f64::from(hits) + f64::from(earlier_misses) + 2.0);
    let improbable = (GIVE_UP_LUCK.ln() / miss_rate.ln()).ceil();
    (improbable.min(f64::from(threshold * PATIENCE)) as u32).max(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::RoundRobin;

    const RULES: LedgerRules = LedgerRules {
        miss_threshold: 3,
        records_per_request: 1,
        breaker_rounds: 3,
        reallocate: false,
        seed: 7,
    };

    const DUPLICATE: Miss = Miss::Rejected(Rejection::Duplicate);

    fn next(ledger: &mut Ledger) -> Option<Task> {
        ledger
            .issue(&mut RoundRobin::default())
            .expect("round robin picks an open topic")
    }

    fn give(ledger: &mut Ledger, task: &Task) {
        ledger.accept(task.topic);
        ledger.answered(task, None, None, 0);
    }

    #[test]
    fn no_more_is_asked_for_than_is_missing() {
        let mut ledger = Ledger::new(&[2, 1], RULES);
        let tasks: Vec<Task> = std::iter::from_fn(|| next(&mut ledger)).collect();
        assert_eq!(tasks.len(), 3);
        for task in &tasks {
            give(&mut ledger, task);
        }
        assert!(ledger.is_complete());
        assert_eq!(next(&mut ledger), None);
    }

    #[test]
    fn a_miss_reopens_its_place() {
        let mut ledger = Ledger::new(&[1], RULES);
        let task = next(&mut ledger).expect("one is open");
        ledger.answered(&task, Some(DUPLICATE), None, 0);
        assert_eq!(next(&mut ledger).map(|task| task.round), Some(2));
    }

    #[test]
    fn a_topic_that_never_gave_anything_is_given_up_at_the_threshold() {
        let mut ledger = Ledger::new(&[50], RULES);
        let mut ends = Vec::new();
        while let Some(task) = next(&mut ledger) {
            ends.push(ledger.answered(&task, Some(DUPLICATE), None, 0));
        }
        assert_eq!(ends.len(), 3);
        assert_eq!(ends[2], Some(GiveUp::new(3, DUPLICATE)));
    }

    #[test]
    fn misses_that_were_in_flight_together_are_one_round() {
        let mut ledger = Ledger::new(&[50], RULES);
        let tasks: Vec<Task> = std::iter::from_fn(|| next(&mut ledger)).take(20).collect();
        for task in &tasks {
            assert_eq!(ledger.answered(task, Some(DUPLICATE), None, 0), None);
        }
        // In doubt now: one at a time.
        let task = next(&mut ledger).expect("still open");
        assert_eq!(next(&mut ledger), None);
        give(&mut ledger, &task);
        assert!(next(&mut ledger).is_some());
    }

    #[test]
    fn a_topic_that_gave_records_before_is_given_more_patience() {
        assert_eq!(misses_to_give_up(3, 0, 0), 3);
        assert_eq!(misses_to_give_up(3, 30, 30), 6);
        assert_eq!(misses_to_give_up(3, 100, 1), 3);
        assert_eq!(misses_to_give_up(3, 10, 1000), 30);
    }

    #[test]
    fn a_given_up_topic_takes_what_was_still_in_flight() {
        let mut ledger = Ledger::new(
            &[10],
            LedgerRules {
                miss_threshold: 1,
                ..RULES
            },
        );
        let first = next(&mut ledger).expect("open");
        let second = next(&mut ledger).expect("open");
        assert!(ledger.answered(&first, Some(DUPLICATE), None, 0).is_some());
        assert!(ledger.has_room(second.topic));
        give(&mut ledger, &second);
        assert_eq!((ledger.accepted(), next(&mut ledger)), (1, None));
    }

    #[test]
    fn what_a_dry_topic_owes_moves_to_the_others() {
        let mut ledger = Ledger::new(
            &[5, 4, 4],
            LedgerRules {
                miss_threshold: 1,
                reallocate: true,
                ..RULES
            },
        );
        let task = Task::replayed(0, 0, 1, 1);
        ledger.book(&task);
        ledger.answered(&task, Some(DUPLICATE), None, 0);
        let quotas: Vec<u64> = ledger.progress().iter().map(|topic| topic.quota).collect();
        assert_eq!(quotas, [0, 7, 6]);
        let mut made = 0;
        while let Some(task) = next(&mut ledger) {
            give(&mut ledger, &task);
            made += 1;
        }
        assert_eq!(made, 13);
        assert!(ledger.is_complete());
    }

    #[test]
    fn failing_calls_are_the_providers_trouble_before_they_are_the_topics() {
        let mut ledger = Ledger::new(&[5], RULES);
        let mut failures = 0;
        while let Some(task) = next(&mut ledger) {
            ledger.failed(&task, ErrorKind::Overloaded, 1);
            failures += 1;
        }
        assert_eq!(failures, 9);
    }

    #[test]
    fn a_policy_that_picks_a_closed_topic_is_an_error() {
        #[derive(Debug)]
        struct Wrong;
        impl SchedulingPolicy for Wrong {
            fn pick(&mut self, topics: &[TopicProgress], _open: &[usize]) -> usize {
                topics.len()
            }
        }
        let error = Ledger::new(&[5], RULES).issue(&mut Wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
    }
}
