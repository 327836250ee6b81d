//! `db.filter`: conditions that become clauses, and those that cannot.

use crate::expression_errors;

fn filter(condition: &str) -> Vec<String> {
    expression_errors(&format!(
        "let min = 3; db.head(null) |> db.filter({condition}) |> db.toArray"
    ))
}

#[test]
fn conditions_of_the_table_are_translated() {
    for condition in [
        "r -> r.kind == \"movie\"",
        "r -> r.n >= min && r.n < 10 || not (r.tag != \"a\")",
        "r -> 3 < r.n",
        "r -> r.a?",
        "r -> r.a.b == 1",
        ".kind == \"movie\" && .n > min",
        "r -> string.hasPrefix(\"ab\", r.f)",
        "r -> string.startsWith(r.f, \"ab\")",
        "r -> string.like(r.f, \"ab%\")",
        "r -> string.contains(\"ab\", r.f)",
        "r -> array.contains(r.f, [1, 2])",
        "r -> array.featuresOne(r.f, [1, 2])",
        "r -> array.featuresAll(r.f, [1, 2])",
        "r -> min > 2",
        "_ -> true",
        "r -> db.eval(query.eq(\"a\", 1))",
    ] {
        assert_eq!(filter(condition), Vec::<String>::new(), "{condition}");
    }
}

#[test]
fn other_conditions_are_refused() {
    for condition in [
        "r -> r.a + 1 == 2",
        "r -> r.a == r.b",
        "r -> r.a ==:ci \"x\"",
        "r -> string.length(r.a) > 3",
        "r -> string.like(r.f, \"%ab\")",
        "string.isEmpty",
        "(r -> true | s -> false)",
    ] {
        assert_eq!(
            filter(condition),
            vec!["SYN_QUERY".to_string()],
            "{condition}"
        );
    }
}
