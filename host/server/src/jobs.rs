//! Jobs of the server itself: what they are given, who does them, and that they are done to their end.

use super::identity::Admitted;
use super::named::enter_for;
use super::reply::Reply;
use super::{Server, elsewhere, manage};
use mix_http_api::{Action, ApiError, Elsewhere, Job, Managed};
use mix_install::Request as InstallRequest;
use std::sync::Arc;
use tempfile::TempPath;

/// Does a job of the server itself. What a caller has begun is done to its end even if the caller
/// leaves: half of it would leave records, folders and what is known of them apart.
pub async fn finish(
    server: &Arc<Server>,
    who: Admitted,
    managed: Managed,
    upload: Option<TempPath>,
) -> Reply {
    let managed = Arc::new(managed);
    let work = {
        let (server, managed) = (server.clone(), managed.clone());
        async move {
            let _presence = enter_for(&server, &managed).await?;
            perform(&server, &who, &managed, upload).await
        }
    };
    // Nobody is served by waiting for a signal when the caller has left.
    let result = if matches!(managed.job, Job::AwaitSignal { .. }) {
        work.await
    } else {
        tokio::spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(request = %managed.request_id, %error, "a job broke off");
            Err(ApiError::internal())
        })
    };
    result.unwrap_or_else(|error| managed.finish(Err(error)).into())
}

/// Jobs that come with a body in a file, or answer with one, and all others.
async fn perform(
    server: &Arc<Server>,
    who: &Admitted,
    managed: &Managed,
    upload: Option<TempPath>,
) -> Result<Reply, ApiError> {
    let done = match (&managed.job, upload) {
        (
            Job::Install {
                from,
                force,
                dry_run,
                platform,
                surface,
            },
            upload,
        ) => {
            let upload = given(server, upload, from.as_ref(), "").await?;
            let request = InstallRequest {
                force: *force,
                platform: platform.clone(),
                surface: surface.clone(),
                actor: who.caller.name(),
            };
            let ws = &managed.route.ws;
            manage::packages::install(server, who, ws, upload, request, *dry_run).await
        }
        (
            Job::Import {
                from,
                remote,
                name,
                replace,
                grants,
            },
            upload,
        ) => {
            let path = format!("/v1/ws/{remote}/export");
            let upload = given(server, upload, from.as_ref(), &path).await?;
            manage::packages::import(server, who, name, upload, *replace, *grants).await
        }
        (Job::Upload, Some(upload)) => {
            manage::files::upload(server, &managed.route.id, upload).await
        }
        (Job::PushExport { to, ws }, _) => {
            manage::packages::push(server, &managed.route.ws, to, ws).await
        }
        (Job::Export { history }, _) => {
            return manage::packages::export(server, managed, *history).await;
        }
        (Job::GetFile(path), _) => {
            let is_served = managed.route.action == Action::GetFile;
            return manage::files::serve(server, managed, path, is_served).await;
        }
        _ => manage::perform(server, who, managed).await,
    };
    Ok(managed.finish(done).into())
}

/// The package of a request: its body, or what lies at an address.
async fn given(
    server: &Arc<Server>,
    upload: Option<TempPath>,
    from: Option<&Elsewhere>,
    path: &str,
) -> Result<TempPath, ApiError> {
    match (from, upload) {
        (Some(from), _) => elsewhere::fetch(server, from, path).await,
        (None, Some(upload)) => Ok(upload),
        (None, None) => Err(ApiError::internal()),
    }
}
