//! Tokens that this server issues: to users who have signed in, with the key of their workspace,
//! and for its agents at servers that trust it, with a key of its own.

use http::HeaderValue;
use mix_http_api::is_workspace_name;
use mix_identity::{OwnKey, RunningAgent, SigningKey, origin_claims};
use mix_runtime::workspace::private_folder;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a key.
const KEY: usize = 32;

/// Begin of the ids of keys of workspaces.
const OF_WORKSPACE: &str = "ws";

/// The keys, in files that are made when they are needed.
pub struct Keys {
    ws_dir: PathBuf,
    base_url: String,
    server: OnceLock<SigningKey>,
}

impl Keys {
    /// Nothing is read yet.
    pub fn new(ws_dir: PathBuf, base_url: String) -> Keys {
        Keys {
            ws_dir,
            base_url,
            server: OnceLock::new(),
        }
    }

    /// The issuer of a workspace's tokens.
    pub fn issuer(&self, ws: &str) -> String {
        format!("{}/v1/ws/{ws}", self.base_url)
    }

    /// The workspace of a key id; none if no workspace can have that key.
    pub fn workspace_of(id: &str) -> Option<&str> {
        let rest = id.strip_prefix(OF_WORKSPACE)?.strip_prefix('.')?;
        let (ws, _) = rest.rsplit_once('.')?;
        is_workspace_name(ws).then_some(ws)
    }

    /// What verifies the tokens of a workspace that has issued some.
    pub fn verifier(&self, ws: &str) -> Option<OwnKey> {
        let seed = read(&self.file_of(ws)).ok()??;
        SigningKey::of_seed(&seed, &format!("{OF_WORKSPACE}.{ws}")).verifier(&self.issuer(ws))
    }

    /// Public keys of a workspace that is there.
    pub fn public_of_workspace(&self, ws: &str) -> io::Result<Value> {
        Ok(self.of_workspace(ws)?.public_set())
    }

    /// Public keys of the server.
    pub fn public(&self) -> io::Result<Value> {
        Ok(self.of_server()?.public_set())
    }

    /// A token of a workspace for a user that has signed in, and when it ends, in seconds.
    pub fn user_token(&self, ws: &str, user: &SignedIn, life: u64) -> io::Result<(String, i64)> {
        let now = seconds_now();
        let end = now.saturating_add(i64::try_from(life).unwrap_or(i64::MAX));
        let mut claims = json!({
            "iss": self.issuer(ws), "sub": user.sub, "email": user.email, "email_verified": true,
            "iat": now, "exp": end,
        });
        if let Some(name) = &user.name {
            claims["name"] = json!(name);
        }
        Ok((self.of_workspace(ws)?.sign(&claims), end))
    }

    /// The header with which this server vouches for one of its agents at a target.
    pub fn origin_token(&self, agent: &RunningAgent, target: &str) -> Option<HeaderValue> {
        let key = match self.of_server() {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, "the key of the server cannot be read");
                return None;
            }
        };
        let claims = origin_claims(&self.base_url, agent, target, seconds_now());
        let mut value = HeaderValue::from_str(&key.sign(&claims)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn of_workspace(&self, ws: &str) -> io::Result<SigningKey> {
        let seed = read_or_make(&self.file_of(ws))?;
        let prefix = format!("{OF_WORKSPACE}.{ws}");
        Ok(SigningKey::of_seed(&seed, &prefix))
    }

    fn of_server(&self) -> io::Result<&SigningKey> {
        if let Some(key) = self.server.get() {
            return Ok(key);
        }
        let seed = read_or_make(&self.ws_dir.join(".keys").join("server.key"))?;
        Ok(self
            .server
            .get_or_init(|| SigningKey::of_seed(&seed, "srv")))
    }

    fn file_of(&self, ws: &str) -> PathBuf {
        self.ws_dir.join(ws).join(".keys").join("tokens.key")
    }
}

/// Who has signed in, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The provider's name for the user.
    pub sub: String,
    /// In lower case.
    pub email: String,
    /// For people.
    pub name: Option<String>,
}

/// Seconds since 1970.
pub fn seconds_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs() as i64)
}

/// A key that is there whole, or none.
fn read(path: &Path) -> io::Result<Option<[u8; KEY]>> {
    match std::fs::read(path) {
        Ok(bytes) => bytes
            .try_into()
            .map(Some)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "the key is damaged")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_or_make(path: &Path) -> io::Result<[u8; KEY]> {
    if let Some(seed) = read(path)? {
        return Ok(seed);
    }
    let mut seed = [0u8; KEY];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    // Whole under its name, and only if nobody was faster.
    let made = path.with_extension(format!("{}.new", super::handler::random_text(12)));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&made)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&made, path);
    std::fs::remove_file(&made)?;
    match linked {
        Ok(()) => Ok(seed),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acme/.keys/tokens.key");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || read_or_make(&path).expect("a key"))
            })
            .collect();
        let all: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        assert!(all.iter().all(|key| *key == all[0]));
        let mode = std::fs::metadata(&path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, b"short").expect("written");
        assert!(read_or_make(&path).is_err());
    }

    #[test]
    fn only_ids_of_workspaces_lead_to_one() {
        for (id, ws) in [
            ("ws.acme.x", Some("acme")),
            ("ws.a-b_9.0", Some("a-b_9")),
            ("ws.acme", None),
            ("ws.../x", None),
            ("ws.a.b.c", None),
            ("srv.x", None),
            ("wsx.acme.x", None),
        ] {
            assert_eq!(Keys::workspace_of(id), ws, "{id}");
        }
    }
}
