//! Durable Objects, and their ids as a worker makes them.

use jackfield::client::{ActorId, Address, Session};

use super::stage::{get, soon};
use crate::support::sessions::Bench;

const PROJECT: &str = r#"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions.api.durable_objects]
Room = { storage = "stored", unique_key = "the key", binding = "ROOMS" }
Draft = { storage = "ephemeral", binding = "DRAFTS" }
"#;

const SCRIPT: &str = r#"
import { DurableObject } from "cloudflare:workers";
class Counter extends DurableObject {
    count = 0;
    fetch() { return new Response(`${this.ctx.id} ${++this.count}`); }
}
export class Room extends Counter {}
export class Draft extends Counter {}
export default {
    async fetch(request, env) {
        const url = new URL(request.url);
        const text = decodeURIComponent(url.search.slice(1));
        switch (url.pathname) {
            case "/name": return new Response(String(env.ROOMS.idFromName(text)));
            case "/unique": return new Response(String(env.ROOMS.newUniqueId()));
            case "/room": return env.ROOMS.get(env.ROOMS.idFromString(text)).fetch("http://a/");
        }
    },
};
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_those_that_a_worker_makes() {
    let bench = Bench::new(PROJECT, &[("api.js", SCRIPT)]);
    let _sessions = bench.start().await.unwrap();
    let socket = bench.up("api", 1).await.debug_port.path().unwrap().to_owned();
    let session = Session::connect(&Address::Unix(socket)).await.unwrap();
    let api = session.entrypoint("api", None, None);
    let ask =
        async |url: String| soon(soon(api.fetch(get(&url))).await.unwrap().into_body().text()).await.unwrap();
    for (name, escaped) in [("lobby", "lobby"), ("", ""), ("grüße 你", "gr%C3%BC%C3%9Fe%20%E4%BD%A0")] {
        assert_eq!(
            ActorId::from_name("the key", name).to_string(),
            ask(format!("http://a/name?{escaped}")).await
        );
    }
    let unique = ask("http://a/unique".into()).await;
    assert!(ActorId::from_hex_of("the key", &unique).is_ok(), "{unique}");
    assert!(ActorId::from_hex_of("another", &unique).is_err());
    // A worker takes ours, and it is the same object.
    let ours = jackfield::client::new_unique_id("the key").unwrap();
    assert_eq!(ask(format!("http://a/room?{ours}")).await, format!("{ours} 1"));
    let room = session.actor("api", "Room", ours.clone());
    for count in 2..4 {
        let answer = soon(room.fetch(get("http://a/"))).await.unwrap();
        assert_eq!(soon(answer.into_body().text()).await.unwrap(), format!("{ours} {count}"));
    }
    for text in ["", "any text"] {
        let draft = session.actor("api", "Draft", ActorId::ephemeral(text));
        let answer = soon(draft.fetch(get("http://a/"))).await.unwrap();
        assert!(soon(answer.into_body().text()).await.unwrap().ends_with(" 1"));
    }
    let error = soon(session.actor("api", "Nope", ours).fetch(get("http://a/"))).await.err().unwrap();
    assert!(error.to_string().contains(r#"does not export a Durable Object class named "Nope""#), "{error}");
}
