//! Streams of values between stores.
//!
//! A stream of one store cannot be given to another. The host reads batches
//! from the one and offers them to the other through a channel of one batch,
//! so a slow reader stops the writer, and dropping the reader ends it.

use crate::bindings::Failure;
use crate::instance::{Instance, MAX_VALUE, failure};
use futures::Stream;
use futures::channel::mpsc;
use mix_value::msgpack::{self, DecodeError, DecodeErrorKind};
use mix_value::{Map, Value};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, Source, StreamConsumer, StreamProducer, StreamResult, VecBuffer,
};

/// First byte of the last item of a stream that failed; MessagePack never uses it.
const FAILED: u8 = 0xc1;

/// Items read at once.
const BATCH: usize = 100;

/// What a function that waits gives, free of any store.
pub enum HostReply {
    /// One value.
    One(Vec<u8>),
    /// A stream of values.
    Many(Incoming),
}

/// Items on their way, or what went wrong with them.
pub type Batch = Result<Vec<Vec<u8>>, Failure>;

/// The streams that an instance still has to feed.
#[derive(Clone, Default)]
pub struct OpenStreams(Arc<Open>);

#[derive(Default)]
struct Open {
    count: AtomicUsize,
    changed: Notify,
}

impl OpenStreams {
    /// True if none is open.
    pub fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// Waits until one was closed.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn enter(&self) -> OpenGuard {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        OpenGuard(self.clone())
    }
}

struct OpenGuard(OpenStreams);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.0.changed.notify_one();
    }
}

/// The two ends of a stream that leaves a store.
pub fn outgoing(
    streams: &OpenStreams,
    owner: Arc<Instance>,
    function: u32,
) -> (Outgoing, Incoming) {
    // One batch waits in the channel and one in the sender.
    let (sender, receiver) = mpsc::channel(0);
    let outgoing = Outgoing {
        sender,
        check: owner.is_untrusted(),
        finished: false,
        _open: streams.enter(),
    };
    (
        outgoing,
        Incoming {
            receiver,
            owner: Some((owner, function)),
        },
    )
}

/// Takes items out of a store.
pub struct Outgoing {
    sender: mpsc::Sender<Batch>,
    check: bool,
    finished: bool,
    _open: OpenGuard,
}

impl StreamConsumer<mix_sandbox::state::GuestState> for Outgoing {
    type Item = Vec<u8>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<mix_sandbox::state::GuestState>,
        mut source: Source<'_, Vec<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.finished {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        match self.sender.poll_ready(context) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut items: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
        source.read(store, &mut items)?;
        if items.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let batch = check(items, self.check);
        self.finished = batch.is_err();
        if self.sender.start_send(batch).is_err() || self.finished {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn check(items: Vec<Vec<u8>>, thorough: bool) -> Batch {
    if items.iter().any(|item| item.len() > MAX_VALUE) {
        let message = format!("an item of a stream is larger than {MAX_VALUE} bytes");
        return Err(failure("ERR_TOO_LARGE", message));
    }
    let fits = |item: &Vec<u8>| check_value(item.strip_prefix(&[FAILED]).unwrap_or(item));
    if thorough && let Err(error) = items.iter().try_for_each(fits) {
        return Err(failure(
            "ERR_INTERNAL",
            format!("an item of a stream is no Mix value: {error}"),
        ));
    }
    Ok(items)
}

/// The last item of a stream that failed, as `reply.many` of the contract describes it.
fn failure_item(failure: Failure) -> Vec<u8> {
    let text = |text: String| Value::String(Arc::from(text));
    let mut map = Map::from([
        (Arc::from("code"), text(failure.code)),
        (Arc::from("message"), text(failure.message)),
    ]);
    let detail = failure
        .detail
        .and_then(|bytes| msgpack::decode(&bytes).ok());
    map.extend(detail.map(|detail| (Arc::from("detail"), detail)));
    let mut item = vec![FAILED];
    // Every part came as an encoded value, so it has that form.
    item.extend(msgpack::encode(&Value::Map(map)).unwrap_or_default());
    item
}

/// Whether the bytes are one encoded value and nothing else, or what is wrong with them.
pub fn check_value(bytes: &[u8]) -> Result<(), DecodeError> {
    match msgpack::skip(bytes)? {
        length if length == bytes.len() => Ok(()),
        offset => Err(DecodeError {
            offset,
            kind: DecodeErrorKind::TrailingBytes,
        }),
    }
}

/// The reading end, outside of any store.
pub struct Incoming {
    receiver: mpsc::Receiver<Batch>,
    /// The instance whose function writes it.
    owner: Option<(Arc<Instance>, u32)>,
}

impl Incoming {
    /// Items that are there already.
    pub fn of(items: Vec<Vec<u8>>) -> Incoming {
        // A sender has room for one batch, whatever the channel has.
        let (mut sender, receiver) = mpsc::channel(0);
        let _ = sender.try_send(Ok(items));
        Incoming {
            receiver,
            owner: None,
        }
    }

    /// The next batch; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        let next = std::task::ready!(Pin::new(&mut self.receiver).poll_next(context));
        // A writer that died must not look like one that was done.
        let death = match &self.owner {
            Some((owner, function)) if next.is_none() => owner.death_of(*function),
            _ => None,
        };
        Poll::Ready(next.or(death.map(Err)))
    }

    /// All items that are left.
    pub async fn collect(mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut all = Vec::new();
        while let Some(batch) = std::future::poll_fn(|context| self.poll_next(context)).await {
            all.extend(batch?);
        }
        Ok(all)
    }
}

/// Offers items to a store.
pub struct Offered {
    incoming: Incoming,
}

impl Offered {
    /// A producer for `StreamReader::new`.
    pub fn new(incoming: Incoming) -> Self {
        Offered { incoming }
    }
}

impl StreamProducer<mix_sandbox::state::GuestState> for Offered {
    type Item = Vec<u8>;
    type Buffer = VecBuffer<Vec<u8>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _store: StoreContextMut<'a, mix_sandbox::state::GuestState>,
        mut destination: Destination<'a, Vec<u8>, VecBuffer<Vec<u8>>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.incoming.poll_next(context) {
            Poll::Ready(Some(Ok(items))) => {
                destination.set_buffer(items.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Some(Err(failure))) => {
                destination.set_buffer(vec![failure_item(failure)].into());
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
