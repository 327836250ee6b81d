//! The requests of a session that are under way.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;

use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use mix_value::packed::Received;
use mix_vm::{ForeignCall, Host, HostFailure, Pending, Reply, Session};
use wit_bindgen::{StreamReader, StreamResult};

use crate::bindings::mix::ffi::types;
use crate::{failure, families, wire};

/// Most items fetched from a stream at once, whatever the machine asks for.
const MOST_ITEMS: u32 = 1000;

type Item = Vec<u8>;

/// Foreign functions and stream reads in flight, and the streams at rest.
#[derive(Default)]
pub struct Requests {
    running: FuturesUnordered<Abortable<Pin<Box<dyn Future<Output = Finished>>>>>,
    /// How each of them is ended, by the number of its request.
    handles: HashMap<u64, InFlight>,
    streams: HashMap<u64, StreamReader<Item>>,
    /// Streams that are being read.
    reading: HashSet<u64>,
    /// Of these, the ones that are no longer needed.
    unwanted: HashSet<u64>,
    /// Why streams ended whose last items the machine has not asked for yet.
    failed: HashMap<u64, HostFailure>,
    last_stream: u64,
}

/// The result of a function that may wait.
pub enum Started {
    /// One encoded value.
    One(Received),
    /// A stream of them.
    Many(StreamReader<Item>),
}

impl From<types::Reply> for Started {
    fn from(reply: types::Reply) -> Started {
        match reply {
            types::Reply::One(value) => Started::One(value.into()),
            types::Reply::Many(items) => Started::Many(items),
        }
    }
}

/// How a request is ended before it is answered.
struct InFlight {
    abort: AbortHandle,
    /// The stream that it reads.
    stream: Option<u64>,
}

/// A request that is answered.
enum Finished {
    Started {
        call: u64,
        result: Result<Started, types::Failure>,
    },
    Read {
        call: u64,
        stream: u64,
        reader: StreamReader<Item>,
        items: Vec<Item>,
        end: bool,
    },
}

impl Requests {
    /// True if nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins a request of the machine.
    pub fn begin(&mut self, request: Pending, session: &mut Session) {
        match request {
            Pending::Start {
                call,
                function,
                args,
            } => {
                let started = async move {
                    let result = families::start(function, args).await;
                    Finished::Started { call, result }
                };
                self.push(call, None, Box::pin(started));
            }
            Pending::Pull {
                call,
                stream,
                at_most,
            } => match self.streams.remove(&stream) {
                Some(reader) => {
                    self.reading.insert(stream);
                    let reading = Box::pin(read(call, stream, reader, at_most));
                    self.push(call, Some(stream), reading);
                }
                None => {
                    let failure = self.failed.remove(&stream);
                    let failure = failure.unwrap_or_else(|| unknown_stream(stream));
                    session.resume(call, Reply::Failed(failure));
                }
            },
        }
    }

    fn push(
        &mut self,
        call: u64,
        stream: Option<u64>,
        work: Pin<Box<dyn Future<Output = Finished>>>,
    ) {
        let (abort, registration) = AbortHandle::new_pair();
        self.handles.insert(call, InFlight { abort, stream });
        self.running.push(Abortable::new(work, registration));
    }

    /// Ends the requests whose answers nobody waits for any longer: dropping a call cancels it.
    pub fn cancel(&mut self, session: &mut Session) {
        let canceled = session.canceled_requests();
        if canceled.is_empty() {
            return;
        }
        for call in canceled {
            let Some(request) = self.handles.remove(&call) else {
                continue;
            };
            request.abort.abort();
            if let Some(stream) = request.stream {
                self.reading.remove(&stream);
                self.unwanted.remove(&stream);
            }
        }
        // They are dropped when they are looked at.
        self.settle_ready(session);
    }

    /// Awaits one answer and gives it to the machine.
    pub async fn settle(&mut self, session: &mut Session) {
        while let Some(finished) = self.running.next().await {
            if let Ok(finished) = finished {
                self.take(finished, session);
                return;
            }
        }
    }

    /// Gives all answers that are there to the machine, without waiting; false if there were none.
    pub fn settle_ready(&mut self, session: &mut Session) -> bool {
        let mut settled = false;
        while let Some(Some(finished)) = self.running.next().now_or_never() {
            settled = true;
            if let Ok(finished) = finished {
                self.take(finished, session);
            }
        }
        settled
    }

    fn take(&mut self, finished: Finished, session: &mut Session) {
        match finished {
            Finished::Started {
                call,
                result: Err(failure),
            } => {
                self.handles.remove(&call);
                session.resume(call, Reply::Failed(wire::failure(failure)));
            }
            Finished::Started {
                call,
                result: Ok(Started::One(value)),
            } => {
                self.handles.remove(&call);
                session.resume(call, Reply::One(value));
            }
            Finished::Started {
                call,
                result: Ok(Started::Many(reader)),
            } => {
                self.handles.remove(&call);
                self.last_stream += 1;
                self.streams.insert(self.last_stream, reader);
                session.resume(call, Reply::Many(self.last_stream));
            }
            Finished::Read {
                call,
                stream,
                reader,
                mut items,
                end,
            } => {
                self.handles.remove(&call);
                self.reading.remove(&stream);
                let unwanted = self.unwanted.remove(&stream);
                // A stream at its end or out of use is dropped here, which ends the work behind it.
                match failure::take(&mut items) {
                    Some(failure) if items.is_empty() => {
                        session.resume(call, Reply::Failed(failure))
                    }
                    Some(failure) => {
                        // First the items before it, the failure when the next ones are asked for.
                        if !unwanted {
                            self.failed.insert(stream, failure);
                        }
                        session.resume(call, Reply::Batch { items, end: false });
                    }
                    None => {
                        if !end && !unwanted {
                            self.streams.insert(stream, reader);
                        }
                        session.resume(call, Reply::Batch { items, end });
                    }
                }
            }
        }
    }

    /// Drops the streams that the program no longer needs.
    pub fn drop_streams(&mut self, session: &mut Session) {
        for stream in session.dropped_streams() {
            self.failed.remove(&stream);
            if self.streams.remove(&stream).is_none() && self.reading.contains(&stream) {
                self.unwanted.insert(stream);
            }
        }
    }
}

async fn read(call: u64, stream: u64, mut reader: StreamReader<Item>, at_most: u32) -> Finished {
    let size = at_most.clamp(1, MOST_ITEMS) as usize;
    let (result, items) = reader.read(Vec::with_capacity(size)).await;
    Finished::Read {
        call,
        stream,
        reader,
        items,
        end: !matches!(result, StreamResult::Complete(_)),
    }
}

fn unknown_stream(stream: u64) -> HostFailure {
    HostFailure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("stream {stream} is not open"),
        detail: None,
    }
}

/// The functions that never wait.
pub struct Family;

impl Host for Family {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        families::call(call)
    }
}
