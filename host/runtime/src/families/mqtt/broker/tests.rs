//! What subscribers and readers get, and the limits.

use super::followed::MOST_KEPT;
use super::topics::{MOST_TOPICS, MOST_WAITING, MOST_WAITING_BYTES, OF_ALL, OF_RUN};
use super::*;

async fn next(subscription: &Subscription) -> Option<Message> {
    subscription.next().await
}

#[tokio::test]
async fn who_comes_back_finds_what_was_missed_or_a_gap() {
    let broker = Arc::new(Broker::default());
    broker.publish("/a", "before", true, 1).unwrap();
    let first = broker.follow("/a", None).unwrap();
    assert_eq!(first.retained.as_deref(), Some("before"));
    broker.publish("/a", "1", false, 1).unwrap();
    let last = first.subscription.next().await.unwrap().id;
    drop(first);
    broker.publish("/a", "2", false, 1).unwrap();
    broker.publish("/b", "other", false, 1).unwrap();
    broker.publish("/a", "3", false, 1).unwrap();
    let again = broker.follow("/a", Some(last)).unwrap();
    let missed: Vec<&str> = again.missed.iter().map(|one| &*one.payload).collect();
    assert_eq!((missed, again.gap), (vec!["2", "3"], false));
    for (id, expected) in [
        (0, (true, 3)),
        (last + 1000, (true, 0)),
        (again.missed[1].id, (false, 0)),
    ] {
        let asked = broker.follow("/a", Some(id)).unwrap();
        assert_eq!((asked.gap, asked.missed.len()), expected, "{id}");
    }
    for _ in 0..MOST_KEPT {
        broker.publish("/a", "x", false, 1).unwrap();
    }
    let late = broker.follow("/a", Some(last)).unwrap();
    assert_eq!((late.gap, late.missed.len()), (true, MOST_KEPT));
}

#[tokio::test]
async fn a_subscriber_is_ended_by_bytes_as_well() {
    let broker = Arc::new(Broker::default());
    let slow = broker.subscribe("/a").unwrap();
    let long = "x".repeat(LONGEST_PAYLOAD);
    let fit = MOST_WAITING_BYTES / LONGEST_PAYLOAD;
    for _ in 0..=fit {
        broker.publish("/a", &long, false, 1).unwrap();
    }
    let mut count = 0;
    while next(&slow).await.is_some() {
        count += 1;
    }
    assert_eq!(count, fit);
}

#[tokio::test]
async fn retained_values_come_first_and_others_to_those_who_are_there() {
    let broker = Arc::new(Broker::default());
    broker.publish("/a", "lost", false, 1).unwrap();
    broker.publish("/a", "1", true, 1).unwrap();
    let subscription = broker.subscribe("/a").unwrap();
    broker.publish("/a", "2", false, 7).unwrap();
    broker.publish("/b", "other", false, 7).unwrap();
    let first = next(&subscription).await.unwrap();
    assert_eq!((&*first.payload, first.retained), ("1", true));
    let second = next(&subscription).await.unwrap();
    assert_eq!(
        (&*second.payload, second.retained, second.publisher),
        ("2", false, 7)
    );
    assert_eq!(broker.retained("/a").as_deref(), Some("1"));
    assert_eq!(broker.retained("/b"), None);
    drop(subscription);
    broker.publish("/c", "x", false, 1).unwrap();
    assert_eq!(
        broker.lock().by_path.len(),
        1,
        "only what is retained stays"
    );
}

#[tokio::test]
async fn a_slow_subscriber_is_ended_and_limits_hold() {
    let broker = Arc::new(Broker::default());
    let slow = broker.subscribe("/a").unwrap();
    for _ in 0..=MOST_WAITING {
        broker.publish("/a", "x", false, 1).unwrap();
    }
    let mut count = 0;
    while next(&slow).await.is_some() {
        count += 1;
    }
    assert_eq!(count, MOST_WAITING);
    let long = "x".repeat(LONGEST_PAYLOAD + 1);
    assert_eq!(
        broker.publish("/a", &long, false, 1),
        Err(BrokerError::TooLarge)
    );
    let path = "p".repeat(LONGEST_PATH + 1);
    assert!(broker.subscribe(&path).is_err());
}

#[tokio::test]
async fn what_a_run_gets_has_little_room_and_can_be_forgotten() {
    let broker = Arc::new(Broker::of_run());
    let long = "x".repeat(LONGEST_PAYLOAD);
    let fit = OF_RUN.0.retained / LONGEST_PAYLOAD;
    let path = |number: usize| format!("/a/b/c/d/{number}");
    for number in 0..fit {
        broker.publish(&path(number), &long, true, 0).unwrap();
    }
    assert_eq!(
        broker.publish(&path(fit), "x", true, 0),
        Err(BrokerError::Full)
    );
    broker.forget(&path(0));
    assert_eq!(broker.retained(&path(0)), None);
    broker.publish(&path(fit), &long, true, 0).unwrap();
    (0..=fit).for_each(|number| broker.forget(&path(number)));
    assert!(broker.lock().rooms.is_empty());
}

/// A topic of an app.
fn of(workspace: &str, app: &str, name: &str) -> String {
    format!("/cloud/h/ws/{workspace}/app/{app}/public/application/{name}")
}

#[tokio::test]
async fn what_is_kept_of_an_app_or_a_workspace_goes_with_it() {
    let broker = Arc::new(Broker::default());
    let paths = [
        of("w", "shop", "a"),
        of("w", "other", "a"),
        of("v", "shop", "a"),
    ];
    for path in &paths {
        let following = broker.follow(path, None).unwrap();
        broker.publish(path, "value", true, 1).unwrap();
        drop(following);
    }
    let last = broker.lock().last;
    let left = || paths.each_ref().map(|path| broker.retained(path).is_some());
    broker.forget_place("w", Some("shop"));
    assert_eq!(left(), [false, true, true]);
    let again = broker.follow(&paths[0], Some(last - 3)).unwrap();
    assert_eq!((again.retained, again.missed.len()), (None, 0));
    broker.forget_place("w", None);
    assert_eq!(left(), [false, false, true]);
    broker.forget_place("v", None);
    let topics = broker.lock();
    assert!(topics.rooms.is_empty());
    assert_eq!(topics.rooms.workspaces(), 0);
}

#[tokio::test]
async fn one_workspace_leaves_room_for_the_values_of_others() {
    let broker = Arc::new(Broker::default());
    let long = "x".repeat(LONGEST_PAYLOAD);
    let publish = |ws: &str, number: usize, payload: &str| {
        broker.publish(&of(ws, "shop", &number.to_string()), payload, true, 1)
    };
    let fit = OF_ALL.0.retained / OF_ALL.1 / LONGEST_PAYLOAD;
    for number in 0..fit {
        publish("greedy", number, &long).unwrap();
    }
    assert_eq!(publish("greedy", fit, "x"), Err(BrokerError::Full));
    publish("greedy", 0, "short").unwrap();
    publish("greedy", fit, "x").unwrap();
    publish("other", 0, &long).unwrap();
    broker.forget_place("greedy", None);
    for number in 0..MOST_TOPICS / OF_ALL.1 {
        publish("greedy", number, "").unwrap();
    }
    assert_eq!(publish("greedy", MOST_TOPICS, ""), Err(BrokerError::Full));
    publish("other", 1, "").unwrap();
    assert!(broker.subscribe(&of("other", "shop", "new")).is_ok());
}

#[tokio::test]
async fn topics_that_nobody_uses_leave_nothing() {
    let broker = Arc::new(Broker::default());
    for number in 0..1000 {
        broker.follow(&format!("/made-up/{number}"), None).unwrap();
    }
    assert_eq!(broker.lock().by_path.len(), 0);
}

#[tokio::test]
async fn what_waits_has_an_end_and_one_workspace_leaves_room_for_others() {
    let broker = Arc::new(Broker::default());
    let long = "x".repeat(LONGEST_PAYLOAD);
    let fit = OF_ALL.0.waiting / OF_ALL.1 / LONGEST_PAYLOAD;
    // Nobody takes anything, and nobody is too far behind alone.
    let each = MOST_WAITING_BYTES / LONGEST_PAYLOAD - 1;
    let mut slow = Vec::new();
    let mut published = 0;
    for number in 0..=fit / each {
        let path = of("greedy", "shop", &number.to_string());
        slow.push(broker.subscribe(&path).unwrap());
        for _ in 0..each {
            broker.publish(&path, &long, false, 1).unwrap();
            published += 1;
        }
    }
    assert!(published > fit);
    let other = broker.subscribe(&of("other", "shop", "a")).unwrap();
    broker
        .publish(&of("other", "shop", "a"), &long, false, 1)
        .unwrap();
    assert!(other.next().await.is_some());
    let mut got = 0;
    for subscription in &slow[..slow.len() - 1] {
        for _ in 0..each {
            assert!(subscription.next().await.is_some());
            got += 1;
        }
    }
    let last = slow.pop().unwrap();
    while last.next().await.is_some() {
        got += 1;
    }
    assert_eq!(got, fit);
    // Who is many takes the room of one.
    let path = of("greedy", "shop", "0");
    let many: Vec<_> = (0..1000)
        .map(|_| broker.subscribe(&path).unwrap())
        .collect();
    broker.publish(&path, &long, false, 1).unwrap();
    for subscription in &many {
        assert!(subscription.next().await.is_some());
    }
    drop((slow, many));
    assert!(broker.lock().rooms.is_empty());
}

#[tokio::test]
async fn one_workspace_leaves_room_for_what_others_missed() {
    let broker = Arc::new(Broker::default());
    let long = "x".repeat(LONGEST_PAYLOAD);
    let follow = |ws: &str, last| broker.follow(&of(ws, "shop", "a"), last).unwrap();
    let publish = |ws: &str| {
        broker
            .publish(&of(ws, "shop", "a"), &long, false, 1)
            .unwrap()
    };
    let readers = [follow("greedy", None), follow("other", None)];
    publish("other");
    let last = broker.lock().last;
    drop(readers);
    for _ in 0..OF_ALL.0.kept / LONGEST_PAYLOAD {
        publish("greedy");
    }
    publish("other");
    let other = follow("other", Some(last));
    assert_eq!((other.gap, other.missed.len()), (false, 1));
    assert!(follow("greedy", Some(last)).gap);
}
