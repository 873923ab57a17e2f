//! What a phase is: its rules, what its requests carry, and when it counts as having gone well.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What a phase is.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rules: &'static str,
    /// The share of what is served that v2 serves.
    pub(crate) v2: Share,
    /// Which requests are answered otherwise than with a plain 200.
    pub(crate) marked: Option<Mark>,
    pub(crate) served: Served,
    pub(crate) carry: Carry,
    /// Whether requests are under way while the rules change from those of the phase before.
    pub(crate) held: bool,
}

/// A share of requests in percent.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) percent: u64,
    /// Whether dice decide; else the share is exact.
    pub(crate) rolled: bool,
}

impl Share {
    pub(crate) const fn exactly(percent: u64) -> Self {
        let rolled = false;
        Self { percent, rolled }
    }

    pub(crate) const fn rolled(percent: u64) -> Self {
        let rolled = true;
        Self { percent, rolled }
    }

    pub(crate) const fn of(self, requests: u64) -> u64 {
        requests * self.percent / 100
    }

    /// By how many requests it may be off: five standard deviations of a fair roll, or none where
    /// no dice are rolled. Fair dice fail this once in two million runs.
    pub(crate) fn tolerance(self, requests: u64) -> u64 {
        if !self.rolled {
            return 0;
        }
        let share = self.percent as f64 / 100.0;
        (5.0 * (requests as f64 * share * (1.0 - share)).sqrt()).ceil() as u64
    }

    fn holds(self, count: u64, requests: u64) -> bool {
        count.abs_diff(self.of(requests)) <= self.tolerance(requests)
    }
}

/// How some of the answers differ from a plain 200.
pub(crate) struct Mark {
    pub(crate) flags: &'static str,
    pub(crate) status: u16,
    pub(crate) share: Share,
}

/// How often the versions together see a request.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Served {
    /// Once.
    Once,
    /// Once, unless its answer is a marked one.
    UnlessMarked,
    /// Once more where the first try failed.
    AndAgainIfFailed,
    /// Once by each version.
    ByBoth,
}

/// What requests carry, beside what all do.
#[derive(Clone, Copy)]
pub(crate) enum Carry {
    Nothing,
    /// Every second one is a tester's.
    Tester,
    /// Every second one asks the version to be slow.
    Slow,
    /// Every third one asks the version to fail the first time it sees it.
    FailOnce,
}

impl Carry {
    /// How many of the requests are to fail once.
    const fn failing(self, requests: u64) -> u64 {
        match self {
            Self::FailOnce => requests.div_ceil(3),
            Self::Nothing | Self::Tester | Self::Slow => 0,
        }
    }
}

/// How one request ended: its status and flags.
pub(crate) type Answer = (u16, String);

/// What came of a phase.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) name: &'static str,
    pub(crate) requests: u64,
    pub(crate) by_version: BTreeMap<&'static str, u64>,
    pub(crate) status: BTreeMap<u16, u64>,
    pub(crate) flags: BTreeMap<String, u64>,
    pub(crate) lost: u64,
    pub(crate) ok: bool,
}

impl Played {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "requests": self.requests,
            "by_version": self.by_version,
            "status": self.status,
            "flags": self.flags,
        })
    }
}

impl Phase {
    /// How many requests the versions are to have seen together, where `marked` answers were.
    pub(crate) fn wanted(&self, requests: u64, marked: u64) -> u64 {
        match self.served {
            Served::Once => requests,
            Served::UnlessMarked => requests - marked.min(requests),
            Served::AndAgainIfFailed => requests + self.carry.failing(requests),
            Served::ByBoth => requests * 2,
        }
    }

    /// Counts the answers and judges them.
    pub(crate) fn judge(
        &self,
        requests: u64,
        answers: &[Answer],
        by_version: BTreeMap<&'static str, u64>,
    ) -> Played {
        let mut played = Played {
            name: self.name,
            requests,
            by_version,
            lost: requests - answers.len() as u64,
            ..Played::default()
        };
        for (status, flags) in answers {
            *played.status.entry(*status).or_default() += 1;
            if flags != "-" {
                *played.flags.entry(flags.clone()).or_default() += 1;
            }
        }
        played.ok = self.went_well(&played, answers);
        played
    }

    fn went_well(&self, played: &Played, answers: &[Answer]) -> bool {
        let plain = |(status, flags): &&Answer| *status == 200 && flags == "-";
        let plain = answers.iter().filter(plain).count() as u64;
        let (marked, marks_hold) = match &self.marked {
            None => (0, true),
            Some(mark) => {
                let is_marked = |it: &&Answer| it.0 == mark.status && it.1 == mark.flags;
                let marked = answers.iter().filter(is_marked).count() as u64;
                (marked, mark.share.holds(marked, played.requests))
            }
        };
        let all: u64 = played.by_version.values().sum();
        let by_v2 = played.by_version.get("v2").copied().unwrap_or_default();
        marks_hold
            && plain + marked == played.requests
            && all == self.wanted(played.requests, marked)
            && self.v2.holds(by_v2, all)
    }
}
