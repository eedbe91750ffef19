//! Props that callers of the debug-port face say themselves.

use jackfield::router::{Change, Target};
use serde_json::{Value, json};

use super::cast::cast;
use super::visitor::Visitor;
use crate::support::rig::Rig;

/// Sets the link of these tests as a project file does.
fn define(rig: &Rig, accepts_props: bool, props: Option<Value>) {
    let target = Target::Entrypoint {
        session: "api@blue".parse().unwrap(),
        entrypoint: Some("Admin".to_owned()),
        props,
    };
    let change = Change::DefineLink { link: "web/API".parse().unwrap(), target, accepts_props };
    rig.links.change(vec![change], None).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn they_count_only_where_the_link_says_so_and_below_its_own() {
    let rig = cast().await;
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    let said = |props: Value| talk.begin("withProps", &[json!(visitor.face), json!("API"), props]);
    let mine = json!({ "user": "me", "deep": { "list": [1, null] }, "tier": 0 });

    define(&rig, false, None);
    let refused = said(mine.clone()).await.unwrap_err();
    assert!(refused.message.contains("The link web/API takes no props of its callers"), "{refused:?}");
    assert!(refused.message.contains("accept_props = true"), "{refused:?}");
    assert_eq!(said(json!({})).await, Ok(json!("admin blue {}")), "nothing was said");

    define(&rig, true, None);
    for _ in 0..2 {
        assert_eq!(said(mine.clone()).await, Ok(json!(format!("admin blue {mine}"))));
    }
    assert_eq!(said(json!({ "user": "you" })).await, Ok(json!(r#"admin blue {"user":"you"}"#)));
    assert_eq!(
        talk.begin("withOddProps", &[json!(visitor.face)]).await,
        Ok(json!("Date 1970-01-01T00:00:00.000Z, Map 2"))
    );
    let large = json!({ "text": "x".repeat(200_000) });
    assert_eq!(said(large.clone()).await, Ok(json!(format!("admin blue {large}"))));

    define(&rig, true, Some(json!({ "tier": 1, "more": { "n": [2] } })));
    let both = r#"admin blue {"user":"me","deep":{"list":[1,null]},"tier":1,"more":{"n":[2]}}"#;
    assert_eq!(said(mine.clone()).await, Ok(json!(both)));
    assert_eq!(said(json!({})).await, Ok(json!(r#"admin blue {"tier":1,"more":{"n":[2]}}"#)));

    // What a link accepts is no matter of where it leads.
    rig.retarget("web/API", "api@green#Admin").await;
    assert_eq!(said(mine.clone()).await, Ok(json!(format!("admin green {mine}"))));
    let stubs = talk.begin("withStubProps", &[json!(visitor.face), json!("API")]).await.unwrap_err();
    assert!(!stubs.message.is_empty(), "{stubs:?}");
    assert_eq!(said(mine.clone()).await, Ok(json!(format!("admin green {mine}"))), "the face goes on");

    drop((talk, visitor));
    rig.until("all is given back", |shared| shared.callers() == 0).await;
    rig.kill("api@green").await;
    rig.kill("api@blue").await;
    rig.until("all is given back", |shared| shared.buffered() == 0).await;
}
