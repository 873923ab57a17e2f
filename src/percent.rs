//! A share of requests, as Istio's `Percent`: exact to a ten-thousandth of a percent.

/// A share of requests, from none to all.
///
/// It is checked once, when it is made. `Percent::default()` is none. Source: Istio's `Percent`, which
/// Envoy gets as a fraction of a million.
///
/// ```
/// use tower_mesh::percent::Percent;
///
/// let tenth = Percent::from_percentage(10.0)?;
/// assert!(tenth.covers(99_999) && !tenth.covers(100_000));
/// assert!(Percent::from_percentage(100.1).is_err());
/// # Ok::<(), tower_mesh::percent::InvalidPercent>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Percent {
    /// At most `MILLION`.
    per_million: u32,
}

const MILLION: u32 = 1_000_000;

/// A number that is not a share of requests.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("percentage {0} is neither 0.0, nor in range [0.0001, 100.0]")]
pub struct InvalidPercent(f64);

impl Percent {
    /// A share from Istio's `Percent.value`: 0, or from 0.0001 to 100.
    ///
    /// What is below a ten-thousandth is cut, as Istio does.
    ///
    /// # Errors
    ///
    /// For any other number.
    pub fn from_percentage(value: f64) -> Result<Self, InvalidPercent> {
        if value != 0.0 && !(0.0001..=100.0).contains(&value) {
            return Err(InvalidPercent(value));
        }
        Ok(Self {
            per_million: (value * 10_000.0) as u32,
        })
    }

    /// A share from a deprecated field in whole percents; more than 100 means all, as it does to Envoy.
    #[must_use]
    pub const fn from_whole(percent: u32) -> Self {
        let percent = if percent < 100 { percent } else { 100 };
        Self {
            per_million: percent * (MILLION / 100),
        }
    }

    /// Whether a random number falls inside the share.
    #[must_use]
    pub const fn covers(self, roll: u64) -> bool {
        roll % (MILLION as u64) < self.per_million as u64
    }

    /// The share in percent, as Istio's `Percent.value`.
    #[must_use]
    pub fn as_percentage(self) -> f64 {
        f64::from(self.per_million) / 10_000.0
    }

    /// Whether the share is none at all.
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.per_million == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    /// How many of the million numbers there are fall inside, or why there is no such share.
    #[track_caller]
    fn check(value: f64, want: &str) {
        let got = match Percent::from_percentage(value) {
            Ok(share) => (0..1_000_000)
                .filter(|roll| share.covers(*roll))
                .count()
                .to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want, "{value}");
    }

    #[test]
    fn reads_what_istio_reads_and_cuts_what_it_cuts() {
        check(0.0, "0");
        check(-0.0, "0");
        check(0.0001, "1");
        check(0.00019, "1");
        // 0.0003 × 10000 is a hair below 3.
        check(0.0003, "2");
        check(10.0, "100000");
        check(33.3333, "333333");
        check(100.0, "1000000");
    }

    #[test]
    fn refuses_what_is_no_share_in_istios_words() {
        let rule = "is neither 0.0, nor in range [0.0001, 100.0]";
        for value in [
            -1.0,
            100.0001,
            0.00005,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            check(value, &format!("percentage {value} {rule}"));
        }
    }

    #[test]
    fn whole_percents_beyond_a_hundred_mean_always() {
        let share = |percent| Percent::from_whole(percent);
        assert!(share(0).is_never());
        assert!(share(1).covers(9_999) && !share(1).covers(10_000));
        assert_eq!(share(100), share(u32::MAX));
        assert!(share(100).covers(u64::MAX));
    }

    #[test]
    fn any_roll_counts_by_its_remainder() {
        let half = Percent::from_whole(50);
        assert!(half.covers(7_000_000_499_999) && !half.covers(7_000_000_500_000));
    }
}
