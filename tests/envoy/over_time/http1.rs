//! Scenarios over HTTP/1.1, and with endpoints that refuse connections.

use super::super::scripted::Act::{
    Answer, AnswerAndClose, AnswerLast, Close, CloseInBody, Garbage, Reset, ResetInBody, SlowBody,
};
use super::super::scripted::Step;
use super::{Scenario, over_http1, refused, sent, times};

const ONCE: &str = "retries: {attempts: 0}";
const OK: Step = Step(0, Answer(200));

pub(super) const SCENARIOS: &[Scenario] = &[
    over_http1(
        "503 is not among the defaults",
        "",
        &[Step(0, Answer(503)), OK],
    ),
    over_http1(
        "5xx until the last try",
        "retries: {attempts: 3, retryOn: 5xx}",
        &[
            Step(0, Answer(500)),
            Step(0, Answer(502)),
            Step(0, Answer(504)),
            OK,
        ],
    ),
    over_http1(
        "5xx for ever",
        "retries: {attempts: 2, retryOn: 5xx}",
        &[Step(0, Answer(503))],
    ),
    over_http1(
        "gateway errors, and 500 is none",
        "retries: {attempts: 5, retryOn: gateway-error}",
        &[
            Step(0, Answer(503)),
            Step(0, Answer(502)),
            Step(0, Answer(500)),
        ],
    ),
    over_http1(
        "codes",
        "retries: {attempts: 3, retryOn: '503,418'}",
        &[
            Step(0, Answer(418)),
            Step(0, Answer(503)),
            Step(0, Answer(404)),
        ],
    ),
    over_http1(
        "retriable-4xx is 409",
        "retries: {attempts: 3, retryOn: retriable-4xx}",
        &[Step(0, Answer(409)), Step(0, Answer(404))],
    ),
    over_http1(
        "connect-failure is no 503",
        "retries: {attempts: 3, retryOn: connect-failure}",
        &[Step(0, Answer(503)), OK],
    ),
    sent(
        over_http1(
            "a body is sent again",
            "retries: {attempts: 2, retryOn: 5xx}",
            &[Step(0, Answer(503)), Step(30, Answer(500)), OK],
        ),
        "POST /",
        Some("a body"),
    ),
    sent(
        over_http1(
            "HEAD is sent again",
            "retries: {attempts: 2, retryOn: 5xx}",
            &[Step(0, Answer(503)), OK],
        ),
        "HEAD /",
        None,
    ),
    over_http1(
        "no body",
        "retries: {attempts: 1, retryOn: 5xx}",
        &[Step(0, Answer(503)), Step(0, Answer(204))],
    ),
    over_http1("closed before an answer", "", &[Step(0, Close), OK]),
    over_http1("closed before an answer, once", ONCE, &[Step(0, Close)]),
    over_http1(
        "closed before an answer, and reset is retried",
        "retries: {attempts: 2, retryOn: reset}",
        &[Step(0, Close), OK],
    ),
    over_http1(
        "closed for ever",
        "retries: {attempts: 2, retryOn: reset}",
        &[Step(0, Close)],
    ),
    over_http1("reset before an answer", ONCE, &[Step(0, Reset)]),
    over_http1(
        "reset before an answer, 5xx retried",
        "retries: {attempts: 2, retryOn: 5xx}",
        &[Step(0, Reset), Step(40, Reset), OK],
    ),
    over_http1(
        "reset for ever",
        "retries: {attempts: 3, retryOn: 'reset,5xx'}",
        &[Step(0, Reset)],
    ),
    over_http1(
        "closed within the body",
        "retries: {attempts: 2, retryOn: 'reset,5xx'}",
        &[Step(0, CloseInBody), OK],
    ),
    over_http1(
        "reset within the body",
        "retries: {attempts: 2, retryOn: 'reset,5xx'}",
        &[Step(0, ResetInBody), OK],
    ),
    over_http1("no HTTP", ONCE, &[Step(0, Garbage)]),
    over_http1(
        "no HTTP, then HTTP",
        "retries: {attempts: 2, retryOn: '5xx'}",
        &[Step(0, Garbage), OK],
    ),
    times(
        over_http1("closed after an answer", ONCE, &[Step(0, AnswerAndClose)]),
        3,
    ),
    times(
        over_http1(
            "closed after an answer, as told",
            ONCE,
            &[Step(0, AnswerLast)],
        ),
        3,
    ),
    refused("refused", ""),
    refused("refused once", ONCE),
    refused(
        "refused, 5xx retried",
        "retries: {attempts: 4, retryOn: 5xx}",
    ),
    refused(
        "refused, and only 503 retried",
        "retries: {attempts: 4, retryOn: '503'}",
    ),
    sent(
        refused(
            "refused with a body",
            "retries: {attempts: 1, retryOn: connect-failure}",
        ),
        "POST /",
        Some("a body"),
    ),
    over_http1("late", "timeout: 300ms", &[Step(2500, Answer(200))]),
    over_http1(
        "late in the last try",
        "timeout: 400ms, retries: {attempts: 9, retryOn: 5xx}",
        &[Step(0, Answer(503)), Step(2500, Answer(200))],
    ),
    over_http1(
        "late over many tries",
        "timeout: 600ms, retries: {attempts: 9, retryOn: 5xx}",
        &[Step(250, Answer(503))],
    ),
    over_http1(
        "a try too late",
        "retries: {attempts: 2, perTryTimeout: 250ms, retryOn: 5xx}",
        &[Step(2500, Answer(200)), OK],
    ),
    over_http1(
        "all tries too late",
        "retries: {attempts: 2, perTryTimeout: 200ms, retryOn: 5xx}",
        &[Step(2500, Answer(200))],
    ),
    over_http1(
        "a try too late, and it is not retried",
        "retries: {attempts: 2, perTryTimeout: 200ms, retryOn: connect-failure}",
        &[Step(2500, Answer(200)), OK],
    ),
    over_http1(
        "tries too late, until the limit",
        "timeout: 500ms, retries: {attempts: 9, perTryTimeout: 200ms, retryOn: 5xx}",
        &[Step(2500, Answer(200))],
    ),
    over_http1(
        "in time without a limit",
        "timeout: 0s",
        &[Step(600, Answer(200))],
    ),
    over_http1(
        "in time",
        "timeout: 2s, retries: {attempts: 1, perTryTimeout: 1500ms}",
        &[Step(400, Answer(200))],
    ),
    over_http1(
        "a body past the limit",
        "timeout: 300ms",
        &[Step(0, SlowBody(1500))],
    ),
    over_http1(
        "a body past the limit of a try",
        "retries: {attempts: 2, perTryTimeout: 250ms, retryOn: 5xx}",
        &[Step(0, SlowBody(700))],
    ),
    over_http1(
        "a delay before the limit",
        "timeout: 300ms, fault: {delay: {fixedDelay: 500ms, percentage: {value: 100}}}",
        &[OK],
    ),
];
