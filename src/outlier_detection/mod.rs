//! `trafficPolicy.outlierDetection`: endpoints that fail are left out for a while.
//!
//! | what happens | counts as |
//! |---|---|
//! | an answer below 500 | the end of every row |
//! | 502, 503, 504 | an error and a gateway error |
//! | any other answer of 500 and above | an error, and the end of a row of gateway errors |
//! | no connection, a broken one | 503; with `splitExternalLocalOriginErrors` a failure of its own |
//! | no answer in time, for the try or the whole request | 504; the same |
//! | an overflow, a fault that is injected, a client that leaves | nothing |
//!
//! A row of `consecutive5xxErrors` (5 unless told) or of `consecutiveGatewayErrors` (unless told,
//! none) ejects the endpoint, if no more than `maxEjectionPercent` of all are out with it: 10
//! unless told, so of fewer than ten endpoints none is ever ejected. It is out for
//! `baseEjectionTime` times the number of its ejections, at most for 300 s, and back at the next
//! whole `interval`; each interval it has been back takes one from that number. Where all are
//! out a request gets 503 UH; with `minHealthPercent` all are used while fewer than that are left.
//!
//! # Beyond Istio
//!
//! By the Rust API only: one endpoint may always be ejected ([`OutlierDetectionPolicy::eject_at_least_one`]), jitter,
//! and what Envoy judges at the end of each `interval`: who does much worse than the others ([`SuccessRate`]) and who
//! fails too often ([`FailurePercentage`]), for those who had enough answers. In a mesh
//! [`MeshBuilder::outlier_detection`](crate::mesh::MeshBuilder::outlier_detection) says so; alone, a
//! [`BalanceLayer`](crate::balance::BalanceLayer) picks among services and leaves those out that fail.
//!
//! A gRPC call's `grpc-status` counts where it stands in the response's head; one in trailers is
//! not seen. `consecutiveErrors`, which Istio overlooks, works as `consecutiveGatewayErrors` with
//! `consecutive5xxErrors` off unless that is written, and a warning.
//!
//! Differences from a sidecar: an endpoint is out from the next pick on, where Envoy's workers learn
//! of it a little later, at most after a second; what is learnt of an endpoint stays when rules
//! are applied.
//!
//! Source: Istio's `OutlierDetection`, Envoy's `OutlierDetection` of a cluster.

mod config;
mod detector;
mod outcome;
mod policy;
mod rates;
mod row;
#[cfg(test)]
mod tests;

pub(crate) use config::compile;
pub use detector::OutlierDetection;
pub use outcome::{Outcome, grpc_status};
pub use policy::{FailurePercentage, OutlierDetectionPolicy, SuccessRate};
pub use rates::RateStatus;
pub(crate) use row::end_rows;
