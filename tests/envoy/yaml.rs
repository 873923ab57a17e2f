//! Values as YAML a person can read, for tables that are drawn.

use serde_json::Value;

/// A value as a YAML document.
pub(crate) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// Mappings and lists of more than scalars take lines of their own; the rest is JSON, which is YAML.
fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = Value::String(key.clone());
                text.push_str(&format!("{indent}{}:", plain(&key)));
                below(value, depth, text);
            }
        }
        Value::Array(list) => {
            for value in list {
                if value.as_object().is_some_and(serde_json::Map::is_empty) {
                    text.push_str(&format!("{indent}- {{}}\n"));
                    continue;
                }
                let start = text.len();
                block(value, depth + 1, text);
                // The first line of an item carries the dash in place of its indentation.
                text.replace_range(start..start + indent.len() + 2, &format!("{indent}- "));
            }
        }
        scalar => text.push_str(&format!("{indent}{}\n", plain(scalar))),
    }
}

fn below(value: &Value, depth: usize, text: &mut String) {
    let is_flat = match value {
        Value::Object(map) => map.values().all(|it| !it.is_object() && !it.is_array()),
        Value::Array(list) => list.iter().all(|it| !it.is_object() && !it.is_array()),
        _ => true,
    };
    if is_flat {
        text.push_str(&format!(" {}\n", plain(value)));
    } else {
        text.push('\n');
        block(value, depth + 1, text);
    }
}

/// JSON, without quotes around words that need none.
fn plain(value: &Value) -> String {
    match value {
        Value::String(word)
            if word.starts_with(|it: char| it.is_ascii_alphabetic())
                && word.chars().all(|it| it.is_ascii_alphanumeric())
                && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
                    .contains(&word.to_ascii_lowercase().as_str()) =>
        {
            word.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_short_and_plain() {
        let value = json!({
            "kind": "VirtualService",
            "spec": {"hosts": ["a.test"], "http": [{"match": [{"uri": {"prefix": "/"}}], "name": "r"}]},
        });
        let text = "kind: VirtualService\nspec:\n  hosts: [\"a.test\"]\n  http:\n    - match:\n        - uri: {\"prefix\":\"/\"}\n      name: r\n";
        assert_eq!(document(&value), text);
    }
}
