use crate::support::rig::Rig;

pub const PROJECT: &str = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
services = { API = "api@blue" }
actors = { ROOMS = "api@blue#Room" }
[sessions."api@blue"]
script = "blue.js"
compatibility_date = "2026-11-01"
[sessions."api@blue".durable_objects]
Room = "ephemeral"
[sessions."api@green"]
script = "green.js"
compatibility_date = "2026-11-01"
[sessions."api@green".durable_objects]
Room = "ephemeral"
"##;

pub const WEB: &str = r#"
const held = {};
export default {
    async fetch(request, env) {
        const { pathname } = new URL(request.url);
        switch (pathname) {
            case "/fetch": return env.API.fetch("https://api.test/who?x=1");
            case "/who": return new Response(await env.API.who());
            case "/add": return Response.json(await env.API.add(1, 2));
            case "/nested": return Response.json(await env.API.callBack((n) => n * 2));
            case "/echo": return new Response(await env.API.echo(new Response("a stream").body));
            case "/stub": {
                using counter = await env.API.counter();
                return Response.json([await counter.inc(1), await counter.inc(2)]);
            }
            case "/throw":
                try { await env.API.refuse(); return new Response("no error"); }
                catch (e) {
                    return Response.json({ name: e.name, message: e.message, code: e.code, own: e.own, remote: e.remote,
                        stack: typeof e.stack });
                }
            case "/room": return new Response(await env.ROOMS.get("x").who());
            default: return new Response("what?", { status: 404 });
        }
    },
};
"#;

pub fn api(name: &str) -> String {
    API.replace("NAME", name)
}

const API: &str = r#"
import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
class Refusal extends Error { name = "Refusal"; code = 42; own = { deep: [1] }; }
class Counter extends RpcTarget { n = 0; inc(by) { return (this.n += by); } }
export class Room extends DurableObject { who() { return "room NAME"; } }
export default class extends WorkerEntrypoint {
    fetch(request) { return new Response("NAME " + request.url); }
    who() { return "NAME"; }
    add(a, b) { return a + b; }
    async callBack(f) { return (await f(20)) + 2; }
    echo(stream) { return stream; }
    counter() { return new Counter(); }
    refuse() { throw new Refusal("no"); }
}
"#;

pub async fn rig() -> Rig {
    Rig::start(PROJECT, &[("web.js", WEB), ("blue.js", &api("blue")), ("green.js", &api("green"))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_event_reaches_its_target() {
    let rig = rig().await;
    for _ in 0..3 {
        assert_eq!(rig.get("web", "/fetch").await, "blue https://api.test/who?x=1");
        assert_eq!(rig.get("web", "/who").await, "blue");
        assert_eq!(rig.get("web", "/add").await, "3");
        assert_eq!(rig.get("web", "/nested").await, "42");
        assert_eq!(rig.get("web", "/stub").await, "[1,3]");
        assert_eq!(rig.get("web", "/echo").await, "a stream");
        assert_eq!(
            rig.get("web", "/throw").await,
            r#"{"name":"Refusal","message":"no","code":42,"own":{"deep":[1]},"remote":true,"stack":"string"}"#
        );
        assert_eq!(rig.get("web", "/room").await, "room blue");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retarget_moves_new_events() {
    let rig = rig().await;
    for name in ["green", "blue", "green"] {
        rig.retarget("web/API", &format!("api@{name}")).await;
        assert_eq!(rig.get("web", "/who").await, name);
        assert_eq!(rig.get("web", "/fetch").await, format!("{name} https://api.test/who?x=1"));
    }
}
