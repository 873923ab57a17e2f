//! The rows: answers and failures in a certain order, and how many endpoints are used afterwards.

use serde_json::{Value, json};

/// One destination, and what is asked of it.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) endpoints: &'static [&'static str],
    /// `outlierDetection` as Istio writes it, and as Istio writes it to Envoy.
    pub(super) policy: String,
    pub(super) fields: Value,
    /// Headers of one request after the other.
    pub(super) steps: Vec<Vec<(&'static str, String)>>,
    /// How many endpoints are used afterwards.
    pub(super) left: usize,
}

/// One endpoint and this many errors of a kind to eject it.
pub(super) fn row(name: impl Into<String>, policy: &str, fields: &Value, left: usize) -> Row {
    let mut all = json!({
        "max_ejection_percent": 100, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
    });
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    let has_5xx = policy.contains("consecutive5xxErrors");
    let off = if has_5xx {
        ""
    } else {
        ", consecutive5xxErrors: 0"
    };
    let has_most = policy.contains("maxEjectionPercent");
    let most = if has_most {
        ""
    } else {
        ", maxEjectionPercent: 100"
    };
    Row {
        name: name.into(),
        endpoints: &["alpha"],
        policy: format!("{policy}{off}{most}"),
        fields: all,
        steps: Vec::new(),
        left,
    }
}

impl Row {
    fn answers(self, statuses: &[&str]) -> Self {
        let step = |it: &&str| vec![("x-up-status", (*it).to_owned())];
        let steps = statuses.iter().map(step).collect();
        Self { steps, ..self }
    }

    fn steps(self, count: usize, step: &[(&'static str, &str)]) -> Self {
        let step: Vec<_> = step.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        let steps = vec![step; count];
        Self { steps, ..self }
    }

    fn at(self, endpoints: &'static [&'static str]) -> Self {
        Self { endpoints, ..self }
    }
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

pub(super) fn rows() -> Vec<Row> {
    let errors = |count: u32| json!({"consecutive_5xx": count, "enforcing_consecutive_5xx": 100});
    let gateway = |count: u32| json!({"consecutive_gateway_failure": count, "enforcing_consecutive_gateway_failure": 100});
    let both = |gateway: u32, errors: u32| {
        json!({
            "consecutive_5xx": errors, "enforcing_consecutive_5xx": 100,
            "consecutive_gateway_failure": gateway, "enforcing_consecutive_gateway_failure": 100,
        })
    };
    let mut rows = Vec::new();
    // What a gRPC status in the head of an answer counts as.
    for code in 0..=17 {
        let status = format!("grpc-status: {code}");
        let step = [GRPC, ("x-up-header", &*status)];
        let is_error = matches!(code, 2 | 4 | 12..=15 | 17);
        let named = format!("gRPC {code} as an error");
        let left = usize::from(!is_error);
        rows.push(row(named, "consecutive5xxErrors: 2", &errors(2), left).steps(2, &step));
        let named = format!("gRPC {code} as a gateway's error");
        let left = usize::from(!matches!(code, 4 | 14));
        rows.push(row(named, "consecutiveGatewayErrors: 2", &gateway(2), left).steps(2, &step));
    }
    let unavailable = ("x-up-header", "grpc-status: 14");
    let of_5xx = |name: &str, left| row(name, "consecutive5xxErrors: 2", &errors(2), left);
    rows.extend([
        of_5xx("a gRPC status where nobody speaks gRPC", 1).steps(2, &[unavailable]),
        of_5xx("an HTTP status to a gRPC call", 0).steps(2, &[GRPC, ("x-up-status", "503")]),
        of_5xx("a good gRPC status beside a bad HTTP status", 1).steps(
            2,
            &[
                GRPC,
                ("x-up-status", "503"),
                ("x-up-header", "grpc-status: 0"),
            ],
        ),
        of_5xx("a gRPC status that is no number", 0)
            .steps(2, &[GRPC, ("x-up-header", "grpc-status: it")]),
        of_5xx("501 is an error", 0).answers(&["501", "599"]),
        of_5xx("499 is none", 1).answers(&["499", "404"]),
    ]);
    // Rows of the one kind within rows of the other.
    let two = "consecutiveGatewayErrors: 2, consecutive5xxErrors: 4";
    let mixed = |name: &str, left| row(name, two, &both(2, 4), left);
    rows.extend([
        mixed("two of a gateway end it", 0).answers(&["500", "502", "503"]),
        mixed("one between others does not", 1).answers(&["502", "500", "502"]),
        mixed("but four errors do", 0).answers(&["502", "500", "502", "500"]),
        mixed("a good answer ends both rows", 1)
            .answers(&["500", "500", "502", "200", "503", "500"]),
        mixed("504 is of a gateway", 0).answers(&["504", "504"]),
        mixed("505 is not", 1).answers(&["505", "505", "505"]),
        row(
            "unset, a gateway's errors are errors",
            "consecutive5xxErrors: 3",
            &errors(3),
            0,
        )
        .answers(&["502", "503", "504"]),
    ]);
    // Failures on this side, together with answers and apart from them.
    let split = |local: u32| {
        json!({
            "split_external_local_origin_errors": true, "consecutive_local_origin_failure": local,
            "enforcing_consecutive_local_origin_failure": 100,
            "consecutive_5xx": 2, "enforcing_consecutive_5xx": 100,
        })
    };
    let apart = |name: &str, local: u32, left| {
        let policy = format!(
            "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: {local}, \
             consecutive5xxErrors: 2"
        );
        row(name, &policy, &split(local), left)
    };
    let reset = [("x-up-reset", "before")];
    let late = [("x-up-delay", "900")];
    rows.extend([
        apart("errors are counted apart", 9, 0).answers(&["500", "503"]),
        apart("refused connections are no errors then", 9, 1)
            .steps(3, &[])
            .at(&["dead"]),
        apart("but failures of this side", 2, 0)
            .steps(2, &[])
            .at(&["dead"]),
        apart("resets are none in a row, for a connection was made", 2, 1).steps(4, &reset),
        apart("one reset is one", 1, 0).steps(1, &reset),
        apart("late answers are none in a row either", 2, 1).steps(3, &late),
        apart("one late answer is one", 1, 0).steps(1, &late),
        apart("never", 0, 1).steps(3, &[]).at(&["dead"]),
        row(
            "resets are a gateway's errors",
            "consecutiveGatewayErrors: 2",
            &gateway(2),
            0,
        )
        .steps(2, &reset),
        row(
            "late answers are a gateway's errors",
            "consecutiveGatewayErrors: 2",
            &gateway(2),
            0,
        )
        .steps(2, &late),
        row(
            "refused connections are a gateway's errors",
            "consecutiveGatewayErrors: 2",
            &gateway(2),
            0,
        )
        .steps(2, &[])
        .at(&["dead"]),
    ]);
    // How many of three, or of four, may be out.
    for (most, of, left) in [
        (33, 3, 3),
        (34, 3, 2),
        (66, 3, 2),
        (67, 3, 1),
        (99, 3, 1),
        (100, 3, 0),
        (24, 4, 4),
        (25, 4, 3),
        (50, 4, 2),
        (74, 4, 2),
        (75, 4, 1),
    ] {
        let policy = format!("consecutive5xxErrors: 1, maxEjectionPercent: {most}");
        let mut fields = errors(1);
        fields["max_ejection_percent"] = json!(most);
        let endpoints = &["alpha", "bravo", "gamma", "delta"][..of];
        let row = row(format!("at most {most} of {of}"), &policy, &fields, left);
        rows.push(row.steps(24, &[("x-up-status", "503")]).at(endpoints));
    }
    // Nine tenths are not left: of four, two are out, and all are used under 51 percent.
    for (health, left) in [(50, 2), (51, 4), (100, 4), (0, 2)] {
        let policy =
            format!("consecutive5xxErrors: 1, maxEjectionPercent: 50, minHealthPercent: {health}");
        let mut fields = errors(1);
        fields["max_ejection_percent"] = json!(50);
        fields["panic"] = json!(health);
        let name = format!("at least {health} percent of four");
        let row = row(name, &policy, &fields, left);
        let all = &["alpha", "bravo", "gamma", "delta"];
        rows.push(row.steps(24, &[("x-up-status", "503")]).at(all));
    }
    // Statuses that are errors because somebody said so.
    for (codes, answers, left) in [
        ("404, 429", ["404", "429"], 0),
        ("404, 429", ["503", "500"], 1),
        ("404, 429", ["404", "503"], 1),
    ] {
        let policy = format!("consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [{codes}]");
        let mut fields = errors(2);
        fields["codes"] = json!(codes.split(", ").collect::<Vec<_>>());
        rows.push(
            row(
                format!("{answers:?} where {codes} are errors"),
                &policy,
                &fields,
                left,
            )
            .answers(&answers),
        );
    }
    rows
}
