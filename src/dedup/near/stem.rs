//! Takes the endings off English words.

/// Returns the stem of a lower-case word, written into `buffer`.
///
/// Only inflection is taken off (plurals, tenses, adverbs), with British spelling brought to American and a
/// few safe derivations (`-ion` to its verb). A stem is not a word, it is what the forms of a word share. Short
/// words, words with digits and words beyond ASCII are left as they are.
pub(super) fn stem<'a>(word: &str, buffer: &'a mut String) -> &'a str {
    buffer.clear();
    buffer.push_str(word);
    if word.len() > 3 && word.bytes().all(|b| b.is_ascii_lowercase()) {
        plural(buffer);
        tense(buffer);
        derived(buffer);
        spelling(buffer);
        finish(buffer);
    }
    buffer
}

fn cut(word: &mut String, letters: usize) {
    word.truncate(word.len() - letters);
}

fn plural(word: &mut String) {
    if word.ends_with("sses") {
        cut(word, 2);
    } else if word.ends_with("sis") && word.len() > 4 {
        // analysis, analyses; hypothesis, hypotheses.
        cut(word, 2);
    } else if word.ends_with("ies") && word.len() > 4 {
        cut(word, 3);
        word.push('y');
    } else if ["xes", "ches", "shes", "zes", "oes"]
        .iter()
        .any(|end| word.ends_with(end))
    {
        cut(word, 2);
    } else if word.ends_with('s')
        && !["ss", "us", "is", "ics"]
            .iter()
            .any(|end| word.ends_with(end))
    {
        cut(word, 1);
    }
}

fn tense(word: &mut String) {
    let ending = if word.ends_with("ied") && word.len() > 4 {
        cut(word, 3);
        word.push('y');
        return;
    } else if word.ends_with("ing") {
        3
    } else if word.ends_with("ed") && !word.ends_with("eed") {
        2
    } else {
        return;
    };
    let stem = &word[..word.len() - ending];
    if stem.len() >= 2 && has_vowel(stem) {
        cut(word, ending);
        undouble(word);
    }
}

fn derived(word: &mut String) {
    if word.ends_with("ly") && word.len() > 5 {
        cut(word, 2);
    }
    if word.ends_with("isation") || word.ends_with("ization") {
        cut(word, "ation".len());
    } else if (word.ends_with("tion") || word.ends_with("sion")) && word.len() > 7 {
        cut(word, "ion".len());
    }
}

/// Brings British spelling to American, as far as endings and vowels tell it.
fn spelling(word: &mut String) {
    if word.len() < 6 {
        return;
    }
    let ends = [
        ("our", "or"),
        ("iser", "izer"),
        ("fence", "fense"),
        ("ogue", "og"),
        ("gramme", "gram"),
        ("llment", "lment"),
    ];
    if let Some((british, american)) = ends.iter().find(|(end, _)| word.ends_with(end)) {
        cut(word, british.len());
        word.push_str(american);
    }
    if let Some(at) = word.find("ae") {
        // Anaemia, paediatric.
        word.remove(at);
    } else if word.starts_with("oe") {
        // Oedema, oestrogen.
        word.remove(0);
    }
}

fn finish(word: &mut String) {
    if word.ends_with('e') && word.len() > 2 {
        cut(word, 1);
    }
    let british = word.ends_with("is") && word.len() > 5;
    if british || word.ends_with("ys") && word.len() > 4 {
        cut(word, 1);
        word.push('z');
    }
    if word.ends_with("ll") {
        cut(word, 1);
    }
}

fn has_vowel(text: &str) -> bool {
    text.bytes().any(|b| b"aeiouy".contains(&b))
}

/// Takes off the letter an ending doubled: `planned`, `running`.
fn undouble(word: &mut String) {
    let bytes = word.as_bytes();
    if let [.., before, last] = bytes
        && before == last
        && b"bdgmnprt".contains(last)
        && bytes.len() > 3
    {
        cut(word, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(words: &[&str]) {
        let mut buffer = String::new();
        let first = stem(words[0], &mut buffer).to_owned();
        for word in words {
            assert_eq!(stem(word, &mut buffer), first, "{word}");
        }
    }

    #[test]
    fn the_forms_of_a_word_share_a_stem() {
        same(&["train", "trains", "trained", "training"]);
        same(&["study", "studies", "studied", "studying"]);
        same(&["cache", "caches", "cached", "caching"]);
        same(&["plan", "plans", "planned", "planning"]);
        same(&["control", "controls", "controlled", "controlling"]);
        same(&[
            "optimize",
            "optimise",
            "optimized",
            "optimising",
            "optimization",
            "optimisation",
        ]);
        same(&["analysis", "analyses", "analyze", "analyse", "analyzing"]);
        same(&["virus", "viruses"]);
        same(&["class", "classes"]);
        same(&["predict", "prediction", "predictions", "predicting"]);
        same(&["quick", "quickly"]);
    }

    #[test]
    fn different_words_keep_different_stems() {
        let mut buffer = String::new();
        let words = [
            "string",
            "strong",
            "station",
            "state",
            "general",
            "generate",
            "universe",
            "university",
            "policy",
            "police",
            "mitosis",
            "meiosis",
            "nation",
            "nature",
            "proton",
            "protein",
            "thing",
            "think",
            "need",
            "seed",
            "carbon",
            "carbonate",
            "nitrate",
            "nitrite",
            "import",
            "important",
            "organ",
            "organic",
            "economy",
            "economics",
        ];
        let mut stems: Vec<String> = words
            .iter()
            .map(|w| stem(w, &mut buffer).to_owned())
            .collect();
        stems.sort_unstable();
        stems.dedup();
        assert_eq!(stems.len(), words.len());
    }
}
