//! Errors: the table of the specification and the limits.

use mix_value::{Value, escjson};

use super::memory::MemoryError;
use super::worked::records;
use crate::query::{Pipeline, PreparedQuery, QueryError, QueryErrorCode, QueryOptions};

/// Parses, prepares and runs a query.
fn attempt(text: &str) -> Result<Vec<Value>, QueryError> {
    run(&Pipeline::parse(text)?)
}

fn attempt_ast(json: &str) -> Result<Vec<Value>, QueryError> {
    run(&Pipeline::from_value(&escjson::parse(json).expect("JSON"))?)
}

fn run(pipeline: &Pipeline) -> Result<Vec<Value>, QueryError> {
    let options = QueryOptions::default();
    let memory = records();
    let result = PreparedQuery::new(pipeline, &options)?.run(&memory, &options);
    result
        .and_then(|execution| execution.collect_values())
        .map_err(|error| match error {
            MemoryError::Query(error) => error,
            MemoryError::Corrupt(row) => panic!("row {row} is corrupt"),
        })
}

fn refused(text: &str) -> QueryError {
    match attempt(text) {
        Ok(values) => panic!("{text} gave {values:?}"),
        Err(error) => error,
    }
}

fn code(text: &str) -> &'static str {
    refused(text).code.as_str()
}

#[test]
fn errors_of_the_table() {
    for (text, offset, expected) in [
        (r#"entity = "x""#, 7, "`==`"),
        ("a == b", 5, "quote the string or write `.b`"),
        ("a == 1 |", 8, "stage"),
        (r#"a == "x"#, 5, "closing quote"),
    ] {
        let error = refused(text);
        assert_eq!(error.code, QueryErrorCode::Syntax, "{text}");
        assert_eq!(
            (error.offset(), error.expected_text()),
            (Some(offset), Some(expected)),
            "{text}"
        );
    }
    assert!(
        refused(r#"a == "x"#)
            .message
            .starts_with("unterminated string")
    );
    let details = Value::Map(refused("a == b").details());
    let text = escjson::format(&details).expect("details have a text");
    assert_eq!(
        text,
        r#"{"code":"query_syntax","expected":"quote the string or write `.b`","offset":5}"#
    );
    assert_eq!(code("{ ++boss }"), "query_unsupported");
    let missing = refused("a == $p");
    assert_eq!(
        (missing.code.as_str(), missing.param()),
        ("missing_param", Some("p"))
    );
    assert_eq!(code("order(name, 1)"), "query_type");
    assert_eq!(code("{a} | after 3"), "query_type");
    let unknown = attempt_ast(r#"["comparison","=~","a","b"]"#).expect_err("an unknown operator");
    assert_eq!(
        (unknown.code.as_str(), unknown.path()),
        ("unknown_opcode", Some("[0][1]"))
    );
    let number =
        attempt_ast(r#"["comparison","==","a",["scalarIndexed",5]]"#).expect_err("a number");
    assert_eq!(number.code.as_str(), "not_indexable");
}
