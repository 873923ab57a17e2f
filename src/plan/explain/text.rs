//! An explanation for people: a tree with a branch for each thing there is to say.

use std::fmt;

use super::{Action, Destination, Explanation, Fault, Mirrored, Rejected, Retries};
use crate::duration;

/// The most of a body that is shown.
const MAX_BODY: usize = 60;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  (port {})", self.request, self.port)?;
        let branches = self.branches();
        for (n, (name, lines)) in branches.iter().enumerate() {
            let last = n + 1 == branches.len();
            let (knot, trunk) = if last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            for (n, line) in lines.iter().enumerate() {
                match n {
                    0 => write!(f, "\n{knot} {name:<10} {line}")?,
                    _ => write!(f, "\n{trunk} {:<10} {line}", "")?,
                }
            }
        }
        Ok(())
    }
}

type Branch = (&'static str, Vec<String>);

impl Explanation {
    fn branches(&self) -> Vec<Branch> {
        let mut branches: Vec<Branch> = vec![("owner", self.owner())];
        branches.push(("rejected", self.rejected.iter().map(reject).collect()));
        if let Some(taken) = self.taken() {
            branches.push(("taken", vec![taken]));
        }
        let one = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
        branches.push(("fault", self.fault.iter().flat_map(faults).collect()));
        branches.push(("cors", one(self.cors.clone())));
        branches.push((
            "path",
            one(self.path.as_ref().map(|it| format!("rewritten to {it}"))),
        ));
        let authority = self.authority.as_ref();
        let authority = authority.map(|it| format!("rewritten to {it}"));
        branches.push(("authority", one(authority)));
        branches.push(("timeout", one(self.time())));
        branches.push(("retries", one(self.tries())));
        branches.push(("mirrors", self.mirrors.iter().map(mirrored).collect()));
        let policies = self.policy.iter();
        let policies = policies.map(|(field, from)| format!("{field}: {from}"));
        branches.push(("policy", policies.collect()));
        branches.push((self.action.word(), self.outcome()));
        branches.retain(|(_, lines)| !lines.is_empty());
        branches
    }

    fn owner(&self) -> Vec<String> {
        let mut lines = vec![match &self.virtual_service {
            Some(name) => format!("VirtualService {name}: {}", self.owned_because),
            None => self.owned_because.clone(),
        }];
        let others = self.shadowed.iter();
        lines.extend(others.map(|it| format!("not {}: {}", it.virtual_service, it.because)));
        lines
    }

    fn taken(&self) -> Option<String> {
        let place = place(self.route, self.match_block);
        match (&self.route_name, self.route) {
            (Some(name), Some(_)) => Some(format!("{place} {name:?}")),
            (None, Some(_)) => Some(place),
            // The service's own route, or the one for unknown hosts: the owner says so.
            (_, None) => None,
        }
    }

    fn sends(&self) -> bool {
        matches!(self.action, Action::Forward | Action::Passthrough)
    }

    fn time(&self) -> Option<String> {
        self.sends().then(|| match self.timeout {
            Some(limit) => duration::format(limit),
            None => "none".to_owned(),
        })
    }

    fn tries(&self) -> Option<String> {
        self.sends().then(|| match &self.retries {
            Some(retries) => tries(retries),
            None => "none".to_owned(),
        })
    }

    fn outcome(&self) -> Vec<String> {
        let status = self.status.map(|it| it.to_string()).unwrap_or_default();
        match self.action {
            Action::Forward if self.destinations.is_empty() => vec![self.because.clone()],
            Action::Forward => {
                let total = self
                    .destinations
                    .iter()
                    .map(|it| u64::from(it.weight))
                    .sum();
                let destinations = self.destinations.iter();
                destinations.map(|it| destination(it, total)).collect()
            }
            Action::Redirect => {
                let location = self.location.as_deref().unwrap_or_default();
                vec![format!("{status} to {location}")]
            }
            Action::DirectResponse => {
                let mut lines = vec![format!("{status}: {}", self.because)];
                let text = String::from_utf8_lossy(&self.body);
                let text: String = text.chars().take(MAX_BODY).collect();
                match (self.body.len(), text.len()) {
                    (0, _) => {}
                    (all, shown) if all == shown => lines.push(format!("{text:?}")),
                    (all, _) => lines.push(format!("{text:?}… ({all} bytes)")),
                }
                lines.extend(self.location.as_ref().map(|it| format!("location: {it}")));
                lines
            }
            Action::NotFound => vec![format!("{status}: {}", self.because)],
            Action::Passthrough => vec![self.because.clone()],
        }
    }
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Redirect => "redirect",
            Self::DirectResponse => "answer",
            Self::NotFound => "not found",
            Self::Passthrough => "pass on",
        }
    }
}

fn place(route: Option<usize>, block: Option<usize>) -> String {
    let route = route.map(|it| format!("http[{it}]")).unwrap_or_default();
    match block {
        Some(block) => format!("{route}.match[{block}]"),
        None => route,
    }
}

fn reject(it: &Rejected) -> String {
    format!("{}  {}", place(it.route, it.match_block), it.because)
}

fn faults(fault: &Fault) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((share, fixed)) = fault.delay {
        let share = share.as_percentage();
        lines.push(format!("{share} % wait {}", duration::format(fixed)));
    }
    if let Some((share, abort)) = fault.abort {
        let share = share.as_percentage();
        lines.push(match (abort.as_http_status(), abort.as_grpc_status()) {
            (Some(status), _) => format!("{share} % are answered with {status}"),
            (None, code) => format!(
                "{share} % are answered with gRPC status {}",
                code.unwrap_or_default()
            ),
        });
    }
    lines
}

fn tries(it: &Retries) -> String {
    let mut text = format!("up to {} more on {}", it.attempts, it.retry_on);
    if let Some(limit) = it.per_try_timeout {
        text += &format!(", {} each", duration::format(limit));
    }
    text += &format!(", waits from {}", duration::format(it.backoff));
    match it.is_default {
        true => text + " (Istio's default)",
        false => text,
    }
}

fn mirrored(it: &Mirrored) -> String {
    let share = it.share.as_percentage();
    format!("{share} % are copied to {}", place_of(&it.destination))
}

fn destination(it: &Destination, total: u64) -> String {
    let share = 100.0 * f64::from(it.weight) / total.max(1) as f64;
    let share = (share * 100.0).round() / 100.0;
    format!("{share:>3} % to {}", place_of(it))
}

fn place_of(it: &Destination) -> String {
    let mut text = format!("{}:{}", it.host, it.port);
    if let Some(subset) = &it.subset {
        text += &format!(" subset {subset}");
    }
    if let Some(authority) = &it.authority {
        text += &format!(", as {authority}");
    }
    match (&it.refusal, it.endpoints) {
        (Some(refusal), _) => text += &format!("  ({refusal})"),
        (None, 0) => text += "  (by DNS)",
        (None, 1) => text += "  (1 endpoint)",
        (None, endpoints) => text += &format!("  ({endpoints} endpoints)"),
    }
    text
}
