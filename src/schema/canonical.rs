//! One form and one hash for equal JSON, whatever the order of its keys.
//!
//! `Value::to_string` follows insertion order here and key order in a build without
//! `serde_json/preserve_order`, so it must never be hashed or compared itself.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// Returns a hash that is equal for equal values: stable across platforms, versions and key order.
pub(crate) fn hash(value: &Value) -> u128 {
    xxh3_128(text(value).as_bytes())
}

/// Returns `value` as JSON without white space, the keys of every object sorted.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter_and_list_order_does() {
        let a = json!({"x": 1, "y": {"b": [1, 2], "a": "é\n"}});
        let b = json!({"y": {"a": "é\n", "b": [1, 2]}, "x": 1});
        assert_eq!(text(&a), r#"{"x":1,"y":{"a":"é\n","b":[1,2]}}"#);
        assert_eq!(hash(&a), hash(&b));
        assert_ne!(hash(&json!([1, 2])), hash(&json!([2, 1])));
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(
            hash(&json!({"a": null})),
            xxh3_128(br#"{"a":null}"#),
            "stored fingerprints rest on this form"
        );
    }
}
