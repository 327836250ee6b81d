//! `mixer codec`.

use super::Exit;
use super::output;
use clap::{Args, ValueEnum};
use mix_value::{Value, escjson, msgpack};

/// Largest text or encoding of a value.
const LARGEST: u64 = 256 << 20;

/// Converts one value.
#[derive(Debug, Args)]
pub struct Codec {
    /// Encoding of the input.
    #[arg(long, value_enum)]
    from: Encoding,
    /// Encoding of the output.
    #[arg(long, value_enum)]
    to: Encoding,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoding {
    Json,
    Escjson,
    Msgpack,
}

impl Codec {
    pub fn execute(self) -> Result<(), Exit> {
        let input = mix_input_file::read_standard_input(LARGEST)
            .map_err(|error| Exit::io(format!("standard input: {error}")))?;
        let value = decode(self.from, &input)?;
        output::bytes(&encode(self.to, &value)?)
    }
}

fn decode(encoding: Encoding, input: &[u8]) -> Result<Value, Exit> {
    let text = || {
        std::str::from_utf8(input)
            .map_err(|error| Exit::failed(format!("error ERR_PARSE: {error}")))
    };
    let failed = |error: String| Exit::failed(format!("error ERR_PARSE: {error}"));
    match encoding {
        Encoding::Json => escjson::parse_plain(text()?).map_err(|error| failed(error.to_string())),
        Encoding::Escjson => escjson::parse(text()?).map_err(|error| failed(error.to_string())),
        Encoding::Msgpack => msgpack::decode(input).map_err(|error| failed(error.to_string())),
    }
}

fn encode(encoding: Encoding, value: &Value) -> Result<Vec<u8>, Exit> {
    let failed = |error: String| Exit::failed(format!("error ERR_NOT_SERIALIZABLE: {error}"));
    match encoding {
        Encoding::Json => escjson::format_plain(value)
            .map(|text| (text + "\n").into_bytes())
            .map_err(|error| failed(error.to_string())),
        Encoding::Escjson => escjson::format(value)
            .map(|text| (text + "\n").into_bytes())
            .map_err(|error| failed(error.to_string())),
        Encoding::Msgpack => msgpack::encode(value).map_err(|error| failed(error.to_string())),
    }
}
