//! Equality, relational order and sort order, by example.

use std::cmp::Ordering;

use mix_value::{
    BigInt, Case, Ref, Relation, Token, Value, compare, equal, escjson, relate, sort_order,
};

fn v(text: &str) -> Value {
    escjson::parse(text).expect(text)
}

fn big(digits: &str) -> Value {
    BigInt::from_decimal(digits).expect(digits)
}

fn case(name: &str, argument: Option<Value>) -> Value {
    Value::Case(Case::new(name, argument).expect(name))
}

#[test]
fn relations() {
    use Relation::*;
    for (a, b, relation) in [
        ("null", "null", Equal),
        ("null", "false", Less),
        ("null", "[]", Less),
        ("false", "true", Less),
        ("1", "1.5", Less),
        ("9007199254740993", "9007199254740992.0", Greater),
        ("\"a\"", "\"B\"", Greater),
        ("\"é\"", "\"z\"", Greater),
        ("[1,2]", "[1,2,0]", Less),
        ("[2]", "[1,9]", Greater),
        ("[1,\"a\"]", "[1,2]", Incomparable),
        ("[1,\"a\"]", "[2,2]", Less),
        ("{\"a\":1}", "{\"b\":0}", Less),
        ("{\"a\":1}", "{\"a\":1,\"b\":0}", Less),
        ("{\"a\":2}", "{\"a\":1,\"b\":0}", Greater),
        ("1", "\"1\"", Incomparable),
        ("true", "1", Incomparable),
    ] {
        assert_eq!(relate(&v(a), &v(b)), relation, "{a} {b}");
        let reverse = match relation {
            Less => Greater,
            Greater => Less,
            other => other,
        };
        assert_eq!(relate(&v(b), &v(a)), reverse, "{b} {a}");
    }
    assert_eq!(relate(&Value::Undefined, &Value::Null), Incomparable);
    assert_eq!(relate(&Value::Float(f64::NAN), &Value::Int(1)), Unordered);
    assert_eq!(compare(&Value::Float(f64::NAN), &Value::Int(1)), None);
    assert_eq!(
        relate(&case("a", None), &case("a", Some(Value::Null))),
        Less
    );
    assert_eq!(relate(&case("a", None), &case("b", None)), Incomparable);
    assert_eq!(
        compare(&Value::from("x"), &Value::Ref(Ref::new("x").expect("ref"))),
        None
    );
    assert_eq!(
        relate(
            &big("9223372036854775808"),
            &Value::Float(9_223_372_036_854_775_808.0)
        ),
        Equal
    );
    assert_eq!(
        relate(
            &big("9223372036854775809"),
            &Value::Float(9_223_372_036_854_775_808.0)
        ),
        Greater
    );
    assert_eq!(
        relate(&big("-9223372036854775809"), &Value::Int(i64::MIN)),
        Less
    );
    assert_eq!(
        relate(
            &big("-9223372036854775809"),
            &Value::Float(f64::NEG_INFINITY)
        ),
        Greater
    );
    assert_eq!(
        relate(
            &Value::Int(i64::MAX),
            &Value::Float(9_223_372_036_854_775_808.0)
        ),
        Less
    );
    assert_eq!(relate(&Value::Int(-1), &Value::Float(-1.5)), Greater);
}

#[test]
fn equality() {
    assert_eq!(equal(&v("1"), &Value::Float(1.0)), Some(true));
    assert_eq!(equal(&Value::Float(0.0), &Value::Float(-0.0)), Some(true));
    assert_eq!(
        equal(&Value::Float(f64::NAN), &Value::Float(f64::NAN)),
        Some(false)
    );
    assert_eq!(
        equal(&v("\"a\""), &Value::Ref(Ref::new("a").expect("ref"))),
        Some(false)
    );
    assert_eq!(equal(&v("null"), &v("0")), Some(false));
    assert_eq!(equal(&Value::Undefined, &Value::Null), None);
    assert_eq!(
        equal(
            &Value::Token(Token::Reference(1)),
            &Value::Token(Token::Reference(1))
        ),
        None
    );
    assert_eq!(
        equal(&v("{\"a\":[1,{}]}"), &v("{\"a\":[1.0,{}]}")),
        Some(true)
    );
    assert_eq!(equal(&v("{\"a\":1}"), &v("{\"b\":1}")), Some(false));
}

#[test]
fn sorting_is_by_kind_first() {
    let sorted = [
        Value::Undefined,
        Value::Null,
        Value::Bool(false),
        Value::Bool(true),
        Value::Float(f64::NAN),
        Value::Float(f64::NEG_INFINITY),
        big("-9223372036854775809"),
        Value::Int(-1),
        Value::Float(0.5),
        Value::Int(1),
        big("9223372036854775809"),
        Value::from(""),
        Value::from("a"),
        Value::binary(vec![0]),
        Value::Ref(Ref::new("a").expect("ref")),
        Value::Array(vec![]),
        Value::Array(vec![Value::Null]),
        v("{}"),
        v("{\"a\":1}"),
        case("a", None),
        case("a", Some(Value::Int(1))),
        case("b", None),
        Value::Token(Token::Reference(1)),
        Value::Handle(1),
    ];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(sort_order(a, b), i.cmp(&j), "{a:?} {b:?}");
        }
    }
    assert_eq!(
        sort_order(&Value::Int(1), &Value::Float(1.0)),
        Ordering::Equal
    );
}
