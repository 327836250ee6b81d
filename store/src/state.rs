//! `db.state.<k>`: the commit point of the checkpointed part.

use mix_value::{Map, Value, escjson};

use crate::error::{Result, StoreError};
use crate::log::NO_NUMBER;

/// Name of the state at a fence.
pub(crate) fn state_name(fence: u64) -> String {
    format!("db.state.{fence}")
}

/// What the data files contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub fence: u64,
    pub generation: [u8; 8],
    pub rows: u32,
    pub dat_len: u64,
    /// Last commit contained in the data files.
    pub sequence: u64,
    /// Time of that commit.
    pub time: i64,
    /// Name of the flags file, or empty.
    pub flags: String,
    /// Names of the index segments, in row order.
    pub segments: Vec<String>,
}

impl State {
    pub fn encode(&self) -> Vec<u8> {
        let int = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let map = Value::map([
            ("dat_len", int(self.dat_len)),
            ("fence", int(self.fence)),
            ("flags", Value::from(self.flags.as_str())),
            ("format", Value::Int(2)),
            (
                "generation",
                Value::from(crate::ids::text_of(&self.generation)),
            ),
            ("rows", Value::Int(i64::from(self.rows))),
            (
                "segments",
                Value::Array(
                    self.segments
                        .iter()
                        .map(|name| Value::from(name.as_str()))
                        .collect(),
                ),
            ),
            ("seq", int(self.sequence)),
            ("time", Value::Int(self.time)),
        ]);
        // Strings and ints always have a text.
        let line = escjson::format_plain(&map).unwrap_or_default();
        format!("{line}\n{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes()
    }

    pub fn decode(bytes: &[u8], fence: u64) -> Result<State> {
        let name = state_name(fence);
        let damaged = || StoreError::Corrupt(format!("{name} is damaged"));
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let (line, sum) = text
            .strip_suffix('\n')
            .and_then(|text| text.split_once('\n'))
            .ok_or_else(damaged)?;
        if sum != format!("{:08x}", crc32c::crc32c(line.as_bytes())) {
            return Err(damaged());
        }
        let value = escjson::parse_plain(line).map_err(|_| damaged())?;
        let map = value.as_map().ok_or_else(damaged)?;
        let format = int(map, "format").ok_or_else(damaged)?;
        if format != 2 {
            return Err(StoreError::UnsupportedFormat(format!("{format} of {name}")));
        }
        let unsigned = |key: &str| {
            int(map, key)
                .and_then(|number| u64::try_from(number).ok())
                .ok_or_else(damaged)
        };
        let generation = map
            .get("generation")
            .and_then(Value::as_str)
            .and_then(|text| <[u8; 8]>::try_from(text.as_bytes()).ok())
            .filter(|bytes| bytes.iter().all(u8::is_ascii_alphanumeric))
            .ok_or_else(damaged)?;
        let state = State {
            fence: unsigned("fence")?,
            generation,
            rows: u32::try_from(unsigned("rows")?).map_err(|_| damaged())?,
            dat_len: unsigned("dat_len")?,
            sequence: unsigned("seq")?,
            time: int(map, "time").ok_or_else(damaged)?,
            flags: map
                .get("flags")
                .and_then(Value::as_str)
                .ok_or_else(damaged)?
                .to_owned(),
            segments: map
                .get("segments")
                .and_then(Value::as_array)
                .ok_or_else(damaged)?
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(damaged)?,
        };
        // What the state no longer names is removed one day: it may name nothing else.
        let is_flags = state.flags.is_empty() || is_derived(&state.flags, "flags-", ".rbm");
        let are_segments = |name: &String| is_derived(name, "idx-", ".seg");
        if state.fence != fence
            || state.sequence >= NO_NUMBER
            || !is_flags
            || !state.segments.iter().all(are_segments)
        {
            return Err(damaged());
        }
        Ok(state)
    }
}

/// True for the name of a file that is derived from the rows.
fn is_derived(name: &str, prefix: &str, suffix: &str) -> bool {
    let number = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix));
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(allowed))
}

fn int(map: &Map, key: &str) -> Option<i64> {
    match map.get(key)? {
        Value::Int(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example() {
        let state = State {
            fence: 1,
            generation: *b"k3f9a0Zq",
            rows: 2,
            dat_len: 14,
            sequence: 1,
            time: 1_709_251_200_000,
            flags: String::new(),
            segments: Vec::new(),
        };
        let text = "{\"dat_len\":14,\"fence\":1,\"flags\":\"\",\"format\":2,\"generation\":\"k3f9a0Zq\",\"rows\":2,\"segments\":[],\"seq\":1,\"time\":1709251200000}\n173fa355\n";
        assert_eq!(String::from_utf8(state.encode()).expect("UTF-8"), text);
        assert_eq!(State::decode(text.as_bytes(), 1).expect("valid"), state);
        for cut in 0..text.len() {
            assert!(State::decode(&text.as_bytes()[..cut], 1).is_err());
        }
        assert!(State::decode(text.as_bytes(), 2).is_err());
    }

    #[test]
    fn nothing_but_derived_files_is_named() {
        let named = |flags: &str, segment: &str| {
            let state = State {
                fence: 1,
                generation: *b"k3f9a0Zq",
                rows: 0,
                dat_len: 0,
                sequence: 0,
                time: 0,
                flags: flags.to_owned(),
                segments: vec![segment.to_owned()],
            };
            State::decode(&state.encode(), 1).is_ok()
        };
        assert!(named("", "idx-0-12.seg"));
        assert!(named("flags-3.rbm", "idx-0-12.seg"));
        for wrong in [
            "db.dat",
            "write.log.1",
            "../idx-0-1.seg",
            "idx-../x.seg",
            "idx-.seg",
            "",
        ] {
            assert!(!named("", wrong), "{wrong}");
        }
        for wrong in ["db.off", "LOCK", "flags-/../../x.rbm", "flags-.rbm"] {
            assert!(!named(wrong, "idx-0-12.seg"), "{wrong}");
        }
    }
}
