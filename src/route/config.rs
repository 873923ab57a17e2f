//! From `HTTPRouteDestination` as written to weights.

use super::weights::Weights;
use crate::api::HttpRouteDestination;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Compiles the destinations of one rule; `resolve` turns a destination into what is chosen.
pub(crate) fn compile<T>(
    written: &[HttpRouteDestination],
    at: At<'_>,
    found: &mut Diagnostics,
    mut resolve: impl FnMut(&HttpRouteDestination, At<'_>, &mut Diagnostics) -> Option<T>,
) -> Option<Weights<T>> {
    let before = found.len();
    let mut choices = Vec::with_capacity(written.len());
    for (n, item) in written.iter().enumerate() {
        let at = at.item(n);
        if item.destination.is_none() {
            let at = at.field("destination");
            found.push(Diagnostic::new(
                Code::MissingField,
                at,
                "destination is required",
            ));
            continue;
        }
        let Ok(weight) = u32::try_from(item.weight) else {
            let message = format!("weight {} < 0", item.weight);
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("weight"),
                message,
            ));
            continue;
        };
        let resolved = resolve(item, at.field("destination"), found);
        choices.extend(resolved.map(|it| (it, weight)));
    }
    let complete = choices.len() == written.len();
    match Weights::new(choices) {
        Ok(weights) if complete => Some(weights),
        // What is wrong with the destinations has been said already.
        _ if !complete && found.len() > before => None,
        Ok(weights) => Some(weights),
        Err(error) => {
            found.push(Diagnostic::new(Code::InvalidValue, at, error.to_string()));
            None
        }
    }
}
