//! Texts and the AST they stand for.

use mix_value::{Value, escjson};

use super::worked::expand;
use crate::query::{Pipeline, QueryErrorCode};

fn ast(text: &str) -> String {
    let parsed = Pipeline::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    escjson::format(&parsed.to_value()).expect("an AST has a text")
}

/// Offset and code of the error.
fn error(text: &str) -> (usize, QueryErrorCode) {
    match Pipeline::parse(text) {
        Ok(parsed) => panic!("{text} gave {:?}", parsed.to_value()),
        Err(error) => (error.offset().unwrap_or(usize::MAX), error.code),
    }
}

#[test]
fn texts_become_nodes() {
    for (text, wanted) in [
        ("", r#"[["nullFilter"]]"#),
        (" \t\r\n", r#"[["nullFilter"]]"#),
        ("true", r#"[["nullFilter"]]"#),
        ("false", r#"[["not",["nullFilter"]]]"#),
        ("(true)", r#"[["nullFilter"]]"#),
        ("true == a", r#"REFUSED"#),
        (
            "true == .a",
            r#"[["comparison","==",["scalarFallback",true],["objectMember",null,["token","a"]]]]"#,
        ),
        (
            "(true) == .a",
            r#"[["comparison","==",["scalarFallback",true],["objectMember",null,["token","a"]]]]"#,
        ),
        (r#""a.b" == 1"#, r#"[["comparison","==","a.b",1]]"#),
        (
            r#""a".b == 1"#,
            r#"[["comparison","==",["objectMember","a",["token","b"]],1]]"#,
        ),
        (
            r#"."a.b" == 1"#,
            r#"[["comparison","==",["objectMember",null,["token","a.b"]],1]]"#,
        ),
        (
            r#"a."b.c" == 1"#,
            r#"[["comparison","==",["objectMember",["objectMember",null,"a"],["token","b.c"]],1]]"#,
        ),
        (r#"exists "a.b""#, r#"[["exists","a.b"]]"#),
        (
            "!a<1&&!(b>=2||c!=3)",
            r#"[["and",[["not",["comparison","<",["token","a"],1]],["not",["or",[["comparison",">=",["token","b"],2],["comparison","!=",["token","c"],3]]]]]]]"#,
        ),
        (
            "not not exists a",
            r#"[["not",["not",["exists",["token","a"]]]]]"#,
        ),
        (
            "a == 1 and b == 2 or c == 3 and d == 4",
            r#"[["or",[["and",[["comparison","==",["token","a"],1],["comparison","==",["token","b"],2]]],["and",[["comparison","==",["token","c"],3],["comparison","==",["token","d"],4]]]]]]"#,
        ),
        (
            "((((a + 1))) * 2) == 4",
            r#"[["comparison","==",["calculation",["*",["+",["token","a"],1],2]],4]]"#,
        ),
        ("(((a == 1)))", r#"[["comparison","==",["token","a"],1]]"#),
        ("(a) == 1", r#"[["comparison","==",["token","a"],1]]"#),
        (
            "a - -1 == -2",
            r#"[["comparison","==",["calculation",["-",["token","a"],-1]],-2]]"#,
        ),
        (
            "a -1 == 2",
            r#"[["comparison","==",["calculation",["-",["token","a"],1]],2]]"#,
        ),
        (
            "a == .b + 1",
            r#"[["comparison","==",["token","a"],["calculation",["+",["objectMember",null,["token","b"]],1]]]]"#,
        ),
        ("a == 1.5e2", r#"[["comparison","==",["token","a"],150]]"#),
        (
            "a == 9223372036854775808",
            r#"[["comparison","==",["token","a"],9223372036854775808.0]]"#,
        ),
        (
            "a == -9223372036854775808",
            r#"[["comparison","==",["token","a"],-9223372036854775808]]"#,
        ),
        (
            r#"a == "{ref}x""#,
            r#"[["comparison","==",["token","a"],REF(x)]]"#,
        ),
        (
            r#"a == "{ref}""#,
            r#"[["comparison","==",["token","a"],"{ref}"]]"#,
        ),
        (r#""{ref}x" == 1"#, r#"[["comparison","==","{ref}x",1]]"#),
        (
            r#"a == "\u00e9\ud83d\ude00\n""#,
            "[[\"comparison\",\"==\",[\"token\",\"a\"],\"é😀\\n\"]]",
        ),
        (
            "a in [1,[2],null]",
            r#"[["comparison","in",["token","a"],[1,[2],null]]]"#,
        ),
        (
            "a not all in []",
            r#"[["comparison","not_all_in",["token","a"],[]]]"#,
        ),
        (
            "a all in $p",
            r#"[["comparison","all_in",["token","a"],["param","p"]]]"#,
        ),
        (
            r#"a in ["param","p"]"#,
            r#"[["comparison","in",["token","a"],["listFallback",["param","p"]]]]"#,
        ),
        (
            r#"a in ["token","p"]"#,
            r#"[["comparison","in",["token","a"],["token","p"]]]"#,
        ),
        (
            r#"a == ["token","p"]"#,
            r#"[["comparison","==",["token","a"],["scalarFallback",["token","p"]]]]"#,
        ),
        (
            r#"a + ["+",1,2] == 1"#,
            r#"[["comparison","==",["calculation",["+",["token","a"],["scalarFallback",["+",1,2]]]],1]]"#,
        ),
        (
            "a contains $x and b like \"y\"",
            r#"[["and",[["comparison","contains",["token","a"],["param","x"]],["comparison","like",["token","b"],"y"]]]]"#,
        ),
        ("after 3", r#"[["afterRow",3]]"#),
        (r#"after "G.1""#, r#"[["after","G.1"]]"#),
        ("after $w", r#"[["after",["param","w"]]]"#),
        (
            "a.b.(c.d == 1 and not .e.f == 2)",
            r#"[["subquery",["objectMember",["objectMember",null,"a"],["token","b"]],[["comparison","==",["objectMember",["token","c"],["token","d"]],1],["not",["comparison","==",["objectMember",["objectMember",null,["token","e"]],["token","f"]],2]]]]]"#,
        ),
        (r#""a".(true)"#, r#"[["subquery","a",[["nullFilter"]]]]"#),
        (
            "a.(b.(c == 1))",
            r#"[["subquery",["token","a"],[["subquery",["token","b"],[["comparison","==",["token","c"],1]]]]]]"#,
        ),
        ("{}", r#"[["object",[]]]"#),
        (
            "{*, **, -a, -\"b c\"}",
            r#"[["object",[["cloneMembers"],["cloneMembersWithExpansion"],["removeMember","a"],["removeMember","b c"]]]]"#,
        ),
        (
            "{ a, .b, c.d, \"e f\", g ?? 1 }",
            r#"[["object",[["assignMember","a","a"],["assignMember","b",["objectMember",null,["token","b"]]],["assignMember","d",["objectMember",["objectMember",null,"c"],["token","d"]]],["assignMember","e f","e f"],["assignMember","g","g",1]]]]"#,
        ),
        (
            "{ a: 1, b: \"s\", c: [1], d: $p, e: null, f: ref(\"x\") }",
            r#"[["object",[["assignMember","a",["scalarFallback",1]],["assignMember","b",["scalarFallback","s"]],["assignMember","c",["scalarFallback",[1]]],["assignMember","d",["param","p"]],["assignMember","e",["scalarFallback",null]],["assignMember","f",["scalarFallback",REF(x)]]]]]"#,
        ),
        (
            "{ a: +b, +c.d, x: {y} ?? 2 }",
            r#"[["object",[["assignMember","a",["followRef",["token","b"]]],["assignMember","d",["followRef",["objectMember",["objectMember",null,"c"],["token","d"]]]],["assignMember","x",["object",[["assignMember","y","y"]]],2]]]]"#,
        ),
        (
            "{ a: ({ b: c.d }) }",
            r#"[["object",[["assignMember","a",["calculation",["object",[["assignMember","b",["objectMember",["objectMember",null,"c"],["token","d"]]]]]]]]]]"#,
        ),
        (
            "{ a: { b: c.d } }",
            r#"[["object",[["assignMember","a",["object",[["assignMember","b",["objectMember",["token","c"],["token","d"]]]]]]]]]"#,
        ),
        (
            "{ a: ({ b }) + ({ c }) }",
            r#"[["object",[["assignMember","a",["calculation",["+",["object",[["assignMember","b","b"]]],["object",[["assignMember","c","c"]]]]]]]]]"#,
        ),
        (
            "+a.b | name",
            r#"[["followRef",["objectMember",["objectMember",null,"a"],["token","b"]]],["token","name"]]"#,
        ),
        (
            "a + 1 | $p",
            r#"[["calculation",["+",["token","a"],1]],["param","p"]]"#,
        ),
        (
            "count() | reverse ( ) | group(a.b) | group(\"a.b\")",
            r#"[["invoke","count",[]],["invoke","reverse",[]],["invoke","group",[["objectMember",["objectMember",null,"a"],["token","b"]]]],["invoke","group",["a.b"]]]"#,
        ),
        (
            "order(a, $d) | skip($n) | limit(3)",
            r#"[["invoke","order",[["token","a"],["param","d"]]],["invoke","skip",[["param","n"]]],["invoke","limit",[3]]]"#,
        ),
        (
            "count == 1 and group.order == 2",
            r#"[["and",[["comparison","==",["token","count"],1],["comparison","==",["objectMember",["objectMember",null,"group"],["token","order"]],2]]]]"#,
        ),
    ] {
        if wanted == "REFUSED" {
            assert!(Pipeline::parse(text).is_err(), "{text}");
            continue;
        }
        let short = expand(wanted).replace(&super::worked::full("x"), "x");
        let wanted =
            escjson::format(&escjson::parse(&short).unwrap_or_else(|e| panic!("{wanted}: {e}")));
        assert_eq!(Ok(ast(text)), wanted, "{text}");
        let again = Pipeline::parse(text).expect("parsed before");
        let printed = again.to_text().unwrap_or_else(|| panic!("{text}: no text"));
        assert_eq!(Pipeline::parse(&printed).as_ref(), Ok(&again), "{printed}");
        assert_eq!(Pipeline::from_value(&again.to_value()), Ok(again), "{text}");
    }
}

#[test]
fn nodes_are_written_as_people_would() {
    for text in [
        "",
        r#"entity == "person" and not (city == "Oslo" or city == null)"#,
        r#"(a == 1 or b == 2) and c == 3 or not not exists d"#,
        r#"(a + 1) * 2 - (b - c) / -2 == .d % 3"#,
        r#""x.y".z in ["a", 1, null, ref("r")] | orderDesc(a.b) | skip($n) | limit(3)"#,
        r#"lines.(sku == "A" and qty > 1) | { a, b: c ?? 1.0, -d, *, **, e: { f: g.h }, i: ({ j: k.l }) }"#,
        r#"after "G.3" | group(a) | +values | .key | count() | reverse() | order(a, $d)"#,
        r#"a not all in $p and b like "\"é" and true | false | { }"#,
    ] {
        let pipeline = Pipeline::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let written = pipeline.to_text();
        assert_eq!(written.as_deref(), Some(text.replace("{ }", "{}").as_str()));
    }
}

#[test]
fn some_nodes_have_no_text() {
    for (node, has_text) in [
        (r#"["comparison","==",["token","a b"],1]"#, false),
        (r#"["comparison","==","a b",1]"#, true),
        (r#"["comparison","==",["token","and"],1]"#, false),
        (
            r#"["comparison","==",["objectMember",null,["token","and"]],1]"#,
            true,
        ),
        (r#"["comparison","==",["objectMember",null,"a"],1]"#, false),
        (r#"["comparison","==","a",{"b":1}]"#, false),
        (r#"["comparison","==","a",["scalarIndexed","b"]]"#, false),
        (r#"["comparison","in","a",["listIndexed",["b"]]]"#, false),
        (r#"["comparison","==","a","{ref}b"]"#, false),
        (r#"["comparison","==","a",["token","b"]]"#, false),
        (r#"["and",[]]"#, false),
        (r#"["and",[["exists","a"]]]"#, false),
        (r#"["subquery","a",[]]"#, false),
        (r#"["subquery","a",[["exists","b"],["exists","c"]]]"#, true),
        (r#"["object",[["assignMember","a","b"]]]"#, false),
        (r#"["followRef",["followRef","a"]]"#, false),
        (r#"["afterRow",-3]"#, true),
    ] {
        let value = escjson::parse(node).unwrap_or_else(|error| panic!("{node}: {error}"));
        let pipeline = Pipeline::from_value(&value).unwrap_or_else(|e| panic!("{node}: {e}"));
        assert_eq!(pipeline.to_text().is_some(), has_text, "{node}");
    }
}

#[test]
fn undefined_is_a_constant() {
    let parsed = Pipeline::parse("a == undefined").expect("a query");
    let Value::Array(stages) = parsed.to_value() else {
        panic!("an array")
    };
    assert_eq!(
        stages[0].as_array().and_then(|node| node.last()),
        Some(&Value::Undefined)
    );
}

#[test]
fn errors_tell_the_character() {
    use QueryErrorCode::{Syntax, Unsupported};
    for (text, offset, code) in [
        ("a", usize::MAX, Syntax),
        ("\"a\"", 0, Syntax),
        ("1", 0, Syntax),
        ("a == ", 5, Syntax),
        ("a == 1 and", 10, Syntax),
        ("a == 1 or | b == 2", 10, Syntax),
        ("(a == 1", 7, Syntax),
        ("a == 1)", 6, Syntax),
        ("a and b == 1", 2, Syntax),
        ("not a", 5, Syntax),
        ("(a == 1) + 1 == 2", 9, Syntax),
        ("a b", 2, Syntax),
        ("a & b", 2, Syntax),
        ("a == (b)", 6, Syntax),
        ("a == 01", 6, Syntax),
        ("a == - 1", 5, Syntax),
        ("a == 1e999", 5, Syntax),
        ("a == \"é\\x\"", 7, Syntax),
        ("a == \"\\ud800\"", 6, Syntax),
        ("a == \"\n\"", 6, Syntax),
        ("a == ref(\"\")", 9, Syntax),
        ("a == ref(x)", 9, Syntax),
        ("a in .b", 5, Syntax),
        ("a in [1", 7, Syntax),
        ("a in [b]", 6, Syntax),
        ("a in [$b]", 6, Unsupported),
        ("a not 1", 6, Syntax),
        ("in == 1", 0, Syntax),
        ("a.in == 1", 2, Syntax),
        ("{ in: 1 }", 2, Syntax),
        ("{ a", 3, Syntax),
        ("{ a: }", 5, Syntax),
        ("{ a: b == 1 }", 7, Syntax),
        ("é == 1", 0, Syntax),
        ("\"é\" = 1", 4, Syntax),
        ("$ == 1", 1, Syntax),
        ("foo(a)", 0, Unsupported),
        ("count(a)", 6, Syntax),
        ("a | ", 4, Syntax),
        ("| a", 0, Syntax),
        ("++a", 0, Unsupported),
        ("a.(b == 1", 9, Syntax),
        ("a.(b)", 4, Syntax),
        ("exists 1", 7, Syntax),
        ("after", 5, Syntax),
    ] {
        if offset == usize::MAX {
            assert!(Pipeline::parse(text).is_ok(), "{text}");
        } else {
            assert_eq!(error(text), (offset, code), "{text}");
        }
    }
}
