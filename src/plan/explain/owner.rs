//! Which VirtualService owns the host of a request, why, and which others name it too.

use super::super::origin::{OneOwner, Standing};
use super::super::{Plan, UnknownHosts};
use super::{Shadowed, reject};
use crate::host;
use crate::source::Source;

/// Who owns a host.
pub(super) struct Owner {
    pub(super) virtual_service: Option<String>,
    pub(super) because: String,
    pub(super) shadowed: Vec<Shadowed>,
}

pub(super) fn find(plan: &Plan, source: &Source, port: u16, authority: &str) -> Owner {
    let table = plan
        .rules
        .tables
        .get(&port)
        .unwrap_or(&plan.rules.elsewhere);
    let name = table.hosts.name_of(authority);
    let places = reject::routes_of(plan, port, authority);
    let mut serving: Vec<usize> = Vec::new();
    for place in places {
        let origin = plan.rules.origins.get(place as usize);
        if let Some(owner) = origin.and_then(|it| it.owner())
            && !serving.contains(&owner)
        {
            serving.push(owner);
        }
    }
    let asked = host::without_port(authority);
    let names = full_names(&asked, source);
    let first = serving.first().and_then(|it| plan.rules.owners.get(*it));
    let because = match (&name, first) {
        (Some(_), Some(owner)) => in_words(owner, &names, &asked),
        (Some(name), None) if plan.rules.unknown_hosts == UnknownHosts::NotFound => {
            format!("no VirtualService serves {name}: its server sends plain HTTP to https")
        }
        (Some(name), None) => {
            format!("no VirtualService owns {name}: requests take the service's own route")
        }
        (None, _) => match plan.rules.unknown_hosts {
            UnknownHosts::NotFound => format!("no server of the gateway serves {asked} on {port}"),
            UnknownHosts::Passthrough | UnknownHosts::Refused => {
                format!("nothing declares {asked} on port {port}")
            }
        },
    };
    let owning = first
        .and_then(|it| covering(it, &names))
        .unwrap_or_default();
    let others = plan.rules.owners.iter().enumerate();
    let others = others.filter(|(place, _)| !serving.contains(place));
    let shadowed = others.filter_map(|(_, other)| {
        let host = covering(other, &names)?;
        let owning = first.map(|owner| (owner, owning));
        let because = why_not(other, host, owning, port, &asked);
        let virtual_service = other.name.to_string();
        Some(Shadowed {
            virtual_service,
            because,
        })
    });
    Owner {
        virtual_service: first.map(|it| it.name.to_string()),
        because,
        shadowed: shadowed.collect(),
    }
}

/// Why a VirtualService that names `host` for what was asked does not own it, while another may,
/// by a host of its own.
fn why_not(
    other: &OneOwner,
    host: &str,
    owning: Option<(&OneOwner, &str)>,
    port: u16,
    asked: &str,
) -> String {
    match owning {
        _ if other.standing == Standing::NotExported => {
            "it is not exported to this client's namespace".to_owned()
        }
        _ if other.standing == Standing::OtherGateways => {
            "its gateways do not name this client".to_owned()
        }
        Some((owner, owning)) if host == owning => {
            format!("{} is older and owns {host}", owner.name)
        }
        Some((_, owning)) if host::more_specific(owning, host).is_lt() => {
            format!("its host {host} is wider than {owning}")
        }
        _ if !other.concerns(port) => {
            format!("none of its rules is for this client on port {port}")
        }
        _ if host.starts_with('*') => format!(
            "its host {host} stands for the services declared under it, \
             and {asked} is none on port {port}"
        ),
        _ => format!("nothing declares {host} on port {port}"),
    }
}

fn in_words(owner: &OneOwner, names: &[String], asked: &str) -> String {
    match covering(owner, names) {
        Some(host) if host.starts_with('*') => format!("its host {host} covers {asked}"),
        Some(host) if host == asked => format!("it names {host}"),
        Some(host) => format!("it names {host}, which {asked} is short for"),
        None => format!("it owns the service that {asked} is an address of"),
    }
}

/// The host of a VirtualService that covers one of the names, the most specific first.
fn covering<'o>(owner: &'o OneOwner, names: &[String]) -> Option<&'o str> {
    let hosts = owner.hosts.iter().map(|it| &**it);
    let covers = |host: &&str| names.iter().any(|name| host::is_subset_of(name, host));
    hosts
        .filter(covers)
        .min_by(|a, b| host::more_specific(a, b))
}

/// All names a host may be short for, itself first.
fn full_names(asked: &str, source: &Source) -> Vec<String> {
    let plain = asked.strip_suffix('.').unwrap_or(asked);
    let Source {
        namespace,
        cluster_domain: domain,
        ..
    } = source;
    let mut names = vec![plain.to_owned()];
    match plain.split('.').count() {
        1 => names.push(format!("{plain}.{namespace}.svc.{domain}")),
        2 => names.push(format!("{plain}.svc.{domain}")),
        3 if plain.ends_with(".svc") => names.push(format!("{plain}.{domain}")),
        _ => {}
    }
    names
}
