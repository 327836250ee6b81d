//! Tickets: whoever has one uploads one file, once, within an hour.
//!
//! A ticket is a random text; what is kept, below `.tickets/` in the folder of workspaces, is its hash with the place of the file.

use crate::disk::private_folder;
use crate::error::{FilesError, Result};
use crate::registered::hash;
use mix_value::{Map, Value, escjson};
use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a ticket is good for.
const LIFE: Duration = Duration::from_secs(3600);
/// Most tickets that are open at once.
const MOST: usize = 100_000;
/// Signs of a ticket.
const LENGTH: usize = 32;
/// Ending of a ticket whose upload is under way.
const CLAIMED: &str = "claimed";

/// The tickets of a server.
#[derive(Debug, Clone)]
pub struct Tickets {
    folder: PathBuf,
}

/// A ticket whose upload is under way. Given back when dropped, unless it was used.
#[derive(Debug)]
pub struct Claim {
    place: PathBuf,
    claimed: PathBuf,
    is_used: bool,
    /// Workspace of the file.
    pub workspace: String,
    /// App of the file.
    pub app: String,
    /// Path of the file.
    pub path: String,
    /// Hash of the ticket.
    pub hash: String,
}

impl Tickets {
    /// The tickets below a folder of workspaces.
    pub fn of(ws_dir: &Path) -> Tickets {
        Tickets {
            folder: ws_dir.join(".tickets"),
        }
    }

    /// A new ticket, and its hash.
    pub fn issue(&self, workspace: &str, app: &str, path: &str) -> Result<(String, String)> {
        private_folder(&self.folder)?;
        if self.sweep()? >= MOST {
            return Err(FilesError::TooMany("too many uploads are announced"));
        }
        let ticket = random()?;
        let hash = hash(&ticket);
        let about = Value::Map(Map::from([
            ("ws".into(), Value::from(workspace)),
            ("app".into(), Value::from(app)),
            ("path".into(), Value::from(path)),
        ]));
        let text = escjson::format(&about).map_err(Error::other)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(self.folder.join(&hash))
            .map_err(|error| error.error)?;
        Ok((ticket, hash))
    }

    /// What a ticket is for, while it is good.
    fn look(&self, ticket: &str) -> Result<(PathBuf, Map)> {
        let is_ticket =
            ticket.len() == LENGTH && ticket.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let place = self.folder.join(hash(ticket));
        let text = match fs::read_to_string(&place) {
            Ok(text) if is_ticket && !is_old(&place, LIFE) => text,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => return Err(FilesError::Expired),
        };
        match escjson::parse(&text) {
            Ok(Value::Map(about)) => Ok((place, about)),
            _ => Err(FilesError::Expired),
        }
    }

    /// Whether a ticket is good now: its upload may begin.
    pub fn check(&self, ticket: &str) -> Result<()> {
        self.look(ticket).map(|_| ())
    }

    /// Takes a ticket for an upload; meanwhile nobody else can.
    pub fn claim(&self, ticket: &str) -> Result<Claim> {
        let (place, about) = self.look(ticket)?;
        let claimed = place.with_extension(CLAIMED);
        match fs::rename(&place, &claimed) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(FilesError::Expired),
            Err(error) => return Err(error.into()),
        }
        let word = |name: &str| {
            about
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Claim {
            place,
            claimed,
            is_used: false,
            workspace: word("ws"),
            app: word("app"),
            path: word("path"),
            hash: hash(ticket),
        })
    }

    /// Removes what is too old and says how many are left.
    fn sweep(&self) -> Result<usize> {
        let mut left = 0;
        for item in fs::read_dir(&self.folder)? {
            let place = item?.path();
            // One that was claimed may still be uploading.
            if is_old(&place, 2 * LIFE) {
                let _ = fs::remove_file(&place);
            } else {
                left += 1;
            }
        }
        Ok(left)
    }
}

impl Claim {
    /// The upload is done: the ticket is good for nothing any more.
    pub fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Whatever cannot be done here leaves the ticket useless, and it ends by itself.
        let _ = if self.is_used {
            fs::remove_file(&self.claimed)
        } else {
            fs::rename(&self.claimed, &self.place)
        };
    }
}

fn is_old(place: &Path, life: Duration) -> bool {
    let modified = fs::metadata(place).and_then(|found| found.modified());
    modified.is_ok_and(|time| {
        SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age > life)
    })
}

/// Random letters and digits.
fn random() -> Result<String> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0u8; LENGTH];
        getrandom::fill(&mut bytes).map_err(|error| Error::other(error.to_string()))?;
        let letters = bytes
            .iter()
            .filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        text.extend(letters.map(|letter| char::from(*letter)));
    }
    text.truncate(LENGTH);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let tickets = Tickets::of(folder.path());
        let (ticket, hash) = tickets.issue("w", "a", "/x").expect("a ticket");
        assert_eq!(ticket.len(), LENGTH);
        tickets.check(&ticket).expect("good");
        let claim = tickets.claim(&ticket).expect("good");
        assert_eq!((claim.path.as_str(), &claim.hash), ("/x", &hash));
        assert!(matches!(tickets.claim(&ticket), Err(FilesError::Expired)));
        // An upload that breaks off gives it back.
        drop(claim);
        tickets.claim(&ticket).expect("good again").used();
        assert!(matches!(tickets.check(&ticket), Err(FilesError::Expired)));
    }

    #[test]
    fn what_is_no_ticket_is_refused_and_old_ones_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let tickets = Tickets::of(folder.path());
        let (ticket, hash) = tickets.issue("w", "a", "/x").expect("a ticket");
        for wrong in ["", "../x", &hash, &"x".repeat(32)] {
            assert!(
                matches!(tickets.claim(wrong), Err(FilesError::Expired)),
                "{wrong}"
            );
        }
        let place = folder.path().join(".tickets").join(&hash);
        let file = fs::File::options().write(true).open(&place).expect("there");
        file.set_modified(SystemTime::now() - LIFE - Duration::from_secs(1))
            .expect("a time");
        assert!(matches!(tickets.check(&ticket), Err(FilesError::Expired)));
        file.set_modified(SystemTime::now() - 2 * LIFE - Duration::from_secs(1))
            .expect("a time");
        tickets.issue("w", "a", "/y").expect("another");
        assert!(!place.exists());
    }
}
