//! When an endpoint is left out, and for how long.

use std::time::Duration;

/// `trafficPolicy.outlierDetection`.
///
/// The default is what an empty block means to Istio: five errors in a row, for 30 s times the
/// number of ejections, and at most a tenth of the endpoints, which is none of fewer than ten.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutlierDetectionPolicy {
    /// `consecutive5xxErrors`: how many errors in a row eject; never when 0; 5 unless told.
    pub consecutive_5xx_errors: u32,
    /// `consecutiveGatewayErrors`: how many 502, 503 and 504 in a row eject; never when 0, as unless
    /// told.
    pub consecutive_gateway_errors: u32,
    /// `splitExternalLocalOriginErrors`: count failures to connect, resets and timeouts by
    /// themselves, instead of as 503 and 504.
    pub split_external_local_origin_errors: bool,
    /// `consecutiveLocalOriginFailures`: how many of those in a row eject, where they are counted by
    /// themselves; never when 0; 5 unless told.
    pub consecutive_local_origin_failures: u32,
    /// `interval`: how often endpoints are let back; 10 s unless told.
    pub interval: Duration,
    /// `baseEjectionTime`: how long the first time; 30 s unless told.
    pub base_ejection_time: Duration,
    /// How long at most, as Envoy's `max_ejection_time`; 300 s, or the base time if that is longer.
    pub max_ejection_time: Duration,
    /// `maxEjectionPercent`: how many of the endpoints may be out; 10 unless told.
    pub max_ejection_percent: u32,
    /// `minHealthPercent`: with fewer left than this, all are used; never when 0, as unless told.
    pub min_health_percent: u32,
    /// `outlierDetectionHttpErrorCodes`: the statuses that are errors; 500 and above when empty.
    pub http_error_codes: Vec<u16>,
    /// Whether one endpoint may be ejected whatever the percentage allows. Not in Istio: through
    /// this API only.
    pub eject_at_least_one: bool,
    /// How much longer an endpoint is out at most, by a roll of the dice, so that many do not come
    /// back at once: Envoy's `max_ejection_time_jitter`, zero unless told. Not in Istio: through this
    /// API only.
    pub max_ejection_time_jitter: Duration,
    /// Eject whoever does much worse than the others; nobody unless told. Not in Istio: through this
    /// API only.
    pub success_rate: Option<SuccessRate>,
    /// Eject whoever fails too often; nobody unless told. Not in Istio: through this API only.
    pub failure_percentage: Option<FailurePercentage>,
}

/// Who does much worse than the others, by the answers of a whole `interval`.
///
/// Ejected is whose share of good answers is below the mean of all by more than so many standard
/// deviations. Failures on this side are looked at by themselves where they are counted so.
///
/// Source: Envoy's `success_rate_*`, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SuccessRate {
    /// How many endpoints must have had enough answers; 5 unless told.
    pub minimum_hosts: usize,
    /// How many answers are enough; 100 unless told.
    pub request_volume: u32,
    /// How many standard deviations; 1.9 unless told.
    pub stdev_factor: f64,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1.9,
        }
    }
}

/// Who fails too often, by the answers of a whole `interval`.
///
/// Source: Envoy's `failure_percentage_*`, with its defaults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FailurePercentage {
    /// How many endpoints must have had enough answers; 5 unless told.
    pub minimum_hosts: usize,
    /// How many answers are enough; 50 unless told.
    pub request_volume: u32,
    /// How many failures of a hundred are too many; 85 unless told.
    pub threshold: u32,
}

impl Default for FailurePercentage {
    fn default() -> Self {
        Self {
            minimum_hosts: 5,
            request_volume: 50,
            threshold: 85,
        }
    }
}

impl Default for OutlierDetectionPolicy {
    fn default() -> Self {
        Self {
            consecutive_5xx_errors: 5,
            consecutive_gateway_errors: 0,
            split_external_local_origin_errors: false,
            consecutive_local_origin_failures: 5,
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 10,
            min_health_percent: 0,
            http_error_codes: Vec::new(),
            eject_at_least_one: false,
            max_ejection_time_jitter: Duration::ZERO,
            success_rate: None,
            failure_percentage: None,
        }
    }
}

impl OutlierDetectionPolicy {
    /// The number of ejections that count, one more than `before`: more would make no ejection
    /// longer.
    pub(super) fn times(&self, before: u32) -> u32 {
        let reached = self.base_ejection_time.saturating_mul(before);
        let most = self
            .max_ejection_time
            .saturating_add(self.base_ejection_time);
        if reached < most {
            before.saturating_add(1)
        } else {
            before
        }
    }

    /// Whether shares of good answers are looked at.
    pub(super) const fn looks_at_rates(&self) -> bool {
        self.success_rate.is_some() || self.failure_percentage.is_some()
    }

    /// How long an endpoint is out that has been ejected so many times.
    pub(super) fn ejection_time(&self, times: u32) -> Duration {
        let time = self.base_ejection_time.saturating_mul(times);
        time.min(self.max_ejection_time)
    }

    /// Whether one more of `count` endpoints may be ejected, where `out` are.
    pub(super) fn allows(&self, out: usize, count: usize) -> bool {
        let share = (out as u64 + 1) * 100;
        share <= u64::from(self.max_ejection_percent) * count as u64
            || (self.eject_at_least_one && out == 0)
    }
}
