//! The debug port of the user's own tools.

use jackfield::client::{ActorId, Address, Entrypoint, Session};
use serde_json::json;

use crate::support::rig::Rig;

const PROJECT: &str = r##"
[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions."api@blue".durable_objects]
Room = "ephemeral"
"##;

const API: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Room extends DurableObject { fetch() { return new Response("room " + this.ctx.id); } }
export class Admin extends WorkerEntrypoint { fetch() { return Response.json(this.ctx.props); } }
export default { fetch(request) { return new Response("blue " + request.url); } };
"#;

async fn text(entrypoint: &Entrypoint) -> Result<String, String> {
    let request = http::Request::get("https://test/x").body("".into()).unwrap();
    let answer = entrypoint.fetch(request).await.map_err(|error| error.to_string())?;
    answer.into_body().text().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_is_a_service_of_it() {
    let rig = Rig::start(PROJECT, &[("api.js", API)]).await;
    let path = rig.runtime.tools_port();
    let _face = rig.router.serve_sessions(&path).unwrap();
    let port = Session::connect(&Address::Unix(path)).await.unwrap();

    let default = port.entrypoint("api@blue", None, None);
    assert_eq!(text(&default).await.unwrap(), "blue https://test/x");
    let admin = port.entrypoint("api@blue", Some("Admin"), Some(json!({ "n": [1] })));
    assert_eq!(text(&admin).await.unwrap(), r#"{"n":[1]}"#);
    let room = port.actor("api@blue", "Room", ActorId::ephemeral("lobby"));
    assert_eq!(text(&room).await.unwrap(), "room lobby");

    for (name, why) in [("api@bleu", "There is no session api@bleu"), ("a b", "There is no session `a b`")] {
        let refused = text(&port.entrypoint(name, None, None)).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }

    // An entrypoint follows its session over its ends.
    rig.kill("api@blue").await;
    assert_eq!(text(&default).await.unwrap(), "blue https://test/x");
}
