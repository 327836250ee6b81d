//! Sessions: a task that steps the machine between two streams.

use mix_vm::{Session, Step};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::bindings::exports::mix::vm::session::{Action, Event, Guest};
use crate::bindings::wit_stream;
use crate::requests::{Family, Requests};
use crate::{Component, program, wire};

/// Steps of the machine between two looks at what else there is to do.
const SLICE: u64 = 1 << 20;
/// Actions read at once.
const ACTIONS: usize = 16;
/// Events that are kept back to be written together.
const EVENTS: usize = 64;

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
    // An abandoned session ends; its requests are cancelled by being dropped.
    let _ = steps(&mut session, actions, &mut events).await;
}

async fn steps(
    session: &mut Session,
    mut actions: StreamReader<Action>,
    events: &mut Events,
) -> Result<(), Abandoned> {
    let mut requests = Requests::default();
    let mut more = true;
    loop {
        let step = session.run(&mut Family, SLICE);
        requests.drop_streams(session);
        match step {
            Step::Event(event) => events.put(wire::event(event)).await?,
            Step::Ready => {
                events.flush().await?;
                // Other sessions of the instance get their turn.
                wit_bindgen::yield_async().await;
            }
            Step::Waiting(begun) => {
                let refused = !begun.is_empty();
                for request in begun {
                    requests.begin(request, session);
                }
                events.flush().await?;
                if !requests.is_empty() {
                    requests.settle(session).await;
                } else if !refused {
                    // The machine waits for something that nobody was asked for.
                    session.abort(
                        "RT_INTERNAL",
                        "the program waits for an answer that cannot come",
                    );
                }
            }
            Step::Idle => {
                events.flush().await?;
                if !more {
                    return Ok(());
                }
                let (result, batch) = actions.read(Vec::with_capacity(ACTIONS)).await;
                more = matches!(result, StreamResult::Complete(_));
                for action in batch {
                    session.act(wire::action(action));
                }
            }
        }
    }
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without a generator the numbers of every run are the same; nothing else depends on them.
        Err(_) => 0x9e37_79b9_7f4a_7c15,
    }
}
