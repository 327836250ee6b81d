//! How much a workspace sends and receives, against what it may.

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody};

/// Seconds of an hour.
const HOUR: f64 = 3600.0;
/// Workspaces that are remembered.
const MOST: usize = 10_000;

/// Bytes that workspaces may send and receive in an hour.
#[derive(Debug)]
pub struct Allowances {
    per_hour: u64,
    of: Mutex<HashMap<String, Arc<Traffic>>>,
}

/// What a workspace has sent and received: it drains evenly, an hour's allowance in an hour.
#[derive(Debug)]
pub struct Traffic {
    per_hour: f64,
    level: Mutex<(f64, Instant)>,
}

impl Allowances {
    /// So many bytes for each workspace.
    pub fn new(per_hour: u64) -> Allowances {
        Allowances {
            per_hour,
            of: Mutex::default(),
        }
    }

    /// What a workspace has used.
    pub fn of(&self, workspace: &str) -> Arc<Traffic> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= MOST {
            of.retain(|_, traffic| Arc::strong_count(traffic) > 1 || traffic.level() > 0.0);
        }
        let new = || Arc::new(Traffic::new(self.per_hour));
        of.entry(workspace.to_owned()).or_insert_with(new).clone()
    }
}

impl Traffic {
    fn new(per_hour: u64) -> Traffic {
        Traffic {
            per_hour: per_hour as f64,
            level: Mutex::new((0.0, Instant::now())),
        }
    }

    fn level(&self) -> f64 {
        self.after(0)
    }

    /// Counts bytes and gives the level with them.
    fn after(&self, bytes: usize) -> f64 {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let drained = level.1.elapsed().as_secs_f64() * self.per_hour / HOUR;
        *level = ((level.0 - drained).max(0.0) + bytes as f64, Instant::now());
        level.0
    }

    /// Counts bytes; fails, with the time after which it may be tried again, when there are more than allowed.
    pub fn count(&self, bytes: usize) -> Result<(), Error> {
        let over = self.after(bytes) - self.per_hour;
        if over <= 0.0 {
            return Ok(());
        }
        let seconds = (over / self.per_hour * HOUR).ceil().max(1.0);
        tracing::info!(
            seconds,
            "a workspace has sent and received as much as it may"
        );
        // Family `http` gives code and text to its program.
        Err(Error::InternalError(Some(format!(
            "ERR_TOO_LARGE: the workspace has sent and received as much as it may, try again in {seconds} s"
        ))))
    }
}

/// A body whose bytes count.
pub fn counted(body: WasiBody, traffic: Arc<Traffic>) -> WasiBody {
    Counted { body, traffic }.boxed_unsync()
}

struct Counted {
    body: WasiBody,
    traffic: Arc<Traffic>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(over) = self.traffic.count(data.remaining())
        {
            return Poll::Ready(Some(Err(over)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_allowance_is_refused() {
        let allowances = Allowances::new(1000);
        let traffic = allowances.of("w");
        traffic.count(600).expect("allowed");
        allowances.of("w").count(300).expect("allowed");
        let refused = allowances.of("w").count(3700).expect_err("too much");
        let text = refused.to_string();
        assert!(
            text.contains("ERR_TOO_LARGE: ") && text.contains("try again in "),
            "{text}"
        );
        allowances
            .of("v")
            .count(1000)
            .expect("another workspace has its own");
    }

    #[tokio::test]
    async fn bodies_count_on_their_way() {
        let traffic = Allowances::new(10).of("w");
        let body = |text: &'static str| {
            let full = http_body_util::Full::new(Bytes::from_static(text.as_bytes()));
            counted(
                full.map_err(|never| match never {}).boxed_unsync(),
                traffic.clone(),
            )
        };
        let first = body("12345").collect().await.expect("allowed");
        assert_eq!(first.to_bytes(), "12345");
        assert!(body("1234567890").collect().await.is_err());
    }
}
