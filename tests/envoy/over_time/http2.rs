//! Scenarios over HTTP/2, and gRPC.

use super::super::scripted::Act::{
    Answer, AnswerAndClose, Close, GoAway, GoAwayAndAnswer, Grpc, GrpcLate, ResetStream,
    ResetStreamInBody,
};
use super::super::scripted::{Speaks, Step};
use super::{Scenario, grpc, over_http2, sent, times};

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;
const ONCE: &str = "retries: {attempts: 0}";
const OK: Step = Step(0, Answer(200));
const REFUSED: Step = Step(0, ResetStream(REFUSED_STREAM));
const BROKEN: Step = Step(0, ResetStream(INTERNAL_ERROR));
/// No stream is served.
const AWAY: Step = Step(
    0,
    GoAway {
        served: 0,
        error: 0,
    },
);

pub(super) const SCENARIOS: &[Scenario] = &[
    over_http2("HTTP/2", ONCE, &[OK]),
    over_http2("a refused stream", "", &[REFUSED, OK]),
    over_http2("streams refused for ever", "", &[REFUSED]),
    over_http2("a refused stream, once", ONCE, &[REFUSED]),
    over_http2(
        "a refused stream, and resets are retried",
        "retries: {attempts: 1, retryOn: reset}",
        &[REFUSED, OK],
    ),
    sent(
        over_http2("a refused stream with a body", "", &[REFUSED, OK]),
        "POST /",
        Some("a body"),
    ),
    over_http2("a broken stream", "", &[BROKEN, OK]),
    over_http2(
        "a broken stream, and resets are retried",
        "retries: {attempts: 2, retryOn: reset}",
        &[BROKEN, OK],
    ),
    over_http2(
        "broken streams for ever",
        "retries: {attempts: 1, retryOn: 5xx}",
        &[BROKEN],
    ),
    over_http2(
        "a cancelled stream",
        "retries: {attempts: 1, retryOn: connect-failure}",
        &[Step(0, ResetStream(CANCEL))],
    ),
    over_http2(
        "a calmed stream",
        "retries: {attempts: 1, retryOn: reset}",
        &[Step(0, ResetStream(ENHANCE_YOUR_CALM)), OK],
    ),
    over_http2(
        "a stream broken within the body",
        "retries: {attempts: 2, retryOn: 'reset,5xx'}",
        &[Step(0, ResetStreamInBody(INTERNAL_ERROR)), OK],
    ),
    over_http2(
        "a connection closed before an answer",
        ONCE,
        &[Step(0, Close)],
    ),
    over_http2(
        "a connection closed, and resets are retried",
        "retries: {attempts: 1, retryOn: reset}",
        &[Step(0, Close), OK],
    ),
    over_http2("going away, served nothing", "", &[AWAY, OK]),
    over_http2("going away, served nothing, once", ONCE, &[AWAY]),
    over_http2(
        "going away, served nothing, and resets are retried",
        "retries: {attempts: 1, retryOn: reset}",
        &[AWAY, OK],
    ),
    over_http2(
        "going away in anger",
        "retries: {attempts: 1, retryOn: reset}",
        &[
            Step(
                0,
                GoAway {
                    served: 1,
                    error: INTERNAL_ERROR,
                },
            ),
            OK,
        ],
    ),
    times(
        over_http2(
            "going away with an answer",
            ONCE,
            &[Step(0, GoAwayAndAnswer), OK],
        ),
        2,
    ),
    times(
        over_http2(
            "closed behind an answer",
            ONCE,
            &[Step(0, AnswerAndClose), OK],
        ),
        2,
    ),
    over_http2(
        "5xx in HTTP/2",
        "retries: {attempts: 2, retryOn: 5xx}",
        &[Step(0, Answer(503)), OK],
    ),
    over_http2(
        "late in HTTP/2",
        "timeout: 300ms",
        &[Step(2500, Answer(200))],
    ),
    over_http2(
        "a try too late in HTTP/2",
        "retries: {attempts: 1, perTryTimeout: 250ms, retryOn: 5xx}",
        &[Step(2500, Answer(200)), OK],
    ),
    grpc(
        "gRPC away, then there",
        "",
        &[Step(0, Grpc(14)), Step(0, Grpc(0))],
    ),
    grpc("gRPC away for ever", "", &[Step(0, Grpc(14))]),
    grpc(
        "gRPC cancelled, then there",
        "",
        &[Step(0, Grpc(1)), Step(0, GrpcLate(0))],
    ),
    grpc(
        "gRPC exhausted, by default",
        "",
        &[Step(0, Grpc(8)), Step(0, Grpc(0))],
    ),
    grpc(
        "gRPC exhausted",
        "retries: {attempts: 3, retryOn: 'resource-exhausted,deadline-exceeded'}",
        &[Step(0, Grpc(8)), Step(0, Grpc(4)), Step(0, Grpc(0))],
    ),
    grpc(
        "gRPC internal",
        "retries: {attempts: 1, retryOn: internal}",
        &[Step(0, Grpc(13)), Step(0, Grpc(0))],
    ),
    grpc(
        "gRPC away behind a message",
        "",
        &[Step(0, GrpcLate(14)), Step(0, Grpc(0))],
    ),
    grpc("gRPC too late", "timeout: 300ms", &[Step(2500, Grpc(0))]),
    grpc("gRPC, a refused stream", "", &[REFUSED, Step(0, Grpc(0))]),
    grpc("gRPC, a broken stream", ONCE, &[BROKEN]),
    grpc(
        "gRPC, a broken stream behind a message",
        ONCE,
        &[Step(0, ResetStreamInBody(INTERNAL_ERROR))],
    ),
    Scenario {
        speaks: Speaks::Nothing,
        ..grpc("gRPC refused", "", &[])
    },
    Scenario {
        headers: &[
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "250m"),
        ],
        ..grpc(
            "gRPC later than it may be",
            "timeout: 5s",
            &[Step(2500, Grpc(0))],
        )
    },
];
