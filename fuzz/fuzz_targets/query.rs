//! Queries as text and as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_store::query::Pipeline;

fuzz_target!(|text: &str| {
    if let Ok(query) = Pipeline::parse(text) {
        let tree = query.to_value();
        let back = Pipeline::from_value(&tree).expect("a query that was written can be read");
        assert_eq!(back.to_value(), tree);
    }
    if let Ok(value) = mix_value::escjson::parse(text) {
        let _ = Pipeline::from_value(&value);
    }
});
