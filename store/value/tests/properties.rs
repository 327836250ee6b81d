//! Generated values: round trips, laws of equality and order, hostile bytes.

use std::cmp::Ordering;

use mix_value::{
    BigInt, Case, Ref, Relation, Token, Value, equal, escjson, msgpack, relate, sort_order, varcode,
};
use proptest::prelude::*;

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-300_i64..300).prop_map(Value::Int),
        any::<f64>().prop_map(Value::float),
        (-300_i64..300).prop_map(|i| Value::Float(i as f64)),
        any::<i64>().prop_map(|i| Value::Float(i as f64)),
        Just(Value::Float(f64::NAN)),
        Just(Value::Float(f64::INFINITY)),
        prop::collection::vec(any::<u8>(), 1..24)
            .prop_map(|bytes| BigInt::from_signed_bytes(&bytes).expect("within the limit")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("_rmx_type".to_owned()),
        Just("_rmx_value".to_owned()),
        "[a-c]{0,2}",
        any::<String>()
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        any::<String>().prop_map(Value::from),
        prop_oneof![Just("{tag}nan"), Just("{str}"), Just("{ref}x"), Just("a")]
            .prop_map(Value::from),
        "[0-9A-Za-z]{1,32}".prop_map(|id| Value::Ref(Ref::new(&id).expect("valid"))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::binary),
        "[A-Za-z_$][A-Za-z0-9_.$]{0,8}"
            .prop_map(|name| Value::Case(Case::new(&name, None).expect("valid"))),
    ]
}

/// Values that have a text form.
fn datum() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(key(), inner.clone(), 0..6).prop_map(Value::map),
            ("(x|M\\.y|some)", inner)
                .prop_map(|(name, v)| Value::Case(Case::new(&name, Some(v)).expect("valid"))),
        ]
    })
}

/// Every value that crosses a boundary.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => datum(),
        1 => Just(Value::Undefined),
        1 => any::<u64>().prop_map(Value::Handle),
        1 => any::<u64>().prop_map(|n| Value::Token(Token::Reference(n))),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Token(Token::Sealed(b.into()))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(Value::map),
        ]
    })
}

/// The value as the text form gives it back: integral floats within ±2^53 are
/// read as ints.
fn as_read(value: &Value) -> Value {
    match value {
        Value::Float(f) if f.abs() <= 9_007_199_254_740_992.0 => {
            match mix_value::number::float_to_int(*f) {
                Some(int) => Value::Int(int),
                None => value.clone(),
            }
        }
        Value::Array(items) => Value::Array(items.iter().map(as_read).collect()),
        Value::Map(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), as_read(v))).collect()),
        Value::Case(case) => Value::Case(Case {
            name: case.name.clone(),
            argument: case
                .argument
                .as_ref()
                .map(|argument| Box::new(as_read(argument))),
        }),
        other => other.clone(),
    }
}

fn has_nan(value: &Value) -> bool {
    match value {
        Value::Float(f) => f.is_nan(),
        Value::Array(items) => items.iter().any(has_nan),
        Value::Map(map) => map.values().any(has_nan),
        Value::Case(case) => case
            .argument
            .as_ref()
            .is_some_and(|argument| has_nan(argument)),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn bytes_round_trip(value in anything()) {
        let bytes = msgpack::encode(&value).expect("encodes");
        prop_assert_eq!(msgpack::decode(&bytes).expect("decodes"), value);
        prop_assert_eq!(msgpack::skip(&bytes), Ok(bytes.len()));
        let mut longer = bytes.clone();
        longer.push(0xc0);
        prop_assert!(msgpack::decode(&longer).is_err());
        prop_assert_eq!(msgpack::skip(&longer), Ok(bytes.len()));
    }

    #[test]
    fn text_round_trips(value in datum()) {
        let text = escjson::format(&value).expect("has a text");
        prop_assert_eq!(escjson::parse(&text).expect("parses"), as_read(&value));
    }

    #[test]
    fn plain_text_round_trips(value in datum()) {
        if let Ok(text) = escjson::format_plain(&value) {
            prop_assert_eq!(escjson::parse_plain(&text).expect("parses"), as_read(&value));
        }
    }

    #[test]
    fn cut_bytes_are_refused(value in datum(), part in 0.0..1.0_f64) {
        let bytes = msgpack::encode(&value).expect("encodes");
        let end = (bytes.len() as f64 * part) as usize;
        prop_assert!(msgpack::decode(&bytes[..end]).is_err());
    }

    #[test]
    fn changed_bytes_never_panic_and_stay_stable(value in datum(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = msgpack::encode(&value).expect("encodes");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(decoded) = msgpack::decode(&bytes) {
            let again = msgpack::encode(&decoded).expect("what was decoded can be encoded");
            prop_assert_eq!(msgpack::decode(&again).expect("decodes"), decoded);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = msgpack::decode(&bytes);
        let _ = varcode::read(&bytes);
    }

    #[test]
    fn random_text_never_panics(text in r#"[\[\]{}:,"a0-9.eE+\-\\u tag_rmxvl]{0,60}"#) {
        if let Ok(value) = escjson::parse(&text)
            && let Ok(text) = escjson::format(&value)
        {
            prop_assert!(escjson::parse(&text).is_ok());
        }
    }

    #[test]
    fn sort_order_is_total(a in datum(), b in datum(), c in datum()) {
        prop_assert_eq!(sort_order(&a, &a), Ordering::Equal);
        prop_assert_eq!(sort_order(&a, &b), sort_order(&b, &a).reverse());
        let mut sorted = [a, b, c];
        sorted.sort_by(sort_order);
        prop_assert!(sort_order(&sorted[0], &sorted[2]).is_le());
    }

    #[test]
    fn numbers_are_ordered_by_value(a in number(), b in number(), c in number()) {
        let mut sorted = [a.clone(), b.clone(), c];
        sorted.sort_by(sort_order);
        prop_assert!(sort_order(&sorted[0], &sorted[2]).is_le());
        if !has_nan(&a) && !has_nan(&b) {
            prop_assert_eq!(Relation::from(sort_order(&a, &b)), relate(&a, &b));
            prop_assert_eq!(equal(&a, &b), Some(relate(&a, &b) == Relation::Equal));
        } else {
            prop_assert_eq!(relate(&a, &b), Relation::Unordered);
            prop_assert_eq!(equal(&a, &b), Some(false));
        }
    }

    #[test]
    fn equality_agrees_with_order(a in datum(), b in datum()) {
        if !has_nan(&a) && !has_nan(&b) {
            prop_assert_eq!(equal(&a, &b), Some(sort_order(&a, &b) == Ordering::Equal));
            prop_assert_eq!(equal(&a, &a), Some(true));
            match relate(&a, &b) {
                Relation::Equal => prop_assert_eq!(equal(&a, &b), Some(true)),
                Relation::Less | Relation::Greater => prop_assert_eq!(equal(&a, &b), Some(false)),
                Relation::Unordered | Relation::Incomparable => {}
            }
        }
    }

    #[test]
    fn varcodes_round_trip(number in any::<u64>(), shift in 0..64_u32) {
        let number = number >> shift;
        let mut bytes = Vec::new();
        varcode::write(&mut bytes, number);
        prop_assert_eq!(varcode::read(&bytes), Ok((number, bytes.len())));
        prop_assert_eq!(varcode::len(number), bytes.len());
    }
}
