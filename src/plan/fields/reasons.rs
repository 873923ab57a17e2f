//! The fields that change nothing on purpose, and those whose effect a plan does not show.

/// Fields that change nothing, as `kind place`, and why that is right.
///
/// `*` stands for every kind.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "* metadata.labels",
        "nothing here selects resources by their labels",
    ),
    (
        "DestinationRule metadata.name",
        "it is the name in diagnostics and explanations",
    ),
    (
        "ServiceEntry metadata.name",
        "it is the name in diagnostics and explanations",
    ),
    (
        "VirtualService spec.http[].match[].statPrefix",
        "it names a counter of Envoy's, and there are none here",
    ),
    (
        "ServiceEntry spec.location",
        "a sidecar's metrics and automatic mutual TLS go by it, and neither is here: `tls` says whether to encrypt",
    ),
    (
        "Gateway spec.selector",
        "which Gateway it is, the builder says, not labels of a workload",
    ),
    (
        "Gateway spec.servers[].bind",
        "the program that embeds the mesh listens, at addresses of its own",
    ),
    (
        "Gateway spec.servers[].name",
        "Istio gives it no effect either",
    ),
    (
        "Gateway spec.servers[].port.name",
        "Istio gives it no effect either, though it must be there",
    ),
    (
        "Gateway spec.servers[].port.targetPort",
        "Istio gives it no effect on a gateway",
    ),
];

/// Fields that work and of which a plan shows nothing, and the test that proves it.
pub(super) const BY_TEST: &[(&str, &str)] = &[(
    // Another name is wrong wherever an endpoint's `ports` name it.
    "ServiceEntry spec.ports[].name",
    "names_listed_stand_for_the_host_and_keep_ports_and_labels",
)];
