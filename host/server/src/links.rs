//! Links: addresses that run one endpoint of an app with the rights that their maker has when they are used.
//!
//! A link is a file below `.links/` in the folder of workspaces; all of them are kept in memory too.

use crate::Server;
use crate::identity::Admitted;
use crate::manage;
use crate::records::{map, text};
use crate::signals::random_id;
use mix_http_api::{ApiError, Done, Head};
use mix_identity::{Caller, Permission, Subject, Target, TokenKind, User};
use mix_runtime::workspace::write_atomically;
use mix_value::Value;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most links of one user.
const MOST_OF_USER: usize = 1000;
/// Most links of a server.
const MOST: usize = 100_000;
/// Signs of an id.
const LENGTH: usize = 32;
/// What the addresses of links begin with.
const PREFIX: &str = "/v1/link/";

/// A link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link {
    ws: String,
    app: String,
    /// Path below the app.
    endpoint: String,
    /// Name of its maker.
    user: String,
    /// Whether rights over the whole server count for that user.
    server_rights: bool,
    /// The workspace that issued the token of that user, if one did.
    signed_in_at: Option<String>,
    /// Milliseconds since 1970 after which it is gone.
    expires: Option<u64>,
}

impl Link {
    /// Whether both have one maker.
    fn is_of(&self, other: &Link) -> bool {
        self.user == other.user && self.signed_in_at == other.signed_in_at
    }
}

/// The links of a server.
pub struct Links {
    folder: PathBuf,
    all: Mutex<HashMap<String, Arc<Link>>>,
}

impl Links {
    /// Reads the links of a folder of workspaces.
    pub fn of(ws_dir: &Path) -> Links {
        let folder = ws_dir.join(".links");
        let mut all = HashMap::new();
        for item in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let id = item.file_name().to_string_lossy().into_owned();
            let link = fs::read(item.path())
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Link>(&bytes).ok());
            if let Some(link) = link.filter(|_| is_id(&id)) {
                all.insert(id, Arc::new(link));
            }
        }
        Links {
            folder,
            all: Mutex::new(all),
        }
    }

    fn get(&self, id: &str) -> Option<Arc<Link>> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let link = all.get(id)?;
        link.expires
            .is_none_or(|end| end > now())
            .then(|| link.clone())
    }

    fn add(&self, link: Link) -> Result<String, ApiError> {
        let id = random_id()?;
        let bytes = serde_json::to_vec(&link).map_err(|_| ApiError::internal())?;
        {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = |link: &Arc<Link>| link.expires.is_some_and(|end| end <= now());
            for (id, _) in all.extract_if(|_, link| ended(link)) {
                let _ = fs::remove_file(self.folder.join(id));
            }
            let mine = all.values().filter(|other| other.is_of(&link)).count();
            if mine >= MOST_OF_USER || all.len() >= MOST {
                let message = "too many links; delete some, or wait until some end";
                return Err(ApiError::new(429, "rate_limited", message));
            }
            all.insert(id.clone(), Arc::new(link));
        }
        if let Err(error) = write_atomically(&self.folder.join(&id), &bytes) {
            tracing::error!(error = %format!("{error:#}"), "a link cannot be stored");
            self.remove(&id);
            return Err(ApiError::internal());
        }
        Ok(id)
    }

    fn remove(&self, id: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.remove(id).is_some() {
            let _ = fs::remove_file(self.folder.join(id));
        }
    }

    /// Forgets the links of a workspace, or of one of its apps, that is gone.
    pub fn forget(&self, ws: &str, app: Option<&str>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |link: &Arc<Link>| link.ws == ws && app.is_none_or(|app| link.app == app);
        for (id, _) in all.extract_if(|_, link| gone(link)) {
            let _ = fs::remove_file(self.folder.join(id));
        }
    }
}

/// Makes a link for somebody; its path.
pub fn make(
    server: &Arc<Server>,
    who: &Admitted,
    (ws, app): (&str, &str),
    endpoint: &str,
    expires: Option<u64>,
) -> Result<(String, String), ApiError> {
    let caller = &who.caller;
    let Some(user) = &caller.user else {
        return Err(ApiError::new(401, "unauthenticated", "this needs a token"));
    };
    let id = server.links.add(Link {
        ws: ws.to_owned(),
        app: app.to_owned(),
        endpoint: endpoint.to_owned(),
        user: user.name(),
        server_rights: matches!(caller.kind, TokenKind::KeySet | TokenKind::Process),
        signed_in_at: who.signed_in_at.clone(),
        expires,
    })?;
    let path = format!("{PREFIX}{id}");
    Ok((id, path))
}

/// The answer to making one.
pub async fn create(
    server: &Arc<Server>,
    who: &Admitted,
    (ws, app): (&str, &str),
    endpoint: &str,
    expires: Option<&Value>,
) -> Result<Done, ApiError> {
    let expires = match expires {
        None => None,
        Some(time) => Some(moment(time)?),
    };
    let (server, who) = (server.clone(), who.clone());
    let (ws, app, endpoint) = (ws.to_owned(), app.to_owned(), endpoint.to_owned());
    let making = move || Ok(make(&server, &who, (&*ws, &*app), &endpoint, expires));
    let (id, path) = manage::on_disk(making).await??;
    let answer = map([("id", text(&id)), ("url", text(&path))]);
    Ok(Done::Value(201, answer))
}

/// Deletes one, for its maker or an administrator of its app.
pub async fn delete(server: &Arc<Server>, who: &Admitted, id: &str) -> Result<Done, ApiError> {
    let link = server.links.get(id).ok_or_else(no_such_link)?;
    let user = who.caller.user.as_ref().map(User::name);
    let is_mine =
        user.is_some_and(|user| user == link.user) && who.signed_in_at == link.signed_in_at;
    let app = Target::App(link.app.clone());
    let admin = Permission::GrantPermissions;
    if !is_mine && !manage::may(server, who, &link.ws, admin, &app).await? {
        let need = mix_http_api::Need::Allowed(&[Permission::GrantPermissions], app);
        return Err(need.refusal(who.caller.user.is_none()));
    }
    server.links.remove(id);
    Ok(Done::Nothing)
}

/// 404.
pub fn no_such_link() -> ApiError {
    ApiError::new(404, "not_found", "no such link, or it has ended")
}

/// What a request of a link stands for, and its maker. The request goes on as one to the endpoint, without a token of its own.
pub fn follow(server: &Server, head: &mut Head) -> Option<Admitted> {
    if !matches!(head.method.as_str(), "GET" | "HEAD" | "POST") {
        return None;
    }
    let id = head.path().strip_prefix(PREFIX)?.trim_end_matches('/');
    let link = server.links.get(id)?;
    let user = match Subject::parse(&format!("user/{}", link.user))? {
        Subject::Email(email) => User::Email(email),
        Subject::Sub(sub) => User::Sub(sub),
        _ => return None,
    };
    let mut target = format!("/v1/ws/{}/app/{}/{}", link.ws, link.app, link.endpoint);
    let query: Vec<&str> = head
        .query()
        .split('&')
        .filter(|pair| !pair.is_empty() && *pair != "token" && !pair.starts_with("token="))
        .collect();
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query.join("&"));
    }
    head.target = target;
    head.headers.retain(|(name, _)| name != "authorization");
    let caller = Caller {
        user: Some(user),
        kind: match link.server_rights {
            true => TokenKind::KeySet,
            false => TokenKind::Workspace,
        },
        agent: None,
    };
    Some(Admitted {
        caller,
        signed_in_at: link.signed_in_at.clone(),
        ..Admitted::anonymous(false)
    })
}

/// A time as records have it, or milliseconds since 1970, that is still to come.
fn moment(time: &Value) -> Result<u64, ApiError> {
    let time = match time {
        Value::Int(time) => Some(*time),
        Value::String(text) => mix_store::time::parse_time(text),
        _ => None,
    };
    let time = time.ok_or_else(|| {
        let message =
            "expires must be a time like 2030-01-31T12:00:00Z, or milliseconds since 1970";
        ApiError::bad_param(message)
    })?;
    let time = u64::try_from(time).ok().filter(|time| *time > now());
    // A number of seconds is a moment of 1970.
    time.ok_or_else(|| {
        let message =
            "expires is over; it must be a time to come (as a number: milliseconds since 1970)";
        ApiError::bad_param(message)
    })
}

fn is_id(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
