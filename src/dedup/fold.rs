//! What every comparison of texts ignores: letter case and invisible characters.

/// Folds case by way of upper case, which brings ß to ss and the final sigma to sigma.
pub(super) fn fold_case(c: char) -> impl Iterator<Item = char> {
    // A dotless i is another letter in Turkish, though its upper case is that of i.
    let upper = (c != 'ı').then(|| c.to_uppercase());
    let kept = upper.is_none().then_some(c);
    upper
        .into_iter()
        .flatten()
        .flat_map(char::to_lowercase)
        .chain(kept)
}

/// Returns whether a character is neither seen nor meant: soft hyphens, joiners, direction marks, variation
/// selectors, byte order marks.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}
