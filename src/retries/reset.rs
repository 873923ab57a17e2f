//! Headers of a response that say how long to wait before the next try.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};

use crate::rt::WallClock;

/// Which headers of responses make the wait for the next try longer, beyond Istio.
///
/// A response that is tried again and says so in one of them is tried again after what it says and
/// up to half as much again; any other by the usual waits. The first header counts that says more
/// than a millisecond and no more than the longest wait.
///
/// Source: Envoy's `rate_limited_retry_back_off`, which Istio never writes: by the Rust API only.
///
/// ```
/// use tower_mesh::retries::{ResetHeader, ResetHeaders, RetryOn, RetryPolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let headers = ResetHeaders::new([ResetHeader::seconds("retry-after".parse()?)]);
/// let policy = RetryPolicy::new(2, RetryOn::parse("503,429")?).reset_headers(headers);
/// # drop(policy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResetHeaders {
    headers: Vec<ResetHeader>,
    longest: Duration,
}

/// A header that says how long to wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResetHeader {
    name: HeaderName,
    is_time: bool,
}

impl ResetHeader {
    /// One that says how many seconds, as `retry-after` does; a date in it says nothing.
    #[must_use]
    pub const fn seconds(name: HeaderName) -> Self {
        let is_time = false;
        Self { name, is_time }
    }

    /// One that says when, in seconds since 1970.
    #[must_use]
    pub const fn unix_timestamp(name: HeaderName) -> Self {
        let is_time = true;
        Self { name, is_time }
    }

    fn says(&self, headers: &HeaderMap) -> Option<Duration> {
        let says = headers.get(&self.name)?.to_str().ok()?;
        let says = Duration::from_secs(says.trim().parse().ok()?);
        match self.is_time {
            false => Some(says),
            true => says.checked_sub(
                WallClock::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .ok()?,
            ),
        }
    }
}

impl ResetHeaders {
    /// These headers, in the order they are asked, with at most 300 s.
    #[must_use]
    pub fn new(headers: impl IntoIterator<Item = ResetHeader>) -> Self {
        Self {
            headers: headers.into_iter().collect(),
            longest: Duration::from_secs(300),
        }
    }

    /// The same with another longest wait; a header that says more says nothing.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// How long to wait after a response with these headers, where one of them says so.
    pub(super) fn wait(&self, headers: &HeaderMap, roll: u64) -> Option<Duration> {
        let says = self.headers.iter().filter_map(|it| it.says(headers));
        let mut said = says.filter(|it| *it > Duration::from_millis(1) && *it <= self.longest);
        let said = said.next()?;
        // The upper half of a roll as a share of one half.
        let share = (roll >> 32) as f64 / f64::from(u32::MAX) / 2.0;
        Some(said.saturating_add(said.mul_f64(share)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderName};

    use super::{ResetHeader, ResetHeaders};
    use crate::rt::WallClock;

    const AFTER: HeaderName = http::header::RETRY_AFTER;
    const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

    /// The least and the most that is waited, in seconds.
    fn wait(reset: &ResetHeaders, headers: &[(HeaderName, String)]) -> Option<(u64, u64)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name, value.parse().expect("valid"));
        }
        let wait = |roll| {
            reset
                .wait(&map, roll)
                .map(|it| it.as_secs_f64().round() as u64)
        };
        Some((wait(0)?, wait(u64::MAX)?))
    }

    #[test]
    fn what_a_response_says_is_waited_and_up_to_half_as_much_more() {
        let reset = ResetHeaders::new([ResetHeader::seconds(AFTER)]);
        let says = |text: &str| wait(&reset, &[(AFTER, text.to_owned())]);
        assert_eq!(says("10"), Some((10, 15)));
        assert_eq!(says("300"), Some((300, 450)));
        for nothing in [
            "301",
            "0",
            "-1",
            "soon",
            "Fri, 27 Nov 2026 04:00:00 GMT",
            "",
        ] {
            assert_eq!(says(nothing), None, "{nothing}");
        }
        assert_eq!(wait(&reset, &[]), None);
        let longer = reset.longest(Duration::from_secs(1000));
        assert_eq!(
            wait(&longer, &[(AFTER, "301".to_owned())]),
            Some((301, 452))
        );
    }

    #[test]
    fn the_first_header_that_says_something_counts() {
        let reset = [
            ResetHeader::unix_timestamp(RESET),
            ResetHeader::seconds(AFTER),
        ];
        let reset = ResetHeaders::new(reset);
        let now = WallClock::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        let after = (AFTER, "10".to_owned());
        let at = |at: u64| (RESET, at.to_string());
        let (least, most) = wait(&reset, &[at(now + 101), after.clone()]).expect("said");
        assert!((100..=101).contains(&least) && (150..=152).contains(&most));
        assert_eq!(wait(&reset, &[at(now - 5), after.clone()]), Some((10, 15)));
        assert_eq!(wait(&reset, &[at(now + 5000), after]), Some((10, 15)));
    }
}
