//! Every kind of failure under every policy that counts or limits: ejections, breakers whose room
//! must be given back, and times for a try and for the whole.

use super::super::scripted::Act::{
    Answer, Close, CloseInBody, GoAway, Grpc, GrpcLate, Reset, ResetInBody, ResetStream,
    ResetStreamInBody,
};
use super::super::scripted::{Speaks, Step};
use super::{Scenario, grpc, over_http1, over_http2, refused, times};

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;
const AWAY: super::super::scripted::Act = GoAway {
    served: 0,
    error: 0,
};

/// Two errors in a row are one too many.
const ERRORS: &str = "outlierDetection: {consecutive5xxErrors: 2, consecutiveGatewayErrors: 0, \
                      baseEjectionTime: 30s, maxEjectionPercent: 100}";
const GATEWAY_ERRORS: &str = "outlierDetection: {consecutive5xxErrors: 0, \
                              consecutiveGatewayErrors: 2, baseEjectionTime: 30s, \
                              maxEjectionPercent: 100}";
/// There is room for one of everything.
const ROOM: &str = "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, \
                    http2MaxRequests: 1, maxRetries: 1}}";
const ONCE: &str = "retries: {attempts: 0}";
const AGAIN: &str = "retries: {attempts: 1, retryOn: '5xx,reset,refused-stream,unavailable'}";
const LIMITED: &str = "timeout: 1500ms, retries: {attempts: 2, perTryTimeout: 400ms, retryOn: \
                       '5xx,reset,refused-stream,unavailable'}";

const fn under(policy: &'static str, scenario: Scenario) -> Scenario {
    Scenario { policy, ..scenario }
}

/// A failure under each of the policies.
macro_rules! under_all {
    ($($name:literal: $speaks:ident, $act:expr, $good:expr;)*) => {
        pub(super) const SCENARIOS: &[Scenario] = &[$(
            under(ERRORS, times($speaks(concat!($name, ", and ejected for errors"), ONCE, &[Step(0, $act)]), 3)),
            under(GATEWAY_ERRORS, times($speaks(concat!($name, ", and ejected for a gateway's errors"), ONCE, &[Step(0, $act)]), 3)),
            under(ROOM, times($speaks(concat!($name, ", and room is given back"), ONCE, &[Step(0, $act)]), 3)),
            under(ROOM, times($speaks(concat!($name, ", tried again where there is room"), AGAIN, &[Step(0, $act), Step(0, $good), Step(0, $act), Step(0, $good)]), 2)),
            $speaks(concat!($name, ", in time to be tried again"), LIMITED, &[Step(100, $act), Step(0, $good)]),
            $speaks(concat!($name, ", after the try is given up"), LIMITED, &[Step(700, $act), Step(0, $good)]),
        )*
            under(ERRORS, times(refused("refused, and ejected for errors", ONCE), 3)),
            under(GATEWAY_ERRORS, times(refused("refused, and ejected for a gateway's errors", ONCE), 3)),
            under(ROOM, times(refused("refused, and room is given back", ONCE), 3)),
            under(ROOM, times(refused("refused, tried again where there is room", AGAIN), 2)),
            refused("refused, within a time", LIMITED),
            under(ERRORS, times(Scenario { speaks: Speaks::Nothing, ..grpc("gRPC refused, and ejected", ONCE, &[]) }, 3)),
        ];
    };
}

under_all! {
    "an error": over_http1, Answer(503), Answer(200);
    "closed before an answer": over_http1, Close, Answer(200);
    "reset before an answer": over_http1, Reset, Answer(200);
    "closed within the body": over_http1, CloseInBody, Answer(200);
    "reset within the body": over_http1, ResetInBody, Answer(200);
    "going away": over_http2, AWAY, Answer(200);
    "a refused stream": over_http2, ResetStream(REFUSED_STREAM), Answer(200);
    "a broken stream": over_http2, ResetStream(INTERNAL_ERROR), Answer(200);
    "a stream broken within the body": over_http2, ResetStreamInBody(INTERNAL_ERROR), Answer(200);
    "gRPC away": grpc, Grpc(14), Grpc(0);
    "gRPC away behind a message": grpc, GrpcLate(14), Grpc(0);
}
