//! What was expected against what is.

use std::collections::VecDeque;
use std::fmt::{Debug, Display};

use super::{RouteTestDestination, RouteTestExpectation};
use crate::duration;
use crate::host;
use crate::mesh::{Destination, Explanation, Mesh};

/// A line for each field that is not as expected.
pub(super) fn differences(
    mesh: &Mesh,
    expected: &RouteTestExpectation,
    told: &Explanation,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "none".to_owned());
    let place = |it: Option<usize>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let action = told.action.as_str().to_owned();
    check(&mut wrong, "action", expected.action.as_ref(), &action);
    let owner = text(&told.virtual_service);
    check(
        &mut wrong,
        "virtualService",
        expected.virtual_service.as_ref(),
        &owner,
    );
    let numbers = [
        ("route", expected.route, place(told.route)),
        ("match", expected.r#match, place(told.match_block)),
        (
            "status",
            expected.status,
            place(told.status.map(|it| it.as_u16().into())),
        ),
    ];
    for (field, expected, told) in numbers {
        check(
            &mut wrong,
            field,
            expected.map(|it| it.to_string()).as_ref(),
            &told,
        );
    }
    let sent = matches!(
        told.action,
        super::super::Action::Forward | super::super::Action::Passthrough
    );
    let sent = |it: &Option<String>, asked: &str| match sent {
        true => it.clone().unwrap_or_else(|| asked.to_owned()),
        false => "none, for it is not sent".to_owned(),
    };
    let texts = [
        ("routeName", &expected.route_name, text(&told.route_name)),
        ("location", &expected.location, text(&told.location)),
        ("path", &expected.path, sent(&told.path, &told.matched_path)),
        (
            "authority",
            &expected.authority,
            sent(&told.authority, &told.matched_authority),
        ),
    ];
    for (field, expected, told) in texts {
        check(&mut wrong, field, expected.as_ref(), &told);
    }
    let timeout = duration::format(told.timeout.unwrap_or_default());
    let wanted = expected.timeout.map(duration::format);
    check(&mut wrong, "timeout", wanted.as_ref(), &timeout);
    if let Some(wanted) = &expected.destinations
        && !meant(mesh, wanted, &told.destinations)
    {
        let wanted: Vec<_> = wanted.iter().map(as_written).collect();
        let told: Vec<_> = told.destinations.iter().map(as_told).collect();
        let list = |list: &[String]| match list {
            [] => "none".to_owned(),
            list => list.join(", "),
        };
        wrong.push(format!(
            "destinations: expected {}, got {}",
            list(&wanted),
            list(&told)
        ));
    }
    wrong
}

fn check<T: PartialEq + Debug + Display>(
    wrong: &mut Vec<String>,
    field: &str,
    expected: Option<&T>,
    told: &T,
) {
    if let Some(expected) = expected.filter(|it| *it != told) {
        wrong.push(format!("{field}: expected {expected}, got {told}"));
    }
}

/// Whether each destination wanted can be one of those told, and none is left.
fn meant(mesh: &Mesh, wanted: &[RouteTestDestination], told: &[Destination]) -> bool {
    if wanted.len() != told.len() {
        return false;
    }
    // Which of the told each of the wanted has.
    let mut has: Vec<Option<usize>> = vec![None; wanted.len()];
    let fits = |n: usize, m: usize| match (wanted.get(n), told.get(m)) {
        (Some(wanted), Some(told)) => is_meant(mesh, wanted, told),
        _ => false,
    };
    (0..wanted.len()).all(|n| assign(n, told.len(), &fits, &mut has).is_some())
}

/// Finds one of `told` for the `n`th wanted; another one gives its own up where it finds a second.
///
/// Breadth first, so that nothing calls itself however many there are.
fn assign(
    n: usize,
    told: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    has: &mut [Option<usize>],
) -> Option<()> {
    // Who asked for each of the told first.
    let mut asked: Vec<Option<usize>> = vec![None; told];
    let mut waiting = VecDeque::from([n]);
    while let Some(n) = waiting.pop_front() {
        for (m, by) in asked.iter_mut().enumerate() {
            if by.is_some() || !fits(n, m) {
                continue;
            }
            *by = Some(n);
            match has.iter().position(|it| *it == Some(m)) {
                Some(other) => waiting.push_back(other),
                None => return pass_on(m, &asked, has),
            }
        }
    }
    None
}

/// Gives the `m`th of the told to who asked for it, what that one had to who asked for that, and so on.
fn pass_on(m: usize, asked: &[Option<usize>], has: &mut [Option<usize>]) -> Option<()> {
    let mut free = Some(m);
    while let Some(m) = free {
        let by = (*asked.get(m)?)?;
        free = has.get_mut(by)?.replace(m);
    }
    Some(())
}

fn is_meant(mesh: &Mesh, wanted: &RouteTestDestination, told: &Destination) -> bool {
    let source = &mesh.shared.options.source;
    let host = |it: &String| {
        let full = host::resolve_short_name(it, &source.namespace, &source.cluster_domain);
        full == told.host
    };
    let subset = told.subset.as_deref().unwrap_or_default();
    wanted.host.as_ref().is_none_or(host)
        && wanted.subset.as_ref().is_none_or(|it| it == subset)
        && wanted.port.is_none_or(|it| it == told.port)
        && wanted.weight.is_none_or(|it| it == told.weight)
}

fn as_written(it: &RouteTestDestination) -> String {
    let mut text = it.host.clone().unwrap_or_else(|| "any host".to_owned());
    text.extend(it.port.map(|it| format!(":{it}")));
    let subset = it.subset.as_deref();
    text.extend(subset.map(|it| match it {
        "" => " without subset".to_owned(),
        it => format!(" subset {it}"),
    }));
    text.extend(it.weight.map(|it| format!(" weight {it}")));
    text
}

fn as_told(it: &Destination) -> String {
    let subset = it.subset.as_ref().map(|it| format!(" subset {it}"));
    let subset = subset.unwrap_or_default();
    format!("{}:{}{subset} weight {}", it.host, it.port, it.weight)
}
