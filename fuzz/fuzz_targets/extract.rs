//! Any text through every entry point of the parser.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use topicloom::parse::{Limits, Shape, records, strings};

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    let known = Shape::new(["question", "answer"]).required(["question"]);
    let open = Shape::new(Vec::<String>::new());
    for shape in [&known, &open] {
        let first = records(text, shape, &limits);
        assert!(first.values.iter().all(Value::is_object));
        assert!(!first.values.is_empty() || first.fault.is_some());
        let _ = records(text, shape, &limits.max_depth(3).max_values(16));
    }
    let first = records(text, &known, &limits);
    if !first.values.is_empty() {
        let again = records(
            &Value::from(first.values.clone()).to_string(),
            &known,
            &limits,
        );
        assert_eq!(again.values, first.values);
        assert!(again.mends.is_empty(), "{:?}", again.mends);
    }
    assert!(strings(text, &limits).values.iter().all(Value::is_string));
});
