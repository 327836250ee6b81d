//! Bytes written `%XX`: in names on disk, in addresses, in what stands in headers and forms.

/// The text with `%XX` for all bytes but ASCII letters, digits and those in `kept`.
///
/// ```
/// assert_eq!(mix_file_path::percent::encode("a b/ü.txt", b"-._~/"), "a%20b/%C3%BC.txt");
/// ```
pub fn encode(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The bytes of an encoded text; none if a `%` is not followed by two hexadecimal digits.
///
/// ```
/// assert_eq!(mix_file_path::percent::decode("a%20b").as_deref(), Some(&b"a b"[..]));
/// assert_eq!(mix_file_path::percent::decode("50%"), None);
/// ```
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    // A hexadecimal digit fits a byte.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_two_digits_are_an_escape() {
        for broken in ["%", "%4", "%zz", "%4z", "%+1", "%%41", "%é"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
        assert_eq!(decode("%4a%4A").as_deref(), Some(&b"JJ"[..]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in ".*", kept in "[ -$&-~]*") {
            let encoded = encode(&text, kept.as_bytes());
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Some(text.into_bytes()));
        }
    }
}
