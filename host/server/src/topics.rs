//! Topics of agents as streams of events.

use super::Server;
use super::events::Events;
use super::handler::Visit;
use super::identity::Admitted;
use super::readers::Seat;
use super::reply::Reply;
use super::standing::Standing;
use mix_http_api::{ApiError, Managed, RETRY, Topic, event};
use mix_runtime::families::mqtt::broker::{BrokerError, Following};
use std::sync::Arc;

impl Server {
    /// Forgets what is kept of the topics of a workspace, or of one of its apps, that is gone.
    pub fn forget_topics(&self, ws: &str, app: Option<&str>) {
        if let Some(broker) = &self.assembly.broker {
            broker.forget_place(ws, app);
        }
    }
}

/// The messages of a topic, until the reader leaves or may not read any more.
pub fn subscribe(
    server: &Arc<Server>,
    who: &Admitted,
    visit: Visit,
    managed: Managed,
    topic: &Topic,
    last: Option<u64>,
) -> Reply {
    let seat = || match &visit.inside {
        // Runs for nobody have no address either.
        Some(inside) if who.caller.user.is_none() => server.streams.enter_run(inside.workspace()),
        _ => server.streams.enter(who, visit.client),
    };
    match following(server, topic, last).and_then(|one| Ok((seat()?, one))) {
        Err(error) => managed.finish(Err(error)).into(),
        Ok((seat, following)) => stream(server, who, visit, managed, (seat, following)),
    }
}

fn following(
    server: &Arc<Server>,
    topic: &Topic,
    last: Option<u64>,
) -> Result<Following, ApiError> {
    if !server.is_called(&topic.server) {
        let message = "this server has no topics of that name";
        return Err(ApiError::new(404, "not_found", message));
    }
    let Some(broker) = &server.assembly.broker else {
        let message = "the topics of this server are kept by a component (--family mqtt)";
        return Err(ApiError::new(404, "not_found", message));
    };
    // Programs name the server by the base URL.
    let path = topic.broker_path(server.authority());
    broker.follow(&path, last).map_err(|error| match error {
        BrokerError::TooLarge => ApiError::new(400, "bad_topic", "the topic is too long"),
        BrokerError::Full => ApiError::new(503, "busy", "the server has too many topics"),
    })
}

fn stream(
    server: &Arc<Server>,
    who: &Admitted,
    visit: Visit,
    managed: Managed,
    (seat, following): (Seat, Following),
) -> Reply {
    let (events, reply) = Events::begin(managed.events());
    let server = server.clone();
    let standing = Standing {
        who: who.clone(),
        token: visit.token,
        route: managed.route,
    };
    tokio::spawn(async move {
        let _seat = seat;
        let mut ending = server.ending.subscribe();
        tokio::select! {
            () = tell(&events, following) => {}
            () = events.left() => {}
            () = standing.lost(&server) => {}
            // The sender is part of the server.
            _ = ending.wait_for(|ending| *ending) => {}
        }
    });
    reply
}

async fn tell(events: &Events, following: Following) {
    let mut first = RETRY.to_owned();
    if following.gap {
        first.push_str(&event("gap", None, "null"));
    }
    if let Some(retained) = &following.retained {
        first.push_str(&event("retained", None, retained));
    }
    if !events.write(first).await {
        return;
    }
    for message in following.missed {
        let text = event("message", Some(message.id), &message.payload);
        if !events.write(text).await {
            return;
        }
    }
    // A reader that is too far behind finds the end of the stream, and comes back.
    while let Some(Some(message)) = events.wait(following.subscription.next()).await {
        let text = event("message", Some(message.id), &message.payload);
        if !events.write(text).await {
            return;
        }
    }
}
