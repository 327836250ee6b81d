//! The folder of a user.
//!
//! ```text
//! <folder of all secrets>/<hash of the user>/user.key      data key, sealed under the workspace key
//!                                           <hidden name>  name and value, sealed under the data key
//! ```
//!
//! One file per secret: writers never meet except on the same secret, where the last one wins.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mix_folder_listing::names;
use mix_plugin_sdk::mix_value::msgpack;
use mix_plugin_sdk::{Caller, Failure, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{Closed, Context, KEY, Key, hex};
use crate::source::{self, Keys, TEMPORARY};

/// Longest name, in characters.
const LONGEST_NAME: usize = 256;
/// Longest value, in bytes.
const LONGEST_VALUE: usize = 64 << 10;
/// Most secrets of a user.
const MOST: usize = 1000;

/// Most files in the folder of a user: secrets, and what was left of writing them.
const MOST_FILES: usize = 100 * MOST;

const USER_KEY: &str = "user.key";

/// Nobody writes a file for so long.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);

const DAMAGED: &str = "a secret is damaged and cannot be opened";
const KEY_DAMAGED: &str = "the key of this user's secrets is damaged: user.key of an earlier copy of their folder opens them";
const KEY_MISSING: &str = "the key of this user's secrets is missing: user.key of an earlier copy of their folder opens them";
const OTHER_DATA_KEY: &str = "a secret was sealed under another user.key than the one beside it";

/// Begin of the names under which the host itself keeps what belongs to a user.
const OF_HOST: char = '\u{1}';
/// The app in whose name the host asks: no program runs in it.
const HOST_APP: &str = "_rmx_secrets";

/// The secrets of a user.
#[derive(Debug)]
pub struct Vault {
    folder: PathBuf,
    keys: Keys,
    workspace: String,
    user: String,
}

/// The secrets of whoever calls.
pub fn of(who: &Caller) -> Result<Vault, Failure> {
    if is_anonymous(who) {
        return Err(Failure::new(
            "ERR_PERMISSION",
            "anonymous users have no secrets: sign in first",
        ));
    }
    let granted = Path::new("/secrets");
    if granted.is_dir() {
        return Ok(Vault::new(granted, Keys::find(Path::new("/keys"))?, who));
    }
    // Inside a composed component: the folder of workspaces.
    let workspace = match std::env::var("MIXER_WS") {
        Ok(name) if !name.is_empty() => name,
        _ if !who.workspace.is_empty() => who.workspace.clone(),
        _ => "local".to_owned(),
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if Path::new("/ws").is_dir() && workspace.len() <= 64 && workspace.bytes().all(word) {
        let folder = Path::new("/ws").join(workspace);
        let keys = folder.join(".keys");
        let _ = fs::create_dir_all(&keys);
        return Ok(Vault::new(
            &folder.join("_rmx_secrets"),
            Keys::find(&keys)?,
            who,
        ));
    }
    Err(Failure::unsupported(
        "this run is given no folder for secrets",
    ))
}

/// True for callers that have no secrets.
pub fn is_anonymous(who: &Caller) -> bool {
    who.user.is_empty() || who.user == "anonymous"
}

/// Names of the host are for the host alone.
pub fn check_owner(who: &Caller, name: &str) -> Result<(), Failure> {
    if !name.starts_with(OF_HOST) || who.app == HOST_APP {
        return Ok(());
    }
    Err(Failure::range(
        "the name of a secret does not begin with this control character",
    ))
}

impl Vault {
    fn new(folder: &Path, keys: Keys, who: &Caller) -> Vault {
        let user = Sha256::digest(&who.user);
        Vault {
            folder: folder.join(hex(&user[..20])),
            keys,
            workspace: who.workspace.clone(),
            user: who.user.clone(),
        }
    }

    /// Keeps a value, replacing the one of that name.
    pub fn set(&self, name: &str, value: &str) -> Result<(), Failure> {
        check(name)?;
        if value.len() > LONGEST_VALUE {
            return Err(Failure::range(format!(
                "a secret has at most {LONGEST_VALUE} bytes, this one {}",
                value.len()
            )));
        }
        fs::create_dir_all(&self.folder).map_err(|error| io("writing", &error))?;
        let key = match self.data_key()? {
            Some(key) => key,
            None => self.new_data_key()?,
        };
        let path = self.path(&key, name);
        let is_bounded = !name.starts_with(OF_HOST);
        if is_bounded && !path.exists() && self.files()?.len() >= MOST {
            return Err(Failure::range(format!("a user has at most {MOST} secrets")));
        }
        let content = Value::Array(vec![Value::string(name), Value::string(value)]);
        let content = Zeroizing::new(
            msgpack::encode(&content)
                .map_err(|_| Failure::internal("a secret has no wire form"))?,
        );
        let file = self.file_name(&key, name);
        let sealed = key.seal(
            self.context("secret", &[&self.workspace, &self.user, &file]),
            &content,
        )?;
        source::replace(&path, &sealed).map_err(|error| io("writing", &error))
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Result<String, Failure> {
        check(name)?;
        let key = self.data_key()?.ok_or_else(missing)?;
        let (_, value) = self
            .read(&key, &self.file_name(&key, name))?
            .ok_or_else(missing)?;
        Ok(value)
    }

    /// All names but those of the host, ascending. Secrets that cannot be opened have no name that could be told: they are
    /// left out, unless nothing can be opened.
    pub fn list(&self) -> Result<Vec<String>, Failure> {
        let Some(key) = self.data_key()? else {
            return Ok(Vec::new());
        };
        let (mut names, mut is_any_open, mut failed) = (Vec::new(), false, None);
        for file in self.files()? {
            // One that was removed meanwhile is no secret any longer; one that cannot be read now is one all the same.
            let Some(sealed) = self.sealed(&file)? else {
                continue;
            };
            match self.opened(&key, &file, &sealed) {
                Ok((name, value)) => {
                    drop(Zeroizing::new(value));
                    is_any_open = true;
                    if !name.starts_with(OF_HOST) {
                        names.push(name);
                    }
                }
                Err(failure) => failed = Some(failure),
            }
        }
        match failed {
            Some(failure) if !is_any_open => Err(failure),
            failed => {
                if let Some(failure) = failed {
                    eprintln!("a list of secrets leaves out what cannot be opened: {failure}");
                }
                names.sort();
                Ok(names)
            }
        }
    }

    /// Removes the secret of that name.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        check(name)?;
        let key = self.data_key()?.ok_or_else(missing)?;
        match fs::remove_file(self.path(&key, name)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(io("removing", &error)),
        }
    }

    /// The data key of the user, sealed anew if that was done under an earlier workspace key.
    fn data_key(&self) -> Result<Option<Key>, Failure> {
        let path = self.folder.join(USER_KEY);
        let sealed = match contents(&path)? {
            Some(sealed) => sealed,
            None if self.files()?.is_empty() => return Ok(None),
            // Another run may have made it meanwhile, and been the first to keep something.
            None => contents(&path)?.ok_or_else(|| unopened(KEY_MISSING))?,
        };
        let context = self.user_context();
        let context = self.context("user key", &context);
        let mut reason = None;
        for (number, key) in self.keys.all().iter().enumerate() {
            match key.open(context, &sealed) {
                Ok(opened) => {
                    let bytes = <[u8; KEY]>::try_from(opened.as_slice())
                        .map_err(|_| unopened(KEY_DAMAGED))?;
                    if number > 0 {
                        let sealed = self.keys.present().seal(context, &bytes)?;
                        source::replace(&path, &sealed).map_err(|error| io("writing", &error))?;
                    }
                    return Ok(Some(Key::new(bytes)));
                }
                Err(Closed::Damaged) => reason = Some(Closed::Damaged),
                Err(other) => reason = reason.or(Some(other)),
            }
        }
        Err(match reason {
            Some(Closed::OtherKey(id)) => unopened(&format!(
                "the secrets are sealed under another workspace key (id {id:08x}): give that key too, after the present one"
            )),
            Some(Closed::Damaged) | None => unopened(KEY_DAMAGED),
        })
    }

    fn new_data_key(&self) -> Result<Key, Failure> {
        let context = self.user_context();
        let sealed = self
            .keys
            .present()
            .seal(self.context("user key", &context), Key::random()?.bytes())?;
        source::create_once(&self.folder.join(USER_KEY), &sealed)
            .map_err(|error| io("writing", &error))?;
        // Another run may have been first.
        self.data_key()?
            .ok_or_else(|| Failure::new("ERR_IO", "the key of the user vanished"))
    }

    fn user_context(&self) -> [&str; 2] {
        [&self.workspace, &self.user]
    }

    fn context<'a>(&self, kind: &'a str, place: &'a [&'a str]) -> Context<'a> {
        Context { kind, place }
    }

    fn file_name(&self, key: &Key, name: &str) -> String {
        key.hide("name of a secret", name)
    }

    fn path(&self, key: &Key, name: &str) -> PathBuf {
        self.folder.join(self.file_name(key, name))
    }

    /// Files that hold secrets. What a write that was cut off has left goes.
    fn files(&self) -> Result<Vec<String>, Failure> {
        let names = match names(&self.folder, MOST_FILES + 1) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("reading", &error)),
        };
        if names.len() > MOST_FILES {
            let message = format!("more than {MOST_FILES} files in the folder of the secrets");
            return Err(Failure::new("ERR_TOO_LARGE", message));
        }
        let mut files = Vec::with_capacity(names.len());
        for name in names.iter().map(|name| name.to_string_lossy()) {
            if name.starts_with(TEMPORARY) {
                forget(&self.folder.join(&*name));
            } else if name != USER_KEY {
                files.push(name.into_owned());
            }
        }
        Ok(files)
    }

    fn read(&self, key: &Key, file: &str) -> Result<Option<(String, String)>, Failure> {
        let sealed = self.sealed(file)?;
        sealed
            .map(|sealed| self.opened(key, file, &sealed))
            .transpose()
    }

    /// The content of a secret's file; nothing of what cannot be one, which is then as damaged.
    fn sealed(&self, file: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.folder.join(file);
        match fs::symlink_metadata(&path) {
            // Room for name and value in their sealed form.
            Ok(metadata) if metadata.is_file() && metadata.len() <= 2 * LONGEST_VALUE as u64 => {
                contents(&path)
            }
            Ok(_) => Ok(Some(Vec::new())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("reading", &error)),
        }
    }

    /// Name and value of a secret.
    fn opened(&self, key: &Key, file: &str, sealed: &[u8]) -> Result<(String, String), Failure> {
        let place = [self.workspace.as_str(), &self.user, file];
        let opened = key
            .open(self.context("secret", &place), sealed)
            .map_err(|why| match why {
                Closed::OtherKey(_) => unopened(OTHER_DATA_KEY),
                Closed::Damaged => unopened(DAMAGED),
            })?;
        let Ok(Value::Array(content)) = msgpack::decode(&opened) else {
            return Err(unopened(DAMAGED));
        };
        match content.as_slice() {
            [Value::String(name), Value::String(value)] => {
                Ok((name.to_string(), value.to_string()))
            }
            _ => Err(unopened(DAMAGED)),
        }
    }
}

/// The content of a file; nothing if there is no such file.
fn contents(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("reading", &error)),
    }
}

/// Removes a file that nobody is writing any longer.
fn forget(path: &Path) {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = written.ok().and_then(|written| written.elapsed().ok());
    if age.is_some_and(|age| age > LONGEST_WRITE) {
        let _ = fs::remove_file(path);
    }
}

fn check(name: &str) -> Result<(), Failure> {
    let length = name.chars().count();
    if (1..=LONGEST_NAME).contains(&length) {
        return Ok(());
    }
    Err(Failure::range(format!(
        "the name of a secret has 1 to {LONGEST_NAME} characters, not {length}"
    )))
}

fn missing() -> Failure {
    Failure::new("ERR_NOT_FOUND", "no secret of that name")
}

fn unopened(why: &str) -> Failure {
    Failure::new("ERR_IO", why)
}

/// The kind of an error, not its text, which may hold places of the host.
fn io(doing: &str, error: &std::io::Error) -> Failure {
    Failure::new(
        "ERR_IO",
        format!("{doing} secrets failed: {}", error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Keys {
        source::parse(&texts.join(",")).unwrap()
    }

    fn ada() -> Caller {
        Caller {
            workspace: "local".into(),
            user: "ada@example.com".into(),
            ..Caller::default()
        }
    }

    const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const TWO: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn vault(folder: &Path, user: &str, texts: &[&str]) -> Vault {
        let who = Caller {
            user: user.into(),
            ..ada()
        };
        Vault::new(folder, keys(texts), &who)
    }

    #[test]
    fn names_of_the_host_are_for_the_host_alone() {
        let host = Caller {
            app: HOST_APP.into(),
            ..ada()
        };
        let program = Caller {
            app: "shop".into(),
            ..ada()
        };
        let name = "\u{1}token/x";
        assert!(check_owner(&host, name).is_ok() && check_owner(&host, "x").is_ok());
        assert!(check_owner(&program, "x").is_ok());
        assert_eq!(check_owner(&program, name).unwrap_err().code, "ERR_RANGE");
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        vault.set(name, "kept").unwrap();
        vault.set("x", "own").unwrap();
        assert_eq!(vault.list().unwrap(), ["x"]);
        assert_eq!(vault.get(name).unwrap(), "kept");
    }

    #[test]
    fn set_get_list_delete() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        assert!(vault.list().unwrap().is_empty());
        assert_eq!(vault.get("a").unwrap_err().code, "ERR_NOT_FOUND");
        assert_eq!(vault.delete("a").unwrap_err().code, "ERR_NOT_FOUND");
        for name in ["b", "a", "ü/../x"] {
            vault.set(name, &format!("value of {name}")).unwrap();
        }
        vault.set("b", "second").unwrap();
        assert_eq!(vault.list().unwrap(), ["a", "b", "ü/../x"]);
        assert_eq!(vault.get("b").unwrap(), "second");
        assert_eq!(vault.get("ü/../x").unwrap(), "value of ü/../x");
        vault.delete("b").unwrap();
        assert_eq!(vault.get("b").unwrap_err().code, "ERR_NOT_FOUND");
        assert_eq!(vault.list().unwrap(), ["a", "ü/../x"]);
    }

    #[test]
    fn limits_of_names_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        for name in ["", &"x".repeat(257)] {
            assert_eq!(vault.set(name, "v").unwrap_err().code, "ERR_RANGE");
            assert_eq!(vault.get(name).unwrap_err().code, "ERR_RANGE");
        }
        vault.set(&"ü".repeat(256), "").unwrap();
        assert_eq!(vault.get(&"ü".repeat(256)).unwrap(), "");
        let long = "x".repeat(LONGEST_VALUE + 1);
        assert_eq!(vault.set("n", &long).unwrap_err().code, "ERR_RANGE");
        vault.set("n", &long[1..]).unwrap();
    }

    #[test]
    fn users_do_not_meet_and_files_cannot_change_places() {
        let folder = tempfile::tempdir().unwrap();
        let ada = vault(folder.path(), "ada", &[ONE]);
        let bob = vault(folder.path(), "bob", &[ONE]);
        ada.set("key", "of ada").unwrap();
        ada.set("other", "of ada too").unwrap();
        assert_eq!(bob.get("key").unwrap_err().code, "ERR_NOT_FOUND");
        bob.set("key", "of bob").unwrap();
        // A user key of another user, with all files, does not open.
        fs::remove_dir_all(&bob.folder).unwrap();
        fs::create_dir(&bob.folder).unwrap();
        for entry in fs::read_dir(&ada.folder).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), bob.folder.join(entry.file_name())).unwrap();
        }
        assert_eq!(bob.get("key").unwrap_err().code, "ERR_IO");
        // A secret under the name of another one does not open either.
        let key = ada.data_key().unwrap().unwrap();
        fs::copy(ada.path(&key, "other"), ada.path(&key, "key")).unwrap();
        assert_eq!(ada.get("key").unwrap_err().code, "ERR_IO");
        assert_eq!(ada.get("other").unwrap(), "of ada too");
    }

    #[test]
    fn nothing_on_disk_tells_names_or_values() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        vault.set("the-name", "the-value").unwrap();
        let mut open = vec![folder.path().to_owned()];
        let mut files = 0;
        while let Some(path) = open.pop() {
            assert!(!path.to_string_lossy().contains("the-name"));
            if path.is_dir() {
                open.extend(
                    fs::read_dir(path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else {
                files += 1;
                let bytes = fs::read(path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains("the-name") && !text.contains("the-value"));
            }
        }
        assert_eq!(files, 2);
    }

    #[test]
    fn a_new_workspace_key_takes_over() {
        let folder = tempfile::tempdir().unwrap();
        vault(folder.path(), "ada", &[ONE]).set("a", "1").unwrap();
        let failure = vault(folder.path(), "ada", &[TWO]).get("a").unwrap_err();
        let id = format!("{:08x}", Key::new([1; KEY]).id());
        assert!(failure.message.contains(&id), "{failure}");
        assert_eq!(
            vault(folder.path(), "ada", &[TWO, ONE]).get("a").unwrap(),
            "1"
        );
        // From now on the first one is enough.
        assert_eq!(vault(folder.path(), "ada", &[TWO]).get("a").unwrap(), "1");
    }

    #[test]
    fn damage_is_an_error_and_not_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        vault.set("a", "1").unwrap();
        let key = vault.data_key().unwrap().unwrap();
        fs::write(vault.path(&key, "a"), b"").unwrap();
        assert_eq!(vault.get("a").unwrap_err().code, "ERR_IO");
        assert_eq!(vault.list().unwrap_err().code, "ERR_IO");
        // The others are there all the same, and it can be kept anew.
        vault.set("b", "2").unwrap();
        assert_eq!(vault.list().unwrap(), ["b"]);
        vault.set("a", "3").unwrap();
        assert_eq!(vault.list().unwrap(), ["a", "b"]);
        fs::write(vault.folder.join(USER_KEY), b"garbage").unwrap();
        assert_eq!(vault.set("b", "2").unwrap_err().message, KEY_DAMAGED);
    }

    #[test]
    fn a_user_whose_key_is_gone_gets_no_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        vault.set("a", "1").unwrap();
        let path = vault.folder.join(USER_KEY);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for failure in [
            vault.set("b", "2").unwrap_err(),
            vault.get("a").unwrap_err(),
            vault.list().unwrap_err(),
        ] {
            assert_eq!(failure.message, KEY_MISSING);
        }
        fs::write(&path, kept).unwrap();
        assert_eq!(vault.get("a").unwrap(), "1");
        // A key of the same user that did not seal what is there.
        let kept = fs::read(vault.path(&vault.data_key().unwrap().unwrap(), "a")).unwrap();
        fs::remove_dir_all(&vault.folder).unwrap();
        vault.set("c", "3").unwrap();
        let key = vault.data_key().unwrap().unwrap();
        fs::write(vault.path(&key, "a"), kept).unwrap();
        assert_eq!(vault.get("a").unwrap_err().message, OTHER_DATA_KEY);
        assert_eq!(vault.get("c").unwrap(), "3");
    }

    #[test]
    fn what_a_write_that_was_cut_off_has_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path(), "ada", &[ONE]);
        vault.set("a", "1").unwrap();
        let left = |name: &str, age: Duration| {
            let path = vault.folder.join(format!("{TEMPORARY}{name}"));
            let file = fs::File::create(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - age)
                .unwrap();
            path
        };
        let old = left("old", 2 * LONGEST_WRITE);
        let new = left("new", Duration::ZERO);
        assert_eq!(vault.list().unwrap(), ["a"]);
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn anonymous_users_have_none() {
        for user in ["", "anonymous"] {
            let who = Caller {
                user: user.into(),
                ..ada()
            };
            assert_eq!(of(&who).unwrap_err().code, "ERR_PERMISSION");
        }
    }
}
