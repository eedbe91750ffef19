//! What callers are told who ask for what there is not.

use jackfield::router::{Change, Target};
use serde_json::json;

use super::cast::cast;
use super::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn entrypoints_and_objects_of_the_debug_port_face_follow_their_links() {
    let rig = cast().await;
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    visitor.hold_port(&talk, "API", None).await;
    visitor.hold_actor(&talk, "ROOMS", "Room", "x").await;
    for name in ["blue", "green", "blue"] {
        let room = format!("api@{name}#Room");
        rig.move_all(&[("web/API", &format!("api@{name}")), ("web/ROOMS", &room)], false).await;
        assert_eq!(talk.get("port").await, json!(name));
        assert_eq!(talk.get("portFetch").await, json!([200, format!("{name} https://far.test/x")]));
        assert_eq!(talk.get("actor").await, json!(format!("room {name}")));
        assert_eq!(talk.get("actorFetch").await, json!([200, format!("room {name} /path")]));
    }
    visitor.hold_port(&talk, "API", Some("Admin")).await;
    assert_eq!(talk.get("port").await, json!("admin blue {}"));
    rig.kill("api@blue").await;
    assert_eq!(talk.get("port").await, json!("admin blue {}"), "of the successor");
    assert_eq!(rig.counts().failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_both_kinds_go_over_the_debug_port_face_and_stay_where_they_began() {
    let rig = cast().await;
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    visitor.hold_port(&talk, "API", None).await;
    assert_eq!(talk.get("portSocket").await, json!("blue hi"));
    rig.retarget("web/API", "api@green").await;
    assert_eq!(talk.get("useSocket").await, json!("blue hi"));
    talk.get("dropSocket").await;
    assert_eq!(talk.get("portSocket").await, json!("green hi"));
    talk.get("dropSocket").await;
    visitor.hold_port(&talk, "API", Some("Admin")).await;
    assert_eq!(talk.begin("portConnect", &[json!("some.host:81")]).await, Ok(json!("raw")));
    let counts = rig.counts();
    assert_eq!((counts.broken, counts.failed), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_named() {
    let rig = cast().await;
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    visitor.hold_port(&talk, "NOPE", None).await;
    let failure = talk.fail("port").await;
    assert_eq!(failure.message, "There is no link web/NOPE. `jackfield links` shows those that there are.");
    assert!(!failure.retryable);
    // No binding has that name, and it is not the way straight to a session.
    visitor.hold_port(&talk, "", None).await;
    assert!(talk.fail("port").await.message.starts_with("There is no link web/?."));
    visitor.hold_port(&talk, "API", Some("Nope")).await;
    let failure = talk.fail("port").await;
    assert!(failure.message.contains("\"Nope\""), "workerd's own: {failure:?}");
    visitor.hold_port(&talk, "ROOMS", None).await;
    let failure = talk.fail("port").await;
    assert_eq!(
        failure.message,
        "The link web/ROOMS leads to objects of the class Room, not to an entrypoint."
    );
    visitor.hold_actor(&talk, "API", "Nope", "x").await;
    let failure = talk.fail("actor").await;
    assert!(failure.message.contains("\"Nope\""), "workerd's own: {failure:?}");
    // After all that, the same connections serve.
    visitor.hold_port(&talk, "API", None).await;
    assert_eq!(talk.get("port").await, json!("blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_an_entrypoint_and_props_keeps_to_them() {
    let rig = cast().await;
    let target = Target::Entrypoint {
        session: "api@green".parse().unwrap(),
        entrypoint: Some("Admin".to_owned()),
        props: Some(json!({ "tier": 1 })),
    };
    let change = Change::DefineLink { link: "web/API".parse().unwrap(), target, accepts_props: false };
    rig.links.change(vec![change], None).unwrap();
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    for entrypoint in [None, Some("Admin")] {
        visitor.hold_port(&talk, "API", entrypoint).await;
        assert_eq!(talk.get("port").await, json!(r#"admin green {"tier":1}"#));
    }
    visitor.hold_port(&talk, "API", Some("Other")).await;
    let failure = talk.fail("port").await;
    assert_eq!(failure.message, "The link web/API leads to the entrypoint Admin, not to Other.");
    visitor.hold_actor(&talk, "API", "Room", "x").await;
    let failure = talk.fail("actor").await;
    assert!(failure.message.contains("leads to an entrypoint, not to objects"), "{failure:?}");
    let web = rig.talk("web").await;
    assert_eq!(web.get("who").await, json!(r#"admin green {"tier":1}"#));
}

/// A worker's own `connect()` is an event that the target does not take; it must neither hang nor pass for RPC.
#[tokio::test(flavor = "multi_thread")]
async fn a_connect_that_the_target_does_not_take_is_refused() {
    let rig = cast().await;
    let talk = rig.talk("web").await;
    for address in ["web!API:1", "example.com:80"] {
        let failure = talk.begin("connect", &[json!(address)]).await.unwrap_err();
        assert!(!failure.message.is_empty(), "{failure:?}");
    }
    assert_eq!(talk.get("who").await, json!("blue"));
}
