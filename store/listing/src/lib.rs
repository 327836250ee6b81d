//! Names in a folder to which others write at the same time.
//!
//! In a component a name that goes away while a folder is listed ends the list with an error, for its
//! system interface asks about each name. [`names`] looks again as long as the folder itself is there, a bounded
//! number of times; so whoever gets [`ErrorKind::NotFound`] knows that the folder is not there, and
//! nobody takes files that come and go for files that are gone. The record store and the families that
//! keep files list their folders with it.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::Path;

/// How often a folder is listed again whose files come and go meanwhile: each look takes microseconds, and
/// where others write without a pause most of them fail.
const MAX_LOOKS: u32 = 2_000;

/// The names in a folder, of at most so many of them. [`ErrorKind::NotFound`]: there is no such folder;
/// [`ErrorKind::ResourceBusy`]: its files came and went at each look.
pub fn names(folder: &Path, most: usize) -> io::Result<Vec<OsString>> {
    again(
        || {
            let entries = std::fs::read_dir(folder)?.take(most);
            entries.map(|entry| Ok(entry?.file_name())).collect()
        },
        || std::fs::metadata(folder).map(drop),
    )
}

/// Looks again as long as something is missing, but the folder is there.
fn again<T>(
    mut look: impl FnMut() -> io::Result<T>,
    is_there: impl Fn() -> io::Result<()>,
) -> io::Result<T> {
    let mut looks = 0;
    loop {
        match look() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                is_there()?;
                looks += 1;
                if looks > MAX_LOOKS {
                    return Err(io::Error::new(
                        ErrorKind::ResourceBusy,
                        "its files come and go all the time; try again",
                    ));
                }
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanishes_meanwhile_does_not_end_the_list() {
        let gone = || io::Error::from(ErrorKind::NotFound);
        let mut left = 3;
        let look = || match left {
            0 => Ok("names"),
            _ => {
                left -= 1;
                Err(gone())
            }
        };
        assert_eq!(again(look, || Ok(())).expect("is listed"), "names");
        // Without the folder, or without end, it stays an error; so does any other.
        let look = || -> io::Result<()> { Err(gone()) };
        let error = again(look, || Err(ErrorKind::PermissionDenied.into()));
        assert_eq!(
            error.expect_err("fails").kind(),
            ErrorKind::PermissionDenied
        );
        let error = again(look, || Ok(()));
        assert_eq!(error.expect_err("fails").kind(), ErrorKind::ResourceBusy);
        let mut looks = 0;
        let look = || -> io::Result<()> {
            looks += 1;
            Err(ErrorKind::PermissionDenied.into())
        };
        assert!(again(look, || Ok(())).is_err());
        assert_eq!(looks, 1);
    }

    #[test]
    fn names_are_those_in_the_folder() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let all = names(folder, 1_000).expect("lists");
        assert_eq!(all, ["lib.rs"]);
        assert_eq!(names(folder, 0).expect("lists").len(), 0);
        let none = names(&folder.join("none"), 2).expect_err("no folder");
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }
}
