//! Which match blocks were asked before the one that was taken, and what each of them fails on.

use super::super::origin::{NarrowBlock, OneOwner, Origin};
use super::super::{Plan, Table};
use super::Rejected;
use crate::match_request::RequestHead;
use crate::source::Source;

/// The blocks before the route `taken`, all of them where none was.
///
/// Blocks that are for other clients or ports are in no table; they are told where they would
/// have stood.
pub(super) fn walk(
    plan: &Plan,
    source: &Source,
    port: u16,
    head: &RequestHead<'_>,
    taken: Option<u32>,
) -> Vec<Rejected> {
    let mut walk = Walk {
        source,
        port,
        narrow: Vec::new(),
        rejected: Vec::new(),
    };
    for place in routes_of(plan, port, head.authority) {
        let Some(origin) = plan.rules.origins.get(place as usize) else {
            break;
        };
        let owner = origin.owner().and_then(|it| plan.rules.owners.get(it));
        walk.pass(owner, *origin);
        if Some(place) == taken {
            return walk.rejected;
        }
        let Some(route) = plan.rules.routes.get(place as usize) else {
            break;
        };
        if let Some(failure) = route.rule.failure(head) {
            walk.rejected.push(Rejected {
                virtual_service: owner.map(|it| it.name.to_string()),
                route: origin.rule(),
                match_block: origin.block(),
                because: route.rule.describe(&failure, head),
            });
        }
    }
    walk.end();
    walk.rejected
}

/// The places of all routes of the host, in the order in which they are asked.
pub(super) fn routes_of(plan: &Plan, port: u16, authority: &str) -> std::ops::Range<u32> {
    let table: &Table = plan
        .rules
        .tables
        .get(&port)
        .unwrap_or(&plan.rules.elsewhere);
    let host = table.hosts.find(authority);
    host.map(|it| it.places()).unwrap_or_default()
}

struct Walk<'p> {
    source: &'p Source,
    port: u16,
    /// Of each owner met, the blocks in no table that are not told yet.
    narrow: Vec<(&'p OneOwner, &'p [NarrowBlock])>,
    rejected: Vec<Rejected>,
}

impl<'p> Walk<'p> {
    /// Tells the blocks of an owner that stand before this one.
    fn pass(&mut self, owner: Option<&'p OneOwner>, origin: Origin) {
        let (Some(owner), Some(rule)) = (owner, origin.rule()) else {
            return;
        };
        let here = (rule, origin.block().unwrap_or_default());
        let known = self
            .narrow
            .iter()
            .position(|(it, _)| std::ptr::eq(*it, owner));
        let known = known.unwrap_or_else(|| {
            self.narrow.push((owner, &owner.narrow));
            self.narrow.len() - 1
        });
        let Some((_, blocks)) = self.narrow.get_mut(known) else {
            return;
        };
        let end = blocks.partition_point(|it| it.place() < here);
        let (before, after) = blocks.split_at(end);
        *blocks = after;
        before.iter().for_each(|it| self.tell(owner, it));
    }

    /// Tells what is left of all owners.
    fn end(&mut self) {
        for (owner, blocks) in std::mem::take(&mut self.narrow) {
            blocks.iter().for_each(|it| self.tell(owner, it));
        }
    }

    fn tell(&mut self, owner: &OneOwner, block: &NarrowBlock) {
        let Source {
            namespace, labels, ..
        } = self.source;
        let Some(field) = block.keeps_out(self.port) else {
            // It is in the table, and is told there.
            return;
        };
        let why = match (field, block.port) {
            ("port", Some(port)) => {
                format!("for {port} only, and the request is for {}", self.port)
            }
            ("sourceNamespace", _) => format!("this client is in namespace {namespace}"),
            ("sourceLabels", _) if labels.is_empty() => "this client carries no labels".to_owned(),
            ("sourceLabels", _) => "this client does not carry all of them".to_owned(),
            _ => "this client is none of them".to_owned(),
        };
        let because = format!("{field}: {why}");
        let (rule, place) = block.place();
        self.rejected.push(Rejected {
            virtual_service: Some(owner.name.to_string()),
            route: Some(rule),
            match_block: Some(place),
            because,
        });
    }
}
