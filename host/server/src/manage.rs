//! Jobs of the server itself: workspaces, apps, grants.

mod apps;
pub mod files;
mod maintenance;
pub mod metadata;
pub mod packages;
mod permissions;
mod queries;
mod workspaces;

pub use maintenance::failed;
pub use packages::recover;
pub use workspaces::{made_up_name, remove_leftovers, visible_apps};

use self::files::Way;
use super::identity::Admitted;
use super::records::{map, text};
use super::{Server, activity, links, mcp, sign_in, signals, swagger};
use mix_http_api::{ApiError, Done, Job, Managed};
use mix_identity::{Permission, Target, allow, touches};
use mix_runtime::workspace::Place;
use mix_value::Value;
use std::sync::Arc;
use std::time::Duration;

/// Does a job for a caller who was admitted.
pub async fn perform(
    server: &Arc<Server>,
    who: &Admitted,
    managed: &Managed,
) -> Result<Done, ApiError> {
    let route = &managed.route;
    match &managed.job {
        Job::Metrics => Ok(Done::Measured(server.metrics.text(server))),
        Job::ListWorkspaces => workspaces::list(server, who).await,
        Job::CreateWorkspace(name) => workspaces::create(server, who, name.as_deref()).await,
        Job::GetWorkspace => workspaces::get(server, who, &route.ws).await,
        Job::PatchWorkspace { org, owner } => {
            workspaces::patch(server, &route.ws, org.clone(), owner.clone()).await
        }
        Job::DeleteWorkspace => workspaces::delete(server, &route.ws).await,
        Job::FlushWorkspace => workspaces::flush(server, &route.ws).await,
        Job::GetApp => apps::get(server, who, &place(server, managed)?).await,
        Job::CreateApp(metadata) => {
            apps::create(server, &place(server, managed)?, metadata.clone()).await
        }
        Job::DeleteApp => apps::delete(server, &place(server, managed)?).await,
        Job::DescribeAgent => apps::describe(server, &place(server, managed)?, &route.name).await,
        Job::GetMetadata => metadata::get(server, &place(server, managed)?).await,
        Job::GetRuntime => metadata::runtime(&place(server, managed)?).await,
        Job::ListMetadata => metadata::list(server, who, &route.ws).await,
        Job::PutMetadata(members) => {
            metadata::put(server, who, &place(server, managed)?, members.clone()).await
        }
        Job::PatchMetadata(changes) => {
            metadata::patch(server, &place(server, managed)?, changes.clone()).await
        }
        Job::ListGrants => permissions::list(server, route).await,
        Job::AddGrant(grant) => permissions::add(server, who, route, grant.clone()).await,
        Job::GetGrant => permissions::get(server, route).await,
        Job::DeleteGrant => permissions::delete(server, who, route).await,
        Job::PutQuery {
            name,
            source,
            members,
        } => {
            let place = place(server, managed)?;
            queries::put(server, &place, name, source.clone(), members.clone()).await
        }
        Job::DeleteQuery => queries::delete(server, &place(server, managed)?, &route.name).await,
        Job::Swagger(path) => swagger::file(path),
        Job::Raw(member) => queries::raw(server, &place(server, managed)?, &route.id, member).await,
        Job::CreateSignal { life_ms } => {
            signals::create(server, &who.principal(), Duration::from_millis(*life_ms))
        }
        Job::AwaitSignal { wait_ms } => {
            let longest = Duration::from_millis(*wait_ms);
            server.signals.wait(&route.id, longest).await
        }
        Job::SetSignal(value) => server.signals.set(&route.id, value.clone()),
        Job::CreateLink { endpoint, expires } => {
            let place = (route.ws.as_str(), route.app.as_str());
            links::create(server, who, place, endpoint, expires.as_ref()).await
        }
        Job::FollowLink => Err(links::no_such_link()),
        Job::DeleteLink => links::delete(server, who, &route.id).await,
        Job::Mcp {
            session,
            version,
            app,
            message,
        } => {
            mcp::answer(
                server,
                who,
                managed,
                session.as_deref(),
                version.as_deref(),
                app.as_deref(),
                message,
            )
            .await
        }
        Job::ListAuthConfigs(name) => sign_in::list(server, who, &route.ws, name.as_deref()).await,
        Job::AddAuthConfig(members) => sign_in::add(server, &route.ws, members.clone()).await,
        Job::GetAuthConfig => sign_in::get(server, who, &route.ws, &route.id).await,
        Job::PutAuthConfig(members) => {
            sign_in::change(server, &route.ws, &route.id, members.clone(), true).await
        }
        Job::PatchAuthConfig(members) => {
            sign_in::change(server, &route.ws, &route.id, members.clone(), false).await
        }
        Job::DeleteAuthConfig => sign_in::remove(server, &route.ws, &route.id).await,
        Job::SignIn(step) => sign_in::answer(server, who, route, step).await,
        Job::Keys => keys(server, &route.ws).await,
        Job::CountActivities(filter) => activity::count(server, &route.ws, filter).await,
        Job::Modify(work) => {
            maintenance::modify(server, &place(server, managed)?, work.clone()).await
        }
        Job::ListFiles {
            path,
            recursive,
            after,
        } => {
            let place = place(server, managed)?;
            files::list(server, &place, path, *recursive, after.clone()).await
        }
        Job::PutFile {
            path,
            force,
            content,
        } => {
            let place = place(server, managed)?;
            let way = Way::of(managed, *force);
            files::put(server, who, &place, path, content.clone(), way).await
        }
        Job::DeleteFile(path) => {
            let way = Way::of(managed, true);
            files::delete(server, who, &place(server, managed)?, path, way).await
        }
        Job::GetProps(path) => files::props(server, &place(server, managed)?, path).await,
        Job::RenameFile { from, to } => {
            files::rename(server, who, &place(server, managed)?, from, to).await
        }
        Job::CopyFile {
            from_app,
            from,
            to,
            force,
        } => {
            let place = place(server, managed)?;
            let way = Way::of(managed, *force);
            files::copy(server, who, &place, from_app, from, to, way).await
        }
        Job::RegisterFile {
            path,
            url,
            metadata,
        } => {
            let place = place(server, managed)?;
            files::register(server, who, &place, path, url.clone(), metadata.clone()).await
        }
        // These come with a body in a file, or answer with one: see the handler.
        Job::Install { .. }
        | Job::PushExport { .. }
        | Job::Upload
        | Job::Import { .. }
        | Job::Export { .. }
        | Job::GetFile(_)
        | Job::Subscribe { .. }
        | Job::Session { .. } => Err(ApiError::internal()),
        Job::CancelSignal => server.signals.cancel(&route.id, &who.principal()),
    }
}

/// Public keys of a workspace, or of the server.
async fn keys(server: &Arc<Server>, ws: &str) -> Result<Done, ApiError> {
    let (keys, ws) = (server.clone(), ws.to_owned());
    let public = on_disk(move || {
        Ok(match ws.as_str() {
            "" => keys.keys.public()?,
            ws => keys.keys.public_of_workspace(ws)?,
        })
    })
    .await?;
    let value = mix_value::escjson::parse_plain(&public.to_string());
    Ok(Done::Value(200, value.map_err(|_| ApiError::internal())?))
}

fn place(server: &Server, managed: &Managed) -> Result<Place, ApiError> {
    Place::new(&server.ws_dir, &managed.route.ws, &managed.route.app)
        .map_err(|_| ApiError::bad_name("app"))
}

/// Whether the caller may do something in a workspace, beyond what the request was admitted for.
pub async fn may(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
    permission: Permission,
    target: &Target,
) -> Result<bool, ApiError> {
    if who.everything {
        return Ok(true);
    }
    if !is_believed(server, who, ws).await? {
        return Ok(false);
    }
    let rights = server.grants.of(ws).await?;
    Ok(allow(
        &who.caller,
        permission,
        &rights.workspace,
        target,
        &[],
    ))
}

/// Whether a workspace believes who the caller is: others of their organisation do, if a workspace says so.
async fn is_believed(server: &Server, who: &Admitted, ws: &str) -> Result<bool, ApiError> {
    match &who.signed_in_at {
        Some(home) => server.grants.are_related(home, ws).await,
        None => Ok(true),
    }
}

/// Whether any grant of the caller reaches into the target.
async fn sees(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
    target: &Target,
) -> Result<bool, ApiError> {
    if who.everything {
        return Ok(true);
    }
    if !is_believed(server, who, ws).await? {
        return Ok(false);
    }
    let rights = server.grants.of(ws).await?;
    Ok(touches(&who.caller, &rights.workspace, target, &[]))
}

/// `[{name}, …]`
fn names(names: impl IntoIterator<Item = String>) -> Value {
    Value::Array(
        names
            .into_iter()
            .map(|name| map([("name", text(&name))]))
            .collect(),
    )
}

/// Work with files, off the threads that serve connections.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(error = %format!("{error:#}"), "files of a workspace");
            Err(ApiError::internal())
        }
        Err(error) => {
            tracing::error!(%error, "files of a workspace");
            Err(ApiError::internal())
        }
    }
}
