//! Base64 as protobuf's JSON form has it: either alphabet, padded or not.

/// The bytes that `text` stands for; nothing where it is not base64.
///
/// A text with `-` or `_` is in the URL alphabet. It is padded if its length, line breaks
/// included, is a multiple of four. Line breaks mean nothing.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let (plus, slash) = match text.contains(['-', '_']) {
        true => (b'-', b'_'),
        false => (b'+', b'/'),
    };
    let digits: Vec<u8> = text.bytes().filter(|it| !b"\r\n".contains(it)).collect();
    let mut digits = digits.as_slice();
    if text.len().is_multiple_of(4) {
        if !digits.len().is_multiple_of(4) {
            return None;
        }
        digits = digits.strip_suffix(b"=").unwrap_or(digits);
        digits = digits.strip_suffix(b"=").unwrap_or(digits);
    }
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            _ if digit == plus => 62,
            _ if digit == slash => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[track_caller]
    fn check(text: &str, want: Option<&[u8]>) {
        assert_eq!(decode(text).as_deref(), want, "{text:?}");
    }

    #[test]
    fn reads_what_protobuf_reads() {
        check("", Some(b""));
        check("aGVsbG8=", Some(b"hello"));
        check("aGVsbG8", Some(b"hello"));
        check("aGVsbG8h", Some(b"hello!"));
        check("aA==", Some(b"h"));
        check("aA", Some(b"h"));
        check("/+8=", Some(&[0xff, 0xef]));
        check("_-8=", Some(&[0xff, 0xef]));
        check("_-8", Some(&[0xff, 0xef]));
        check("aGVs\nbG8h\r\n\n", Some(b"hello!"));
    }

    #[test]
    fn refuses_what_is_not_base64() {
        for text in [
            "a",
            "aGVsb",
            "=",
            "====",
            "a===",
            "aA=",
            "aA=A",
            "aGVsbG8=\n",
            "aGVsbG8=aGVsbG8=",
            "+-8=",
            "/_8=",
            "a b=",
            "aä==",
            "hello, world",
        ] {
            check(text, None);
        }
    }
}
