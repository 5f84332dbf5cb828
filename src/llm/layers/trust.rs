//! Tells a refusal that holds from a slip, by what was answered before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// Refusals that hold come at least so often, over at least so long, with no answer between. Slips of gateways come
/// alone, or all together in one moment.
const REFUSALS: u32 = 5;
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// Unreadable answers in a row after which none is asked for again: half of them by chance is one in a million.
const UNREADABLE: u32 = 20;

/// Prompts in a row that do not fit, before any that did: what all of them share is too long already.
const TOO_LONG: u32 = 4;

/// Remembers of one key and model whether they ever answered, and what came since the last answer.
#[derive(Debug, Default)]
pub(super) struct Trust(Mutex<Since>);

#[derive(Debug, Default)]
struct Since {
    answered: bool,
    refusals: u32,
    first_refusal: Option<Instant>,
    unreadable: u32,
    too_long: u32,
}

/// What there is to doubt about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It is what it says.
    None,
    /// It says that key, model or request are wrong, and they are probably not.
    Refusal,
    /// It may pass, but so long a row of answers could not be read that another is not worth its price.
    AllAnswers,
    /// It would be about one prompt, but it comes with each.
    AllPrompts,
}

impl Trust {
    pub(super) fn answered(&self) {
        let answered = Since {
            answered: true,
            ..Since::default()
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answered;
    }

    pub(super) fn failed(&self, error: &Error, now: Instant) -> Doubt {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error.kind() {
            ErrorKind::BadRequest
            | ErrorKind::Auth
            | ErrorKind::UnknownModel
            | ErrorKind::SchemaRefused
                if since.answered && error.is_fatal() =>
            {
                since.refusals += 1;
                let first = *since.first_refusal.get_or_insert(now);
                if since.refusals >= REFUSALS && now.duration_since(first) >= REFUSED_FOR {
                    Doubt::None
                } else {
                    Doubt::Refusal
                }
            }
            ErrorKind::Malformed | ErrorKind::Empty => {
                since.unreadable += 1;
                if since.unreadable >= UNREADABLE {
                    Doubt::AllAnswers
                } else {
                    Doubt::None
                }
            }
            ErrorKind::ContextLength if !since.answered => {
                since.too_long += 1;
                if since.too_long >= TOO_LONG {
                    Doubt::AllPrompts
                } else {
                    Doubt::None
                }
            }
            _ => Doubt::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_answer_every_refusal_holds() {
        let (trust, now) = (Trust::default(), Instant::now());
        for kind in [ErrorKind::Auth, ErrorKind::BadRequest] {
            assert_eq!(trust.failed(&error(kind), now), Doubt::None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_it_a_refusal_holds_when_it_stays() {
        let (trust, now) = (Trust::default(), Instant::now());
        trust.answered();
        // All calls in flight, in one moment.
        for _ in 0..32 {
            assert_eq!(trust.failed(&error(ErrorKind::Auth), now), Doubt::Refusal);
        }
        let later = now + REFUSED_FOR;
        assert_eq!(trust.failed(&error(ErrorKind::Auth), later), Doubt::None);
        trust.answered();
        assert_eq!(trust.failed(&error(ErrorKind::Auth), later), Doubt::Refusal);
    }

    #[tokio::test(start_paused = true)]
    async fn no_credit_is_never_a_slip() {
        let (trust, now) = (Trust::default(), Instant::now());
        trust.answered();
        assert_eq!(trust.failed(&error(ErrorKind::Quota), now), Doubt::None);
    }

    #[tokio::test(start_paused = true)]
    async fn when_none_of_the_first_prompts_fits_no_other_will() {
        let (trust, now) = (Trust::default(), Instant::now());
        let too_long = || error(ErrorKind::ContextLength);
        for _ in 1..TOO_LONG {
            assert_eq!(trust.failed(&too_long(), now), Doubt::None);
        }
        assert_eq!(trust.failed(&too_long(), now), Doubt::AllPrompts);
        trust.answered();
        assert_eq!(trust.failed(&too_long(), now), Doubt::None);
    }

    #[tokio::test(start_paused = true)]
    async fn unreadable_answers_are_not_paid_again_without_end() {
        let (trust, now) = (Trust::default(), Instant::now());
        for _ in 1..UNREADABLE {
            assert_eq!(trust.failed(&error(ErrorKind::Empty), now), Doubt::None);
        }
        let failed = trust.failed(&error(ErrorKind::Malformed), now);
        assert_eq!(failed, Doubt::AllAnswers);
    }
}
