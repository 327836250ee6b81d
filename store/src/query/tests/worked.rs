//! The worked queries of the specification: text to AST, AST to results.

use mix_value::{Value, escjson};

use super::memory::{Memory, MemoryError};
use crate::query::{Pipeline, PreparedQuery, QueryItem, QueryOptions};

const RECORDS: &str = include_str!("records.txt");
const WORKED: &str = include_str!("worked.txt");

/// The 32-character ref that the text calls `name`.
pub(super) fn full(name: &str) -> String {
    format!("{name:x<32}")
}

/// Writes short refs out: `REF(c1)` in JSON, `ref("c1")` in queries.
pub(super) fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("REF(") {
        let (before, after) = rest.split_at(at);
        let (name, after) = after[4..].split_once(')').expect("a closing parenthesis");
        out.push_str(before);
        out.push_str(&format!(
            r#"{{"_rmx_type":"{{tag}}case:db.ref","_rmx_value":"{}"}}"#,
            full(name)
        ));
        rest = after;
    }
    out.push_str(rest);
    for name in ["c1", "c2"] {
        out = out.replace(
            &format!("ref(\"{name}\")"),
            &format!("ref(\"{}\")", full(name)),
        );
    }
    out
}

/// The records of the worked queries, with rows and revisions.
pub(super) fn records() -> Memory {
    let records = RECORDS.lines().enumerate().map(|(row, line)| {
        let Ok(Value::Map(mut map)) = escjson::parse(&expand(line)) else {
            panic!("record {row} is no map: {line}");
        };
        map.insert("_rmx_row".into(), Value::Int(row as i64));
        let rev = mix_value::Ref::new(&full(&format!("v{row}"))).expect("a ref");
        map.insert("_rmx_rev".into(), Value::Ref(rev));
        Value::Map(map)
    });
    Memory::new(records.collect())
}

/// Source and options for the words after a query.
fn view(words: &str) -> (Memory, QueryOptions) {
    let mut memory = records();
    let mut options = QueryOptions::default();
    let mut rest = words.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("asOf 8") {
            memory.bound = 8;
            rest = after.trim();
        } else if let Some(after) = rest.strip_prefix("includeDeleted") {
            memory.include_deleted = true;
            rest = after.trim();
        } else if let Some(after) = rest.strip_prefix("includeSuperseded") {
            memory.include_superseded = true;
            rest = after.trim();
        } else if let Some(after) = rest.strip_prefix("params ") {
            let Ok(Value::Map(params)) = escjson::parse(after) else {
                panic!("no params: {after}");
            };
            options.params = params;
            rest = "";
        } else {
            panic!("unknown option: {rest}");
        }
    }
    (memory, options)
}

/// Results as the text writes them: a whole record as `id@row`.
fn shown(item: QueryItem) -> String {
    match item {
        QueryItem::Stored(row) => {
            let value = mix_value::msgpack::decode(&row.bytes).expect("stored rows decode");
            let id = value
                .get("_rmx_id")
                .and_then(Value::as_ref_value)
                .expect("an id");
            format!("{}@{}", id.as_str().trim_end_matches('x'), row.row)
        }
        QueryItem::Value(value) => escjson::format(&value).expect("results have a text"),
    }
}

fn wanted(text: &str) -> Vec<String> {
    let text = expand(text);
    if text.contains('@') {
        return text.split_whitespace().map(str::to_owned).collect();
    }
    let mut results = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // The shortest prefix that is a value and ends at a space.
        let ends = rest
            .match_indices(' ')
            .map(|(at, _)| at)
            .chain([rest.len()]);
        let end = ends
            .into_iter()
            .find(|end| escjson::parse(&rest[..*end]).is_ok())
            .expect("a value");
        let value = escjson::parse(&rest[..end]).expect("parsed before");
        results.push(escjson::format(&value).expect("a text"));
        rest = rest[end..].trim();
    }
    results
}

fn run(
    pipeline: &Pipeline,
    memory: &Memory,
    options: &QueryOptions,
) -> Result<Vec<String>, MemoryError> {
    let prepared = PreparedQuery::new(pipeline, options)?;
    prepared
        .run(memory, options)?
        .map(|item| item.map(shown))
        .collect()
}

#[test]
fn worked_queries_give_their_results() {
    let lines: Vec<&str> = WORKED.lines().collect();
    let mut count = 0;
    for entry in lines.chunks(3) {
        let [query, ast, results] = entry else {
            panic!("entries have three lines: {entry:?}")
        };
        let (name, query) = query.split_once(' ').expect("a name");
        let query = expand(query);
        let words = ["   asOf", "   include", "   params"];
        let end = words
            .iter()
            .filter_map(|word| query.find(word))
            .min()
            .unwrap_or(query.len());
        let (text, words) = query.split_at(end);
        let (mut memory, options) = view(words);

        let parsed = Pipeline::parse(text.trim()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ast =
            escjson::parse(&expand(ast.trim())).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written = escjson::format(&parsed.to_value()).expect("an AST has a text");
        assert_eq!(
            written,
            escjson::format(&ast).expect("an AST has a text"),
            "AST of {name}"
        );
        assert_eq!(
            Pipeline::from_value(&ast).as_ref(),
            Ok(&parsed),
            "AST of {name} read back"
        );

        let results = results.trim().strip_prefix("=> ").expect("an arrow");
        for indexed in [false, true] {
            memory.indexed = indexed;
            let found = run(&parsed, &memory, &options);
            assert_eq!(
                found,
                Ok(wanted(results)),
                "results of {name}, indexed: {indexed}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 40);
}
