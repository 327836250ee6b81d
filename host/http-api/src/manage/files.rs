//! Requests about files, and responses with their content.

use super::{Conditions, Job};
use crate::body::{object_or_form, refuse_unknown, take_text};
use crate::conditional::{Precondition, date, is_known, is_newer, range_of};
use crate::error::ApiError;
use crate::form::{Params, boolean};
use crate::head::Head;
use crate::json;
use crate::multipart;
use crate::names::{is_app_name, is_hidden_app};
use crate::response::{self, Frame, Response, TEXT};
use crate::route::Route;
use mix_value::{Map, Value};
use std::ops::Range;
use std::time::SystemTime;

/// The content of a file, as a response describes it.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Changes with the content; without quotes.
    pub tag: Option<String>,
    /// Time of the last change.
    pub modified: Option<SystemTime>,
    /// Everybody may read it.
    pub is_public: bool,
    /// It is the operator's, whose pages are trusted. Caches keep it, and ask each time whether it is still right.
    pub is_of_operator: bool,
    /// Saved under this name instead of shown.
    pub attachment: Option<String>,
}

/// `_rmx_exp` and `_rmx_sig`.
pub(crate) fn signature(head: &Head) -> Option<(String, String)> {
    let params = Params::of(head).ok()?;
    let one = |name: &str| params.text(name).ok().flatten();
    Some((one("_rmx_exp")?, one("_rmx_sig")?))
}

fn path(params: &Params, name: &str) -> Result<String, ApiError> {
    params
        .text(name)?
        .filter(|path| !path.is_empty())
        .ok_or_else(|| ApiError::bad_param(format!("{name} is missing")))
}

pub(super) fn content(head: &Head) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    let path = path(&params, "path")?;
    if !path.ends_with('/') {
        return Ok(Job::GetFile(path));
    }
    Ok(Job::ListFiles {
        path,
        recursive: params.flag("recursive", false)?,
        after: params.text("after")?,
    })
}

pub(super) fn put(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    Ok(Job::PutFile {
        path: path(&params, "path")?,
        force: params.flag("force", false)?,
        content: body.to_vec(),
    })
}

/// A form with `path`, `data` and `force`.
pub(super) fn post(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    if head.media_type().as_deref() != Some("multipart/form-data") {
        return Err(ApiError::new(
            415,
            "bad_media_type",
            "send multipart/form-data",
        ));
    }
    let boundary = head.media_parameter("boundary").unwrap_or_default();
    let (mut path, mut force, mut content) = (None, false, None);
    for (name, value) in multipart::once(body, &boundary)? {
        match (name.as_ref(), value) {
            ("path", Value::String(text)) => path = Some(text.to_string()),
            ("force", Value::String(text)) => force = boolean("force", &text)?,
            ("data", Value::String(text)) => content = Some(text.as_bytes().to_vec()),
            ("data", Value::Map(file)) => {
                if let Some(Value::Binary(bytes)) = file.get("data") {
                    content = Some(bytes.to_vec());
                }
            }
            _ => return Err(ApiError::bad_param(format!("unknown part {name}"))),
        }
    }
    match (path, content) {
        (Some(path), Some(content)) => Ok(Job::PutFile {
            path,
            force,
            content,
        }),
        _ => Err(ApiError::bad_param("the form needs path and data")),
    }
}

/// Largest metadata of a registration, as text, and largest address.
const LARGEST_METADATA: usize = 64 << 10;

/// A form with `path`, `reg_url` and `reg_metadata`.
pub(super) fn register(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = match head.media_type().as_deref() {
        Some("multipart/form-data") => {
            let boundary = head.media_parameter("boundary").unwrap_or_default();
            multipart::once(body, &boundary)?
        }
        Some("application/x-www-form-urlencoded") => object_or_form(head, body)?,
        _ => {
            return Err(ApiError::new(
                415,
                "bad_media_type",
                "send application/x-www-form-urlencoded or multipart/form-data",
            ));
        }
    };
    refuse_unknown(&members, &["path", "reg_url", "reg_metadata"])?;
    let path = take_text(&mut members, "path")?.filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| ApiError::bad_param("path is missing"))?;
    let url = take_text(&mut members, "reg_url")?.unwrap_or_default();
    let text = take_text(&mut members, "reg_metadata")?.unwrap_or_default();
    if url.len() > LARGEST_METADATA || text.len() > LARGEST_METADATA {
        return Err(ApiError::bad_param(
            "reg_url and reg_metadata have at most 64 KiB each",
        ));
    }
    let metadata = match text.trim() {
        "" => Map::new(),
        text => match json::body(text.as_bytes(), false)? {
            Value::Map(metadata) => metadata,
            _ => return Err(ApiError::bad_param("reg_metadata must be an object")),
        },
    };
    Ok(Job::RegisterFile {
        path,
        url,
        metadata,
    })
}

pub(super) fn delete(head: &Head) -> Result<Job, ApiError> {
    path(&Params::of(head)?, "path").map(Job::DeleteFile)
}

pub(super) fn props(head: &Head) -> Result<Job, ApiError> {
    path(&Params::of(head)?, "path").map(Job::GetProps)
}

pub(super) fn rename(head: &Head) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    Ok(Job::RenameFile {
        from: path(&params, "path")?,
        to: path(&params, "change_path")?,
    })
}

pub(super) fn copy(route: &Route, head: &Head) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    let from_app = params.text("src_app")?.unwrap_or_else(|| route.app.clone());
    if !is_app_name(&from_app) {
        return Err(ApiError::bad_name("app"));
    }
    if is_hidden_app(&from_app) {
        return Err(ApiError::no_such_app());
    }
    Ok(Job::CopyFile {
        from_app,
        from: path(&params, "src")?,
        to: path(&params, "path")?,
        force: params.flag("force", false)?,
    })
}

/// The head of a response with the content of a file, and the bytes of it that are sent.
pub(crate) fn respond(
    frame: &Frame,
    content: &Content,
    conditions: &Conditions,
) -> (Response, Range<u64>) {
    let tag = content.tag.as_ref().map(|tag| format!("\"{tag}\""));
    let dated = content.modified.and_then(date);
    // Tags are the more exact ones: where there are some, times do not count.
    let newer = |header: &Option<String>| is_newer(content.modified?, header.as_deref()?);
    let wanted = match &conditions.precondition {
        Some(wanted) if wanted.has_if_match() => wanted.is_as_wanted(tag.as_deref()),
        _ => newer(&conditions.if_unmodified_since) != Some(true),
    };
    if !wanted {
        return (frame.error(Precondition::unmet()), 0..0);
    }
    let matched = match conditions.if_none_match.as_deref() {
        Some(known) => tag.as_deref().is_some_and(|tag| is_known(Some(known), tag)),
        None => newer(&conditions.if_modified_since) == Some(false),
    };
    let range = range_of(
        conditions.range.as_deref(),
        conditions.if_range.as_deref(),
        tag.as_deref(),
        dated.as_deref(),
    );
    let (mut response, sent) = if matched {
        (frame.respond(304, TEXT, Vec::new()), 0..0)
    } else {
        match part(range, content.size) {
            Part::Whole => {
                let response = frame.respond(200, &content.media_type, Vec::new());
                (response, 0..content.size)
            }
            Part::Some(some) => {
                let mut response = frame.respond(206, &content.media_type, Vec::new());
                let last = some.end.saturating_sub(1);
                let place = format!("bytes {}-{last}/{}", some.start, content.size);
                response.headers.push(("content-range", place));
                (response, some)
            }
            Part::Nowhere => {
                let message = "no byte of the file is in the range";
                let mut response = frame.error(ApiError::new(416, "bad_range", message));
                let place = format!("bytes */{}", content.size);
                response.headers.push(("content-range", place));
                return (response, 0..0);
            }
        }
    };
    response
        .headers
        .retain(|(name, _)| *name != "cache-control");
    let caching = match (content.is_of_operator, content.is_public) {
        (true, _) => "no-cache",
        (false, true) => "max-age=300",
        (false, false) => "private, no-store",
    };
    response.headers.push(("cache-control", caching.to_owned()));
    response.headers.extend(tag.map(|tag| ("etag", tag)));
    let dated = dated.map(|date| ("last-modified", date));
    response.headers.extend(dated);
    if content.tag.is_some() {
        response.headers.push(("accept-ranges", "bytes".to_owned()));
    }
    if let Some(name) = &content.attachment {
        let disposition = format!("attachment; filename=\"{name}\"");
        response.headers.push(("content-disposition", disposition));
    }
    let is_trusted = frame.on_files_origin || content.is_of_operator;
    if response::is_active(&content.media_type) && !is_trusted {
        response.headers.push(response::sandbox());
    }
    (response, sent)
}

enum Part {
    Whole,
    Some(Range<u64>),
    Nowhere,
}

/// A single range; several, or another unit, are answered with everything.
fn part(range: Option<&str>, size: u64) -> Part {
    let Some(ranges) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = ranges.split_once('-').filter(|_| !ranges.contains(',')) else {
        return Part::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are a place far behind the end.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let found = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(_), Some(_)) => return Part::Whole,
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Part::Whole,
    };
    if found.start >= found.end {
        return Part::Nowhere;
    }
    Part::Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(range: &str, size: u64) -> Option<Range<u64>> {
        match part(Some(range), size) {
            Part::Some(range) => Some(range),
            Part::Whole => Some(0..size),
            Part::Nowhere => None,
        }
    }

    #[test]
    fn ranges_are_read_as_described() {
        for (range, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-", Some(2..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-100", Some(0..10)),
            ("bytes=5-100", Some(5..10)),
            ("bytes=10-", None),
            ("bytes=-0", None),
            ("bytes=99999999999999999999-", None),
            ("bytes=5-2", Some(0..10)),
            ("bytes=0-1,3-4", Some(0..10)),
            ("lines=1-2", Some(0..10)),
            ("bytes=x-y", Some(0..10)),
        ] {
            assert_eq!(bytes(range, 10), expected, "{range}");
        }
        assert_eq!(bytes("bytes=0-", 0), None);
    }
}
