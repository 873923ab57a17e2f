//! From `mirror`, `mirrors` and their percentages as written to shares and destinations.

use crate::api::{Destination, HttpRoute, Percentage};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::percent::Percent;

/// A mirror of a rule, with what its destination was resolved to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mirror<T> {
    pub(crate) share: Percent,
    pub(crate) destination: T,
}

/// Compiles a rule's mirrors; those that never get a copy are left out. `resolve` turns a
/// destination into what copies are sent to.
pub(crate) fn compile<T>(
    written: &HttpRoute,
    at: At<'_>,
    found: &mut Diagnostics,
    mut resolve: impl FnMut(&Destination, At<'_>, &mut Diagnostics) -> Option<T>,
) -> Vec<Mirror<T>> {
    if written.mirror.is_some() && !written.mirrors.is_empty() {
        let message = "HTTP route cannot contain both mirror and mirrors";
        found.push(Diagnostic::new(
            Code::Exclusive,
            at.field("mirrors"),
            message,
        ));
    }
    let answers = written.redirect.is_some() || written.direct_response.is_some();
    let mut mirrors = Vec::new();
    let mut add =
        |share: Option<Percent>, written: &Destination, at: At<'_>, found: &mut Diagnostics| {
            if answers {
                let message = "a rule that answers requests itself sends no copies of them";
                found.push(Diagnostic::new(Code::NeverFires, at, message));
            }
            let resolved = resolve(written, at, found);
            if let (Some(share), Some(destination)) = (share, resolved)
                && !share.is_never()
                && !answers
            {
                mirrors.push(Mirror { share, destination });
            }
        };
    let single = single_share(written, at, found);
    if let Some(destination) = &written.mirror {
        add(single, destination, at.field("mirror"), found);
    }
    let at_list = at.field("mirrors");
    for (n, mirror) in written.mirrors.iter().enumerate() {
        let at = at_list.item(n);
        let share = match &mirror.percentage {
            None => Some(Percent::from_whole(100)),
            Some(written) => share(written, "mirror percentage", at.field("percentage"), found),
        };
        match &mirror.destination {
            Some(destination) => add(share, destination, at.field("destination"), found),
            None => {
                let message = "destination is required for mirrors";
                found.push(Diagnostic::new(
                    Code::MissingField,
                    at.field("destination"),
                    message,
                ));
            }
        }
    }
    mirrors
}

/// The share of `mirror`: `mirrorPercentage`, else the deprecated `mirrorPercent`, else all.
fn single_share(written: &HttpRoute, at: At<'_>, found: &mut Diagnostics) -> Option<Percent> {
    if let Some(percent) = written.mirror_percent {
        let at = at.field("mirrorPercent");
        let message = r#"using deprecated setting "mirrorPercent", use "mirrorPercentage" instead"#;
        found.push(Diagnostic::new(Code::Deprecated, at, message));
        if percent > 100 {
            let message = format!("mirror_percent must have a max value of 100 (it has {percent})");
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
        }
    }
    let of_single = written.mirror_percentage.is_some() || written.mirror_percent.is_some();
    if of_single && written.mirror.is_none() {
        let field = match written.mirror_percentage {
            Some(_) => "mirrorPercentage",
            None => "mirrorPercent",
        };
        let message = format!("{field} is for mirror alone, and there is none");
        let hint = "each of mirrors has a percentage of its own";
        found.push(Diagnostic::new(Code::NeverFires, at.field(field), message).hint(hint));
    }
    match (&written.mirror_percentage, written.mirror_percent) {
        (Some(written), _) => share(
            written,
            "mirror_percentage",
            at.field("mirrorPercentage"),
            found,
        ),
        (None, Some(percent)) => (percent <= 100).then(|| Percent::from_whole(percent)),
        (None, None) => Some(Percent::from_whole(100)),
    }
}

fn share(written: &Percentage, name: &str, at: At<'_>, found: &mut Diagnostics) -> Option<Percent> {
    let value = written.value;
    let at = at.field("value");
    let bound = match value {
        0.0..=100.0 => {
            let share = Percent::from_percentage(value);
            // Less than a ten-thousandth is cut to nothing here, where for faults it is refused.
            let share = share.unwrap_or_default();
            if share.is_never() && value > 0.0 {
                let message = "less than a ten-thousandth of a percent is none at all";
                found.push(Diagnostic::new(Code::NeverFires, at, message));
            }
            return Some(share);
        }
        value if value < 0.0 => "min value of 0",
        _ => "max value of 100",
    };
    let message = format!("{name} must have a {bound} (it has {value:.6})");
    found.push(Diagnostic::new(Code::InvalidValue, at, message));
    None
}
