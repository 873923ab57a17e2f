//! From YAML's words to mirrors, or to what is wrong with them.

use crate::api::{Destination, HttpMirrorPolicy, HttpRedirect, HttpRoute, Percentage};
use crate::diagnostic::{At, Diagnostics};
use crate::mirror::compile;
use crate::percent::Percent;

/// Compiles a rule's mirrors; each with its host, then what was found, one a line.
#[track_caller]
fn check(written: &HttpRoute, want: &[&str]) {
    let mut found = Diagnostics::default();
    let mirrors = compile(written, At::Top, &mut found, |to, _, _| {
        Some(to.host.clone())
    });
    let mut got: Vec<String> = mirrors
        .iter()
        .map(|it| {
            let covers = |share: Percent| (0..1_000_000).filter(|n| share.covers(*n)).count();
            format!("{} {}", it.destination, covers(it.share))
        })
        .collect();
    got.extend(found.iter().map(ToString::to_string));
    assert_eq!(got, want);
}

fn to(host: &str) -> Option<Destination> {
    Some(Destination {
        host: host.into(),
        ..Destination::default()
    })
}

fn percentage(value: f64) -> Option<Percentage> {
    Some(Percentage { value })
}

fn single() -> HttpRoute {
    HttpRoute {
        mirror: to("v2"),
        ..HttpRoute::default()
    }
}

fn listed(mirrors: Vec<HttpMirrorPolicy>) -> HttpRoute {
    HttpRoute {
        mirrors,
        ..HttpRoute::default()
    }
}

#[test]
fn what_is_not_said_means_all() {
    check(&single(), &["v2 1000000"]);
    let several = ["a", "b"].map(|host| HttpMirrorPolicy {
        destination: to(host),
        percentage: None,
    });
    check(&listed(several.into()), &["a 1000000", "b 1000000"]);
    check(&HttpRoute::default(), &[]);
}

#[test]
fn percentages_are_exact_to_a_ten_thousandth_and_zero_is_none() {
    for (value, want) in [
        (12.5, Some("v2 125000")),
        (0.0001, Some("v2 1")),
        (0.0, None),
    ] {
        let written = HttpRoute {
            mirror_percentage: percentage(value),
            ..single()
        };
        check(&written, want.as_slice());
    }
    let tiny = HttpRoute {
        mirror_percentage: percentage(0.00005),
        ..single()
    };
    let warning = "warning[never-fires]: mirrorPercentage.value: less than a ten-thousandth of a \
                   percent is none at all";
    check(&tiny, &[warning]);
}

#[test]
fn the_deprecated_percentage_counts_where_there_is_no_other() {
    let warning = r#"warning[deprecated]: mirrorPercent: using deprecated setting "mirrorPercent", use "mirrorPercentage" instead"#;
    let legacy = HttpRoute {
        mirror_percent: Some(10),
        ..single()
    };
    check(&legacy, &["v2 100000", warning]);
    let both = HttpRoute {
        mirror_percentage: percentage(20.0),
        ..legacy.clone()
    };
    check(&both, &["v2 200000", warning]);
    let beyond = HttpRoute {
        mirror_percent: Some(101),
        ..single()
    };
    let error = "error[invalid-value]: mirrorPercent: mirror_percent must have a max value of 100 \
                 (it has 101)";
    check(&beyond, &[warning, error]);
}

#[test]
fn what_is_no_share_is_refused_in_istios_words() {
    for (value, bound) in [
        (100.5, "max value of 100 (it has 100.500000)"),
        (-1.0, "min value of 0 (it has -1.000000)"),
    ] {
        let written = HttpRoute {
            mirror_percentage: percentage(value),
            ..single()
        };
        let error = format!(
            "error[invalid-value]: mirrorPercentage.value: mirror_percentage must have a {bound}"
        );
        check(&written, &[&error]);
        let written = listed(vec![HttpMirrorPolicy {
            destination: to("a"),
            percentage: percentage(value),
        }]);
        let error = format!(
            "error[invalid-value]: mirrors[0].percentage.value: mirror percentage must have a {bound}"
        );
        check(&written, &[&error]);
    }
}

#[test]
fn one_form_at_a_time_and_each_with_a_destination() {
    let nowhere = HttpMirrorPolicy::default();
    let written = HttpRoute {
        mirrors: vec![nowhere],
        ..single()
    };
    check(
        &written,
        &[
            "v2 1000000",
            "error[exclusive]: mirrors: HTTP route cannot contain both mirror and mirrors",
            "error[missing-field]: mirrors[0].destination: destination is required for mirrors",
        ],
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let written = HttpRoute {
        redirect: Some(HttpRedirect::default()),
        ..single()
    };
    let warning = "warning[never-fires]: mirror: a rule that answers requests itself sends no \
                   copies of them";
    check(&written, &[warning]);
    let written = HttpRoute {
        mirror: None,
        mirror_percentage: percentage(10.0),
        ..single()
    };
    let warning = "warning[never-fires]: mirrorPercentage: mirrorPercentage is for mirror alone, \
                   and there is none (each of mirrors has a percentage of its own)";
    check(&written, &[warning]);
}
