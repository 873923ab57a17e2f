//! The operating system's resolver.

use super::{Resolve, Resolving};

/// Asks the operating system, as every program on the machine does: `/etc/hosts`, then DNS.
///
/// The system does not tell how long an answer holds, so unlike a sidecar the mesh does not go by
/// the time to live of a record. Where a name has IPv4 addresses the IPv6 ones are left out, as
/// Istio does for every workload that is not [dual-stack](Self::dual_stack).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver {
    dual_stack: bool,
}

impl SystemResolver {
    /// The resolver of a workload that speaks IPv4 where it can.
    #[must_use]
    pub const fn new() -> Self {
        Self { dual_stack: false }
    }

    /// Whether all addresses count, of either family: Istio's `ISTIO_DUAL_STACK`.
    #[must_use]
    pub const fn dual_stack(mut self, dual_stack: bool) -> Self {
        self.dual_stack = dual_stack;
        self
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> Resolving {
        let (name, dual_stack) = (name.to_owned(), self.dual_stack);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut found: Vec<_> = found.map(|it| it.ip()).collect();
            if !dual_stack && found.iter().any(|it| it.is_ipv4()) {
                found.retain(|it| it.is_ipv4());
            }
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Resolve as _, SystemResolver};

    #[tokio::test]
    async fn the_machine_itself_has_one_address() {
        let found = SystemResolver::new().resolve("localhost").await;
        assert_eq!(
            found.expect("every machine has it"),
            [IpAddr::from([127, 0, 0, 1])]
        );
    }

    #[tokio::test]
    async fn an_address_is_its_own() {
        let found = SystemResolver::new().resolve("::1").await;
        assert_eq!(
            found.expect("no look-up is needed"),
            ["::1".parse::<IpAddr>().expect("it is one")]
        );
    }
}
