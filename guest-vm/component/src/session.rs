//! Sessions: a task that steps the machine between two streams.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures::FutureExt;
use futures::future::{Either, select};
use mix_vm::{Session, Step};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::bindings::exports::mix::vm::session::{Action, Event, Guest};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wit_stream;
use crate::requests::{Family, Requests};
use crate::{Component, program, wire};

/// Steps of the machine between two looks at what else there is to do.
const SLICE: u64 = 1 << 20;
/// Most answers that are taken between two slices.
const ANSWERS: usize = 256;
/// Actions read at once.
const ACTIONS: usize = 16;
/// Events that are kept back to be written together.
const EVENTS: usize = 64;
/// How often a session that waits looks whether anybody still reads its events, in nanoseconds.
const LOOK: u64 = 1_000_000_000;

impl Guest for Component {
    async fn run(actions: StreamReader<Action>) -> StreamReader<Event> {
        let (writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(drive(
            actions,
            Events {
                writer,
                held: Vec::new(),
            },
        ));
        reader
    }
}

/// The stream to whoever drives the session.
struct Events {
    writer: StreamWriter<Event>,
    held: Vec<Event>,
}

/// Nobody reads the events any longer: the session has no purpose.
struct Abandoned;

impl Events {
    async fn put(&mut self, event: Event) -> Result<(), Abandoned> {
        self.held.push(event);
        if self.held.len() >= EVENTS {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self) -> Result<(), Abandoned> {
        if self.held.is_empty() {
            return Ok(());
        }
        let rest = self.writer.write_all(std::mem::take(&mut self.held)).await;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Abandoned)
        }
    }
}

impl Events {
    /// Looks whether somebody still reads: an empty write tells without waiting.
    async fn check(&mut self) -> Result<(), Abandoned> {
        let mut probe = pin!(self.writer.write(Vec::new()));
        let gone = std::future::poll_fn(|cx| match probe.as_mut().poll(cx) {
            Poll::Ready((result, _)) => Poll::Ready(matches!(result, StreamResult::Dropped)),
            Poll::Pending => Poll::Ready(false),
        });
        if gone.await { Err(Abandoned) } else { Ok(()) }
    }
}

/// Waits for answers, and looks now and then whether the session still has a purpose.
#[derive(Default)]
struct Patience {
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Patience {
    async fn settle(
        &mut self,
        requests: &mut Requests,
        session: &mut Session,
        events: &mut Events,
    ) -> Result<(), Abandoned> {
        loop {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(monotonic_clock::wait_for(LOOK)));
            match select(pin!(requests.settle(session)), timer).await {
                Either::Left(_) => return Ok(()),
                Either::Right(_) => self.timer = None,
            }
            events.check().await?;
        }
    }
}

async fn drive(actions: StreamReader<Action>, mut events: Events) {
    let Some(vm) = program::loaded() else {
        let issue = wire::driver_issue("RT_INTERNAL", "no program is loaded");
        // Whether somebody reads it or not, the session ends here.
        let _ = events.put(Event::Issue(issue)).await;
        let _ = events.flush().await;
        return;
    };
    let mut session = vm.session();
    session.set_random_seed(seed());
    session.set_allocation_counter(|| crate::ALLOCATOR.made());
    // An abandoned session ends; its requests are cancelled by being dropped.
    let _ = steps(&mut session, actions, &mut events).await;
}

async fn steps(
    session: &mut Session,
    actions: StreamReader<Action>,
    events: &mut Events,
) -> Result<(), Abandoned> {
    let mut requests = Requests::default();
    let mut patience = Patience::default();
    let mut incoming = Incoming::At(actions);
    let mut told = 0;
    loop {
        let step = session.run(&mut Family, SLICE);
        requests.drop_streams(session);
        requests.cancel(session);
        match step {
            Step::Event(event) => {
                events.put(wire::event(event)).await?;
                told += 1;
                // A live cell that never pauses has something to tell after every step.
                if told == EVENTS {
                    told = 0;
                    look_around(session, &mut requests, &mut incoming, events).await?;
                }
            }
            Step::Ready => {
                look_around(session, &mut requests, &mut incoming, events).await?;
            }
            Step::Waiting(begun) => {
                let refused = !begun.is_empty();
                for request in begun {
                    requests.begin(request, session);
                }
                events.flush().await?;
                if !requests.is_empty() {
                    patience.settle(&mut requests, session, events).await?;
                } else if !refused {
                    // The machine waits for something that nobody was asked for.
                    session.abort(
                        "RT_INTERNAL",
                        "the program waits for an answer that cannot come",
                    );
                }
            }
            Step::Listening(begun) => {
                let answered = !begun.is_empty();
                for request in begun {
                    requests.begin(request, session);
                }
                events.flush().await?;
                let Some(reading) = incoming.reading() else {
                    // Live cells end with the session.
                    return Ok(());
                };
                if requests.is_empty() {
                    if !answered {
                        let read = reading.await;
                        incoming.take(read, session);
                    }
                    continue;
                }
                let read = {
                    let settled = pin!(patience.settle(&mut requests, session, events));
                    match select(reading, settled).await {
                        Either::Left((read, _)) => read,
                        Either::Right((settled, _)) => {
                            settled?;
                            continue;
                        }
                    }
                };
                incoming.take(read, session);
            }
            Step::Idle => {
                events.flush().await?;
                let Some(reading) = incoming.reading() else {
                    return Ok(());
                };
                let read = reading.await;
                incoming.take(read, session);
            }
        }
    }
}

/// What else there is to do while the machine could go on.
async fn look_around(
    session: &mut Session,
    requests: &mut Requests,
    incoming: &mut Incoming,
    events: &mut Events,
) -> Result<(), Abandoned> {
    events.flush().await?;
    events.check().await?;
    // Routines that go on do not keep back the requests of those that wait.
    for request in session.take_requests() {
        requests.begin(request, session);
    }
    // Other sessions of the instance get their turn. The host brings one answer at a
    // time; as long as they come, they are taken before the next slice.
    for _ in 0..ANSWERS {
        wit_bindgen::yield_async().await;
        if !requests.settle_ready(session) {
            break;
        }
    }
    // Background routines and live cells do not keep back actions.
    if !session.is_busy()
        && let Some(reading) = incoming.reading()
        && let Some(read) = reading.now_or_never()
    {
        incoming.take(read, session);
    }
    Ok(())
}

/// Actions that were read, and the stream they came from unless it has ended.
type Read = (Vec<Action>, Option<StreamReader<Action>>);

/// The stream of actions. A read that was begun goes on while live cells are served.
enum Incoming {
    At(StreamReader<Action>),
    Reading(Pin<Box<dyn Future<Output = Read>>>),
    Ended,
}

impl Incoming {
    /// The read in progress, begun now if there was none; none after the end.
    fn reading(&mut self) -> Option<&mut Pin<Box<dyn Future<Output = Read>>>> {
        *self = match std::mem::replace(self, Incoming::Ended) {
            Incoming::At(actions) => Incoming::Reading(Box::pin(read_actions(actions))),
            other => other,
        };
        match self {
            Incoming::Reading(reading) => Some(reading),
            _ => None,
        }
    }

    fn take(&mut self, (batch, actions): Read, session: &mut Session) {
        *self = actions.map_or(Incoming::Ended, Incoming::At);
        for action in batch {
            session.act(wire::action(action));
        }
    }
}

async fn read_actions(mut actions: StreamReader<Action>) -> Read {
    let (result, batch) = actions.read(Vec::with_capacity(ACTIONS)).await;
    let more = matches!(result, StreamResult::Complete(_));
    (batch, more.then_some(actions))
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without a generator the numbers of every run are the same; nothing else depends on them.
        Err(_) => 0x9e37_79b9_7f4a_7c15,
    }
}
