//! Mirrors of this plan: how their destinations are written down, and what a copy is sent with.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request};

use super::clusters::Clusters;
use super::route::{Choice, Mirrors};
use super::routed::{FromRoute, Routed};
use super::virtual_services::Destination;
use crate::mirror::{CompiledMirror, MirrorCounts, MirrorLayer, MirrorPolicy, Shadows};

/// What a mesh says about mirroring, beside its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mirroring {
    /// What became of the copies of all requests of the mesh.
    pub(crate) counts: MirrorCounts,
    /// How many are under way at once, where that is said.
    pub(crate) max_in_flight: Option<usize>,
    /// Whether `-shadow` is appended to their host.
    pub(crate) host_suffix: bool,
}

impl Mirroring {
    /// Nothing is mirrored.
    pub(crate) fn off() -> Self {
        Self {
            max_in_flight: Some(0),
            ..Self::default()
        }
    }

    /// The layer, set accordingly.
    pub(super) fn apply<M, K>(&self, layer: MirrorLayer<M, K>) -> MirrorLayer<M, K> {
        let layer = layer.counting_with(self.counts.clone());
        let layer = layer.host_suffix(self.host_suffix);
        match self.max_in_flight {
            Some(most) => layer.max_in_flight(most),
            None => layer,
        }
    }
}

/// Adds the destinations of mirrors to a route's choices.
pub(super) fn on_port(
    mirrors: &[CompiledMirror<Destination>],
    port: u16,
    choices: &mut Vec<Choice>,
    clusters: &mut Clusters<'_>,
) -> Option<Arc<Mirrors>> {
    if mirrors.is_empty() {
        return None;
    }
    // A rule has far fewer than 2^32 destinations.
    let first = choices.len() as u32;
    choices.extend(mirrors.iter().map(|mirror| {
        let to = &mirror.destination;
        Choice::of(clusters.place(&to.host, &to.subset, to.port, port))
    }));
    let policy = MirrorPolicy::of(mirrors.iter().map(|mirror| mirror.share));
    Some(Arc::new(Mirrors { policy, first }))
}

impl Shadows<Routed> for FromRoute {
    fn roll(&self, routed: &Routed) -> Option<u64> {
        routed.roll()
    }

    fn shadow(&self, routed: &Routed, place: usize) -> Routed {
        let first = routed.route().mirrors.as_ref().map(|it| it.first);
        routed.to_choice(first.unwrap_or_default().saturating_add(place as u32))
    }

    fn dress<B>(&self, routed: &Routed, copy: &mut Request<B>) {
        const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");
        if routed.proxy {
            let headers = copy.headers_mut();
            headers.insert(INTERNAL, HeaderValue::from_static("true"));
        }
    }
}
