//! Who does worse than the others, or fails too often, by the answers of one interval.

use super::policy::OutlierDetectionPolicy;

/// The answers of one endpoint in an interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Volume {
    pub(super) place: usize,
    pub(super) all: u32,
    pub(super) good: u32,
}

impl Volume {
    /// In percent.
    fn rate(&self) -> f64 {
        100.0 * f64::from(self.good) / f64::from(self.all)
    }
}

/// How well endpoints did on the whole, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateStatus {
    /// The mean of their shares of good answers.
    pub mean: f64,
    /// Below this an endpoint is ejected.
    pub threshold: f64,
}

/// What comes of an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judgement {
    /// The endpoints to be ejected, as far as may be: those that do worse than others first.
    pub(super) out: Vec<usize>,
    /// The share of each that had enough answers.
    pub(super) rates: Vec<(usize, f64)>,
    pub(super) status: Option<RateStatus>,
}

/// Judges those that were in; who had no answer at all does not count.
pub(super) fn judge(policy: &OutlierDetectionPolicy, seen: &[Volume]) -> Judgement {
    let with = |volume: u32| {
        let enough = move |it: &&Volume| it.all > 0 && it.all >= volume;
        seen.iter().filter(enough).map(|it| (it.place, it.rate()))
    };
    let mut judgement = Judgement::default();
    if let Some(wanted) = policy.success_rate {
        let valid: Vec<(usize, f64)> = with(wanted.request_volume).collect();
        if !valid.is_empty() && valid.len() >= wanted.minimum_hosts {
            let count = valid.len() as f64;
            let mean = valid.iter().map(|(_, rate)| rate).sum::<f64>() / count;
            let squares = valid.iter().map(|(_, rate)| (rate - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            let threshold = mean - wanted.stdev_factor * deviation;
            let worse = valid.iter().filter(|(_, rate)| *rate < threshold);
            judgement.out.extend(worse.map(|(place, _)| *place));
            judgement.status = Some(RateStatus { mean, threshold });
        }
        judgement.rates = valid;
    }
    if let Some(wanted) = policy.failure_percentage {
        let valid: Vec<(usize, f64)> = with(wanted.request_volume).collect();
        if !valid.is_empty() && valid.len() >= wanted.minimum_hosts {
            let threshold = f64::from(wanted.threshold);
            let failing = valid.iter().filter(|(_, rate)| 100.0 - rate >= threshold);
            judgement.out.extend(failing.map(|(place, _)| *place));
        }
        if valid.len() > judgement.rates.len() {
            judgement.rates = valid;
        }
    }
    judgement
}
