//! Writing objects: small ones at once, large ones in parts.

use crate::bucket::{Bucket, failure_inside};
use crate::error::{Result, StoreError};
use crate::transport::Call;
use crate::xml;
use bytes::Bytes;
use http::Method;
use std::io::Read;

/// Bytes of a part, which is in memory while it is sent; smaller objects are sent at once.
const PART: u64 = 8 << 20;
/// Most parts of an object.
const MAX_PARTS: u64 = 10_000;

impl Bucket {
    /// Writes an object of `size` bytes. It is there completely or, if this fails, not at all. Unless `replace`
    /// is set, an object that is there stays ([`StoreError::Exists`]).
    pub fn write(
        &self,
        key: &str,
        content: &mut dyn Read,
        size: u64,
        media_type: &str,
        replace: bool,
    ) -> Result<()> {
        if !replace && self.look(key)?.is_some() {
            return Err(StoreError::Exists);
        }
        if size <= PART {
            let call = Call {
                headers: &[("content-type", media_type)],
                body: part(content, size)?,
                ..Call::plain(Method::PUT, key)
            };
            return self.send_if(&call, replace).map(|_| ());
        }
        let upload = self.begin(key, media_type)?;
        let done = self.parts(key, &upload, content, size).and_then(|parts| {
            let list: String = parts
                .iter()
                .zip(1u32..)
                .map(|(tag, number)| {
                    let tag = xml::escape(tag);
                    format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
                })
                .collect();
            let text = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
            let query = [("uploadId", upload.as_str())];
            let call = Call {
                query: &query,
                body: Bytes::from(text),
                ..Call::plain(Method::POST, key)
            };
            failure_inside(&self.send_if(&call, replace)?)
        });
        if done.is_err() {
            let query = [("uploadId", upload.as_str())];
            let call = Call {
                query: &query,
                ..Call::plain(Method::DELETE, key)
            };
            // The failure that matters is the first one; the store removes such parts by and by.
            let _ = self.runtime.block_on(self.transport.send(&call));
        }
        done
    }

    /// Sends what puts an object in its place, on condition that nothing is there unless `replace` is set. Not
    /// every store knows that condition: there it is enough to have looked before.
    fn send_if(&self, call: &Call<'_>, replace: bool) -> Result<String> {
        if !replace {
            let mut headers = call.headers.to_vec();
            headers.push(("if-none-match", "*"));
            let conditional = Call {
                headers: &headers,
                body: call.body.clone(),
                method: call.method.clone(),
                ..*call
            };
            match self.text(&conditional) {
                Err(error) if error.is("NotImplemented") => {}
                other => return other,
            }
        }
        self.text(call)
    }

    fn begin(&self, key: &str, media_type: &str) -> Result<String> {
        let call = Call {
            query: &[("uploads", "")],
            headers: &[("content-type", media_type)],
            ..Call::plain(Method::POST, key)
        };
        let text = self.text(&call)?;
        xml::text(&text, "UploadId").ok_or(StoreError::Malformed("the upload has no id"))
    }

    /// Sends the parts one after the other and gives their tags.
    fn parts(
        &self,
        key: &str,
        upload: &str,
        content: &mut dyn Read,
        size: u64,
    ) -> Result<Vec<String>> {
        let length = PART.max(size.div_ceil(MAX_PARTS));
        let (mut left, mut tags) = (size, Vec::new());
        while left > 0 {
            let body = part(content, left.min(length))?;
            left -= body.len() as u64;
            let number = (tags.len() + 1).to_string();
            let query = [("partNumber", number.as_str()), ("uploadId", upload)];
            let call = Call {
                query: &query,
                body,
                ..Call::plain(Method::PUT, key)
            };
            let answer = self.runtime.block_on(self.transport.send(&call))?;
            let tag = answer
                .headers()
                .get("etag")
                .and_then(|tag| tag.to_str().ok());
            tags.push(
                tag.ok_or(StoreError::Malformed("a part has no tag"))?
                    .to_owned(),
            );
        }
        Ok(tags)
    }

    fn text(&self, call: &Call<'_>) -> Result<String> {
        self.runtime.block_on(async {
            let answer = self.transport.send(call).await?;
            self.transport.text(answer).await
        })
    }
}

/// So many bytes, all of them.
fn part(content: &mut dyn Read, length: u64) -> Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    content.read_exact(&mut bytes)?;
    Ok(Bytes::from(bytes))
}
