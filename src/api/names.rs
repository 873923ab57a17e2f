//! Names of fields: their two spellings, and what a misspelt one was meant to be.

/// Names longer than this are not compared: nobody slips that far, and comparing is quadratic.
const LONGEST: usize = 64;

/// What took the place of fields that Istio once had.
pub(super) fn replacement(key: &str) -> Option<&'static str> {
    Some(match key {
        "appendHeaders" | "appendRequestHeaders" => "Istio removed it; use headers.request.add",
        "removeRequestHeaders" => "Istio removed it; use headers.request.remove",
        "appendResponseHeaders" => "Istio removed it; use headers.response.add",
        "removeResponseHeaders" => "Istio removed it; use headers.response.remove",
        "websocketUpgrade" => "Istio removed it; upgrades are always on",
        _ => return None,
    })
}

/// The known field nearest to what was written, in its YAML spelling.
pub(super) fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    let known: Vec<_> = known.iter().map(|name| camel_case(name)).collect();
    nearest(written, known.iter().map(String::as_str)).map(str::to_owned)
}

/// The known field that begins with what was written, or the other way round.
pub(super) fn begun(written: &str, known: &[&str]) -> Option<String> {
    let mut known = known.iter().map(|name| camel_case(name));
    known.find(|name| {
        let shorter = written.len().min(name.len());
        shorter >= 4 && (name.starts_with(written) || written.starts_with(name.as_str()))
    })
}

/// The name that is a slip or two away from what was written.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    names
        .filter_map(|name| {
            let slips = strsim::damerau_levenshtein(&written, &name.to_lowercase());
            let shorter = written.chars().count().min(name.len());
            (slips <= (shorter / 3).max(1) && slips < shorter).then_some((slips, name))
        })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// A Rust field name in proto3's JSON spelling: `max_age` is `maxAge`.
pub(crate) fn camel_case(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut raise = false;
    for c in field.trim_start_matches("r#").chars() {
        match (c, raise) {
            ('_', _) => raise = true,
            (c, true) => {
                name.push(c.to_ascii_uppercase());
                raise = false;
            }
            (c, false) => name.push(c),
        }
    }
    name
}

/// Whether `written` is the Rust field `field`, spelt in camelCase or in snake_case.
pub(crate) fn same_name(field: &str, written: &str) -> bool {
    let field = field.trim_start_matches("r#");
    if field == written {
        return true;
    }
    let mut written = written.bytes();
    let mut raise = false;
    for byte in field.bytes() {
        if byte == b'_' {
            raise = true;
            continue;
        }
        let wanted = if raise {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        if written.next() != Some(wanted) {
            return false;
        }
        raise = false;
    }
    written.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::{begun, camel_case, did_you_mean, nearest, same_name};

    #[test]
    fn both_spellings_name_a_field() {
        assert_eq!(camel_case("consecutive_5xx_errors"), "consecutive5xxErrors");
        assert_eq!(camel_case("r#match"), "match");
        assert!(same_name("max_age", "maxAge"));
        assert!(same_name("max_age", "max_age"));
        assert!(same_name("r#match", "match"));
        assert!(same_name("http2_max_requests", "http2MaxRequests"));
        assert!(!same_name("max_age", "maxage"));
        assert!(!same_name("max_age", "maxAgeX"));
    }

    #[test]
    fn slips_of_the_hand_are_recognised() {
        let known = ["host", "weight", "headers", "percentage"];
        let check = |written, meant: Option<&str>| {
            assert_eq!(did_you_mean(written, &known).as_deref(), meant, "{written}");
        };
        check("wieght", Some("weight"));
        check("heraders", Some("headers"));
        check("hosts", Some("host"));
        check("percenttage", Some("percentage"));
        check("elephant", None);
        check("port", None);
        check(&"h".repeat(1000), None);
    }

    #[test]
    fn half_a_name_is_recognised() {
        let known = ["host", "percentage", "consecutive_5xx_errors"];
        assert_eq!(begun("percent", &known).as_deref(), Some("percentage"));
        assert_eq!(
            begun("consecutive5xx", &known).as_deref(),
            Some("consecutive5xxErrors")
        );
        assert_eq!(begun("hostname", &known).as_deref(), Some("host"));
        assert_eq!(begun("ho", &known), None);
    }

    #[test]
    fn enumerations_are_known_in_any_case() {
        let known = ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"];
        assert_eq!(
            nearest("round_robin", known.into_iter()),
            Some("ROUND_ROBIN")
        );
        assert_eq!(nearest("MAGLEV", known.into_iter()), None);
    }
}
