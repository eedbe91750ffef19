//! Fakes: links of real sessions led to what a file says, and back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::up::{DEADLINE, Up, command};

const PROJECT: &str = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
[sessions.web.services]
API = "api"
[sessions.web.actors]
ROOMS = "api#Room"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions.api.durable_objects]
Room = "stored"
"##;

/// Says by its methods what it meets at its bindings.
const WEB: &str = r#"
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
    async request(path, init) {
        const answer = await this.env.API.fetch("https://api.test" + path, init);
        return [answer.status, answer.headers.get("x-a"), answer.headers.get("content-type"), await answer.text()];
    }
    add(a, b) { return this.env.API.add(a, b); }
    async version() { return [await this.env.API.version, await this.env.API.limits.day]; }
    async boom(method) {
        try {
            return await this.env.API[method]();
        } catch (error) {
            return [error instanceof TypeError, error.name, error.message, error.code];
        }
    }
    async room() {
        const room = this.env.ROOMS.get(this.env.ROOMS.idFromName("lobby"));
        return [await room.who(), await (await room.fetch("http://room/x")).text()];
    }
}
"#;

const API: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Room extends DurableObject {
    who() { return "a room"; }
    fetch() { return new Response("of a room"); }
}
export default class extends WorkerEntrypoint {
    fetch() { return new Response("real"); }
    add(a, b) { return a + b; }
}
"#;

const FAKE: &str = r#"{
    "fetch": {
        "GET /items": { "status": 201, "headers": { "x-a": "1" }, "json": [1, { "b": 2 }] },
        "/items/*":   { "body": "an item", "delay": 300 },
        "/bad":       { "throws": ["error", "TypeError", "no"] }
    },
    "methods": {
        "add":  { "returns": ["bigint", "42"], "delay": 300 },
        "boom": { "throws": ["error", "TypeError", "too far", null, { "code": "E_FAR" }] },
        "who":  { "returns": "nobody" }
    },
    "properties": { "version": { "returns": "1.0" }, "limits": { "returns": { "day": 7 } } }
}"#;

async fn up() -> Up {
    Up::start(PROJECT, &[("web.js", WEB), ("api.js", API), ("items.json", FAKE)]).await
}

/// Exit code, standard output and standard error of a command.
async fn say(up: &Up, words: &[&str]) -> (i32, String, String) {
    let output = tokio::time::timeout(DEADLINE, command(&up.folder, words).output()).await.unwrap().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, err)
}

/// What a method of the caller's brings, as text.
async fn web(up: &Up, words: &[&str]) -> Value {
    let all: Vec<_> = ["call", "web", "--json"].iter().chain(words).copied().collect();
    let (code, out, err) = say(up, &all).await;
    assert_eq!(code, 0, "{words:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

async fn target(up: &Up, link: &str) -> (String, Value) {
    let (_, links, _) = up.ask(&["links", "--json"]).await;
    let row = links["links"].as_array().unwrap().iter().find(|row| row["link"] == link).unwrap();
    (row["target"].as_str().unwrap().to_owned(), row["fake"].clone())
}

/// Waits until a session is not there any more.
async fn gone(up: &Up, session: &str) {
    let until = Instant::now() + DEADLINE;
    loop {
        let (_, all, _) = up.ask(&["ls", "--json"]).await;
        if all["sessions"].as_array().unwrap().iter().all(|row| row["session"] != session) {
            return;
        }
        assert!(Instant::now() < until, "{session} stays");
    }
}

fn sockets(up: &Up) -> Vec<PathBuf> {
    let run = up.folder.path().join("run").read_dir().unwrap().next().unwrap().unwrap().path();
    let all = run.read_dir().unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("f-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_a_fake_and_back() {
    let up = up().await;
    assert_eq!(web(&up, &["request", r#""/items""#]).await[0][3], "real");
    let (code, out, err) = say(&up, &["fake", "web/API", "items.json"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("web/API") && out.contains("fake@1 (items.json)"), "{out}");
    let (_, listed, _) = say(&up, &["ls"]).await;
    assert!(listed.contains("fake@1") && listed.contains("any (items.json)"), "{listed}");
    let file = up.folder.path().join("items.json").canonicalize().unwrap();
    assert_eq!(target(&up, "web/API").await, ("fake@1".into(), json!(file)));

    assert_eq!(
        web(&up, &["request", r#""/items?page=2""#]).await,
        json!([[201, "1", "application/json", r#"[1,{"b":2}]"#]])
    );
    let began = Instant::now();
    let item = web(&up, &["request", r#""/items/7""#, r#"{"method":"PUT","body":"x"}"#]).await;
    assert_eq!(item, json!([[200, null, "text/plain;charset=UTF-8", "an item"]]));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(web(&up, &["request", r#""/bad""#]).await[0][0], 500);
    let began = Instant::now();
    assert_eq!(web(&up, &["add", "1", "2"]).await, json!(["bigint", "42"]));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(web(&up, &["boom", r#""boom""#]).await, json!([[true, "TypeError", "too far", "E_FAR"]]));
    assert_eq!(web(&up, &["version"]).await, json!([["1.0", 7]]));

    let (code, _, err) = say(&up, &["retarget", "web/API", "api", "--wait"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(web(&up, &["add", "1", "2"]).await, 3);
    gone(&up, "fake@1").await;
    assert_eq!(sockets(&up), Vec::<PathBuf>::new());
    assert_eq!(target(&up, "web/API").await, ("api".into(), Value::Null));
    up.signal(rustix::process::Signal::INT);
    assert_eq!(up.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fake_does_not_have_it_says_with_what_it_has() {
    let up = up().await;
    say(&up, &["fake", "web/API", "items.json"]).await;
    let missing = web(&up, &["request", r#""/itmes""#]).await;
    assert_eq!(missing[0][0], 501);
    let told = missing[0][3].as_str().unwrap();
    assert!(told.contains("items.json has no answer to GET /itmes"), "{told}");
    assert!(told.contains("GET /items, /items/*, /bad; did you mean GET /items?"), "{told}");
    let missing = web(&up, &["boom", r#""ad""#]).await;
    assert_eq!((&missing[0][0], &missing[0][1]), (&json!(true), &json!("TypeError")));
    let told = missing[0][2].as_str().unwrap();
    assert!(told.starts_with(r#"The RPC receiver does not implement the method "ad". The fake /"#), "{told}");
    assert!(
        told.ends_with("items.json has add(), boom(), who(), limits, version; did you mean add?"),
        "{told}"
    );
    // Straight, as any session.
    let (code, _, err) = say(&up, &["call", "fake@1", "version"]).await;
    assert!(code == 1 && err.contains("\"version\" is not a function"), "{err}");
    let (_, out, _) = say(&up, &["get", "fake@1", "limits"]).await;
    assert_eq!(out, "{ day: 7 }\n");
    let (code, _, err) = say(&up, &["call", "fake@1", "nope"]).await;
    assert!(code == 1 && err.contains("\nhelp: add it to the file"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_fake_replaces_the_last_and_survives_a_reload() {
    let up = up().await;
    say(&up, &["fake", "web/API", "items.json"]).await;
    up.write("items.json", r#"{ "methods": { "add": { "returns": "edited" } } }"#);
    say(&up, &["fake", "web/API", "items.json", "--cut"]).await;
    assert_eq!(web(&up, &["add", "1", "2"]).await, "edited");
    assert_eq!(target(&up, "web/API").await.0, "fake@2");
    gone(&up, "fake@1").await;

    // As a link that was moved to a session: it stays, until the file says something new about it.
    let (code, out, err) = say(&up, &["reload"]).await;
    assert_eq!((code, out.as_str()), (0, "nothing has changed\n"), "{err}");
    up.write("api.js", &API.replace("real", "newer"));
    assert_eq!(say(&up, &["reload"]).await.0, 0);
    assert_eq!(web(&up, &["add", "1", "2"]).await, "edited");
    up.write(
        "jackfield.toml",
        &PROJECT.replace("API = \"api\"", "API = { target = \"api\", props = { n = 1 } }"),
    );
    assert_eq!(say(&up, &["reload"]).await.0, 0);
    assert_eq!(web(&up, &["add", "1", "2"]).await, 3);
    gone(&up, "fake@2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fake_stands_for_objects_too_and_for_several_links() {
    let up = up().await;
    assert_eq!(web(&up, &["room"]).await, json!([["a room", "of a room"]]));
    let fake = FAKE.replace("\"/items/*\"", "\"/x\"").replace("an item", "of nobody");
    up.write("items.json", &fake);
    let (code, out, err) = say(&up, &["fake", "web/API", "web/ROOMS", "items.json", "--json"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["links"][0]["target"], &told["links"][1]["target"]),
        (&json!("fake@1"), &json!("fake@1#Room"))
    );
    assert_eq!(web(&up, &["room"]).await, json!([["nobody", "of nobody"]]));
    say(&up, &["retarget", "web/ROOMS", "api#Room"]).await;
    assert_eq!(web(&up, &["room"]).await, json!([["a room", "of a room"]]));
    assert_eq!(target(&up, "web/API").await.0, "fake@1", "a link still leads there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_fake_moves_nothing() {
    let up = up().await;
    up.write("bad.json", "{\n  \"fetch\": {\n    \"/\": { \"stauts\": 200 } } }");
    up.write("no.json", "{\n  \"fetch\"");
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &["fake", "web/API", "bad.json"],
            2,
            "bad.json:3:19: `stauts` is not a key of an answer to fetch; did you mean `status`?\nhelp: nothing was moved",
        ),
        (&["fake", "web/API", "no.json"], 2, "no.json:2:9: EOF while parsing an object\nhelp: nothing"),
        (&["fake", "web/API", "none.json"], 2, "cannot read none.json: No such file"),
        (&["fake", "API", "items.json"], 2, "`API` is not a link"),
        (
            &["fake", "web/APO", "items.json"],
            1,
            "there is no link web/APO; did you mean web/API?\nhelp: `jackfield links`",
        ),
        (&["fake", "web/API", "web/API", "items.json"], 1, "link web/API stands twice"),
    ];
    for (words, code, part) in cases {
        let (found, out, err) = say(&up, words).await;
        assert_eq!((found, out.as_str()), (code, ""), "{words:?}: {err}");
        assert!(err.contains(part), "{words:?}: {err}");
    }
    assert_eq!(target(&up, "web/API").await, ("api".into(), Value::Null));
    gone(&up, "fake@1").await;
    assert_eq!(sockets(&up), Vec::<PathBuf>::new());
    up.write(
        "jackfield.toml",
        &format!(
            "{PROJECT}\n[sessions.\"fake@7\"]\nscript = \"api.js\"\ncompatibility_date = \"2026-11-01\"\n"
        ),
    );
    let (code, _, err) = say(&up, &["reload"]).await;
    assert!(code == 2 && err.contains("names like it are for fakes"), "{err}");
}
