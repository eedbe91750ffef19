//! The real wranglers, linked with each other by us.

use super::stage::Stage;
use super::tool::{Dev, STARTS_WITHIN, kill_below};
use crate::support::npm::tools;
use crate::support::up::Kept;

pub const NEWEST: &str = "wrangler";
const OLDEST: &str = "wrangler-4-84";

pub const WEB: &str = include_str!("workers/web.js");
pub const API: &str = include_str!("workers/api.js");

pub const WEB_CONFIG: &str = r#"{ "name": "web", "main": "web.js", "compatibility_date": "2026-03-01",
  "compatibility_flags": [ "service_binding_extra_handlers" ],
  "services": [ { "binding": "API", "service": "api" },
                { "binding": "ADMIN", "service": "api", "entrypoint": "Admin", "props": { "tenant": 7 } } ],
  "tail_consumers": [ { "service": "api" } ],
  "queues": { "producers": [ { "binding": "JOBS", "queue": "jobs" } ] },
  "durable_objects": { "bindings": [ { "name": "ROOMS", "class_name": "Room", "script_name": "api" } ] } }"#;

pub const API_CONFIG: &str = r#"{ "name": "api", "main": "api.js", "compatibility_date": "2026-03-01",
  "queues": { "consumers": [ { "queue": "jobs", "max_batch_timeout": 0 } ] },
  "durable_objects": { "bindings": [ { "name": "ROOMS", "class_name": "Room" } ] },
  "migrations": [ { "tag": "v1", "new_sqlite_classes": [ "Room" ] } ] }"#;

/// Starts a caller and a target, in this order: the caller learns of the target while it runs.
async fn pair(stage: &Stage, caller: &str, target: &str) -> (Dev, Dev) {
    let web = Dev::start(stage, caller, "x", WEB_CONFIG, ("web.js", WEB));
    let api = Dev::start(stage, target, "x", API_CONFIG, ("api.js", API));
    let (web, api) = tokio::join!(web, api);
    web.until("/fetch", "api /x").await;
    (web, api)
}

/// Every kind of call that goes between two sessions of one version.
async fn calls(version: &str, admin: &str) {
    let stage = Stage::new();
    let (web, api) = pair(&stage, version, version).await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    assert_eq!(web.get("/admin").await.unwrap(), admin);
    assert_eq!(web.get("/object").await.unwrap(), r#"[1,"room 1"]"#);
    assert_eq!(web.get("/object").await.unwrap(), r#"[2,"room 2"]"#);
    assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
    assert_eq!(web.get("/error").await.unwrap(), r#"[true,"bad"]"#);
    web.until("/tailed", "GET /marked").await;
    let (_, links, _) = stage.ask(&["links", "--json"]).await;
    assert_eq!(links["links"][0]["link"], "web@x/api", "{links}");
    assert_eq!(web.get("/schedule").await.unwrap(), "ok");
    assert_eq!(web.get("/schedules").await.unwrap(), r#"[["5 4 * * *",86400000]]"#);
    if version == NEWEST {
        web.get("/send").await.unwrap();
        web.until("/received", "from web").await;
    }
    drop((web, api));
    stage.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_between_two_of_the_newest() {
    calls(NEWEST, r#"["admin",{"tenant":7}]"#).await;
}

/// Before the newest, props were not sent, and queues ended at the session.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_call_between_two_of_the_oldest() {
    calls(OLDEST, r#"["admin",{}]"#).await;
}

/// What an older workerd takes for the end of an RPC session is its beginning on a newer one, with us or without.
#[tokio::test(flavor = "multi_thread")]
async fn between_the_oldest_and_the_newest_only_the_oldest_cannot_call_methods() {
    for (caller, target) in [(NEWEST, OLDEST), (OLDEST, NEWEST)] {
        let stage = Stage::new();
        let (web, api) = pair(&stage, caller, target).await;
        assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
        let (_, told, _) = stage.ask(&["explain", "web/api", "--json"]).await;
        let rpc = web.get("/rpc").await.unwrap();
        if caller == NEWEST {
            assert_eq!((rpc.as_str(), &told["misfit"]), ("3", &serde_json::Value::Null), "{told:#}");
            assert_eq!(web.get("/object").await.unwrap(), r#"[1,"room 1"]"#);
        } else {
            // What the worker itself sees of it; the page of the tool shows it cut.
            let caught = web.get("/error").await.unwrap();
            let words =
                ["not compatible with this version of the dev server", "1.20260420.1", "1.20261117.1"];
            assert!(words.iter().all(|word| caught.contains(word)), "{caught}");
            assert!(rpc.contains("is not "), "{rpc}");
            let misfit = told["misfit"].as_str().unwrap_or_default();
            // A tool is known by the name that its package has, wherever it is installed.
            assert!(misfit.contains("wrangler 4.84.0") && misfit.contains("wrangler 4.164.0"), "{told:#}");
            assert!(
                told["next"][0].as_str().unwrap().contains("update the tool that runs web@x"),
                "{told:#}"
            );
            assert_eq!(told["session"]["workerd"], "workerd 1.20261117.1");
        }
        drop((web, api));
        stage.down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vite_project_calls_a_wrangler() {
    let stage = Stage::new();
    let folder = stage.folder.path().join("vite");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(tools().module(""), folder.join("node_modules")).unwrap();
    std::fs::write(folder.join("vite.config.mjs"), include_str!("workers/vite.config.mjs")).unwrap();
    let config = r#"{ "name": "web", "main": "web.js", "compatibility_date": "2026-03-01",
      "services": [ { "binding": "API", "service": "api" } ] }"#;
    std::fs::write(folder.join("wrangler.jsonc"), config).unwrap();
    std::fs::write(folder.join("web.js"), WEB).unwrap();
    let vite = tools().module("vite/bin/vite.js");
    let words = [vite.to_str().unwrap(), "--host", "127.0.0.1"];
    let web = Dev::listening(&stage, "x", &folder, &words, "http://127.0.0.1:");
    let api = Dev::start(&stage, NEWEST, "x", API_CONFIG, ("api.js", API));
    let (web, api) = tokio::join!(web, api);
    web.until("/fetch", "api /x").await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
    drop((web, api));
    stage.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn miniflares_of_both_generations_call_a_wrangler() {
    let stage = Stage::new();
    let api = Dev::start(&stage, NEWEST, "x", API_CONFIG, ("api.js", API)).await;
    let script = stage.folder.path().join("miniflare.mjs");
    std::fs::write(&script, include_str!("workers/miniflare.mjs")).unwrap();
    for (wrangler, version) in [(OLDEST, "4"), (NEWEST, "5")] {
        let beside = tools().module(wrangler).join("package.json");
        let node = tools().node.to_str().unwrap();
        let words = ["run", "--", node, script.to_str().unwrap(), beside.to_str().unwrap(), version];
        let output =
            tokio::time::timeout(STARTS_WITHIN, stage.command(&words).output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "api /x\n", "Miniflare {version}");
    }
    drop(api);
    stage.down().await;
}

/// What takes 88 seconds without us: the caller finds the successor of a session that was killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrangler_that_is_killed_is_missed_only_until_its_successor_listens() {
    let stage = Stage::new();
    let (web, api) = pair(&stage, NEWEST, NEWEST).await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    kill_below(api.child.id().unwrap());
    stage.until(&[("api@x", "down"), ("web@x", "up")]).await;
    let (config, script) = (API_CONFIG.replace("api.js", "again.js"), API.replace("a + b", "a * b"));
    let again = Dev::start(&stage, NEWEST, "x", &config, ("again.js", &script)).await;
    web.until("/rpc", "2").await;
    drop((web, api, again));
    stage.down().await;
}

/// What each sends the other consumes.
#[tokio::test(flavor = "multi_thread")]
async fn queues_go_both_ways_between_a_wrangler_and_a_session_of_ours() {
    let stage = Stage::new();
    let config = |name: &str, to: &str, from: &str| {
        format!(
            r#"{{ "name": "{name}", "main": "i.js", "compatibility_date": "2026-03-01", "queues": {{
              "producers": [ {{ "binding": "TO", "queue": "{to}" }} ],
              "consumers": [ {{ "queue": "{from}", "max_batch_timeout": 0 }} ] }} }}"#
        )
    };
    let ours = stage.folder.path().join("ours");
    std::fs::create_dir(&ours).unwrap();
    std::fs::write(ours.join("wrangler.jsonc"), config("ours", "back", "there")).unwrap();
    std::fs::write(ours.join("i.js"), PING).unwrap();
    let mut kept = Kept::start(&stage.folder, &["dev", "--json", "ours", "--scope", "x"]);
    kept.event("ready").await;
    let theirs = Dev::start(&stage, NEWEST, "x", &config("theirs", "there", "back"), ("i.js", PING)).await;
    theirs.until("/", "again ping").await;
    drop((theirs, kept));
    stage.down().await;
}

const PING: &str = r#"
const received = [];
export default {
  async fetch(request, env) {
    if (received.length === 0) await env.TO.send("ping");
    return new Response(received[0] ?? "nothing");
  },
  async queue(batch, env) {
    for (const { body } of batch.messages) {
      received.push(body);
      if (body === "ping") await env.TO.send(`again ${body}`);
    }
  },
};
"#;
