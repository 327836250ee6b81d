//! Quotes of comma-separated values.
//!
//! The reader of the cells takes what it gets: a quote that is never closed would make one cell of
//! the rest of a file. So the quotes are looked at on the way.

use std::io::{self, Read};

/// Where in a cell the next byte is.
#[derive(Clone, Copy)]
enum Place {
    /// Before its first byte.
    Start,
    /// In one without quotes: others in it are text.
    Plain,
    /// Between the quotes.
    Quoted,
    /// Behind a quote inside a quoted cell: doubled, or the end of the cell.
    Closing,
}

/// Hands bytes on and looks at the quotes among them.
pub(crate) struct Quotes<R> {
    input: R,
    delimiter: u8,
    place: Place,
    line: u64,
    /// The line in which the present cell began.
    opened: u64,
    is_first: bool,
    /// Bytes of the present record.
    length: u64,
}

/// Longest record: the reader of the cells keeps all of one.
const LONGEST: u64 = 128 << 20;

const MARK: &[u8] = "\u{feff}".as_bytes();

impl<R: Read> Quotes<R> {
    pub fn new(input: R, delimiter: u8) -> Quotes<R> {
        Quotes {
            input,
            delimiter,
            place: Place::Start,
            line: 1,
            opened: 1,
            is_first: true,
            length: 0,
        }
    }

    fn look(&mut self, byte: u8) -> Result<(), String> {
        self.length += 1;
        if self.length > LONGEST {
            let megabytes = LONGEST >> 20;
            return Err(format!(
                "line {}: a record is larger than {megabytes} MiB",
                self.line
            ));
        }
        self.place = match (self.place, byte) {
            (Place::Start, b'"') => {
                self.opened = self.line;
                Place::Quoted
            }
            (Place::Quoted, b'"') => Place::Closing,
            (Place::Closing, b'"') | (Place::Quoted, _) => Place::Quoted,
            (_, b'\n' | b'\r') => {
                self.length = 0;
                Place::Start
            }
            (_, byte) if byte == self.delimiter => Place::Start,
            (Place::Closing, _) => {
                return Err(format!(
                    "line {}: text follows the closing quote of a cell",
                    self.line
                ));
            }
            (Place::Start | Place::Plain, _) => Place::Plain,
        };
        self.line += u64::from(byte == b'\n');
        Ok(())
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let mut bytes = &buffer[..count];
        if count == 0 && !buffer.is_empty() && matches!(self.place, Place::Quoted) {
            return Err(wrong(format!(
                "line {}: the quote of a cell is not closed",
                self.opened
            )));
        }
        if std::mem::replace(&mut self.is_first, false) {
            bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
        }
        for byte in bytes {
            self.look(*byte).map_err(wrong)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<(), String> {
        all_between(b',', text)
    }

    fn all_between(delimiter: u8, text: &str) -> Result<(), String> {
        let mut read = String::new();
        let done = Quotes::new(text.as_bytes(), delimiter).read_to_string(&mut read);
        done.map_err(|error| error.to_string())?;
        assert_eq!(read, text);
        Ok(())
    }

    #[test]
    fn quotes_that_hang_together_pass() {
        for text in [
            "",
            "a,b\n1,2\n",
            "\"a\",\"b\"\r\n\"x \"\"y\"\"\",\"\"\n",
            "a\n\"1\n2,3\"\n",
            "a,b\n1\"2,\"\"\"\"",
            "\u{feff}\"a\",\"b\"\n",
        ] {
            assert_eq!(all(text), Ok(()), "{text}");
        }
        assert_eq!(all_between(b';', "a;b\n\"1\";2,\"3\n"), Ok(()));
        assert!(all("a;b\n\"1\";2\n").is_err());
    }

    #[test]
    fn others_are_named_with_their_line() {
        for (text, line) in [
            ("a\n\"1\n2\n3\n", "line 2: the quote"),
            ("\"a", "line 1: the quote"),
            ("a\n1\n\"x\"y\n", "line 3: text follows"),
            ("a\n\"x\" \n", "line 2: text follows"),
        ] {
            let error = all(text).expect_err(text);
            assert!(error.starts_with(line), "{text}: {error}");
        }
    }
}
