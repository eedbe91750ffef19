//! Targets and callers that die.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::cast::{either_way, soon, state, until};
use crate::support::rig::Rig;

either_way! {
    only_what_was_delivered_fails_and_the_rest_waits_for_the_successor,
    deaths_under_load_break_only_what_was_delivered,
    a_stopped_target_keeps_its_events_until_it_dies,
    what_a_dead_caller_asked_for_is_canceled,
    the_script_of_a_call_stops_with_its_caller,
}

async fn only_what_was_delivered_fails_and_the_rest_waits_for_the_successor(rig: Rig) {
    let talk = rig.talk("web").await;
    assert_eq!(talk.get("holdStub").await, json!("blue 1"));
    let calls: Vec<_> = (0..8).map(|_| talk.begin("hang", &[])).collect();
    let fetches: Vec<_> = (0..8).map(|_| talk.begin("fetch", &[json!("/hang")])).collect();
    // One that is closed in time, and one that is not.
    assert_eq!(talk.get("holdSocket").await, json!("blue hi"));
    talk.get("dropSocket").await;
    assert_eq!(talk.get("holdSocket").await, json!("blue hi"));
    until(&rig, "api@blue", "sixteen events that hang", |state| state.hanging == 16).await;
    let generation = rig.up("api@blue").await.number;
    rig.kill("api@blue").await;
    // They begin at once, whether or not the successor is there yet.
    let late: Vec<_> = (0..8).flat_map(|_| [talk.begin("who", &[]), talk.begin("fetch", &[])]).collect();
    let names = format!("generation {generation} of session api@blue has ended");
    for call in calls {
        let failure = call.await.unwrap_err();
        assert!(failure.retryable && failure.message.contains(&names), "{failure:?}");
    }
    for fetch in fetches {
        let answer = fetch.await.unwrap();
        assert_eq!(answer[0], 503);
        let text = answer[1].as_str().unwrap();
        assert!(text.contains(&format!("api@blue generation {generation} ended")), "{text}");
    }
    for event in late {
        let answer = event.await.unwrap();
        assert!(answer == json!("blue") || answer[0] == 200, "{answer}");
    }
    assert!(["error".into(), json!(1006)].contains(&talk.get("socketEnd").await));
    let failure = talk.fail("useStub").await;
    assert!(failure.retryable && failure.message.contains(&names), "{failure:?}");
    assert!(failure.message.contains("new event on web/API"), "how to get a new one: {failure:?}");
    assert_eq!(talk.get("holdStub").await, json!("blue 1"), "of the successor");
    // The event that brought the stub had been answered; the one that brought the socket had not ended.
    let counts = rig.counts();
    assert_eq!((counts.broken, counts.failed, counts.cut), (17, 0, 0));
}

async fn deaths_under_load_break_only_what_was_delivered(rig: Rig) {
    const DEATHS: usize = 5;
    let rig = Arc::new(rig);
    let (served, broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = tokio_util::sync::CancellationToken::new();
    let load = |kind: &'static str| {
        let (rig, served, broken, stop) = (rig.clone(), served.clone(), broken.clone(), stop.clone());
        tokio::spawn(async move {
            let talk = rig.talk("web").await;
            while !stop.is_cancelled() {
                match talk.begin(kind, &[]).await {
                    Ok(answer) if answer == json!("blue") || answer[0] == 200 => {
                        served.fetch_add(1, SeqCst) as u64
                    }
                    Ok(answer) if is_broken(&answer[1]) => broken.fetch_add(1, SeqCst),
                    Err(failure) if failure.retryable => broken.fetch_add(1, SeqCst),
                    odd => panic!("{odd:?}"),
                };
            }
        })
    };
    let tasks: Vec<_> = ["who", "fetch", "who", "fetch", "who", "fetch"].map(load).into();
    for _ in 0..DEATHS {
        let more = served.load(SeqCst) + 100;
        rig.until("some load", |_| served.load(SeqCst) >= more).await;
        rig.kill("api@blue").await;
    }
    let more = served.load(SeqCst) + 100;
    rig.until("load on the last successor", |_| served.load(SeqCst) >= more).await;
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    let counts = rig.counts();
    assert_eq!((counts.broken, counts.failed), (broken.load(SeqCst), 0));
    assert!(counts.broken <= 6 * DEATHS as u64, "{counts:?}: more than there were at a time");
}

fn is_broken(text: &serde_json::Value) -> bool {
    text.as_str().is_some_and(|text| text.contains("ended while it was working on this request"))
}

/// Nothing is read from a stopped process, so its death is what the router learns next.
async fn a_stopped_target_keeps_its_events_until_it_dies(rig: Rig) {
    let talk = rig.talk("web").await;
    talk.get("who").await;
    talk.get("fetch").await;
    let pid = rig.pid("api@blue").await;
    kill_process(pid, Signal::STOP).unwrap();
    let began = rig.counts().began;
    let stuck = [talk.begin("who", &[]), talk.begin("fetch", &[])];
    rig.until("two events", |shared| shared.counts().began == began + 2).await;
    rig.kill("api@blue").await;
    for event in stuck {
        let broken = match event.await {
            Ok(answer) => answer[0] == 503 || answer[0] == 200,
            Err(failure) => failure.retryable,
        };
        assert!(broken);
    }
    assert_eq!(talk.get("who").await, json!("blue"));
    assert_eq!(rig.counts().failed, 0);
}

/// What a target counts within some time of its own.
async fn ticking(rig: &Rig) -> bool {
    let ticks: [u64; 2] = serde_json::from_str(&rig.get("api@blue", "/ticks").await).unwrap();
    ticks[0] < ticks[1]
}

async fn the_script_of_a_call_stops_with_its_caller(rig: Rig) {
    for process in [false, true] {
        for kind in ["tick", "fetch"] {
            let talk = rig.talk("web").await;
            let args = if kind == "fetch" { vec![json!("/tick")] } else { Vec::new() };
            let _call = talk.begin(kind, &args);
            soon("it runs", async { while !ticking(&rig).await {} }).await;
            // Through everything between: the worker that called, or its whole process, is gone.
            if process {
                rig.kill("web").await;
            }
            drop(talk);
            soon("it stops", async { while ticking(&rig).await {} }).await;
            assert!(!ticking(&rig).await, "{kind} goes on");
        }
    }
}

const HOLDS: [&str; 5] = ["holdStub", "holdBytes", "holdBody", "holdCall", "holdSocket"];

async fn what_a_dead_caller_asked_for_is_canceled(rig: Rig) {
    // First the request alone goes, then the whole process.
    for process in [false, true] {
        let talk = rig.talk("web").await;
        // A socket that is open keeps its request alive in the caller, whether or not anybody wants the answer.
        let held = if process { &HOLDS[..] } else { &HOLDS[..4] };
        for kind in held {
            talk.get(kind).await;
        }
        let hanging = state(&rig, "api@blue").await.hanging;
        let hang = [talk.begin("hang", &[]), talk.begin("fetch", &[json!("/hang")])];
        until(&rig, "api@blue", "two events that hang", |state| state.hanging == hanging + 2).await;
        // So that the leases of these events have to go back, and are not kept for the next.
        rig.retarget("web/API", "api@green").await;
        assert!(rig.router.shared().leased() > 0);
        drop(hang);
        if process {
            rig.kill("web").await;
        }
        drop(talk);
        rig.until("no lease", |shared| shared.leased() == 0).await;
        rig.retarget("web/API", "api@blue").await;
    }
    rig.until("no caller", |shared| shared.callers() == 0).await;
    assert_eq!(rig.talk("web").await.get("who").await, json!("blue"));
    let counts = rig.counts();
    assert_eq!((counts.broken, counts.failed, counts.cut), (0, 0, 0));
}
