//! Listings of keys, page by page.

use crate::bucket::{Bucket, ObjectFacts};
use crate::error::{Result, StoreError};
use crate::time;
use crate::transport::Call;
use crate::xml;
use bytes::Bytes;
use http::Method;
use mix_file_path::percent;
use std::time::UNIX_EPOCH;

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(String, ObjectFacts),
    /// The beginning that several keys have in common, up to a `/`.
    Folder(String),
}

/// A page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Sorted by key, folders behind the objects.
    pub entries: Vec<Entry>,
    /// Where it goes on; none at the end.
    pub next: Option<String>,
}

impl Bucket {
    /// Keys that begin with `prefix`, behind `after`; `flat`: what has a further `/` counts as a folder.
    /// `next` of a page goes on where it ended.
    pub fn list(
        &self,
        prefix: &str,
        flat: bool,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<Page> {
        let mut query = vec![
            ("list-type", "2"),
            ("encoding-type", "url"),
            ("prefix", prefix),
        ];
        if flat {
            query.push(("delimiter", "/"));
        }
        match (next, after) {
            (Some(token), _) => query.push(("continuation-token", token)),
            (None, Some(after)) => query.push(("start-after", after)),
            (None, None) => {}
        }
        let call = Call {
            method: Method::GET,
            key: None,
            query: &query,
            headers: &[],
            body: Bytes::new(),
        };
        let text = self.runtime.block_on(async {
            let answer = self.transport.send(&call).await?;
            self.transport.text(answer).await
        })?;
        progress(read(&text)?, next)
    }
}

/// A page that goes on where it began would never end.
fn progress(page: Page, token: Option<&str>) -> Result<Page> {
    if page.next.is_some() && page.next.as_deref() == token {
        return Err(StoreError::Malformed("it goes on where it began"));
    }
    Ok(page)
}

fn read(text: &str) -> Result<Page> {
    if xml::elements(text, "ListBucketResult").next().is_none() {
        return Err(StoreError::Malformed("it is no listing"));
    }
    let key = |inside: &str, name: &str| {
        let encoded = xml::text(inside, name)?;
        decode(&encoded)
    };
    let mut entries = Vec::new();
    for inside in xml::elements(text, "Contents") {
        let number = xml::text(inside, "Size").and_then(|size| size.parse().ok());
        let facts = ObjectFacts {
            size: number.ok_or(StoreError::Malformed("an object has no size"))?,
            modified: xml::text(inside, "LastModified")
                .and_then(|text| time::parse(&text))
                .unwrap_or(UNIX_EPOCH),
            tag: xml::text(inside, "ETag")
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned(),
        };
        let key = key(inside, "Key").ok_or(StoreError::Malformed("an object has no key"))?;
        entries.push(Entry::Object(key, facts));
    }
    for inside in xml::elements(text, "CommonPrefixes") {
        let key = key(inside, "Prefix").ok_or(StoreError::Malformed("a folder has no key"))?;
        entries.push(Entry::Folder(key));
    }
    let goes_on = xml::text(text, "IsTruncated").as_deref() == Some("true");
    let next = xml::text(text, "NextContinuationToken").filter(|_| goes_on);
    if goes_on && next.is_none() {
        return Err(StoreError::Malformed("it does not say where it goes on"));
    }
    Ok(Page { entries, next })
}

/// A key out of its form in listings: percent-encoded, blanks as `+`.
fn decode(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(&text.replace('+', " "))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let page = read("<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><Contents><Key>w/a/x+y%C3%BC%2B.txt</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;abc-2&quot;</ETag><Size>12</Size></Contents><CommonPrefixes><Prefix>w/a/b/</Prefix></CommonPrefixes><NextContinuationToken>t==</NextContinuationToken></ListBucketResult>").expect("a page");
        assert_eq!(page.next.as_deref(), Some("t=="));
        let Entry::Object(key, facts) = &page.entries[0] else {
            panic!("an object is first");
        };
        assert_eq!(
            (key.as_str(), facts.size, facts.tag.as_str()),
            ("w/a/x yü+.txt", 12, "abc-2")
        );
        assert_eq!(page.entries[1], Entry::Folder("w/a/b/".to_owned()));
    }

    #[test]
    fn listings_come_to_an_end() {
        let page = |next: Option<&str>| Page {
            entries: Vec::new(),
            next: next.map(str::to_owned),
        };
        for (next, token, is_fine) in [
            (Some("b"), Some("a"), true),
            (Some("a"), None, true),
            (None, Some("a"), true),
            (None, None, true),
            (Some("a"), Some("a"), false),
        ] {
            let found = progress(page(next), token);
            assert_eq!(found.is_ok(), is_fine, "{next:?} {token:?}");
        }
    }

    #[test]
    fn broken_pages_are_refused() {
        for broken in [
            "",
            "<html>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
