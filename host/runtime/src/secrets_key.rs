//! The keys of the users' secrets, from where the operator keeps them.
//!
//! | source | keys |
//! |---|---|
//! | `file:PATH` | lines of a file |
//! | `env:NAME` | a variable of this program's environment |
//! | `command:COMMAND` | what a command of the shell prints, for instance that of a secret manager |
//!
//! The first key seals, the others (separated by commas or lines) only open what was sealed before
//! it came. Keys go to the instances of family `secrets` and nowhere else; what goes wrong is said
//! without them.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Longest text of keys.
const LONGEST: u64 = 4096;

/// Most keys of a source: the family that seals takes no more.
const MOST_KEYS: usize = 16;

/// What a command prints, in messages.
const OUTPUT: &str = "the output of the command";

/// Time for a command.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Time for the end of its output once it has ended.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// One or more keys, separated by commas.
#[derive(Clone)]
pub struct Keys(Arc<str>);

impl Keys {
    /// For the family that seals.
    pub fn as_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Keys {
    /// Never shows what is inside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// Why there are no keys. Nothing in it tells of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not one of the sources.
    #[error("a source is file:PATH, env:NAME or command:COMMAND")]
    Source,
    /// No keys.
    #[error("{0} holds no key: 64 hexadecimal digits or 44 characters of Base64")]
    Malformed(&'static str),
    /// Too many keys, or far too much text.
    #[error("{0} holds more than {MOST_KEYS} keys, or more than {LONGEST} bytes")]
    TooMany(&'static str),
    /// Not there.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// Did not end well.
    #[error("the command {0}")]
    Command(String),
}

/// The keys of a source.
pub fn read(source: &str) -> Result<Keys, KeyError> {
    match source.split_once(':') {
        Some(("file", path)) => check("the file", &file(path)?),
        Some(("env", name)) => {
            let text = std::env::var(name)
                .map_err(|_| KeyError::Unreadable("the variable", "it is not set".to_owned()))?;
            check("the variable", &text)
        }
        Some(("command", command)) => check(OUTPUT, &output(command)?),
        _ => Err(KeyError::Source),
    }
}

fn file(path: &str) -> Result<String, KeyError> {
    let unreadable = |error: std::io::Error| KeyError::Unreadable("the file", error.to_string());
    let file = mix_input_file::open(Path::new(path)).map_err(unreadable)?;
    warn_if_open_to_others(path, &file);
    let mut text = String::new();
    mix_input_file::limited(file, LONGEST)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

#[cfg(unix)]
fn warn_if_open_to_others(path: &str, file: &std::fs::File) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(metadata) = file.metadata()
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(
            path,
            "the file of the secrets key is open to other users of this machine"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_path: &str, _file: &std::fs::File) {}

/// What a command of the shell prints.
fn output(command: &str) -> Result<String, KeyError> {
    let failed = |reason: String| KeyError::Command(reason);
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    // Read on the side: a command may print more than a pipe holds, or nothing for ever.
    let printed = Arc::new(Mutex::new(Vec::new()));
    let (ending, ended) = mpsc::channel::<()>();
    if let Some(mut stdout) = child.stdout.take() {
        let printed = printed.clone();
        std::thread::spawn(move || {
            let _ending = ending;
            let mut piece = [0; 512];
            while let Ok(read @ 1..) = stdout.read(&mut piece) {
                let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                printed.extend_from_slice(&piece[..read]);
                if printed.len() >= LONGEST as usize {
                    return;
                }
            }
        });
    }
    let status = wait(&mut child).map_err(failed)?;
    // What the command has left running may hold its output open: what there is counts.
    let _ = ended.recv_timeout(OUTPUT_LIMIT);
    let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    // One that prints more than is read fails for that reason.
    if printed.len() as u64 >= LONGEST {
        return Err(KeyError::TooMany(OUTPUT));
    }
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    String::from_utf8(printed.clone()).map_err(|_| failed("printed no text".to_owned()))
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    let end = Instant::now() + COMMAND_LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // It is waited for below, so that it does not stay a zombie.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not end within {} s", COMMAND_LIMIT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The shape of keys; whether they fit is found when something is opened.
fn check(what: &'static str, text: &str) -> Result<Keys, KeyError> {
    if text.len() as u64 >= LONGEST {
        return Err(KeyError::TooMany(what));
    }
    let keys: Vec<&str> = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .collect();
    let digits = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let base64 = |key: &&str| {
        key.len() == 44
            && key.ends_with('=')
            && key[..43]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
    };
    if keys.is_empty()
        || !keys
            .iter()
            .all(|key| key.is_ascii() && (digits(key) || base64(key)))
    {
        return Err(KeyError::Malformed(what));
    }
    if keys.len() > MOST_KEYS {
        return Err(KeyError::TooMany(what));
    }
    Ok(Keys(keys.join(",").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_are_read() {
        let key = "0f".repeat(32);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("{key}\n{key}\n")).unwrap();
        let keys = read(&format!("file:{}", path.display())).unwrap();
        assert_eq!(keys.as_text(), format!("{key},{key}"));
        assert_eq!(format!("{keys:?}"), "Keys(..)");
        let keys = read(&format!("command:cat '{}' | head -1", path.display())).unwrap();
        assert_eq!(keys.as_text(), key);
        let base64 = "A".repeat(43) + "=";
        let keys = read(&format!("command:echo {base64}")).unwrap();
        assert_eq!(keys.as_text(), base64);
        // What a command leaves running keeps nobody waiting: it is there still.
        let left = folder.path().join("left");
        let command = format!("sleep 600 & echo $! > '{}'; echo {base64}", left.display());
        let keys = read(&format!("command:{command}")).unwrap();
        assert_eq!(keys.as_text(), base64);
        let left = std::fs::read_to_string(left).unwrap();
        let ended = Command::new("kill").arg(left.trim()).status().unwrap();
        assert!(ended.success());
    }

    #[test]
    fn what_goes_wrong_is_said_without_the_key() {
        let wrong = "0f".repeat(31) + "zz";
        let echo = format!("command:echo {wrong}");
        let many = format!("command:echo {}", vec!["0f".repeat(32); 17].join(","));
        for (source, part) in [
            ("x", "a source is"),
            ("file:/nowhere/key", "the file cannot be read"),
            ("env:MIX_NO_SUCH_VARIABLE", "not set"),
            ("command:exit 3", "failed"),
            ("command:true", "holds no key"),
            (many.as_str(), "more than 16 keys"),
            ("command:yes | head -c 100000", "more than 16 keys"),
            (echo.as_str(), "holds no key"),
        ] {
            let text = read(source).unwrap_err().to_string();
            assert!(text.contains(part) && !text.contains(&wrong), "{text}");
        }
    }
}
