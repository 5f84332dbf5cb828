//! Whether a text is in a language.

use std::fmt;
use std::str::FromStr;

use whatlang::{Detector, Info, Lang, Script};

use crate::error::{Error, ErrorKind, Result};

/// A language that can be told from others, by its two letters of ISO 639: `en`, `de`, `zh`.
///
/// ```
/// use topicloom::filter::Language;
///
/// let language: Language = "pt-BR".parse()?;
/// assert_eq!(language.as_str(), "pt");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(Lang);

#[rustfmt::skip] // A table, which fits on a screen in columns.
const CODES: [(&str, Lang); 70] = [
    ("af", Lang::Afr), ("ak", Lang::Aka), ("am", Lang::Amh), ("ar", Lang::Ara), ("az", Lang::Aze), ("be", Lang::Bel),
    ("bg", Lang::Bul), ("bn", Lang::Ben), ("ca", Lang::Cat), ("cs", Lang::Ces), ("cy", Lang::Cym), ("da", Lang::Dan),
    ("de", Lang::Deu), ("el", Lang::Ell), ("en", Lang::Eng), ("eo", Lang::Epo), ("es", Lang::Spa), ("et", Lang::Est),
    ("fa", Lang::Pes), ("fi", Lang::Fin), ("fr", Lang::Fra), ("gu", Lang::Guj), ("he", Lang::Heb), ("hi", Lang::Hin),
    ("hr", Lang::Hrv), ("hu", Lang::Hun), ("hy", Lang::Hye), ("id", Lang::Ind), ("it", Lang::Ita), ("ja", Lang::Jpn),
    ("jv", Lang::Jav), ("ka", Lang::Kat), ("km", Lang::Khm), ("kn", Lang::Kan), ("ko", Lang::Kor), ("la", Lang::Lat),
    ("lt", Lang::Lit), ("lv", Lang::Lav), ("mk", Lang::Mkd), ("ml", Lang::Mal), ("mr", Lang::Mar), ("my", Lang::Mya),
    ("nb", Lang::Nob), ("ne", Lang::Nep), ("nl", Lang::Nld), ("or", Lang::Ori), ("pa", Lang::Pan), ("pl", Lang::Pol),
    ("pt", Lang::Por), ("ro", Lang::Ron), ("ru", Lang::Rus), ("si", Lang::Sin), ("sk", Lang::Slk), ("sl", Lang::Slv),
    ("sn", Lang::Sna), ("sr", Lang::Srp), ("sv", Lang::Swe), ("ta", Lang::Tam), ("te", Lang::Tel), ("th", Lang::Tha),
    ("tk", Lang::Tuk), ("tl", Lang::Tgl), ("tr", Lang::Tur), ("uk", Lang::Ukr), ("ur", Lang::Urd), ("uz", Lang::Uzb),
    ("vi", Lang::Vie), ("yi", Lang::Yid), ("zh", Lang::Cmn), ("zu", Lang::Zul),
];

impl Language {
    /// Returns the codes of all languages that can be told.
    pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
        CODES.iter().map(|(code, _)| *code)
    }

    /// Returns the language that a text is in, where that is sure.
    ///
    /// ```
    /// use topicloom::filter::Language;
    ///
    /// let found = Language::of("Where do the tides of the sea come from, and why are there two a day?");
    /// assert_eq!(found.map(|it| it.as_str()), Some("en"));
    /// assert_eq!(Language::of("x = 1"), None);
    /// ```
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let found = whatlang::detect(&words(text))?;
        found.is_reliable().then(|| Self(found.lang()))
    }

    /// Returns its code.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        let mut codes = CODES.iter();
        codes
            .find(|(_, lang)| *lang == self.0)
            .map_or("", |(code, _)| code)
    }

    /// Returns its English name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.eng_name()
    }

    /// Returns whether a text is certainly in another language; of a few words that cannot be told.
    pub(super) fn excludes(self, text: &str) -> bool {
        /// The letters of a sentence; a character of Japanese says as much as two.
        const ENOUGH: usize = 40;
        let text = words(text);
        let Some(found) = whatlang::detect(&text) else {
            return false;
        };
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        match (self.0, found.lang()) {
            (wanted, found) if wanted == found => false,
            // Japanese has words and headings without kana, and no sentences.
            (Lang::Jpn, Lang::Cmn) => 2 * letters >= ENOUGH,
            // Serbian is written in Latin letters as well, and then looks like Croatian.
            (Lang::Srp, Lang::Hrv) => false,
            (Lang::Cmn, Lang::Jpn) => found.is_reliable(),
            (wanted, other) if found.script().langs().contains(&wanted) => {
                // Two languages that are close to each other are far from a third.
                let of_two = || Detector::with_allowlist(vec![wanted, other]).detect(&text);
                let is_other = |found: Info| found.lang() == other && found.is_reliable();
                found.is_reliable() || (letters >= ENOUGH && of_two().is_some_and(is_other))
            }
            _ => (found.is_reliable() || letters >= ENOUGH) && self.is_foreign(&text, letters),
        }
    }

    /// Returns whether a text is in letters in which this language is not written.
    fn is_foreign(self, text: &str, letters: usize) -> bool {
        let is_own = |script: Script| script.langs().contains(&self.0);
        let own = text.chars().filter(|c| {
            let script = whatlang::detect_script(c.encode_utf8(&mut [0; 4]));
            script.is_some_and(is_own)
        });
        // Terms in Latin letters stand in texts of every language, and may be most of one; it is seldom the other way round.
        let least = if is_own(Script::Latin) {
            letters / 2
        } else {
            letters / 10
        };
        own.count() <= least
    }
}

/// Returns the words of a text, without what is in no language: code, addresses, names with digits.
fn words(text: &str) -> String {
    let outside = text.split('`').step_by(2);
    let words = outside.flat_map(str::split_whitespace);
    let is_word = |word: &&str| !word.contains(['/', '@', '_', '=', '<', '{', '\\']);
    words.filter(is_word).collect::<Vec<_>>().join(" ")
}

impl FromStr for Language {
    type Err = Error;

    /// Reads a code, with a country or without.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] where it is none, or one of a language that cannot be told.
    fn from_str(said: &str) -> Result<Self> {
        let said = said.trim().to_ascii_lowercase();
        let code = said.split(['-', '_']).next().unwrap_or_default();
        // Most who write Norwegian write this one.
        let code = if code == "no" { "nb" } else { code };
        let mut codes = CODES.iter();
        if let Some((_, lang)) = codes.find(|(known, _)| *known == code) {
            return Ok(Self(*lang));
        }
        let mut codes = CODES.iter();
        let named = codes.find(|(_, lang)| lang.eng_name().eq_ignore_ascii_case(&said));
        let advice = match named {
            Some((code, _)) => format!("write `{code}`"),
            None => format!(
                "write one of {}",
                Self::codes().collect::<Vec<_>>().join(", ")
            ),
        };
        let message = format!("is no code of a language that can be told from others; {advice}");
        Err(Error::new(ErrorKind::InvalidInput, message))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts with their languages, written before anything was tried on them.
    const TEXTS: &str = include_str!("../../tests/cases/language/texts.tsv");

    /// Names, code, a word or two, and more than one language at once.
    const HARD: &str = include_str!("../../tests/cases/language/hard.tsv");

    /// More of both, written when the rules stood.
    const FRESH: &str = include_str!("../../tests/cases/language/fresh.tsv");

    fn cases(table: &'static str) -> Vec<(Language, &'static str)> {
        let lines = table.lines().filter_map(|line| line.split_once('\t'));
        lines
            .map(|(code, text)| (code.parse().unwrap(), text))
            .collect()
    }

    fn refused(cases: &[(Language, &'static str)]) -> Vec<&'static str> {
        let refused = cases
            .iter()
            .filter(|(language, text)| language.excludes(text));
        refused.map(|(_, text)| *text).collect()
    }

    #[test]
    fn texts_in_the_language_pass_and_others_mostly_do_not() {
        let texts = cases(TEXTS);
        assert_eq!(refused(&texts), Vec::<&str>::new());
        // Of the second, more is in English than in German; the first is in Italian.
        let hard = [
            "Spaghetti alla carbonara, risotto alla milanese, tiramisù",
            "Hallo Team, das Deployment ist failed, please check the logs.",
        ];
        assert_eq!(refused(&cases(HARD)), hard);
        let fresh = [
            "The café on Rue de Rivoli serves pain au chocolat, croissants and café au lait until noon.",
        ];
        assert_eq!(refused(&cases(FRESH)), fresh);

        let mut languages: Vec<Language> = Vec::new();
        for (language, _) in &texts {
            if !languages.contains(language) {
                languages.push(*language);
            }
        }
        let letters = |language: Language| {
            let mut scripts = Script::all().iter();
            scripts.position(|script| script.langs().contains(&language.0))
        };
        // All in the same letters, and in others: those that are refused, of how many.
        let mut counts = [(0, 0); 2];
        for (language, text) in &texts {
            for wanted in languages.iter().filter(|wanted| *wanted != language) {
                let count = &mut counts[usize::from(letters(*wanted) != letters(*language))];
                count.0 += u32::from(wanted.excludes(text));
                count.1 += 1;
            }
        }
        // As `docs/answers.md` says.
        assert_eq!((texts.len(), languages.len()), (125, 30));
        assert_eq!(counts, [(1221, 1538), (1767, 2087)]);
    }

    #[test]
    fn a_language_is_said_by_its_code() {
        for (said, code) in [
            ("en", "en"),
            ("pt-BR", "pt"),
            ("zh_Hant", "zh"),
            ("NO", "nb"),
        ] {
            assert_eq!(said.parse::<Language>().unwrap().as_str(), code);
        }
        for (said, advice) in [
            ("german", "write `de`"),
            ("xx", "write one of af, ak, am"),
            ("", "write one of"),
        ] {
            let error = said.parse::<Language>().unwrap_err();
            assert!(error.message().contains(advice), "{error}");
        }
        assert!(
            Lang::all()
                .iter()
                .all(|lang| CODES.iter().any(|(_, known)| known == lang))
        );
    }
}
