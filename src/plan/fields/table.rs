//! The guide's table of all fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::effect::Effect;
use super::reasons::BY_TEST;
use super::{KINDS, Row, reason};

const HEAD: &str = "\
# Every field, and what comes of it

A test writes this table: it takes each field there is out of a resource in which nothing is wrong,
or gives it another value, and looks at what is compiled for a workload, for another one and for a
gateway.

| Word | Meaning |
|---|---|
| works | another plan is compiled: requests are served otherwise |
| left out | refused on purpose, with the code `not-built` and this way out; a warning when rules are read leniently |
| refused | an error: Istio has never made it work |
| reported | told of with this code, for a sidecar does not act on it either |
| without effect | nothing comes of it here, for the reason given |

A field stands before those inside it; `[]` is each item of a list, `.*` each entry of a mapping.
";

/// Fields below which everything is as it is below another.
const LIKE: [(&str, &str); 3] = [
    (
        "spec.trafficPolicy.portLevelSettings[]",
        "spec.trafficPolicy",
    ),
    ("spec.subsets[].trafficPolicy", "spec.trafficPolicy"),
    (
        "spec.subsets[].trafficPolicy.portLevelSettings[]",
        "spec.trafficPolicy",
    ),
];

fn say(row: &Row, effect: &Effect) -> String {
    if BY_TEST.iter().any(|(it, _)| super::row(it) == *row) {
        return "works".to_owned();
    }
    match (effect, reason(row)) {
        (Effect::Works, _) => "works".to_owned(),
        (Effect::LeftOut(hint), _) => format!("left out: {hint}"),
        (Effect::NotBuilt, _) => "not built".to_owned(),
        (Effect::Judged | Effect::Nothing, Some(reason)) => format!("without effect: {reason}"),
        (Effect::Refused, _) => "refused".to_owned(),
        (Effect::Reported(code), _) => format!("reported: `{code}`"),
        (Effect::Judged | Effect::Nothing, None) => "nothing".to_owned(),
    }
}

/// The whole text.
pub(super) fn write(effects: &BTreeMap<Row, Effect>) -> String {
    let mut text = HEAD.to_owned();
    for kind in KINDS {
        let _ = write!(text, "\n## {kind}\n\n| Field | Effect |\n|---|---|\n");
        let rows: BTreeMap<&str, String> = effects
            .iter()
            .filter(|(row, _)| row.0 == kind)
            .map(|(row, effect)| (row.1.as_str(), say(row, effect)))
            .collect();
        for (place, said) in &rows {
            let same = LIKE.iter().rev().find_map(|(like, model)| {
                let rest = place.strip_prefix(like).filter(|it| !it.is_empty())?;
                let modelled = rows.get(format!("{model}{rest}").as_str())?;
                (modelled == said).then_some(())
            });
            if same.is_none() {
                let _ = writeln!(text, "| `{place}` | {said} |");
            }
        }
        let there = |like: &str| rows.keys().any(|it| it.starts_with(like));
        for (like, model) in LIKE.iter().filter(|(like, _)| there(like)) {
            let _ = writeln!(text, "| all else in `{like}` | as in `{model}` |");
        }
    }
    text
}
