//! Streams that fail: their last item is no value (`reply.many` in `wit/ffi`).

use mix_value::{Value, msgpack};
use mix_vm::HostFailure;

/// First byte of such an item; MessagePack never uses it.
const FAILED: u8 = 0xc1;

/// Cuts a batch before the item that says why its stream failed, and gives the reason.
pub fn take(items: &mut Vec<Vec<u8>>) -> Option<HostFailure> {
    let position = items
        .iter()
        .position(|item| item.first() == Some(&FAILED))?;
    let failure = read(&items[position][1..]);
    items.truncate(position);
    Some(failure)
}

fn read(map: &[u8]) -> HostFailure {
    let value = msgpack::decode(map).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    HostFailure {
        code: text("code").unwrap_or_else(|| "ERR_INTERNAL".to_string()),
        message: text("message")
            .unwrap_or_else(|| "a stream failed without saying why".to_string()),
        detail: value
            .get("detail")
            .and_then(|detail| msgpack::encode(detail).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_its_batch() {
        let map = Value::map([
            ("code", Value::string("ERR_DB")),
            ("message", Value::string("gone")),
        ]);
        let mut last = vec![FAILED];
        last.extend(msgpack::encode(&map).unwrap());
        let mut items = vec![vec![1], vec![2], last, vec![3]];
        let failure = take(&mut items).unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.message.as_str()),
            ("ERR_DB", "gone")
        );
        assert_eq!(items, [[1], [2]]);
        assert_eq!(take(&mut items), None);
        assert_eq!(
            take(&mut vec![vec![FAILED, 0xc1]]).unwrap().code,
            "ERR_INTERNAL"
        );
    }
}
