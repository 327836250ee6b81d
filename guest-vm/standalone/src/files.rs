//! The files of the app, through the family `files`: what it is given, or what stands in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use mix_file_path::{BadPath, FilePath, FolderPath};
use mix_http_api::{
    Action, ApiError, CallFailure, Content, Done, Job, Managed, Precondition, Response,
};
use mix_value::{Map, Value};

use crate::handler::random_name;
use crate::records;

/// Most lines of one listing.
const MAX_LISTED: usize = 10_000;

/// Answers a request about files.
pub async fn answer(managed: Managed) -> Response {
    let result = match &managed.job {
        Job::GetFile(path) => match serve(&managed, path).await {
            Ok(response) => return response,
            Err(error) => Err(error),
        },
        job => perform(job, &managed).await,
    };
    managed.finish(result)
}

/// The content of a file: by its address, or by the file manager.
async fn serve(managed: &Managed, wanted: &str) -> Result<Response, ApiError> {
    let path = parsed(wanted)?;
    if managed.route.action == Action::GetFile && path.is_code() {
        return Err(no_such_file());
    }
    let about = info(&path).await?;
    let bytes = call("$file_read", vec![Value::Null, text(&path)]).await?;
    let bytes = bytes.as_binary().ok_or_else(ApiError::internal)?;
    let media_type = about
        .get("metadata")
        .and_then(|facts| facts.get("contentType"));
    let content = Content {
        media_type: media_type
            .and_then(Value::as_str)
            .unwrap_or("application/octet-stream")
            .to_string(),
        size: bytes.len() as u64,
        tag: Some(tag(bytes)),
        is_public: path.is_public(),
        ..Content::default()
    };
    let (mut response, range) = managed.content(&content);
    if !range.is_empty() {
        // What is in the range is in the file.
        response.body = bytes[range.start as usize..range.end as usize].to_vec();
    }
    Ok(response)
}

async fn perform(job: &Job, managed: &Managed) -> Result<Done, ApiError> {
    let app = managed.route.app.as_str();
    let precondition = managed.precondition();
    match job {
        Job::ListFiles {
            path,
            recursive,
            after,
        } => list(app, path, *recursive, after.as_deref()).await,
        Job::PutFile {
            path,
            force,
            content,
        } => {
            let path = parsed(path)?;
            check(&path, precondition).await?;
            put(&path, Value::binary(content.clone()), *force).await
        }
        Job::CopyFile {
            from_app,
            from,
            to,
            force,
        } => {
            let (from, to) = (parsed(from)?, parsed(to)?);
            if from_app != app {
                let message = "the files of another app are not there in a component of one app";
                return Err(ApiError::new(403, "forbidden", message));
            }
            check(&to, precondition).await?;
            let content = call("$file_read", vec![Value::Null, text(&from)]).await?;
            put(&to, content, *force).await
        }
        Job::DeleteFile(path) if path.ends_with('/') => {
            let folder = FolderPath::parse(path).map_err(bad_path)?;
            // A folder has no tag.
            if precondition.is_some_and(|wanted| !wanted.is_met(None)) {
                return Err(Precondition::unmet());
            }
            let files = all_below(&folder.text()).await?;
            if files.is_empty() {
                return Err(no_such_file());
            }
            for path in files.into_keys() {
                call("$file_delete", vec![Value::Null, Value::from(path)]).await?;
            }
            Ok(Done::Nothing)
        }
        Job::DeleteFile(path) => {
            let path = parsed(path)?;
            check(&path, precondition).await?;
            call("$file_delete", vec![Value::Null, text(&path)]).await?;
            Ok(Done::Nothing)
        }
        Job::GetProps(path) => Ok(Done::Value(200, info(&parsed(path)?).await?)),
        Job::RenameFile { from, to } => {
            let (from, to) = (parsed(from)?, parsed(to)?);
            let renamed = call("$file_rename", vec![Value::Null, text(&from), text(&to)]).await?;
            Ok(Done::Value(200, shown(renamed)))
        }
        // The plan offers nothing else here.
        _ => Err(ApiError::internal()),
    }
}

/// Refuses a change whose precondition is not met.
async fn check(path: &FilePath, precondition: Option<Precondition>) -> Result<(), ApiError> {
    let Some(precondition) = precondition else {
        return Ok(());
    };
    let found = match call("$file_read", vec![Value::Null, text(path)]).await {
        Ok(content) => Some(tag(content.as_binary().ok_or_else(ApiError::internal)?)),
        Err(error) if error.code == "not_found" => None,
        Err(error) => return Err(error),
    };
    match precondition.is_met(found.as_deref()) {
        true => Ok(()),
        false => Err(Precondition::unmet()),
    }
}

/// Writes a file. Without `force` nothing may be there: the content is written elsewhere and
/// renamed, which of several at the same time only one can do.
async fn put(path: &FilePath, content: Value, force: bool) -> Result<Done, ApiError> {
    let there = match info(path).await {
        Ok(_) => true,
        Err(error) if error.code == "not_found" => false,
        Err(error) => return Err(error),
    };
    if there && !force {
        return Err(ApiError::new(409, "exists", "the file exists"));
    }
    let made = if force {
        call("$file_create", vec![Value::Null, text(path), content]).await?
    } else {
        // What is left of a request that broke off is gone after a day.
        let draft = Value::from(format!("/ephemeral/{}", random_name()));
        call("$file_create", vec![Value::Null, draft.clone(), content]).await?;
        let arguments = vec![Value::Null, draft.clone(), text(path)];
        match call("$file_rename", arguments).await {
            Ok(made) => made,
            Err(error) => {
                // The failure that matters is the first one.
                let _ = call("$file_delete", vec![Value::Null, draft]).await;
                return Err(error);
            }
        }
    };
    Ok(Done::Value(if there { 200 } else { 201 }, shown(made)))
}

async fn list(
    app: &str,
    folder: &str,
    recursive: bool,
    after: Option<&str>,
) -> Result<Done, ApiError> {
    let folder = FolderPath::parse(folder).map_err(bad_path)?.text();
    let files = all_below(&folder).await?;
    let mut lines: BTreeMap<String, Value> = BTreeMap::new();
    for (path, about) in files {
        let below = path.strip_prefix(folder.as_str()).unwrap_or(&path);
        match below.split_once('/') {
            Some((name, _)) if !recursive => {
                let path = format!("{folder}{name}/");
                let line = Value::map([
                    ("app", Value::from(app.to_string())),
                    ("path", Value::from(path.clone())),
                ]);
                lines.insert(path, line);
            }
            _ => {
                lines.insert(path, about);
            }
        }
    }
    let mut later: Vec<(String, Value)> = lines
        .into_iter()
        .filter(|(path, _)| after.is_none_or(|after| path.as_str() > after))
        .collect();
    let more = later.len() > MAX_LISTED;
    later.truncate(MAX_LISTED);
    let next = later.last().filter(|_| more).map(|(path, _)| path.clone());
    let lines = later.into_iter().map(|(_, line)| line).collect();
    Ok(Done::Part(Value::Array(lines), next))
}

/// All files below a folder, by path.
async fn all_below(folder: &str) -> Result<BTreeMap<String, Value>, ApiError> {
    let Value::Array(files) = call(
        "$file_list",
        vec![Value::Null, Value::from(folder.to_string())],
    )
    .await?
    else {
        return Err(ApiError::internal());
    };
    let named = files.into_iter().filter_map(|about| {
        let path = about.get("path")?.as_str()?.to_string();
        Some((path, shown(about)))
    });
    Ok(named.collect())
}

async fn info(path: &FilePath) -> Result<Value, ApiError> {
    call("$file_get", vec![Value::Null, text(path)])
        .await
        .map(shown)
}

/// What is told about a file, as `mixer serve` tells it: texts are UTF-8, programs have no address.
fn shown(about: Value) -> Value {
    let Value::Map(mut about) = about else {
        return about;
    };
    let is_code = about
        .get("path")
        .and_then(Value::as_str)
        .and_then(|path| FilePath::parse(path).ok())
        .is_some_and(|path| path.is_code());
    if is_code {
        about.insert(Arc::from("url"), Value::Null);
    }
    if let Some(Value::Map(facts)) = about.get("metadata") {
        let mut facts: Map = facts.clone();
        let kind = facts.get("contentType").and_then(Value::as_str);
        if let Some(kind) = kind.filter(|kind| kind.starts_with("text/")) {
            let kind = Value::from(format!("{kind}; charset=utf-8"));
            facts.insert(Arc::from("contentType"), kind);
        }
        about.insert(Arc::from("metadata"), Value::Map(facts));
    }
    Value::Map(about)
}

/// Calls a function of the family. The first argument says whose files are meant: null is this app.
async fn call(function: &str, arguments: Vec<Value>) -> Result<Value, ApiError> {
    let result = records::function(function, &Value::Array(arguments)).await;
    match result {
        None => Err(ApiError::new(
            404,
            "no_such_route",
            "this component has no files",
        )),
        Some(result) => result.map_err(failed),
    }
}

fn failed(failure: CallFailure) -> ApiError {
    match failure.code.as_str() {
        "ERR_NOT_FOUND" => no_such_file(),
        "ERR_EXISTS" => ApiError::new(409, "exists", "the file exists"),
        "ERR_PERMISSION" => ApiError::new(403, "forbidden", failure.message),
        "ERR_TOO_LARGE" => ApiError::new(413, "body_too_large", failure.message),
        "ERR_UNSUPPORTED" => ApiError::new(404, "no_such_route", failure.message),
        _ => {
            eprintln!("error: {}: {}", failure.code, failure.message);
            ApiError::internal()
        }
    }
}

fn text(path: &FilePath) -> Value {
    Value::from(path.text())
}

fn parsed(path: &str) -> Result<FilePath, ApiError> {
    FilePath::parse(path).map_err(bad_path)
}

fn bad_path(bad: BadPath) -> ApiError {
    ApiError::new(400, "bad_path", bad.to_string())
}

fn no_such_file() -> ApiError {
    ApiError::new(404, "not_found", "no such file")
}

/// Changes with the content (FNV-1a of 64 bits, and the length).
fn tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}{:x}", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_with_the_content() {
        assert_ne!(tag(b"a"), tag(b"b"));
        assert_ne!(tag(b""), tag(b"\0"));
        assert_eq!(tag(b"abc"), tag(b"abc"));
    }

    #[test]
    fn files_are_told_as_the_server_tells_them() {
        let about = |path: &str, kind: &str| {
            Value::map([
                ("path", Value::from(path)),
                ("url", Value::from("/x")),
                ("metadata", Value::map([("contentType", Value::from(kind))])),
            ])
        };
        let text = shown(about("/a.txt", "text/plain"));
        assert_eq!(text, about("/a.txt", "text/plain; charset=utf-8"));
        let code = shown(about("/code/a.mixexe", "application/octet-stream"));
        assert_eq!(code.get("url"), Some(&Value::Null));
    }
}
