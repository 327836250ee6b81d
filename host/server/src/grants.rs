//! Owner, org and grants of workspaces: records of the app `_rmx_admin`, which no endpoint and no
//! program reaches. They are loaded once and kept: this server is the only one on the folder.

use super::Server;
use super::records::{Database, map, text};
use super::turns::{Turn, Turns};
use mix_http_api::{ApiError, is_workspace_name};
use mix_identity::{Grant, Subject, Workspace};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// The app that holds them.
const APP: &str = "_rmx_admin";

/// Most grants of a workspace.
const MAX_GRANTS: usize = 100_000;

/// What a workspace says about rights.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// For decisions.
    pub workspace: Workspace,
    /// Ids of its grants, in the same order.
    pub ids: Vec<String>,
    /// Its org.
    pub org: String,
    /// An administrator of the server has said so. Otherwise it is the workspace's own name, under which nobody else is found:
    /// whoever makes a workspace chooses that name, and shall not choose an org of others with it.
    org_is_given: bool,
    /// Id of the record about owner and org, if there is one.
    record: Option<Value>,
}

impl Rights {
    /// Grants with their ids.
    pub fn grants(&self) -> impl Iterator<Item = (&str, &Grant)> {
        self.ids
            .iter()
            .map(String::as_str)
            .zip(&self.workspace.grants)
    }

    /// Subject of the grant with that id.
    pub fn subject_of(&self, id: &str) -> Option<&Subject> {
        self.grants()
            .find(|(found, _)| *found == id)
            .map(|(_, grant)| &grant.subject)
    }
}

/// The rights of all workspaces.
pub struct Grants {
    ws_dir: PathBuf,
    /// Set once the server is there.
    server: RwLock<Weak<Server>>,
    loaded: RwLock<HashMap<String, Arc<Rights>>>,
    /// One load or change of a workspace at a time.
    turns: Turns,
}

impl Grants {
    /// Nothing is loaded yet.
    pub fn new(ws_dir: PathBuf) -> Grants {
        Grants {
            ws_dir,
            server: RwLock::new(Weak::new()),
            loaded: RwLock::new(HashMap::new()),
            turns: Turns::default(),
        }
    }

    /// Tells where the record store is.
    pub fn attach(&self, server: &Arc<Server>) {
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(server);
    }

    /// The rights of a workspace, whether it exists or not.
    pub async fn of(&self, ws: &str) -> Result<Arc<Rights>, ApiError> {
        if let Some(rights) = self.known(ws) {
            return Ok(rights);
        }
        let _turn = self.pause(ws).await;
        self.load(ws).await
    }

    /// Whether two workspaces are of one organisation.
    pub async fn are_related(&self, one: &str, other: &str) -> Result<bool, ApiError> {
        if one == other {
            return Ok(true);
        }
        let (one, other) = (self.of(one).await?, self.of(other).await?);
        // Nothing is related to what is not there.
        let exist = one.workspace.exists && other.workspace.exists;
        let given = one.org_is_given && other.org_is_given;
        Ok(exist && given && one.org == other.org)
    }

    /// As long as this is held, the grants of the workspace are neither loaded nor changed.
    pub async fn pause(&self, ws: &str) -> Turn {
        self.turns.of(ws).await
    }

    /// Forgets a workspace that was deleted.
    pub fn forget(&self, ws: &str) {
        self.loaded
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(ws);
    }

    /// Names owner and org of a workspace; what is `None` stays.
    pub async fn describe(
        &self,
        ws: &str,
        owner: Option<String>,
        org: Option<String>,
    ) -> Result<Arc<Rights>, ApiError> {
        let _turn = self.pause(ws).await;
        let mut rights = (*self.load(ws).await?).clone();
        rights.workspace.owner = owner.or(rights.workspace.owner);
        rights.org_is_given |= org.is_some();
        rights.org = org.unwrap_or(rights.org);
        let mut record = record("workspace");
        if let Some(id) = &rights.record {
            record.insert(Arc::from("_rmx_id"), id.clone());
        }
        if let Some(owner) = &rights.workspace.owner {
            record.insert(Arc::from("owner"), text(owner));
        }
        record.insert(Arc::from("org"), text(&rights.org));
        record.insert(Arc::from("orgIsGiven"), Value::Bool(rights.org_is_given));
        let saved = self.database(ws)?.save(record).await?;
        rights.record = saved.get("_rmx_id").cloned();
        Ok(self.keep(ws, rights))
    }

    /// Adds a grant; true if the same one was not there.
    pub async fn add(&self, ws: &str, grant: Grant) -> Result<(String, bool), ApiError> {
        let _turn = self.pause(ws).await;
        let mut rights = (*self.load(ws).await?).clone();
        let existing = rights.grants().find(|(_, found)| **found == grant);
        if let Some((id, _)) = existing {
            return Ok((id.to_owned(), false));
        }
        if rights.ids.len() >= MAX_GRANTS {
            return Err(ApiError::new(
                409,
                "conflict",
                format!("the workspace has {MAX_GRANTS} grants; delete some first"),
            ));
        }
        let mut record = record("grant");
        for (name, value) in [
            ("subject", grant.subject.to_string()),
            ("role", grant.role.to_string()),
            ("resource", grant.resource.to_string()),
        ] {
            record.insert(Arc::from(name), text(&value));
        }
        let saved = self.database(ws)?.save(record).await?;
        let id = id_of(&saved)?;
        rights.workspace.grants.push(grant);
        rights.ids.push(id.clone());
        self.keep(ws, rights);
        Ok((id, true))
    }

    /// Deletes the grants with these ids.
    pub async fn remove(&self, ws: &str, ids: &[String]) -> Result<(), ApiError> {
        if ids.is_empty() {
            return Ok(());
        }
        let _turn = self.pause(ws).await;
        let mut rights = (*self.load(ws).await?).clone();
        self.database(ws)?.delete(ids).await?;
        let kept: Vec<bool> = rights.ids.iter().map(|id| !ids.contains(id)).collect();
        let mut keep = kept.iter();
        rights.ids.retain(|_| keep.next().is_some_and(|keep| *keep));
        let mut keep = kept.iter();
        rights
            .workspace
            .grants
            .retain(|_| keep.next().is_some_and(|keep| *keep));
        self.keep(ws, rights);
        Ok(())
    }

    /// The workspace that an org is named after, if there is one that is of it, has its name for it from now on: others were
    /// told to be of its org. `others`: all workspaces. If one of them is of that org already, whoever made the workspace later
    /// chose the name of an org that was there.
    pub async fn name_org(&self, org: &str, others: &[String]) -> Result<(), ApiError> {
        let rights = self.of(org).await?;
        if !rights.workspace.exists || rights.org != org || rights.org_is_given {
            return Ok(());
        }
        for other in others {
            let other = self.of(other).await?;
            if other.org_is_given && other.org == org {
                return Ok(());
            }
        }
        self.describe(org, None, Some(org.to_owned())).await?;
        Ok(())
    }

    fn known(&self, ws: &str) -> Option<Arc<Rights>> {
        self.loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(ws)
            .cloned()
    }

    fn keep(&self, ws: &str, rights: Rights) -> Arc<Rights> {
        let rights = Arc::new(rights);
        self.loaded
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ws.to_owned(), rights.clone());
        rights
    }

    fn server(&self) -> Result<Arc<Server>, ApiError> {
        self.server
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
            .ok_or_else(ApiError::internal)
    }

    fn place(&self, ws: &str) -> Result<Place, ApiError> {
        Place::new(&self.ws_dir, ws, APP).map_err(|_| ApiError::bad_name("workspace"))
    }

    fn database(&self, ws: &str) -> Result<Database, ApiError> {
        Ok(Database::new(&*self.server()?, self.place(ws)?))
    }

    /// Called with the turn taken.
    async fn load(&self, ws: &str) -> Result<Arc<Rights>, ApiError> {
        if let Some(rights) = self.known(ws) {
            return Ok(rights);
        }
        let place = self.place(ws)?;
        let mut rights = Rights {
            workspace: Workspace {
                name: ws.to_owned(),
                exists: is_workspace_name(ws) && place.workspace_folder().is_dir(),
                ..Workspace::default()
            },
            org: ws.to_owned(),
            ..Rights::default()
        };
        if !rights.workspace.exists {
            // Nothing is kept about names that anybody may make up.
            return Ok(Arc::new(rights));
        }
        if place.folder().is_dir() {
            let server = self.server()?;
            let rows = Database::new(&server, place.clone())
                .query(
                    "_rmx_type == \"grant\" || _rmx_type == \"workspace\"",
                    Map::new(),
                )
                .await?;
            for row in rows {
                rights.take(row);
            }
            // It is needed again at the next change only.
            server.assembly.close(&place.folder()).await;
        }
        Ok(self.keep(ws, rights))
    }
}

impl Rights {
    fn take(&mut self, row: Map) {
        let member = |name: &str| match row.get(name) {
            Some(Value::String(text)) => text.to_string(),
            _ => String::new(),
        };
        let Ok(id) = id_of(&row) else { return };
        if member("_rmx_type") == "workspace" {
            self.workspace.owner = Some(member("owner")).filter(|owner| !owner.is_empty());
            self.org = Some(member("org"))
                .filter(|org| !org.is_empty())
                .unwrap_or_else(|| self.workspace.name.clone());
            let is_said = row.get("orgIsGiven") == Some(&Value::Bool(true));
            self.org_is_given = is_said || self.org != self.workspace.name;
            self.record = row.get("_rmx_id").cloned();
            return;
        }
        match Grant::parse(&member("subject"), &member("role"), &member("resource")) {
            Ok(grant) => {
                self.workspace.grants.push(grant);
                self.ids.push(id);
            }
            Err(error) => {
                tracing::warn!(workspace = %self.workspace.name, id, %error, "a grant is not understood and gives nothing");
            }
        }
    }
}

fn record(kind: &str) -> Map {
    match map([("_rmx_type", text(kind))]) {
        Value::Map(record) => record,
        _ => Map::new(),
    }
}

/// Id of a stored record.
pub fn id_of(record: &Map) -> Result<String, ApiError> {
    match record.get("_rmx_id") {
        Some(Value::Ref(id)) => Ok(id.as_str().to_owned()),
        Some(Value::String(id)) => Ok(id.to_string()),
        _ => Err(ApiError::internal()),
    }
}
