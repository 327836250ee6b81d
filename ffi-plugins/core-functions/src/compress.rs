//! Compression.

use std::io::Read;

use flate2::Compression;
use flate2::read::{
    DeflateDecoder, DeflateEncoder, GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder,
};
use mix_plugin_sdk::{Bytes, Failure};

/// Largest result of decompressing, in bytes: it must fit into one value, in the memory of
/// a run.
const LARGEST: u64 = 60 << 20;

enum Format {
    Gzip,
    Zlib,
    Raw,
}

fn format(name: &str) -> Result<Format, Failure> {
    match name {
        "gzip" => Ok(Format::Gzip),
        "deflate" => Ok(Format::Zlib),
        "deflate-raw" => Ok(Format::Raw),
        other => Err(Failure::range(format!(
            "unknown compression format {other:?}: use gzip, deflate or deflate-raw"
        ))),
    }
}

/// Compresses. The result depends on the input alone: no time or name is stored in it.
pub fn compress(name: String, data: Bytes) -> Result<Vec<u8>, Failure> {
    let level = Compression::default();
    let mut packed = Vec::new();
    let done = match format(&name)? {
        Format::Gzip => GzEncoder::new(&*data, level).read_to_end(&mut packed),
        Format::Zlib => ZlibEncoder::new(&*data, level).read_to_end(&mut packed),
        Format::Raw => DeflateEncoder::new(&*data, level).read_to_end(&mut packed),
    };
    done.map_err(|error| Failure::internal(format!("compressing failed: {error}")))?;
    Ok(packed)
}

/// Undoes [`compress`], up to 60 MiB.
pub fn decompress(name: String, data: Bytes) -> Result<Vec<u8>, Failure> {
    unpack(&name, &data, LARGEST)
}

fn unpack(name: &str, data: &[u8], largest: u64) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    // One byte more than allowed tells "too large" from "just fits".
    let limit = largest + 1;
    // How much of the data the end of the stream leaves over; gzip goes on with what follows.
    let mut left = 0;
    let done = match format(name)? {
        Format::Gzip => MultiGzDecoder::new(data)
            .take(limit)
            .read_to_end(&mut plain),
        Format::Zlib => {
            let mut decoder = ZlibDecoder::new(data);
            let done = decoder.by_ref().take(limit).read_to_end(&mut plain);
            left = data.len() as u64 - decoder.total_in();
            done
        }
        Format::Raw => {
            let mut decoder = DeflateDecoder::new(data);
            let done = decoder.by_ref().take(limit).read_to_end(&mut plain);
            left = data.len() as u64 - decoder.total_in();
            done
        }
    };
    done.map_err(|error| Failure::new("ERR_PARSE", format!("not valid {name} data: {error}")))?;
    if plain.len() as u64 > largest {
        return Err(Failure::new(
            "ERR_TOO_LARGE",
            format!("decompressed data is larger than {largest} bytes"),
        ));
    }
    if left > 0 {
        let message = format!("not valid {name} data: {left} bytes follow its end");
        return Err(Failure::new("ERR_PARSE", message));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let data: Bytes = b"abcabcabc".repeat(1000).into();
        for name in ["gzip", "deflate", "deflate-raw"] {
            let packed = compress(name.into(), data.clone()).unwrap();
            assert!(packed.len() < data.len() / 10, "{name}");
            assert_eq!(
                decompress(name.into(), packed.into()).unwrap(),
                &*data,
                "{name}"
            );
        }
    }

    /// `printf hello | gzip -n`
    #[test]
    fn reads_foreign_gzip() {
        let packed = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6,
            0x10, 0x36, 5, 0, 0, 0,
        ];
        assert_eq!(unpack("gzip", &packed, 5).unwrap(), b"hello");
    }

    #[test]
    fn refuses_bad_input() {
        let code = |name: &str, data: &[u8]| unpack(name, data, 100).unwrap_err().code;
        assert_eq!(code("zip", b""), "ERR_RANGE");
        for name in ["gzip", "deflate"] {
            assert_eq!(code(name, b"garbage"), "ERR_PARSE");
        }
        for name in ["gzip", "deflate", "deflate-raw"] {
            let packed = compress(name.into(), vec![0; 1000].into()).unwrap();
            assert_eq!(code(name, &packed), "ERR_TOO_LARGE", "{name}");
            assert_eq!(unpack(name, &packed, 1000).unwrap().len(), 1000, "{name}");
            let more = [&packed[..], b"junk"].concat();
            assert_eq!(
                unpack(name, &more, 1000).unwrap_err().code,
                "ERR_PARSE",
                "{name}"
            );
            assert_eq!(code(name, b""), "ERR_PARSE", "{name}");
        }
        let packed = compress("gzip".into(), vec![0; 1000].into()).unwrap();
        let cut = &packed[..packed.len() - 4];
        assert_eq!(unpack("gzip", cut, 1000).unwrap_err().code, "ERR_PARSE");
    }
}
