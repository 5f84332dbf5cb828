//! How often each variant of an enum occurred. A new variant needs its name and nothing else to be counted and reported.

use std::fmt;
use std::ops::Index;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Whether serde leaves out a count.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// An enum whose variants are counted; made by `counted!`.
pub trait Counted: Copy + 'static {
    /// One number for each variant.
    type Table: Copy + AsRef<[u64]> + AsMut<[u64]> + PartialEq + Eq;
    /// All zeros.
    const ZERO: Self::Table;
    /// Every variant, in the order of declaration.
    const VARIANTS: &'static [Self];
    /// Returns the variant's place in the order of declaration.
    fn index(self) -> usize;
    /// Returns the name used in reports and logs.
    fn name(self) -> &'static str;
}

/// How often each variant of an enum occurred.
///
/// Serialises as a map from name to count that leaves out what did not occur.
///
/// ```
/// use topicloom::report::Rejection;
/// use topicloom::report::Counts;
///
/// let mut counts = Counts::default();
/// counts.add(Rejection::Duplicate);
/// counts.add(Rejection::Duplicate);
/// assert_eq!(counts[Rejection::Duplicate], 2);
/// assert_eq!(counts.total(), 2);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counts<K: Counted>(K::Table);

impl<K: Counted> Counts<K> {
    /// Counts one more of a variant.
    pub fn add(&mut self, variant: K) {
        self.add_many(variant, 1);
    }

    fn add_many(&mut self, variant: K, count: u64) {
        let counted = &mut self.0.as_mut()[variant.index()];
        *counted = counted.saturating_add(count);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        other
            .iter()
            .for_each(|(variant, count)| self.add_many(variant, count));
    }

    /// Returns how many there were of any variant.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.as_ref().iter().sum()
    }

    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Iterates over what occurred, with its count, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        self.all().filter(|(_, count)| *count > 0)
    }

    /// As [`iter`](Self::iter), with what did not occur.
    pub(crate) fn all(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        K::VARIANTS
            .iter()
            .copied()
            .zip(self.0.as_ref().iter().copied())
    }
}

impl<K: Counted> Default for Counts<K> {
    fn default() -> Self {
        Self(K::ZERO)
    }
}

impl<K: Counted> Index<K> for Counts<K> {
    type Output = u64;

    fn index(&self, variant: K) -> &u64 {
        &self.0.as_ref()[variant.index()]
    }
}

impl<K: Counted> fmt::Debug for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(variant, count)| (variant.name(), count));
        f.debug_map().entries(entries).finish()
    }
}

impl<K: Counted> Serialize for Counts<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (variant, count) in self.iter() {
            map.serialize_entry(variant.name(), &count)?;
        }
        map.end()
    }
}

/// Declares an enum whose variants are counted: each once, with its documentation and the name it has in reports.
macro_rules! counted {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])+ $variant:ident => $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// Returns the name used in reports and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl $crate::counts::Counted for $name {
            type Table = [u64; Self::ALL.len()];
            const ZERO: Self::Table = [0; Self::ALL.len()];
            const VARIANTS: &'static [Self] = &Self::ALL;

            fn index(self) -> usize {
                self as usize
            }

            fn name(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use counted;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn counts_are_told_by_name_and_only_where_there_are_any() {
        let mut counts = Counts::default();
        assert!(counts.is_empty());
        (0..2).for_each(|_| counts.add(ErrorKind::Timeout));
        let mut more = counts;
        more.add(ErrorKind::Plugin);
        counts.merge(&more);
        let json = serde_json::to_value(counts).expect("it is JSON");
        assert_eq!(json, serde_json::json!({"timeout": 4, "plugin": 1}));
        assert_eq!((counts.total(), counts[ErrorKind::Auth]), (5, 0));
    }
}
