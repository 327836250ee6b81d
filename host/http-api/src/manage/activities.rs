//! Bodies about the activity log.

use super::Job;
use crate::body::{object, object_or_form, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::head::Head;
use crate::route::Route;
use mix_identity::Subject;
use mix_value::{Map, Value};

/// What is told apart in the log.
pub const ACTIVITIES: [&str; 11] = [
    "run-agent",
    "query",
    "save",
    "delete",
    "file",
    "install",
    "export",
    "import",
    "grant",
    "sign-in",
    "admin",
];

/// Which entries of the log are counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActivityFilter {
    /// `user/…`, `all-users` for all but the anonymous ones, `anonymous`.
    pub subject: Option<String>,
    /// One of [`ACTIVITIES`].
    pub activity: Option<String>,
    /// Not before this time: a text as in records, or milliseconds.
    pub start: Option<Value>,
    /// Before this time.
    pub end: Option<Value>,
}

/// `{subject?, activity?, start?, end?}`
pub(super) fn count(route: &Route, head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = if route.v0 {
        object_or_form(head, body)?
    } else {
        object(head, body)?
    };
    refuse_unknown(&members, &["subject", "activity", "start", "end"])?;
    let subject = match take_text(&mut members, "subject")? {
        None => None,
        Some(text) => match Subject::parse(&text) {
            // As the log writes it.
            Some(
                subject @ (Subject::Email(_)
                | Subject::Sub(_)
                | Subject::AllUsers
                | Subject::Anonymous),
            ) => Some(subject.to_string()),
            _ => {
                return Err(ApiError::bad_param(
                    "subject must be user/…, all-users or anonymous",
                ));
            }
        },
    };
    let activity = take_text(&mut members, "activity")?;
    if let Some(activity) = &activity
        && !ACTIVITIES.contains(&activity.as_str())
    {
        let known = ACTIVITIES.join(", ");
        let message = format!("activity must be one of {known}");
        return Err(ApiError::bad_param(message));
    }
    Ok(Job::CountActivities(ActivityFilter {
        subject,
        activity,
        start: time(&mut members, "start")?,
        end: time(&mut members, "end")?,
    }))
}

/// A time; the digits of a form are milliseconds.
fn time(members: &mut Map, name: &str) -> Result<Option<Value>, ApiError> {
    let wrong = || {
        let message =
            format!("{name} must be a time (2026-01-31T12:00:00.000Z) or milliseconds since 1970");
        ApiError::bad_param(message)
    };
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Int(time)) => Ok(Some(Value::Int(time))),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let time = text.parse().map_err(|_| wrong())?;
            Ok(Some(Value::Int(time)))
        }
        Some(Value::String(text)) => Ok(Some(Value::String(text))),
        Some(_) => Err(wrong()),
    }
}
