//! The byte examples of the wire form, each written and read.

use mix_value::msgpack::{DecodeErrorKind, Reader, decode, encode, short, skip};
use mix_value::{BigInt, Case, MAX_DEPTH, MAX_WIRE_DEPTH, Ref, Token, Value};

const ID: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits")
        })
        .collect()
}

fn id_hex() -> String {
    ID.bytes().map(|b| format!("{b:02x}")).collect()
}

fn case(name: &str, argument: Option<Value>) -> Value {
    Value::Case(Case::new(name, argument).expect("valid name"))
}

fn reference(id: &str) -> Value {
    Value::Ref(Ref::new(id).expect("valid ref"))
}

fn big(digits: &str) -> Value {
    BigInt::from_decimal(digits).expect("valid digits")
}

#[test]
fn examples() {
    let date = case(
        "date",
        Some(Value::map([("_rmx_index", Value::from("2024-03-01"))])),
    );
    let record = Value::map([
        ("_rmx_id", reference(ID)),
        ("entity", Value::from("person")),
        ("name", Value::from("Ada")),
        (
            "tags",
            Value::Array(vec![Value::from("x"), Value::Bool(true)]),
        ),
    ]);
    let record_hex = format!(
        "84 a7 5f726d785f6964 c7 20 02 {} a6 656e74697479 a6 706572736f6e a4 6e616d65 a3 416461 a4 74616773 92 a1 78 c3",
        id_hex()
    );
    let examples = [
        (Value::Undefined, "c7 00 01".to_owned()),
        (Value::Null, "c0".into()),
        (Value::Bool(false), "c2".into()),
        (Value::Bool(true), "c3".into()),
        (reference(ID), format!("c7 20 02 {}", id_hex())),
        (reference("p"), "d4 02 70".into()),
        (case("unset", None), "c7 06 03 a5 75 6e 73 65 74".into()),
        (case("ok", Some(Value::Int(7))), "d6 03 a2 6f 6b 07".into()),
        (
            case("ok", Some(case("some", Some(Value::Null)))),
            "c7 0c 03 a2 6f 6b c7 06 03 a4 73 6f 6d 65 c0".into(),
        ),
        (
            date,
            "c7 1c 03 a4 64 61 74 65 81 aa 5f 72 6d 78 5f 69 6e 64 65 78 aa 32 30 32 34 2d 30 33 2d 30 31".into(),
        ),
        (big("9223372036854775808"), "c7 09 05 00 80 00 00 00 00 00 00 00".into()),
        (big("-9223372036854775809"), "c7 09 05 ff 7f ff ff ff ff ff ff ff".into()),
        (
            big("1000000000000000000000000000000"),
            "c7 0d 05 0c 9f 2c 9c d0 46 74 ed ea 40 00 00 00".into(),
        ),
        (Value::Int(127), "7f".into()),
        (Value::Int(128), "cc 80".into()),
        (Value::Int(-33), "d0 df".into()),
        (Value::Int(-32), "e0".into()),
        (Value::Int(65536), "ce 00 01 00 00".into()),
        (Value::Int(i64::MAX), "cf 7f ff ff ff ff ff ff ff".into()),
        (Value::Int(i64::MIN), "d3 80 00 00 00 00 00 00 00".into()),
        (Value::Float(1.0), "cb 3f f0 00 00 00 00 00 00".into()),
        (Value::Float(-0.0), "cb 80 00 00 00 00 00 00 00".into()),
        (Value::Float(f64::from_bits(0xfff8_0000_0000_0001)), "cb 7f f8 00 00 00 00 00 00".into()),
        (record, record_hex),
        (Value::binary(vec![1, 2]), "c4 02 01 02".into()),
        (Value::Handle(258), "d7 06 00 00 00 00 00 00 01 02".into()),
        (Value::Token(Token::Reference(3)), "c7 09 04 02 00 00 00 00 00 00 00 03".into()),
        (Value::Token(Token::Sealed([9, 8, 7].into())), "d6 04 01 09 08 07".into()),
    ];
    for (value, text) in examples {
        let bytes = hex(&text);
        assert_eq!(encode(&value).expect("encodes"), bytes, "{value:?}");
        assert_eq!(decode(&bytes).expect("decodes"), value, "{text}");
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{value:?} cut at {end}");
        }
    }
    assert_eq!(hex(&format!("84 a7 5f726d785f6964 c7 20 02 {} a6 656e74697479 a6 706572736f6e a4 6e616d65 a3 416461 a4 74616773 92 a1 78 c3", id_hex())).len(), 76);
}

#[test]
fn shortest_forms_at_every_boundary() {
    for (len, head) in [
        (0, "a0"),
        (31, "bf"),
        (32, "d9 20"),
        (255, "d9 ff"),
        (256, "da 01 00"),
        (65535, "da ff ff"),
        (65536, "db 00 01 00 00"),
    ] {
        let value = Value::from("x".repeat(len));
        let bytes = encode(&value).expect("encodes");
        assert!(bytes.starts_with(&hex(head)), "string of {len}");
        assert_eq!(decode(&bytes).expect("decodes"), value);
    }
    for (len, head) in [
        (0, "c4 00"),
        (255, "c4 ff"),
        (256, "c5 01 00"),
        (65535, "c5 ff ff"),
        (65536, "c6 00 01 00 00"),
    ] {
        let value = Value::binary(vec![7; len]);
        let bytes = encode(&value).expect("encodes");
        assert!(bytes.starts_with(&hex(head)), "binary of {len}");
        assert_eq!(decode(&bytes).expect("decodes"), value);
    }
    for (len, head) in [
        (0, "90"),
        (15, "9f"),
        (16, "dc 00 10"),
        (65535, "dc ff ff"),
        (65536, "dd 00 01 00 00"),
    ] {
        let value = Value::Array(vec![Value::Null; len]);
        let bytes = encode(&value).expect("encodes");
        assert!(bytes.starts_with(&hex(head)), "array of {len}");
        assert_eq!(decode(&bytes).expect("decodes"), value);
    }
    for (len, head) in [
        (0, "80"),
        (15, "8f"),
        (16, "de 00 10"),
        (65536, "df 00 01 00 00"),
    ] {
        let value = Value::map((0..len).map(|i| (format!("{i:05}"), Value::Null)));
        let bytes = encode(&value).expect("encodes");
        assert!(bytes.starts_with(&hex(head)), "map of {len}");
        assert_eq!(decode(&bytes).expect("decodes"), value);
    }
    // Case payloads of all header sizes: a name of 2 bytes, a string of n.
    for len in [
        0_usize, 1, 3, 4, 12, 200, 250, 251, 252, 253, 300, 65_525, 65_600,
    ] {
        let value = case("ab", Some(Value::from("y".repeat(len))));
        let bytes = encode(&value).expect("encodes");
        assert_eq!(decode(&bytes).expect("decodes"), value, "{len}");
    }
}

#[test]
fn reader_accepts_longer_forms() {
    for (text, value) in [
        ("cc 05", Value::Int(5)),
        ("cd 00 05", Value::Int(5)),
        ("d3 ff ff ff ff ff ff ff ff", Value::Int(-1)),
        ("ce 00 00 00 05", Value::Int(5)),
        ("ca 3f 80 00 00", Value::Float(1.0)),
        ("ca ff c0 00 01", Value::Float(f64::NAN)),
        ("cf 80 00 00 00 00 00 00 00", big("9223372036854775808")),
        ("d4 05 07", Value::Int(7)),
        ("d5 05 00 07", Value::Int(7)),
        ("d9 01 61", Value::from("a")),
        ("c8 00 01 02 70", reference("p")),
        ("dc 00 01 c0", Value::Array(vec![Value::Null])),
        (
            "82 a1 62 01 a1 61 02",
            Value::map([("a", Value::Int(2)), ("b", Value::Int(1))]),
        ),
    ] {
        assert_eq!(decode(&hex(text)).expect(text), value, "{text}");
    }
}

/// Reading the parts of each map once more when its keys do not ascend would double the work with each level.
#[test]
fn maps_in_any_order_inside_each_other_are_read() {
    let mut value = Value::Int(1);
    let mut bytes = encode(&value).expect("encodes");
    for _ in 0..100 {
        // Written by hand: the encoder puts keys in order.
        bytes = [
            &[0x83, 0xa1, b'a', 0, 0xa1, b'c'],
            &bytes[..],
            &[0xa1, b'b', 2],
        ]
        .concat();
        let members = [("a", Value::Int(0)), ("c", value), ("b", Value::Int(2))];
        value = Value::map(members);
    }
    assert_eq!(decode(&bytes), Ok(value));
    assert_eq!(skip(&bytes), Ok(bytes.len()));
}

#[test]
fn malformed_bytes_are_refused() {
    use DecodeErrorKind::*;
    for (text, kind) in [
        ("", Truncated),
        ("c1", InvalidMarker),
        ("c0 c0", TrailingBytes),
        ("a2 c3 28", InvalidUtf8),
        ("81 01 02", KeyNotString),
        ("81 c4 01 61 02", KeyNotString),
        ("82 a1 61 01 a1 61 02", DuplicateKey),
        ("83 a1 62 01 a1 61 02 a1 62 03", DuplicateKey),
        ("84 a1 62 01 a1 63 80 a1 61 02 a1 63 03", DuplicateKey),
        // Around and behind a map whose keys do not ascend.
        ("82 a1 62 82 a1 62 01 a1 61 02 a1 62 03", DuplicateKey),
        (
            "83 a1 61 01 a1 62 82 a1 62 01 a1 61 02 a1 61 03",
            DuplicateKey,
        ),
        (
            "83 a1 61 82 a1 62 01 a1 61 02 a1 62 01 a1 61 02",
            DuplicateKey,
        ),
        ("92 82 a1 62 01 a1 61 02 82 a1 61 01 a1 61 02", DuplicateKey),
        ("d6 ff 00 00 00 00", UnknownExtension),
        ("d4 00 00", UnknownExtension),
        ("d4 07 00", UnknownExtension),
        ("d4 01 00", MalformedExtension),
        ("c7 00 02", MalformedExtension),
        ("d5 02 ff fe", InvalidUtf8),
        ("c7 00 03", MalformedExtension),
        ("d4 03 c0", MalformedExtension),
        ("d4 03 a1", MalformedExtension),
        ("d5 03 a1 31", CaseName),
        ("d6 03 a1 61 c0 c0", MalformedExtension),
        ("d6 03 a1 61 92 c0 c0", MalformedExtension),
        ("d4 04 00", MalformedExtension),
        ("d5 04 02 00", MalformedExtension),
        ("c7 00 05", MalformedExtension),
        ("c7 0a 05 00 00 80 00 00 00 00 00 00 00", MalformedExtension),
        ("d6 06 00 00 00 01", MalformedExtension),
        ("dd ff ff ff ff", Truncated),
        ("df 7f ff ff ff c0", Truncated),
        ("c6 ff ff ff ff 00", Truncated),
        ("db ff ff ff ff 00", Truncated),
        ("c9 ff ff ff ff 03 a1 61", Truncated),
    ] {
        assert_eq!(decode(&hex(text)).expect_err(text).kind, kind, "{text}");
    }
}

#[test]
fn depth_is_limited_in_both_directions() {
    for wrap in [
        |v| Value::Array(vec![v]),
        |v| Value::map([("k", v)]),
        |v| case("c", Some(v)),
    ] {
        let mut value = Value::Null;
        for _ in 0..MAX_WIRE_DEPTH {
            value = wrap(value);
        }
        let bytes = encode(&value).expect("so many levels are allowed");
        assert_eq!(decode(&bytes).expect("so many levels are allowed"), value);
        assert!(encode(&wrap(value)).is_err(), "one more is not");
    }
    // A value as deep as may be has room for what it is handed over in.
    const { assert!(MAX_WIRE_DEPTH >= MAX_DEPTH + 3) };
    let mut bytes = vec![0x91; MAX_WIRE_DEPTH + 1];
    bytes.push(0xc0);
    assert_eq!(
        decode(&bytes).expect_err("too deep").kind,
        DecodeErrorKind::TooDeep
    );
    assert_eq!(
        decode(&vec![0x91; 10_000_000]).expect_err("too deep").kind,
        DecodeErrorKind::TooDeep
    );
    assert!(decode(&vec![0x81; 10_000_000]).is_err());
}

/// What `short` reads is what the reader reads, and never of an input that the reader refuses.
#[test]
fn short_values() {
    let mut inputs = vec![
        Vec::new(),
        b"\xa3\xe2\x82\xac".to_vec(),
        hex("cb7ff8000000000001"),
    ];
    inputs.extend((0..=u8::MAX).map(|byte| vec![byte]));
    inputs.extend((0..=u16::MAX).map(|both| both.to_be_bytes().to_vec()));
    inputs.extend((0..64).map(|length| [vec![0xc4, length], vec![0xcb; 32]].concat()));
    inputs.extend((0xa0..=0xbf).map(|head| [vec![head], vec![b'x'; 16]].concat()));
    inputs.extend((0..12).map(|length| [vec![0xcb], vec![0x40; length]].concat()));
    let mut taken = 0;
    for input in inputs {
        let Some((token, length)) = short(&input) else {
            continue;
        };
        taken += 1;
        let mut reader = Reader::new(&input);
        let read = reader.next().expect("the reader reads it too");
        assert_eq!(format!("{token:?}"), format!("{read:?}"), "{input:02x?}");
        assert_eq!(length, reader.position(), "{input:02x?}");
        assert!(reader.is_done());
    }
    assert!(taken > 10_000, "only {taken} inputs were read");
}
