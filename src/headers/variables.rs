//! Whether the percent signs of a value pair up, as far as Istio looks.
//!
//! Istio accepts more than Envoy: `%`, a name, and in parentheses either anything or a list of
//! quoted texts, `%`. What the name means is not its business.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expect {
    Text,
    Name,
    Arguments,
    Quote,
    Argument,
    Comma,
    Parenthesis,
    Percent,
}

/// The error is Istio's sentence.
pub(super) fn check(value: &str) -> Result<(), String> {
    use Expect::{Argument, Arguments, Comma, Name, Parenthesis, Percent, Quote, Text};

    let mut state = Text;
    let mut bytes = value.bytes().peekable();
    while let Some(byte) = bytes.next() {
        state = match (state, byte) {
            (Text, b'%') => match bytes.peek() {
                None => return Err("Un-escaped %".to_owned()),
                Some(b'%') => {
                    bytes.next();
                    Text
                }
                Some(_) => Name,
            },
            (Arguments | Quote | Comma | Parenthesis | Percent, b' ') => state,
            (Name, b'(') => Arguments,
            (Arguments, b'[') | (Comma, b',') => Quote,
            (Argument, b'\\') if bytes.next().is_none() => {
                return Err("Un-terminated backslash in JSON string".to_owned());
            }
            (Argument, b')') | (Parenthesis, b')') => Percent,
            (Argument, b'"') => Comma,
            (Comma, b']') => Parenthesis,
            (Arguments | Argument, _) | (Quote, b'"') => Argument,
            (Name | Percent, b'%') | (Text, _) => Text,
            (Name, _) => Name,
            (Quote, _) => return Err("Expecting '\"'".to_owned()),
            (Comma, _) => return Err("Expecting ',', ']', or whitespace".to_owned()),
            (Parenthesis, _) => return Err("Expecting ')' or whitespace".to_owned()),
            (Percent, _) => return Err("Expecting '%' or whitespace after".to_owned()),
        };
    }
    if state == Text {
        Ok(())
    } else {
        Err(format!("Un-terminated variable expression '{value}'"))
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(value: &str, want: &str) {
        let got = super::check(value).err().unwrap_or_default();
        assert_eq!(got, want, "{value:?}");
    }

    #[test]
    fn percent_signs_pair_up_as_in_istio() {
        for value in [
            "",
            "foo",
            "%HOSTNAME%",
            "100%%",
            "prefix %HOSTNAME% suffix",
            "%A(b)%",
            "%A( [\"b\" , \"c\"] )%",
            "%A([\"b\"]) %",
            "%A(b\\))%",
            "%A())%",
            "%(x)%",
        ] {
            check(value, "");
        }
        check("50%", "Un-escaped %");
        check("abc%123", "Un-terminated variable expression 'abc%123'");
        check("%START_TIME%%", "Un-escaped %");
        check("%A()%", "Un-terminated variable expression '%A()%'");
        // A length, which Envoy would take.
        check("%A(b):5%", "Expecting '%' or whitespace after");
        check("%A(b)c%", "Expecting '%' or whitespace after");
        check("%A([b])%", "Expecting '\"'");
        check("%A([\"b\" c])%", "Expecting ',', ']', or whitespace");
        check("%A([\"b\"]c)%", "Expecting ')' or whitespace");
        check("%A(b\\", "Un-terminated backslash in JSON string");
    }
}
