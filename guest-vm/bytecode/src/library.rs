//! Compiled libraries (`.mixlib`): a program whose modules other programs link to, with what a
//! compiler needs to know of them.
//!
//! ```text
//! offset size
//!      0    8  magic: 89 4d 49 58 4c 49 42 0a  ("\x89MIXLIB\n")
//!      8    4  version of the executable format, u32 little-endian
//!     12    4  length of the body in bytes, u32 little-endian
//!     16    4  CRC-32C of the body, u32 little-endian
//!     20    …  body: text name; text version; text standard library;
//!              list of (text module, text interface);
//!              list of (module, text name, func): the functions that others may call;
//!              varint length and bytes of the executable that holds the code
//! ```
//!
//! The SHA-256 of the body is the content hash of the library. An interface is Mix source: the
//! module with its types, cases and the declared types of its names, without any code.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::checksum::crc32c;
use crate::format::{self, FormatError, VERSION};
use crate::operand::{FuncId, Input, ModuleId, Operand, write_unsigned};
use crate::program::Program;

/// The first eight bytes of every library.
pub const MAGIC: [u8; 8] = *b"\x89MIXLIB\n";

const HEADER: usize = 20;

/// Which library: its name and version for people, its content hash for certainty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LibraryId {
    /// Name.
    pub name: Box<str>,
    /// Version: numbers with dots between them.
    pub version: Box<str>,
    /// SHA-256 of the content.
    pub hash: [u8; 32],
}

impl fmt::Display for LibraryId {
    /// `name-version@hash`, the hash shortened to sixteen digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}@", self.name, self.version)?;
        self.hash[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A function that other programs may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its module.
    pub module: ModuleId,
    /// Its name there.
    pub name: Box<str>,
    /// The function.
    pub function: FuncId,
}

/// A compiled library.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// Which one.
    pub id: LibraryId,
    /// Hash of the standard library it was built with.
    pub standard_library: Box<str>,
    /// Names of its modules, each with its interface as Mix source.
    pub interfaces: Vec<(Box<str>, Box<str>)>,
    /// Functions that others may call.
    pub exports: Vec<Export>,
    /// The code.
    pub program: Program,
}

impl Library {
    /// The number of the module with this name that belongs to the library itself.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<ModuleId> {
        let own = self.program.entries.iter();
        own.copied().find(|id| {
            let module = self.program.modules.get(id.index());
            module.is_some_and(|module| &*module.name == name)
        })
    }

    /// The function that others know by this name.
    #[must_use]
    pub fn function(&self, module: ModuleId, name: &str) -> Option<FuncId> {
        let found = |export: &&Export| export.module == module && &*export.name == name;
        self.exports
            .iter()
            .find(found)
            .map(|export| export.function)
    }
}

/// The SHA-256 of several texts, each with its length before it.
#[must_use]
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Why bytes are not a library that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LibraryError {
    /// Too short or a wrong magic.
    #[error("not a Mix library")]
    Magic,
    /// Made for another version.
    #[error(
        "library format version {0} is not supported, this runtime reads version {VERSION}; build the library again"
    )]
    Version(u32),
    /// Cut, grown or changed.
    #[error("library is damaged: its length or checksum does not match")]
    Damaged,
    /// A field is malformed.
    #[error("library is malformed at byte {0}")]
    Malformed(usize),
    /// The code inside.
    #[error("the code of the library: {0}")]
    Code(#[from] FormatError),
}

/// What a new library is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Name.
    pub name: Box<str>,
    /// Version.
    pub version: Box<str>,
    /// Hash of the standard library.
    pub standard_library: Box<str>,
    /// Module names with interfaces.
    pub interfaces: Vec<(Box<str>, Box<str>)>,
    /// Functions that others may call.
    pub exports: Vec<Export>,
    /// The code.
    pub program: Program,
}

/// Writes a library.
#[must_use]
pub fn encode(parts: &Parts) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, &parts.name);
    text(&mut body, &parts.version);
    text(&mut body, &parts.standard_library);
    write_unsigned(&mut body, parts.interfaces.len() as u64);
    for (name, interface) in &parts.interfaces {
        text(&mut body, name);
        text(&mut body, interface);
    }
    write_unsigned(&mut body, parts.exports.len() as u64);
    for export in &parts.exports {
        export.module.encode(&mut body);
        text(&mut body, &export.name);
        export.function.encode(&mut body);
    }
    let code = format::encode(&parts.program);
    write_unsigned(&mut body, code.len() as u64);
    body.extend_from_slice(&code);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    // As in an executable: 4 GiB cannot be built.
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c(&body).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

fn text(out: &mut Vec<u8>, text: &str) {
    write_unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a library. Its code is verified when it is linked.
pub fn decode(file: &[u8]) -> Result<Library, LibraryError> {
    if file.get(..MAGIC.len()) != Some(&MAGIC[..]) || file.len() < HEADER {
        return Err(LibraryError::Magic);
    }
    let word = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    if word(8) != VERSION {
        return Err(LibraryError::Version(word(8)));
    }
    let body = &file[HEADER..];
    if word(12) as usize != body.len() || word(16) != crc32c(body) {
        return Err(LibraryError::Damaged);
    }
    let mut input = Input::new(body);
    let fields = read(&mut input);
    let malformed = LibraryError::Malformed(HEADER + input.position());
    let (name, version, standard_library, interfaces, exports, code) = fields.ok_or(malformed)?;
    Ok(Library {
        id: LibraryId {
            name,
            version,
            hash: Sha256::digest(body).into(),
        },
        standard_library,
        interfaces,
        exports,
        program: format::decode(code)?,
    })
}

type Text = Box<str>;
type Fields<'a> = (Text, Text, Text, Vec<(Text, Text)>, Vec<Export>, &'a [u8]);

fn read<'a>(input: &mut Input<'a>) -> Option<Fields<'a>> {
    let name = get_text(input)?;
    let version = get_text(input)?;
    let standard_library = get_text(input)?;
    let mut interfaces = Vec::new();
    for _ in 0..input.unsigned()? {
        interfaces.push((get_text(input)?, get_text(input)?));
    }
    let mut exports = Vec::new();
    for _ in 0..input.unsigned()? {
        exports.push(Export {
            module: ModuleId::decode(input)?,
            name: get_text(input)?,
            function: FuncId::decode(input)?,
        });
    }
    let length = usize::try_from(input.unsigned()?).ok()?;
    let code = input.take(length)?;
    (input.remaining() == 0).then_some((name, version, standard_library, interfaces, exports, code))
}

fn get_text(input: &mut Input<'_>) -> Option<Box<str>> {
    let length = usize::try_from(input.unsigned()?).ok()?;
    Some(str::from_utf8(input.take(length)?).ok()?.into())
}
