//! What a server said, for the user's own terminal: without keys.

use reqwest::header::HeaderMap;

use super::Endpoint;

/// Pieces of a secret shorter than this are in every text.
const PIECE: usize = 8;

/// More than this of an answer helps nobody on a terminal.
const MOST: usize = 2_000;

/// Returns what a request holds that must not come back: the values of secret headers, and what is private in a URL.
pub(super) fn secrets(endpoint: &Endpoint, headers: &HeaderMap) -> Vec<String> {
    let url = endpoint.url();
    let headers = headers.values().filter(|value| value.is_sensitive());
    let headers = headers.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    headers
        .flat_map(str::split_whitespace)
        .chain(url.password())
        .chain(Some(url.username()))
        .map(str::to_owned)
        .chain(query)
        .filter(|secret| secret.len() >= PIECE)
        .collect()
}

/// Returns a body as text, with every word struck out that has a piece of a secret in it.
pub(super) fn without(secrets: &[String], body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MOST)]);
    let is_part = |letter: char| letter.is_alphanumeric() || "_-.+/=".contains(letter);
    let mut told = String::new();
    for piece in text.split_inclusive(|letter| !is_part(letter)) {
        let word = piece.trim_end_matches(|letter| !is_part(letter));
        if secrets.iter().any(|secret| shares_a_piece(secret, word)) {
            told.push_str("***");
            told.push_str(&piece[word.len()..]);
        } else {
            told.push_str(piece);
        }
    }
    let mut letters = told.trim().chars();
    let shown: String = letters
        .by_ref()
        .take(MOST)
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect();
    if letters.next().is_some() {
        shown + " ..."
    } else {
        shown
    }
}

fn shares_a_piece(secret: &str, word: &str) -> bool {
    word.len() >= PIECE
        && secret
            .as_bytes()
            .windows(PIECE)
            .any(|piece| word.as_bytes().windows(PIECE).any(|other| other == piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_struck_out_whole_and_in_part() {
        let secrets = ["sk-proj-abcdefghij".to_owned()];
        let body = br#"{"error": "wrong key sk-proj-abcdefghij or ...sk-proj-abcd, see docs"}"#;
        let said = without(&secrets, body);
        assert_eq!(said, r#"{"error": "wrong key *** or ***, see docs"}"#);
    }

    #[test]
    fn what_a_terminal_would_obey_and_what_nobody_reads_is_left_out() {
        assert_eq!(without(&[], b"\x1b[2Jred"), "\u{fffd}[2Jred");
        assert_eq!(without(&[], &[b'a'; 9_000]).len(), MOST + 4);
    }

    #[test]
    fn secrets_are_found_in_headers_and_in_the_url() {
        let mut key = reqwest::header::HeaderValue::from_static("Bearer sk-123456789");
        key.set_sensitive(true);
        let headers = [(reqwest::header::AUTHORIZATION, key)]
            .into_iter()
            .collect();
        let url = Endpoint::parse("https://someone:password1@host/v1?key=querysecret").unwrap();
        let found = secrets(&url, &headers);
        assert_eq!(found, ["sk-123456789", "password1", "querysecret"]);
    }
}
