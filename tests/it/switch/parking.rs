//! Events whose target is not up.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jackfield::router::switch::Settings;
use jackfield::rpc::Limits;
use jackfield::session::SessionState;
use serde_json::json;

use super::cast::{either_way, soon, state, until, with};
use crate::support::rig::Rig;

either_way! {
    events_wait_in_order_and_are_served,
    a_retarget_frees_what_waits,
    a_caller_that_gives_up_has_asked_nothing,
    a_router_that_stops_keeps_nobody_waiting,
}

/// Takes `api@blue` away for the router, and brings it back by what this returns.
async fn down(rig: &crate::support::rig::Rig, down: SessionState) -> SessionState {
    let up = SessionState::Up(rig.up("api@blue").await);
    rig.publish("api@blue", down);
    up
}

fn broken() -> SessionState {
    SessionState::Down { why: "workerd ended by signal 6".to_owned() }
}

async fn events_wait_in_order_and_are_served(rig: Rig) {
    const EVENTS: usize = 20;
    let talk = rig.talk("web").await;
    // Both before there is an upstream connection, and with one that is kept.
    for round in 0..2 {
        for reason in [SessionState::Starting, broken()] {
            let before = state(&rig, "api@blue").await.seen.len();
            let up = down(&rig, reason).await;
            let mut calls = Vec::new();
            for id in 0..EVENTS {
                calls.push(talk.begin("mark", &[json!(id.to_string())]));
                rig.until("a parked call", |shared| shared.waiting() == id + 1).await;
            }
            let fetch = talk.begin("fetch", &[]);
            let stub = talk.begin("holdStub", &[]);
            let bytes = talk.begin("holdBytes", &[]);
            rig.until("all of them", |shared| shared.waiting() == EVENTS + 3).await;
            rig.publish("api@blue", up);
            for call in calls {
                assert_eq!(call.await, Ok(json!("blue")), "round {round}");
            }
            assert_eq!(fetch.await.unwrap()[0], 200);
            assert_eq!(stub.await, Ok(json!("blue 1")));
            assert_eq!(bytes.await, Ok(json!("b")));
            let expected: Vec<_> = (0..EVENTS).map(|id| id.to_string()).collect();
            assert_eq!(state(&rig, "api@blue").await.seen[before..], expected);
            talk.get("dropStub").await;
            talk.get("dropBytes").await;
        }
    }
    let counts = rig.counts();
    assert_eq!((counts.failed, counts.broken, counts.parked), (0, 0, 4 * (EVENTS as u64 + 3)));
}

async fn a_retarget_frees_what_waits(rig: Rig) {
    let talk = rig.talk("web").await;
    down(&rig, broken()).await;
    let (call, fetch) = (talk.begin("who", &[]), talk.begin("fetch", &[]));
    rig.until("two parked events", |shared| shared.waiting() == 2).await;
    rig.move_all(&[("web/API", "api@green")], true).await;
    assert_eq!(call.await, Ok(json!("green")));
    assert_eq!(fetch.await.unwrap()[0], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waited_too_long_is_told_what_for() {
    let rig = with(Settings { park_for: Duration::from_millis(200), ..Settings::default() }).await;
    let talk = rig.talk("web").await;
    let up = down(&rig, broken()).await;
    let calls: Vec<_> = (0..3).map(|_| talk.begin("who", &[])).collect();
    let fetches: Vec<_> = (0..3).map(|_| talk.begin("fetch", &[])).collect();
    let readable = |text: &str| {
        for part in
            ["web/API", "api@blue is down: workerd ended by signal 6", "0.2 s", "jackfield explain web/API"]
        {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
    };
    for call in calls {
        let failure = call.await.unwrap_err();
        readable(&failure.message);
        assert!(failure.retryable);
    }
    for fetch in fetches {
        let answer = fetch.await.unwrap();
        assert_eq!(answer[0], 503);
        readable(answer[1].as_str().unwrap());
    }
    rig.publish("api@blue", up);
    assert_eq!(talk.get("who").await, json!("blue"), "its connection is as good as before");
    let counts = rig.counts();
    assert_eq!((counts.parked, counts.failed, counts.broken), (6, 6, 0));
    assert_eq!(rig.router.shared().waiting(), 0);
}

async fn a_caller_that_gives_up_has_asked_nothing(rig: Rig) {
    let up = down(&rig, SessionState::Starting).await;
    let talk = rig.talk("web").await;
    let gone = [talk.begin("mark", &[json!("gone")]), talk.begin("markFetch", &[json!("gone")])];
    rig.until("two parked events", |shared| shared.waiting() == 2).await;
    drop((gone, talk));
    rig.until("nobody waiting", |shared| shared.waiting() == 0).await;
    rig.publish("api@blue", up);
    let talk = rig.talk("web").await;
    talk.begin("mark", &[json!("here")]).await.unwrap();
    talk.begin("markFetch", &[json!("here")]).await.unwrap();
    assert_eq!(state(&rig, "api@blue").await.seen, ["here", "here"]);
    assert_eq!(rig.counts().failed, 0, "that is nobody's failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_bounds_is_refused_and_the_rest_is_served() {
    let limits = Limits { parked_calls: 40, parked_bytes: 100_000, ..Limits::default() };
    let rig = with(Settings { limits, ..Settings::default() }).await;
    let talk = rig.talk("web").await;
    let up = down(&rig, SessionState::Starting).await;
    let too_long = talk.begin("take", &[json!(200_000)]).await.unwrap_err();
    assert!(too_long.overloaded && too_long.message.contains("Too much waits"), "{too_long:?}");
    // Nothing is served yet, so what is answered was refused.
    let mut calls: FuturesUnordered<_> = (0..60).map(|_| talk.begin("who", &[])).collect();
    for _ in 0..20 {
        let failure = calls.next().await.unwrap().unwrap_err();
        assert!(failure.overloaded && failure.message.contains("Too much waits"), "{failure:?}");
    }
    let mut fetches: FuturesUnordered<_> = (0..60).map(|_| talk.begin("fetch", &[])).collect();
    for _ in 0..20 {
        let answer = fetches.next().await.unwrap().unwrap();
        assert_eq!(answer[0], 503);
        assert!(answer[1].as_str().unwrap().contains("Too many events wait"), "{answer}");
    }
    rig.publish("api@blue", up);
    let calls: Vec<_> = calls.collect().await;
    assert!(calls.iter().any(Result::is_ok), "{calls:?}");
    while let Some(answer) = fetches.next().await {
        assert_eq!(answer.unwrap()[0], 200);
    }
    assert_eq!(talk.get("who").await, json!("blue"));
}

async fn a_router_that_stops_keeps_nobody_waiting(rig: Rig) {
    let talk = rig.talk("web").await;
    down(&rig, SessionState::Starting).await;
    let (call, fetch) = (talk.begin("who", &[]), talk.begin("fetch", &[]));
    rig.until("two parked events", |shared| shared.waiting() == 2).await;
    // A grace time beyond the patience of the test: nothing may need it.
    soon("the stop", rig.router.stop(Duration::from_secs(3600))).await;
    let failure = call.await.unwrap_err();
    assert!(failure.message.contains("stopping"), "{failure:?}");
    let answer = fetch.await.unwrap();
    assert_eq!(
        (answer[0].as_u64(), answer[1].as_str().unwrap().trim()),
        (Some(503), "jackfield is stopping.")
    );
    assert_eq!(rig.router.shared().callers(), 0);
    assert_eq!(rig.router.shared().pooled(), 0);
    until(&rig, "api@green", "another session", |_| true).await;
}
