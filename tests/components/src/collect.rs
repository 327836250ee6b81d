//! Reading a stream to its end.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anyhow::Result;
use tokio::sync::oneshot;
use wasmtime::component::{Lift, Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};

use mix_sandbox::state::GuestState;

/// Items of a stream to come.
pub struct Items<T> {
    items: Arc<Mutex<Vec<T>>>,
    ended: oneshot::Receiver<()>,
}

impl<T> Items<T> {
    /// All items, once the stream has ended.
    pub async fn items(self) -> Vec<T> {
        // The consumer is dropped at the end of the stream, and its sender with it.
        let _ = self.ended.await;
        std::mem::take(&mut *self.items.lock().expect("one thread"))
    }
}

/// Reads a stream to its end, or drops it once there are `most` items.
pub fn collect<T: Lift + Send + 'static>(
    reader: StreamReader<T>,
    store: impl AsContextMut<Data = GuestState>,
    most: usize,
) -> Result<Items<T>> {
    let (done, ended) = oneshot::channel();
    let items = Arc::new(Mutex::new(Vec::new()));
    reader.pipe(
        store,
        Collect {
            items: items.clone(),
            most,
            _done: done,
        },
    )?;
    Ok(Items { items, ended })
}

struct Collect<T> {
    items: Arc<Mutex<Vec<T>>>,
    most: usize,
    _done: oneshot::Sender<()>,
}

impl<T: Lift + Send + 'static> StreamConsumer<GuestState> for Collect<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        store: StoreContextMut<GuestState>,
        mut source: Source<'_, T>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut batch = Vec::with_capacity(100);
        source.read(store, &mut batch)?;
        let mut items = self.items.lock().expect("one thread");
        items.extend(batch);
        Poll::Ready(Ok(if items.len() >= self.most {
            StreamResult::Dropped
        } else {
            StreamResult::Completed
        }))
    }
}
