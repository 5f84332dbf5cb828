//! The encodings in which people have input files.

use std::borrow::Cow;

/// Returns the bytes of a text as UTF-8 without a byte order mark, be it UTF-8 or UTF-16. What is neither stays as it is.
pub(super) fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let decode = |body: &[u8], read: fn([u8; 2]) -> u16| {
        let units = body.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        let text: String = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Cow::Owned(text.into_bytes())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, body @ ..] => Cow::Borrowed(body),
        [0xff, 0xfe, body @ ..] => decode(body, u16::from_le_bytes),
        [0xfe, 0xff, body @ ..] => decode(body, u16::from_be_bytes),
        // The first character of an input is ASCII.
        [first, 0, _, 0, ..] if *first != 0 => decode(bytes, u16::from_le_bytes),
        [0, first, 0, _, ..] if *first != 0 => decode(bytes, u16::from_be_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::to_utf8;

    #[test]
    fn a_mark_is_taken_off_and_utf_16_is_decoded() {
        let text = "{\"é\": \"字🚀\"}";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
            [&[0xff, 0xfe], &le[..]].concat(),
            [&[0xfe, 0xff], &be[..]].concat(),
            le,
            be,
        ] {
            assert_eq!(&*to_utf8(&bytes), text.as_bytes());
        }
        assert!(to_utf8(&[]).is_empty());
    }
}
