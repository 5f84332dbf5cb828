//! A word or a sign of a record, as it is compared.

/// A word or a sign of a record, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Detail(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum DetailKind {
    Word,
    /// A number, a sign, code.
    Exact,
    Negation,
    /// A name, or what a number counts: it has to stand in the other record too.
    Name,
}

impl Detail {
    #[allow(clippy::cast_possible_truncation)] // A part of the hash is enough to compare two records.
    pub(super) fn new(word: u64, kind: DetailKind) -> Self {
        // All negations are one: "do not" and "never" turn a statement around alike.
        let word = if kind == DetailKind::Negation {
            0
        } else {
            word as u32
        };
        Self(word << 2 | kind as u32)
    }

    pub(super) fn is(self, kind: DetailKind) -> bool {
        self.0 & 3 == kind as u32
    }

    /// Returns the same without its kind: a name may be in lower case elsewhere.
    pub(super) fn word(self) -> u32 {
        self.0 >> 2
    }
}
