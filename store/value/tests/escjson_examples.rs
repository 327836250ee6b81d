//! The table of tagged objects, in both directions.

use mix_value::escjson::{
    Duplicates, Options, ParseErrorKind, UndefinedMembers, format, format_plain, parse,
    parse_items, parse_plain, parse_with,
};
use mix_value::{BigInt, Case, Ref, Token, Value};

fn case(name: &str, argument: Option<Value>) -> Value {
    Value::Case(Case::new(name, argument).expect("valid name"))
}

fn reference(id: &str) -> Value {
    Value::Ref(Ref::new(id).expect("valid ref"))
}

fn tagged(tag: &str) -> String {
    format!(r#"{{"_rmx_type":"{{tag}}{tag}"}}"#)
}

fn with_value(tag: &str, value: &str) -> String {
    format!(r#"{{"_rmx_type":"{{tag}}{tag}","_rmx_value":{value}}}"#)
}

#[test]
fn output_and_back() {
    let examples = [
        (Value::Null, "null".to_owned()),
        (Value::Bool(true), "true".into()),
        (Value::Int(-7), "-7".into()),
        (Value::Float(2.5), "2.5".into()),
        (Value::Float(1e21), "1e+21".into()),
        (
            Value::Float(9_007_199_254_740_994.0),
            "9007199254740994.0".into(),
        ),
        (Value::Float(-1e20), "-100000000000000000000.0".into()),
        (Value::Float(f64::NAN), tagged("nan")),
        (Value::Float(f64::INFINITY), tagged("posinf")),
        (Value::Float(f64::NEG_INFINITY), tagged("neginf")),
        (
            Value::from("a\"\\\u{1}\u{1f}\n\r\t\u{8}\u{c}/é🔵\u{7f}"),
            "\"a\\\"\\\\\\u0001\\u001f\\n\\r\\t\\b\\f/é🔵\u{7f}\"".into(),
        ),
        (
            Value::Array(vec![Value::Null, Value::Array(vec![])]),
            "[null,[]]".into(),
        ),
        (
            Value::map([("b", Value::Int(1)), ("a", Value::Int(2))]),
            r#"{"a":2,"b":1}"#.into(),
        ),
        (case("unset", None), tagged("case:unset")),
        (
            case("ok", Some(Value::from("hi"))),
            with_value("case:ok", "\"hi\""),
        ),
        (reference("r1"), with_value("case:db.ref", "\"r1\"")),
        (
            Value::binary(vec![0xfb, 0xff]),
            with_value("bin", "\"+/8=\""),
        ),
        (
            BigInt::from_decimal("9223372036854775808").expect("digits"),
            with_value("int", "\"9223372036854775808\""),
        ),
        (
            Value::map([
                ("_rmx_type", Value::from("{tag}note")),
                ("n", Value::Int(1)),
            ]),
            r#"{"_rmx_type":"{str}{tag}note","n":1}"#.into(),
        ),
        (
            Value::map([("_rmx_type", Value::from("{str}x"))]),
            r#"{"_rmx_type":"{str}{str}x"}"#.into(),
        ),
        (
            Value::map([("_rmx_type", Value::from("blob"))]),
            r#"{"_rmx_type":"blob"}"#.into(),
        ),
        (
            Value::map([("x", Value::from("{tag}nan"))]),
            r#"{"x":"{tag}nan"}"#.into(),
        ),
        (Value::from("{ref}id"), "\"{ref}id\"".into()),
        (Value::Undefined, tagged("undefined")),
    ];
    for (value, text) in examples {
        assert_eq!(format(&value).expect("has a text"), text);
        assert_eq!(parse(&text).expect("parses"), value, "{text}");
    }
    assert_eq!(format(&Value::Float(1.0)).expect("has a text"), "1");
    assert_eq!(format(&Value::Float(-0.0)).expect("has a text"), "0");
}

#[test]
fn input_only_forms() {
    let blob = |mime: Option<&str>| {
        let mut pairs = vec![
            ("_rmx_type", Value::from("blob")),
            ("data", Value::binary(vec![1])),
        ];
        pairs.extend(mime.map(|mime| ("_rmx_content_type", Value::from(mime))));
        Value::map(pairs)
    };
    let bin = with_value("bin", "\"AQ==\"");
    for (text, value) in [
        (with_value("ref", "\"r1\""), reference("r1")),
        (
            with_value("bin", "\"-_8\""),
            Value::binary(vec![0xfb, 0xff]),
        ),
        (
            r#"{"_rmx_type":"{tag}bin","data":"AQ=="}"#.into(),
            Value::binary(vec![1]),
        ),
        (
            r#"{"_rmx_value":"AQ","_rmx_type":"{tag}bin"}"#.into(),
            Value::binary(vec![1]),
        ),
        (
            with_value("blob:text/plain", &bin),
            blob(Some("text/plain")),
        ),
        (with_value("blob", &bin), blob(None)),
        (
            format!(r#"{{"_rmx_type":"{{tag}}blob","data":{bin}}}"#),
            blob(None),
        ),
        (with_value("int", "\"42\""), Value::Int(42)),
        (with_value("float", "\"0x1.8p+1\""), Value::Float(3.0)),
        (with_value("str", "\"{tag}x\""), Value::from("{tag}x")),
        (tagged("null"), Value::Null),
        (with_value("bool", "false"), Value::Bool(false)),
        (
            with_value("case:No.such$case", "[1]"),
            case("No.such$case", Some(Value::Array(vec![Value::Int(1)]))),
        ),
        (
            r#"{"_rmx_type":3}"#.into(),
            Value::map([("_rmx_type", Value::Int(3))]),
        ),
        (
            " [ 1 , -0 , 1.50 , 12345678901234567890 ] ".into(),
            Value::Array(vec![
                Value::Int(1),
                Value::Int(0),
                Value::Float(1.5),
                Value::Float(12_345_678_901_234_567_890.0),
            ]),
        ),
        (r#""\ud83d\udd35\u00e9\/""#.into(), Value::from("🔵é/")),
        (
            r#"{"a":1,"a":2}"#.into(),
            Value::map([("a", Value::Int(2))]),
        ),
        (
            format!(r#"{{"a":{},"b":1}}"#, tagged("undefined")),
            Value::map([("b", Value::Int(1))]),
        ),
    ] {
        assert_eq!(parse(&text).expect(&text), value, "{text}");
    }
    let keep = Options {
        undefined_members: UndefinedMembers::Keep,
        ..Options::default()
    };
    let text = format!(r#"{{"a":{}}}"#, tagged("undefined"));
    assert_eq!(
        parse_with(&text, &keep).expect("parses"),
        Value::map([("a", Value::Undefined)])
    );
}

#[test]
fn bad_texts() {
    for text in [
        "",
        " ",
        "nul",
        "truex",
        "[1,]",
        "[1",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\u{1}\"",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "[1]x",
        "\u{feff}1",
        "1 2",
        "\"\\",
        "\"\\u",
        "--1",
        "0x10",
        "[\"a\"\"b\"]",
        "/*c*/1",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
        assert!(parse_plain(text).is_err(), "plain {text:?}");
    }
    for text in [
        tagged("zzz"),
        tagged("Case:x"),
        tagged("case:"),
        tagged("case:1x"),
        tagged(""),
        tagged("ref"),
        tagged("bin"),
        tagged("int"),
        tagged("float"),
        tagged("str"),
        tagged("bool"),
        tagged("blob"),
        tagged("blob:x"),
        with_value("nan", "1"),
        with_value("undefined", "1"),
        with_value("ref", "\"\""),
        with_value("ref", "1"),
        with_value("case:db.ref", "\"\""),
        with_value("bin", "\"*\""),
        with_value("bin", "1"),
        with_value("int", "1"),
        with_value("int", "\"1.0\""),
        with_value("int", "\"+1\""),
        with_value("int", "\"\""),
        with_value("int", &format!("\"{}\"", "9".repeat(20_000))),
        with_value("float", "\"1.0\""),
        with_value("bool", "1"),
        with_value("str", "1"),
        with_value("blob", "\"AQ==\""),
        with_value("case:x", &tagged("undefined")),
        r#"{"_rmx_type":"{tag}case:x","y":1}"#.into(),
        r#"{"_rmx_type":"{tag}case:x","_rmx_value":1,"y":1}"#.into(),
        r#"{"_rmx_type":"{tag}bin","_rmx_value":"AQ==","data":"AQ=="}"#.into(),
        r#"{"_rmx_type":"{tag}case:x","data":1}"#.into(),
        format!("[{}]", tagged("undefined")),
    ] {
        assert!(parse(&text).is_err(), "{text}");
    }
}

#[test]
fn errors_say_where() {
    let error = parse(r#"{"a":[1,{"b":{"_rmx_type":"{tag}zzz"}}]}"#).expect_err("unknown tag");
    assert_eq!(error.path, ".a[1].b");
    assert_eq!(error.offset, 13);
    assert_eq!(error.kind, ParseErrorKind::UnknownTag("{tag}zzz".into()));
    assert_eq!(
        error.to_string(),
        "unknown tag \"{tag}zzz\" at offset 13 (.a[1].b)"
    );
    let refuse = Options {
        duplicates: Duplicates::Refuse,
        ..Options::default()
    };
    let error = parse_with(r#"{"a":1, "a":2}"#, &refuse).expect_err("duplicate");
    assert_eq!(
        (error.offset, error.kind),
        (8, ParseErrorKind::DuplicateKey("a".into()))
    );
}

#[test]
fn plain_mode_interprets_nothing() {
    assert_eq!(
        parse_plain(&tagged("nan")).expect("plain"),
        Value::map([("_rmx_type", Value::from("{tag}nan"))])
    );
    assert_eq!(
        format_plain(&parse_plain(&tagged("nan")).expect("plain")).expect("plain"),
        tagged("nan")
    );
    assert_eq!(
        format_plain(&Value::map([("a", Value::Float(1.5))])).expect("plain"),
        r#"{"a":1.5}"#
    );
    for value in [
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::binary(vec![]),
        reference("x"),
        case("x", None),
        BigInt::from_u64(u64::MAX),
        Value::Undefined,
        Value::Token(Token::Reference(1)),
        Value::Handle(1),
    ] {
        assert!(format_plain(&value).is_err(), "{value:?}");
        assert!(format_plain(&Value::Array(vec![value])).is_err());
    }
    for value in [
        Value::Token(Token::Reference(1)),
        Value::Handle(1),
        Value::Array(vec![Value::Undefined]),
    ] {
        assert!(format(&value).is_err(), "{value:?}");
    }
}

#[test]
fn depth_is_that_of_the_value() {
    let nested =
        |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
    let blob = with_value("blob", &with_value("bin", "\"\""));
    assert!(parse(&nested(128, "1")).is_ok());
    assert!(parse(&nested(129, "1")).is_err());
    assert!(parse(&nested(128, &with_value("ref", "\"x\""))).is_ok());
    assert!(parse(&nested(127, &blob)).is_ok());
    assert!(parse(&nested(128, &blob)).is_err());
    assert!(parse(&nested(128, &tagged("case:x"))).is_err());
    let deep = Options {
        max_depth: 5000,
        ..Options::default()
    };
    assert!(parse_with(&nested(512, "1"), &deep).is_ok());
    assert!(parse_with(&nested(513, "1"), &deep).is_err());
    assert!(parse(&"[".repeat(5_000_000)).is_err());
    assert!(parse(&"{\"a\":".repeat(1_000_000)).is_err());
}

#[test]
fn items_of_an_array_come_one_by_one() {
    let items = |text: &str| {
        let mut items = Vec::new();
        let whole = parse_items(text, &Options::default(), |item| items.push(item));
        (whole, items)
    };
    for text in ["[]", " [1, [2, {\"a\": null}], \"x\" ] ", "[[],[]]"] {
        let (whole, items) = items(text);
        assert_eq!(whole, Ok(true), "{text}");
        assert_eq!(Ok(Value::Array(items)), parse(text), "{text}");
    }
    for text in ["null", "{\"a\":[1]}"] {
        assert_eq!(items(text), (Ok(false), Vec::new()), "{text}");
    }
    for text in ["[1,2", "[1 2]", "[1,]", "[1] 2", "", "[1,{\"a\":}]", "x"] {
        let (whole, _) = items(text);
        assert_eq!(whole.err(), parse(text).err(), "{text}");
    }
}
