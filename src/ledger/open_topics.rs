//! The set of topics that have something left to ask for.

/// Indices with constant-time insertion, removal and membership, as a slice a policy can pick from.
#[derive(Debug)]
pub(super) struct OpenTopics {
    members: Vec<usize>,
    /// Where each topic stands in `members`.
    places: Vec<Option<usize>>,
}

impl OpenTopics {
    /// Creates the set of these indices below `topics`, in this order.
    pub(super) fn new(topics: usize, members: Vec<usize>) -> Self {
        let mut places = vec![None; topics];
        for (place, &topic) in members.iter().enumerate() {
            places[topic] = Some(place);
        }
        Self { members, places }
    }

    pub(super) fn as_slice(&self) -> &[usize] {
        &self.members
    }

    pub(super) fn contains(&self, topic: usize) -> bool {
        self.places.get(topic).is_some_and(Option::is_some)
    }

    /// Puts a topic in or takes it out.
    pub(super) fn set(&mut self, topic: usize, open: bool) {
        match (open, self.places[topic]) {
            (true, None) => {
                self.places[topic] = Some(self.members.len());
                self.members.push(topic);
            }
            (false, Some(place)) => {
                self.members.swap_remove(place);
                if let Some(&moved) = self.members.get(place) {
                    self.places[moved] = Some(place);
                }
                self.places[topic] = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_would(changes in prop::collection::vec((0..8_usize, any::<bool>()), 0..60)) {
            let mut open = OpenTopics::new(8, vec![3, 1]);
            let mut plain = std::collections::BTreeSet::from([1, 3]);
            for (topic, set) in changes {
                open.set(topic, set);
                if set { plain.insert(topic); } else { plain.remove(&topic); }
                let mut members = open.as_slice().to_vec();
                members.sort_unstable();
                prop_assert_eq!(&members, &plain.iter().copied().collect::<Vec<_>>());
                prop_assert!((0..8).all(|topic| open.contains(topic) == plain.contains(&topic)));
            }
        }
    }
}
