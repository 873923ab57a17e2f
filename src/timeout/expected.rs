//! The time an endpoint is told it has.

use std::time::Duration;

use http::HeaderValue;

/// How long an endpoint has for one try, in milliseconds; nothing where there is no limit.
///
/// `whole` is the time for the request with all its tries, of which `elapsed` is gone; `per_try`
/// the time for one, which says nothing where it is not shorter. Where all is gone it is one
/// millisecond, for none would mean no limit.
pub(crate) fn expected_millis(
    whole: Option<Duration>,
    per_try: Option<Duration>,
    elapsed: Duration,
) -> Option<u64> {
    let per_try = per_try.filter(|it| whole.is_none_or(|whole| *it < whole));
    let limit = millis(per_try.or(whole)?);
    let Some(whole) = whole else {
        return Some(limit);
    };
    match millis(whole).saturating_sub(millis(elapsed)) {
        0 => Some(1),
        left => Some(limit.min(left)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The `grpc-timeout` that says so: at most eight digits, in the finest unit that has room.
pub(crate) fn to_grpc_timeout(millis: u64) -> HeaderValue {
    const MOST: u64 = 99_999_999;
    let mut units = [(1000, 'S'), (60, 'M'), (60, 'H')].into_iter();
    let (mut time, mut unit) = (millis, 'm');
    while time > MOST {
        match units.next() {
            Some((factor, next)) => (time, unit) = (time / factor, next),
            None => time = MOST,
        }
    }
    let text = format!("{time}{unit}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("99999999H"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{expected_millis, to_grpc_timeout};

    #[track_caller]
    fn check(whole: u64, per_try: u64, elapsed: u64, want: Option<u64>) {
        let limit = |millis| (millis > 0).then(|| Duration::from_millis(millis));
        let elapsed = Duration::from_millis(elapsed);
        let got = expected_millis(limit(whole), limit(per_try), elapsed);
        assert_eq!(got, want, "{whole} {per_try} {elapsed:?}");
    }

    #[test]
    fn the_shorter_of_a_tries_time_and_what_is_left_of_the_whole() {
        check(0, 0, 7, None);
        check(300, 0, 0, Some(300));
        check(300, 0, 299, Some(1));
        check(300, 0, 300, Some(1));
        check(300, 0, 900, Some(1));
        check(0, 50, 900, Some(50));
        check(300, 50, 0, Some(50));
        check(300, 50, 270, Some(30));
        // A time for a try that is not shorter says nothing.
        check(300, 300, 100, Some(200));
        check(300, 900, 0, Some(300));
    }

    #[test]
    fn a_grpc_timeout_has_eight_digits_at_most() {
        for (millis, want) in [
            (1, "1m"),
            (99_999_999, "99999999m"),
            (100_000_999, "100000S"),
            (99_999_999_999, "99999999S"),
            (100_000_000_000, "1666666M"),
            (359_999_996_400_000, "99999999H"),
            (u64::MAX, "99999999H"),
        ] {
            let got = to_grpc_timeout(millis);
            assert_eq!(got, want, "{millis}");
        }
    }
}
