//! From a scalar's text to text, booleans, numbers and durations.

use std::time::Duration;

use super::decode::{Decode, Decoder, wrong_type};
use super::node::{Node, Value};
use crate::diagnostic::{At, Code, Diagnostic};
use crate::duration;

/// The text of a scalar and whether it was quoted.
fn scalar<'n>(
    node: &'n Node,
    at: At<'_>,
    decoder: &mut Decoder,
    wanted: &str,
) -> Option<(&'n str, bool)> {
    match &node.value {
        Value::Scalar { text, quoted } => Some((text, *quoted)),
        Value::Null | Value::List(_) | Value::Map(_) => {
            decoder.wrong_type(node, at, wanted);
            None
        }
    }
}

/// Whether YAML would read this plain scalar as something other than text.
fn reads_as_other_than_text(text: &str) -> bool {
    let boolean = ["true", "True", "TRUE", "false", "False", "FALSE"];
    let old_boolean = [
        "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    ];
    boolean.contains(&text)
        || old_boolean.contains(&text)
        || [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"]
            .contains(&text.trim_start_matches(['+', '-']))
        || ["0x", "0o", "0b"].iter().any(|base| {
            let digits = text.strip_prefix(base).unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
        || (text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.parse::<f64>().is_ok())
}

impl Decode for String {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, quoted) = scalar(node, at, decoder, "text")?;
        if text.contains('\0') {
            let message = "the text holds a NUL character";
            decoder.report(node.mark, Diagnostic::new(Code::InvalidValue, at, message));
            return None;
        }
        if !quoted && reads_as_other_than_text(text) {
            let message =
                format!("YAML reads {text} as a number or a boolean, and text belongs here");
            let hint = format!("Kubernetes would refuse it; write \"{text}\"");
            decoder.report(
                node.mark,
                Diagnostic::new(Code::UnquotedText, at, message).hint(hint),
            );
        }
        Some(text.to_owned())
    }
}

impl Decode for bool {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, quoted) = scalar(node, at, decoder, "true or false")?;
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        };
        match (text, quoted) {
            ("true" | "True" | "TRUE" | "false" | "False" | "FALSE", false) => meant,
            _ => {
                let mut diagnostic = wrong_type(node, at, "true or false");
                if let Some(meant) = meant {
                    diagnostic = diagnostic.hint(format!("write {meant}, without quotes"));
                }
                decoder.report(node.mark, diagnostic);
                None
            }
        }
    }
}

/// A number as it must be written: `010` is eight to YAML 1.1 and ten to YAML 1.2.
fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// Says what is wrong with a text that is no number of the wanted type.
fn no_number(node: &Node, text: &str, at: At<'_>, wanted: &str, range: &str) -> Diagnostic {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole && !has_leading_zero(text) {
        let message = format!("{} is out of range: {range}", node.describe());
        return Diagnostic::new(Code::InvalidValue, at, message);
    }
    let diagnostic = wrong_type(node, at, wanted);
    match text.strip_suffix('%').map(str::trim) {
        Some(number) if number.parse::<f64>().is_ok() && number.len() < 20 => {
            diagnostic.hint(format!("write {number}"))
        }
        _ if has_leading_zero(text) => {
            diagnostic.hint("a leading zero can mean an octal number; leave it out")
        }
        _ => diagnostic,
    }
}

macro_rules! numbers {
    ($($type:ident: $range:literal),*) => { $(
        impl Decode for $type {
            fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
                let (text, _) = scalar(node, at, decoder, "a whole number")?;
                match text.parse::<Self>() {
                    Ok(number) if !has_leading_zero(text) => Some(number),
                    Ok(_) | Err(_) => {
                        let fault = no_number(node, text, at, "a whole number", $range);
                        decoder.report(node.mark, fault);
                        None
                    }
                }
            }
        }
    )* };
}

numbers! {
    u16: "it must lie between 0 and 65535",
    i32: "it must lie between -2147483648 and 2147483647",
    u32: "it must lie between 0 and 4294967295",
    u64: "it must lie between 0 and 18446744073709551615"
}

impl Decode for f64 {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, _) = scalar(node, at, decoder, "a number")?;
        let bare = text.trim_start_matches(['+', '-', '.']);
        let endless = bare.eq_ignore_ascii_case("inf") || bare.eq_ignore_ascii_case("nan");
        match text.parse::<Self>() {
            Ok(number) if number.is_finite() && !has_leading_zero(text) => Some(number),
            Ok(number) if !number.is_finite() => {
                let message = format!("expected a finite number, found {}", node.describe());
                decoder.report(node.mark, Diagnostic::new(Code::InvalidValue, at, message));
                None
            }
            Err(_) if endless => {
                let message = format!("expected a finite number, found {}", node.describe());
                decoder.report(node.mark, Diagnostic::new(Code::InvalidValue, at, message));
                None
            }
            Ok(_) | Err(_) => {
                let fault = no_number(node, text, at, "a number", "it must be finite");
                decoder.report(node.mark, fault);
                None
            }
        }
    }
}

impl Decode for Duration {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        const WANTED: &str = "a duration such as 1.5s";
        let (text, _) = scalar(node, at, decoder, WANTED)?;
        let error = match duration::parse(text) {
            Ok(duration) => return Some(duration),
            Err(_) if text.len() > 40 => {
                decoder.wrong_type(node, at, WANTED);
                return None;
            }
            Err(error) => error,
        };
        let mut diagnostic = Diagnostic::new(Code::InvalidValue, at, error.to_string());
        let days = text.strip_suffix('d').map(str::parse::<u32>);
        if let Some(Ok(days)) = days {
            let hours = u64::from(days) * 24;
            diagnostic = diagnostic.hint(format!("there are no days; write {hours}h"));
        }
        decoder.report(node.mark, diagnostic);
        None
    }
}
