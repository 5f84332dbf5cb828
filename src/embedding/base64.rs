//! Bytes as text for storage, four characters for three bytes: the alphabet of RFC 4648, without padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: impl Iterator<Item = u8>) -> String {
    let mut text = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    let digit = |six: u32| char::from(ALPHABET[(six & 63) as usize]);
    for byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            text.push(digit(held >> bits));
        }
    }
    if bits > 0 {
        text.push(digit(held << (6 - bits)));
    }
    text
}

/// Returns the bytes; `None` where the text is none of [`encode`]'s.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0);
    for digit in text.bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 255) as u8);
        }
    }
    // Six bits left over are no byte, and what fills up the last character is zero.
    (bits < 6 && held & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_usual_alphabet() {
        // The examples of RFC 4648, section 10, and the last two characters.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff", "+/8"),
        ] {
            assert_eq!(encode(bytes.iter().copied()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        for wrong in ["Z", "Zh", "Zg==", "Z g", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(0..=u8::MAX, 0..100)) {
            proptest::prop_assert_eq!(decode(&encode(bytes.iter().copied())), Some(bytes));
        }
    }
}
