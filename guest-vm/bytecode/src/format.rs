//! The executable format `.mixexe`, version 4.
//!
//! ```text
//! offset size
//!      0    8  magic: 89 4d 49 58 45 58 45 0a  ("\x89MIXEXE\n")
//!      8    4  version, u32 little-endian: 4
//!     12    4  length of the body in bytes, u32 little-endian
//!     16    4  CRC-32C of the body, u32 little-endian
//!     20    …  body: the sections below, each once, in this order; the eleventh may be absent
//! ```
//!
//! A section is its number (one byte), the length of its content (varint) and
//! the content. *varint* is unsigned LEB128 of minimal length, *svarint* the
//! same after zigzag. A *text* is a varint length and that many bytes of UTF-8.
//! A *list of X* is a varint count and that many X. *opt X* is a byte 0, or a
//! byte 1 and X. Names such as *const* or *func* are varints that number
//! entries of the table of that name.
//!
//! | section | content |
//! |---|---|
//! | 1 constants | list of: kind byte and 0 svarint (int); 1 eight bytes LE (float); 2 text (string); 3 text (case name); 4 varint length and MessagePack bytes (value); 5 text (regular expression) |
//! | 2 shapes | list of list of const |
//! | 3 paths | list of list of: 0 const (field); 1 (key); 2 (index); 3 varint varint (tuple index, length) |
//! | 4 patterns | list of list of byte: 0 plain, 1 optional, 2 multiple |
//! | 5 types | list of: 0 data, 1 null, 2 bool, 3 number, 4 string, 5 word, 6 binary, 7 token, 8 ref; 9 type (array); 10 list of type (tuple); 11 type (map); 12 list of (const, type) (record); 13 const, opt type (case); 14 list of type (union; of one type: what a library function expects, whose assertion fails with `ERR_EXPECTED_…`) |
//! | 6 imports | list of: text name, byte params, list of text (used by), list of (text environment, func) |
//! | 7 modules | list of module |
//! | 8 functions | list of function |
//! | 9 entries | list of module number; opt func (the expression of `mixer eval`) |
//! | 10 externals | text standard library; list of library (text name, text version, 32 bytes of SHA-256); list of (module, varint library, text name); list of (func, module, text name) |
//! | 11 descriptions | list of (module, text of its doc comment, at most 16 KiB) |
//!
//! *module*: text name; kind byte (0 stateless, 1 instance, 2 static); list of
//! parameters (text, opt type); list of slots (text name, then 0 parameter; 1
//! func (value); or 2 cell: kind byte 0 formula, 1 var, 2 alias, 3 var alias;
//! byte public; func formula; list of slot; byte events; opt func action; opt type input); list
//! of steps (0 slot, 1 func); list of observers (list of slot, opt func guard,
//! func body); opt func initializer.
//!
//! *function*: text name; module; byte params; byte captures; varint
//! registers; opt text action; code: varint number of instructions, then each
//! as an opcode byte and its operands in the order of [`crate::op`] (registers,
//! numbers of tables and unsigned numbers as varint, signed ones as svarint,
//! bools as a byte); list of places: varint instructions since the last place,
//! const file, svarint lines since the last place, varint column, varint lines
//! spanned, varint end column.
//!
//! A reader refuses another magic, version, length or checksum, trailing or
//! missing bytes, and any malformed field; [`crate::verify`] then checks what
//! the numbers refer to. Whatever changes the meaning of a byte raises the version.

mod reading;
mod writing;

use thiserror::Error;

use crate::checksum::crc32c;
use crate::operand::{Input, write_unsigned};
use crate::program::Program;

/// The first eight bytes of every executable.
pub const MAGIC: [u8; 8] = *b"\x89MIXEXE\n";

/// The version that this code writes and reads.
pub const VERSION: u32 = 4;

const HEADER: usize = 20;

/// Largest executable that is read, in bytes.
pub const MAX_SIZE: usize = 64 << 20;

/// Why bytes are not an executable that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Too short or a wrong magic.
    #[error("not a Mix executable")]
    Magic,
    /// Made for another version.
    #[error(
        "executable format version {found} is not supported, this runtime reads version {VERSION}; build the program again"
    )]
    Version {
        /// Version of the file.
        found: u32,
    },
    /// The file is cut or has grown.
    #[error("executable is damaged: {expected} bytes expected, {found} found")]
    Length {
        /// By the header.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// Larger than any program.
    #[error("executable of {found} bytes is larger than the limit of {MAX_SIZE}")]
    TooLarge {
        /// Size of the file.
        found: usize,
    },
    /// The body does not fit its checksum.
    #[error("executable is damaged: the checksum does not match")]
    Checksum,
    /// A field is malformed.
    #[error("executable is malformed in section {section} at byte {offset}")]
    Malformed {
        /// Name of the section.
        section: &'static str,
        /// Offset in the file.
        offset: usize,
    },
}

const SECTIONS: [&str; 11] = [
    "constants",
    "shapes",
    "paths",
    "patterns",
    "types",
    "imports",
    "modules",
    "functions",
    "entries",
    "externals",
    "descriptions",
];

/// The last section, which a program without descriptions leaves out.
const DESCRIPTIONS: usize = SECTIONS.len() - 1;

/// Writes a program as an executable.
#[must_use]
pub fn encode(program: &Program) -> Vec<u8> {
    let mut body = Vec::new();
    let mut content = Vec::new();
    for number in 0..SECTIONS.len() {
        if number == DESCRIPTIONS && program.descriptions.is_empty() {
            break;
        }
        content.clear();
        writing::section(&mut content, program, number);
        // Fewer than a byte can count.
        body.push(number as u8 + 1);
        write_unsigned(&mut body, content.len() as u64);
        body.extend_from_slice(&content);
    }

    let mut file = Vec::with_capacity(HEADER + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    // A program of 4 GiB cannot be built: every table is bounded by the memory of the compiler.
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c(&body).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

/// Reads an executable. The result is well-formed but not yet
/// [verified](crate::verify::verify).
pub fn decode(file: &[u8]) -> Result<Program, FormatError> {
    if file.get(..MAGIC.len()) != Some(&MAGIC[..]) || file.len() < HEADER {
        return Err(FormatError::Magic);
    }
    if file.len() > MAX_SIZE {
        return Err(FormatError::TooLarge { found: file.len() });
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&file[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let version = word(8);
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let body = &file[HEADER..];
    if u64::from(word(12)) != body.len() as u64 {
        return Err(FormatError::Length {
            expected: u64::from(word(12)) + HEADER as u64,
            found: file.len() as u64,
        });
    }
    if word(16) != crc32c(body) {
        return Err(FormatError::Checksum);
    }

    let mut program = Program::default();
    let mut input = Input::new(body);
    for (index, name) in SECTIONS.iter().enumerate() {
        if index == DESCRIPTIONS && input.remaining() == 0 {
            break;
        }
        let malformed = |offset: usize| FormatError::Malformed {
            section: name,
            offset: HEADER + offset,
        };
        let start = input.position();
        let content = (|| {
            if usize::from(input.byte()?) != index + 1 {
                return None;
            }
            let length = usize::try_from(input.unsigned()?).ok()?;
            input.take(length)
        })()
        .ok_or_else(|| malformed(start))?;
        let start = input.position() - content.len();
        let mut section = Input::new(content);
        let read = reading::section(&mut program, index, &mut section);
        if read.is_none() || section.remaining() != 0 {
            return Err(malformed(start + section.position()));
        }
    }
    if input.remaining() != 0 {
        return Err(FormatError::Malformed {
            section: "end",
            offset: HEADER + input.position(),
        });
    }
    Ok(program)
}
