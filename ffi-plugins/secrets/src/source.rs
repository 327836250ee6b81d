//! Where the workspace key comes from.
//!
//! | `MIXER_SECRETS_KEY` | the key |
//! |---|---|
//! | `keys:K1,K2` | the keys themselves |
//! | `env:NAME` | the keys in another variable |
//! | `file:PATH` | a file with one key a line |
//! | not set | `secrets.key` in the folder of the workspace's keys, made when it is missing |
//!
//! A key is 64 hexadecimal digits or 44 characters of Base64. The first key seals, the
//! others only open what was sealed before it came. The variable is that of this component:
//! `mixer` reads files, variables and commands itself and gives the keys.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use mix_plugin_sdk::Failure;
use zeroize::Zeroizing;

use crate::key::{KEY, Key, hex, random};

/// Most keys at a time.
const MOST_KEYS: usize = 16;
/// Longest file of keys.
const LONGEST_FILE: u64 = 4096;

/// The workspace key, and the ones before it.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// The key that seals.
    pub fn present(&self) -> &Key {
        // `parse` and `of_folder` give at least one.
        &self.0[0]
    }

    /// All keys, the present one first.
    pub fn all(&self) -> &[Key] {
        &self.0
    }

    /// The keys of this instance; `folder` is that of the workspace's keys.
    pub fn find(folder: &Path) -> Result<Keys, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let Some(source) = variable("MIXER_SECRETS_KEY").map(Zeroizing::new) else {
            return of_folder(folder);
        };
        match source.split_once(':') {
            Some(("keys", keys)) => parse(keys),
            Some(("env", name)) => match variable(name) {
                Some(keys) => parse(&Zeroizing::new(keys)),
                None => Err(absent()),
            },
            Some(("file", path)) => read(Path::new(path))?.ok_or_else(absent),
            _ => Err(Failure::unsupported(
                "MIXER_SECRETS_KEY names no source that can be read here: file:PATH or env:NAME",
            )),
        }
    }
}

fn absent() -> Failure {
    Failure::new("ERR_IO", "what MIXER_SECRETS_KEY names is not there")
}

/// The key in a folder, made when it is missing.
fn of_folder(folder: &Path) -> Result<Keys, Failure> {
    let path = folder.join("secrets.key");
    if let Some(keys) = read(&path)? {
        return Ok(keys);
    }
    let key = Key::random()?;
    let text = Zeroizing::new(hex(key.bytes()) + "\n");
    create_once(&path, text.as_bytes()).map_err(|error| unusable(&error))?;
    // Another instance may have been first.
    read(&path)?.ok_or_else(|| Failure::new("ERR_IO", "the workspace key vanished"))
}

fn read(path: &Path) -> Result<Option<Keys>, Failure> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() <= LONGEST_FILE => {}
        Ok(_) => return Err(malformed()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&error)),
    }
    let text = fs::read_to_string(path).map_err(|error| unusable(&error))?;
    parse(&Zeroizing::new(text)).map(Some)
}

/// Writes a file that is either there with all of its content or not at all, and never replaced.
pub fn create_once(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let (folder, temporary) = temporary(path)?;
    let written = write(&temporary, content).and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => {
            sync_folder(&folder);
            Ok(())
        }
    }
}

/// Writes a file so that a reader sees the old content or the new, never a part.
pub fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let (folder, temporary) = temporary(path)?;
    let written = write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(&folder);
    Ok(())
}

/// Beginning of names of files that are being written.
pub const TEMPORARY: &str = ".new-";

fn temporary(path: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut name = [0; 12];
    random(&mut name).map_err(|failure| std::io::Error::other(failure.message))?;
    let temporary = folder.join(format!("{TEMPORARY}{}", hex(&name)));
    Ok((folder, temporary))
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A rename lasts once its folder is on disk. Not every file system can be asked for that.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Keys as the operator writes them.
pub fn parse(text: &str) -> Result<Keys, Failure> {
    let keys: Option<Vec<Key>> = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .map(one)
        .collect();
    match keys {
        Some(keys) if (1..=MOST_KEYS).contains(&keys.len()) => Ok(Keys(keys)),
        _ => Err(malformed()),
    }
}

fn one(text: &str) -> Option<Key> {
    let mut bytes = Zeroizing::new([0; KEY]);
    if text.len() == 2 * KEY && text.is_ascii() {
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(Key::new(*bytes));
    }
    let digits = text.strip_suffix('=').filter(|digits| digits.len() == 43)?;
    let (mut buffer, mut bits, mut at) = (0u32, 0, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(at)? = (buffer >> bits) as u8;
            at += 1;
        }
    }
    (at == KEY).then(|| Key::new(*bytes))
}

/// Says nothing of what was read.
fn malformed() -> Failure {
    Failure::new(
        "ERR_IO",
        "the workspace key is malformed: 64 hexadecimal digits or 44 characters of Base64 are needed",
    )
}

fn unusable(error: &std::io::Error) -> Failure {
    Failure::new(
        "ERR_IO",
        format!("the workspace key cannot be used: {}", error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_forms() {
        let digits = "00".repeat(31) + "ff";
        let keys = parse(&format!("{digits}\n\n")).unwrap();
        assert_eq!(keys.present().bytes()[31], 0xff);
        let base64 = "A".repeat(42) + "E=";
        assert_eq!(parse(&base64).unwrap().present().bytes()[31], 0x01);
        assert_eq!(parse(&format!("{digits},{base64}")).unwrap().all().len(), 2);
        for bad in [
            "",
            "00",
            &"0g".repeat(32),
            &"ü".repeat(32),
            &("A".repeat(42) + "!="),
            &"A".repeat(44),
            &format!("{digits},x"),
        ] {
            let failure = parse(bad).unwrap_err();
            assert_eq!(failure.code, "ERR_IO", "{bad}");
            assert!(
                bad.is_empty() || !failure.message.contains(bad),
                "{failure}"
            );
        }
    }

    #[test]
    fn the_key_of_a_folder_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = of_folder(folder.path()).unwrap();
        let again = of_folder(folder.path()).unwrap();
        assert_eq!(first.present().bytes(), again.present().bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(folder.path().join("secrets.key"), "x").unwrap();
        assert_eq!(of_folder(folder.path()).unwrap_err().code, "ERR_IO");
        let nowhere = folder.path().join("nowhere");
        assert_eq!(of_folder(&nowhere).unwrap_err().code, "ERR_IO");
    }
}
