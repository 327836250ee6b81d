//! Encoded values: what can be read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_store::PlainReader;
use mix_value::{escjson, msgpack};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = msgpack::decode(bytes) {
        let again = msgpack::encode(&value).expect("a value that was read can be written");
        let back = msgpack::decode(&again).expect("what was written can be read");
        let twice = msgpack::encode(&back).expect("and written once more");
        assert_eq!(again, twice);
    }
    if let Ok(length) = msgpack::skip(bytes) {
        msgpack::decode(&bytes[..length]).expect("what is skipped can be read");
    }
    // A record that is stored without becoming a value.
    if let Some((_, length)) = PlainReader::default().read(bytes) {
        let value = msgpack::decode(&bytes[..length]).expect("a record that is stored can be read");
        assert!(value.as_map().is_some());
    }
    // Records whose keys have come before are read another way.
    let mut decoder = mix_vm::wire::Decoder::default();
    let [first, again] = [(); 2].map(|()| decoder.decode(bytes));
    let written = |value| mix_vm::wire::encode(&value).ok();
    assert_eq!(first.map(written), again.map(written));
    if let Ok(value) = mix_vm::wire::decode(bytes) {
        // Undefined parts and cases too deep cannot be sent on; a panic is what is looked for.
        let _ = mix_vm::wire::encode(&value);
        let _ = mix_vm::text_form::log_text(&value);
        let _ = mix_vm::text_form::format_esc_json(&value);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = escjson::parse(text);
        let _ = escjson::parse_plain(text);
    }
});
