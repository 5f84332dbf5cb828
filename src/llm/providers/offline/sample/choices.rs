//! Which branch was taken at each fork, so that all of them are tried in turn.

/// The branches taken for one value, counted through like the digits of a number.
#[derive(Debug, Default)]
pub(super) struct Choices {
    forks: Vec<Fork>,
    at: usize,
}

#[derive(Debug)]
struct Fork {
    /// The branch tried first.
    first: usize,
    /// How many branches further we are now.
    step: usize,
    branches: usize,
}

impl Choices {
    /// Goes back to the first fork, to take the same branches again.
    pub(super) fn restart(&mut self) {
        self.at = 0;
    }

    /// Returns the branch to take at the next fork. `first` is asked once, when the fork is new.
    pub(super) fn choose(&mut self, branches: usize, first: impl FnOnce() -> usize) -> usize {
        if self.at == self.forks.len() {
            self.forks.push(Fork {
                first: first(),
                step: 0,
                branches,
            });
        }
        let fork = &self.forks[self.at];
        self.at += 1;
        (fork.first + fork.step) % branches
    }

    /// Takes another branch at the last fork that has one left; returns whether there was any.
    pub(super) fn advance(&mut self) -> bool {
        self.forks.truncate(self.at);
        while let Some(fork) = self.forks.last_mut() {
            fork.step += 1;
            if fork.step < fork.branches {
                return true;
            }
            self.forks.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_tried_once() {
        let mut choices = Choices::default();
        let mut seen = Vec::new();
        loop {
            choices.restart();
            let outer = choices.choose(3, || 1);
            // Only one branch of the outer fork has a fork inside.
            let inner = (outer == 2).then(|| choices.choose(2, || 0));
            seen.push((outer, inner));
            if !choices.advance() {
                break;
            }
        }
        assert_eq!(seen, [(1, None), (2, Some(0)), (2, Some(1)), (0, None)]);
    }
}
