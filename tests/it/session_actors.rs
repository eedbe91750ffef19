//! The stand-in for a class of another process, straight to the other's debug port: no router between.

use crate::support::sessions::{Bench, get, http};

/// The binding is named like the target's session because a debug port knows services where a face knows links.
const PROJECT: &str = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
actors = { rooms = "rooms#Room", more = "rooms#Lobby" }
[sessions.rooms]
script = "rooms.js"
compatibility_date = "2026-11-01"
[sessions.rooms.durable_objects]
Room = { storage = "stored", binding = "ROOM" }
Lobby = "ephemeral"
"##;

const ROOMS: &str = r#"
import { DurableObject, RpcTarget } from "cloudflare:workers";
class Counter extends RpcTarget {
    n = 0;
    inc(by) { return (this.n += by); }
    [Symbol.dispose]() { console.log("counter disposed"); }
}
class Refusal extends Error { name = "Refusal"; code = 42; }
export class Room extends DurableObject {
    calls = 0;
    add(a, b) { return a + b; }
    count() { return ++this.calls; }
    get title() { return "title"; }
    get deep() { return { er: (x) => "deeper " + x, value: { v: 1 } }; }
    counter() { return new Counter(); }
    callBack(f) { return f(7); }
    refuse() { throw new Refusal("no"); }
    reset() { this.ctx.abort("reset"); }
    read(stream) { return new Response(stream).text(); }
    echo(stream) { return stream; }
    async connect(socket) { await socket.readable.pipeTo(socket.writable); }
    fetch(request) {
        if (request.headers.get("upgrade") !== "websocket") {
            return Response.json([request.method, request.url, request.cf, String(this.ctx.id)]);
        }
        const [near, far] = Object.values(new WebSocketPair());
        far.accept();
        far.addEventListener("message", (event) => far.send("echo " + event.data));
        return new Response(null, { status: 101, webSocket: near });
    }
}
export class Lobby extends Room {}
export default { fetch(_, env) { return new Response(String(env.ROOM.idFromName("x"))); } };
"#;

const WEB: &str = r#"
const cases = {
    call: (room) => room.add(1, 2),
    property: async (room) => await room.title,
    deepCall: (room) => room.deep.er(3),
    deepProperty: async (room) => await room.deep.value.v,
    async stub(room) { using counter = await room.counter(); return [await counter.inc(1), await counter.inc(5)]; },
    async pipelined(room) { using counter = room.counter(); return await counter.inc(9); },
    callback: (room) => room.callBack((x) => x * 3),
    streamIn: (room) => room.read(new Response("s".repeat(100000)).body).then((text) => text.length),
    streamBack: async (room) => (await new Response(await room.echo(new Response("echo").body)).text()),
    async refusal(room) {
        try { await room.refuse(); } catch (error) { return [error.name, error.message, error.code, error.remote]; }
    },
    async missing(room) { try { await room.nothing(); } catch (error) { return error.message; } },
    async own(room) { try { await room.calls; } catch (error) { return error.message; } },
    fetch: async (room) => (await room.fetch("https://host.example/p?q", { method: "PUT", cf: { a: 1 } })).json(),
    async webSocket(room) {
        const { webSocket } = await room.fetch("https://host.example/", { headers: { upgrade: "websocket" } });
        webSocket.accept();
        const answer = new Promise((resolve) => webSocket.addEventListener("message", (event) => resolve(event.data)));
        webSocket.send("hi");
        return answer.finally(() => webSocket.close());
    },
    async socket(room) {
        const socket = room.connect("host.example:1");
        const writer = socket.writable.getWriter();
        await writer.write(new TextEncoder().encode("raw"));
        await writer.close();
        return new Response(socket.readable).text();
    },
    async reset(room) {
        const before = await room.count();
        try { await room.reset(); } catch (error) { return [before, error.message]; }
    },
    afterReset: (room) => room.count(),
};
export default {
    async fetch(request, env) {
        const stored = new URL(request.url).pathname === "/stored";
        const room = () => (stored ? env.rooms.get(env.rooms.idFromName("x")) : env.more.get("any name"));
        const results = {};
        for (const [name, run] of Object.entries(cases)) {
            results[name] = await run(room()).catch((error) => "failed: " + error.stack);
        }
        return Response.json(results);
    },
};
"#;

async fn results(path: &str) -> (serde_json::Value, String, Bench) {
    let project = if path == "/stored" {
        PROJECT.to_owned()
    } else {
        PROJECT
            .replace("rooms = \"rooms#Room\", more = \"rooms#Lobby\"", "more = \"more#Lobby\"")
            .replace("sessions.rooms", "sessions.more")
    };
    let bench = Bench::new(&project, &[("web.js", WEB), ("rooms.js", ROOMS)]);
    let sessions = bench.start().await.unwrap();
    let (web, rooms) =
        (bench.up("web", 1).await, bench.up(if path == "/stored" { "rooms" } else { "more" }, 1).await);
    // Where a router would listen.
    std::os::unix::fs::symlink(rooms.debug_port.path().unwrap(), bench.runtime.debug_face(&web.session))
        .unwrap();
    let answer = get(&http(&web, None), &format!("http://x{path}"), "").await;
    let id = get(&http(&rooms, None), "http://x/", "").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let parsed = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    bench.output.wait("disposer", |(_, _, line)| (line == "counter disposed").then_some(())).await;
    sessions.stop().await;
    (parsed, id.rsplit("\r\n").next().unwrap().to_owned(), bench)
}

fn expected(id: &str) -> serde_json::Value {
    serde_json::json!({
        "call": 3,
        "property": "title",
        "deepCall": "deeper 3",
        "deepProperty": 1,
        "stub": [1, 6],
        "pipelined": 9,
        "callback": 21,
        "streamIn": 100_000,
        "streamBack": "echo",
        "refusal": ["Refusal", "no", 42, true],
        "missing": "The RPC receiver does not implement the method \"nothing\".",
        "own": "The RPC receiver does not implement the method \"calls\".",
        "fetch": ["PUT", "https://host.example/p?q", {"a": 1}, id],
        "webSocket": "echo hi",
        "socket": "raw",
        "reset": [1, "reset"],
        "afterReset": 1,
    })
}

#[tokio::test]
async fn a_stored_class_of_another_process_is_reached_whole() {
    let (results, id, _bench) = results("/stored").await;
    assert_eq!(id.len(), 64);
    assert_eq!(results, expected(&id), "{results:#}");
}

#[tokio::test]
async fn an_ephemeral_class_of_another_process_takes_any_id() {
    let (results, _, _bench) = results("/ephemeral").await;
    assert_eq!(results, expected("any name"), "{results:#}");
}
