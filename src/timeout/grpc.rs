//! The `grpc-timeout` header.

use std::time::Duration;

use http::HeaderMap;

/// The time a gRPC client gives its call; nothing where it says nothing that can be read.
///
/// A number below 100 million and a unit: `H`, `M`, `S`, `m`, `u` or `n`. The first value counts.
///
/// ```
/// use std::time::Duration;
/// use http::HeaderMap;
/// use tower_mesh::timeout::grpc_timeout;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("grpc-timeout", "250m".parse()?);
/// assert_eq!(grpc_timeout(&headers), Some(Duration::from_millis(250)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[must_use]
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get("grpc-timeout")?.as_bytes().split_last()?;
    // Envoy passes over a sign.
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    // Eight digits of hours are far from the end of what a Duration holds.
    let number = Some(number).filter(|it| *it <= 99_999_999)?;
    let duration = match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    };
    Some(duration)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::grpc_timeout;

    #[track_caller]
    fn check(value: &[u8], want: &str) {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value).expect("a header's bytes");
        headers.insert("grpc-timeout", value);
        let got = grpc_timeout(&headers).map_or("none".into(), |it| format!("{it:?}"));
        assert_eq!(got, want);
    }

    #[test]
    fn reads_every_unit_and_ignores_junk() {
        check(b"1H", "3600s");
        check(b"2M", "120s");
        check(b"3S", "3s");
        check(b"4m", "4ms");
        check(b"5u", "5µs");
        check(b"6n", "6ns");
        check(b"0S", "0ns");
        check(b"+7S", "7s");
        check(b"0000000005S", "5s");
        check(b"99999999H", "359999996400s");
        for junk in [
            "",
            "1",
            "S",
            "100000000S",
            "1s",
            "-1S",
            "++1S",
            "+S",
            "1.5S",
            "1 S",
            " 1S",
            "1Sx",
        ] {
            check(junk.as_bytes(), "none");
        }
        check(b"\xff", "none");
        check(b"\xffS", "none");
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }
}
