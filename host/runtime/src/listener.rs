//! The events of a session, taken out of the store of its VM.

use crate::bindings::Event;
use futures::task::AtomicWaker;
use mix_sandbox::state::GuestState;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

/// Takes events out of the VM's store.
pub struct Listener {
    events: mpsc::UnboundedSender<Event>,
    gauge: Option<Arc<Gauge>>,
}

/// Bytes of events that wait to be read; a VM that has told so much has to wait.
const MOST_WAITING: usize = 8 << 20;

/// How much waits to be read.
#[derive(Default)]
struct Gauge {
    waiting: AtomicUsize,
    listener: AtomicWaker,
}

/// Events that are read as they come, however slowly.
pub struct Heard {
    events: mpsc::UnboundedReceiver<Event>,
    gauge: Arc<Gauge>,
}

impl Heard {
    /// The next event; `None` at the end of the session.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        self.gauge
            .waiting
            .fetch_sub(weight(&event), Ordering::AcqRel);
        self.gauge.listener.wake();
        Some(event)
    }
}

/// About the memory that an event takes.
fn weight(event: &Event) -> usize {
    let bytes = match event {
        Event::Output(output) => output.cell.len() + output.value.len(),
        Event::Log(line) => line.len(),
        Event::ClientActions(value) | Event::Result(value) | Event::IdleActions(value) => {
            value.len()
        }
        Event::Issue(issue) => issue.message.len() + issue.params.len(),
        Event::Done(_) => 0,
    };
    bytes + size_of::<Event>()
}

impl Listener {
    /// A listener and where its events arrive.
    pub fn new() -> (Listener, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        let gauge = None;
        (Listener { events, gauge }, received)
    }

    /// The same for a reader that may be slow: the VM waits for it.
    pub fn patient() -> (Listener, Heard) {
        let (send, events) = mpsc::unbounded_channel();
        let gauge = Arc::new(Gauge::default());
        let listener = Listener {
            events: send,
            gauge: Some(gauge.clone()),
        };
        (listener, Heard { events, gauge })
    }
}

impl StreamConsumer<GuestState> for Listener {
    type Item = Event;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<GuestState>,
        mut source: Source<'_, Event>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(gauge) = &self.gauge {
            gauge.listener.register(context.waker());
            if gauge.waiting.load(Ordering::Acquire) > MOST_WAITING {
                return match finish {
                    true => Poll::Ready(Ok(StreamResult::Cancelled)),
                    false => Poll::Pending,
                };
            }
        }
        let mut events = Vec::with_capacity(16);
        source.read(store, &mut events)?;
        for event in events {
            if let Some(gauge) = &self.gauge {
                gauge.waiting.fetch_add(weight(&event), Ordering::AcqRel);
            }
            if self.events.send(event).is_err() {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
