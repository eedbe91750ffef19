//! What stays with the old target, and what goes to the new one.

use futures::FutureExt as _;
use serde_json::{Value, json};
use std::collections::HashSet;

use super::cast::{cast, either_way, soon, state};
use crate::support::rig::Rig;
use crate::support::talk::Talk;

either_way! {
    what_is_held_stays_with_the_old_target_to_its_end,
    a_cut_breaks_what_is_held_at_once_and_nothing_else,
}

/// What a caller may hold, and what its first and its later uses say of a target.
const KINDS: [(&str, &str, &str); 5] = [
    ("Stub", "NAME 1", "NAME 2"),
    ("Bytes", "LETTER", "LETTER"),
    ("Body", "LETTER", "LETTER"),
    ("Socket", "NAME hi", "NAME hi"),
    ("Call", "NAME", "NAME went"),
];

fn says(pattern: &str, name: &str) -> Value {
    json!(pattern.replace("NAME", name).replace("LETTER", &name[..1]))
}

async fn hold_everything(talk: &Talk, name: &str) {
    for (kind, first, _) in KINDS {
        assert_eq!(talk.get(&format!("hold{kind}")).await, says(first, name), "{kind}");
    }
}

async fn assert_new_events_reach(talk: &Talk, name: &str) {
    assert_eq!(talk.get("who").await, json!(name));
    assert_eq!(talk.get("fetch").await, json!([200, format!("{name} https://api.test/")]));
}

async fn what_is_held_stays_with_the_old_target_to_its_end(rig: Rig) {
    let talk = rig.talk("web").await;
    hold_everything(&talk, "blue").await;
    let moved = rig.move_all(&[("web/API", "api@green")], false).await;
    assert_new_events_reach(&talk, "green").await;
    let mut settled = Box::pin(moved.settled(&*rig.router));
    for (kind, _, later) in KINDS {
        assert_eq!(talk.get(&format!("use{kind}")).await, says(later, "blue"), "{kind}");
        assert!(settled.as_mut().now_or_never().is_none(), "--wait returned with a {kind} held");
    }
    for kind in ["Stub", "Bytes", "Body", "Socket"] {
        talk.get(&format!("drop{kind}")).await;
        assert_new_events_reach(&talk, "green").await;
    }
    soon("--wait", settled).await;
    assert_eq!((rig.counts().failed, rig.counts().broken, rig.counts().cut), (0, 0, 0));
}

async fn a_cut_breaks_what_is_held_at_once_and_nothing_else(rig: Rig) {
    let (talk, other) = (rig.talk("web").await, rig.talk("other").await);
    hold_everything(&talk, "blue").await;
    assert_eq!(other.get("holdStub").await, json!("blue 1"));
    let hanging = [talk.begin("hang", &[]), talk.begin("fetch", &[json!("/hang")])];
    let [call, fetch] = hanging;
    super::cast::until(&rig, "api@blue", "two events that hang", |state| state.hanging == 2).await;
    let moved = rig.move_all(&[("web/API", "api@green")], true).await;
    let readable = |failure: &crate::support::talk::Failure| {
        assert!(failure.retryable, "{failure:?}");
        assert!(failure.message.contains("web/API was cut"), "{failure:?}");
    };
    readable(&call.await.unwrap_err());
    let fetched = fetch.await.unwrap();
    assert_eq!(fetched[0], 503);
    assert!(fetched[1].as_str().unwrap().contains("--cut"), "{fetched}");
    readable(&talk.fail("useStub").await);
    readable(&talk.fail("callEnd").await);
    talk.fail("useBytes").await;
    talk.fail("useBody").await;
    assert!(["error".into(), json!(1006)].contains(&talk.get("socketEnd").await));
    soon("--wait", moved.settled(&*rig.router)).await;
    assert_new_events_reach(&talk, "green").await;
    assert_eq!(other.get("useStub").await, json!("blue 2"), "another link's");
    assert_eq!(
        (rig.counts().failed, rig.counts().broken, rig.counts().cut),
        (0, 0, 5),
        "the stub and the RPC stream were of events that had been answered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_links_move_in_one_step() {
    let rig = cast().await;
    let (web, other) = (rig.talk("web").await, rig.talk("other").await);
    for name in ["green", "blue"] {
        let api = format!("api@{name}");
        let room = format!("{api}#Room");
        rig.move_all(&[("web/API", &api), ("other/API", &api), ("web/ROOMS", &room)], false).await;
        assert_new_events_reach(&web, name).await;
        assert_new_events_reach(&other, name).await;
    }
}

/// The stand-in for an actor holds the far object's stub from one event to the next.
#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_is_held_follows_its_link() {
    let rig = cast().await;
    let talk = rig.talk("web").await;
    for (name, count) in [("blue", 1), ("green", 1), ("blue", 2), ("green", 2)] {
        rig.move_all(&[("web/ROOMS", &format!("api@{name}#Room"))], false).await;
        assert_eq!(talk.get("room").await, json!(format!("{name} {count}")));
        assert_eq!(talk.get("roomFetch").await, json!([200, format!("room {name} /path")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_retargets_under_load_lose_nothing() {
    const RETARGETS: usize = 1000;
    let rig = std::sync::Arc::new(cast().await);
    let stop = tokio_util::sync::CancellationToken::new();
    let load = tokio::spawn(load(rig.clone(), stop.clone()));
    let talk = rig.talk("web").await;
    for turn in 0..RETARGETS {
        let name = ["green", "blue"][turn % 2];
        rig.retarget("web/API", &format!("api@{name}")).await;
        let kind = ["mark", "markFetch"][turn / 2 % 2];
        let served = talk.begin(kind, &[json!(format!("after {turn}"))]).await.unwrap();
        assert!(
            [json!(name), json!([200, name])].contains(&served),
            "{served} after retarget {turn} to {name}"
        );
    }
    stop.cancel();
    let begun = load.await.unwrap() + RETARGETS;
    let mut seen = state(&rig, "api@blue").await.seen;
    seen.extend(state(&rig, "api@green").await.seen);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len(), "an event was doubled");
    assert_eq!(seen.len(), begun, "an event was lost");
    let counts = rig.counts();
    assert_eq!((counts.parked, counts.failed, counts.broken, counts.cut), (0, 0, 0, 0));
    rig.until("only the link's last lease", |shared| shared.leased() <= 1).await;
}

/// Marks and fetched marks in parallel, until it is told to stop. Returns how many.
async fn load(rig: std::sync::Arc<Rig>, stop: tokio_util::sync::CancellationToken) -> usize {
    let talk = rig.talk("web").await;
    let mut begun = 0;
    while !stop.is_cancelled() {
        let one = |kind: &str, id: usize| talk.begin(kind, &[json!(format!("load {id}"))]);
        let (call, fetch) = tokio::join!(one("mark", begun), one("markFetch", begun + 1));
        assert!(["blue", "green"].contains(&call.unwrap().as_str().unwrap()));
        assert_eq!(fetch.unwrap()[0], 200);
        begun += 2;
    }
    begun
}
