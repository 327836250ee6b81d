//! Files of the operator, for paths that are no part of the interface.

use crate::head::Head;
use crate::manage::Conditions;
use crate::manage::files::{self, Content};
use crate::plan::{Facts, Settings};
use crate::response::{Frame, Response, is_files_origin};
use std::ops::Range;

/// A request that may be one for a file of the operator.
#[derive(Debug)]
pub struct FixedRequest {
    path: String,
    frame: Frame,
    conditions: Conditions,
}

impl FixedRequest {
    /// One that reads, and is not made at the origin of files.
    pub fn of(settings: &Settings, head: &Head, facts: &Facts) -> Option<FixedRequest> {
        let reads = matches!(head.method.as_str(), "GET" | "HEAD");
        let is_here = !is_files_origin(settings, head);
        (reads && is_here).then(|| FixedRequest {
            path: head.path().to_owned(),
            frame: Frame::new(settings, head, facts),
            conditions: Conditions::of(head),
        })
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The head of the response with the content of a file, and the bytes of it that are sent.
    pub fn content(&self, content: &Content) -> (Response, Range<u64>) {
        files::respond(&self.frame, content, &self.conditions)
    }
}
