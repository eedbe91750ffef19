//! `jackfield dev`: wrangler projects on bare workerd, compiled, linked, reloaded, fired at.

mod build;
mod called;
mod ears;
mod fields;
mod hand_over;
mod leave;
mod queues;
mod refused;
mod rules;
mod told;
mod traces;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::up::{Kept, Up};

const WEB: &str = r#"{
  // the front
  "name": "web",
  "main": "src/index.ts",
  "compatibility_date": "2026-11-01",
  "vars": { "GREETING": "hi", "SECRET": "public" },
  "services": [
    { "binding": "API", "service": "api" },
    { "binding": "ADMIN", "service": "api", "entrypoint": "Admin", "props": { "who": "web" } },
  ],
  "durable_objects": { "bindings": [{ "name": "ROOMS", "class_name": "Room", "script_name": "api" }] },
  "tail_consumers": [{ "service": "api" }],
  "observability": { "enabled": true },
  "env": { "prod": { "vars": { "GREETING": "good day" } } },
}"#;

const WEB_MAIN: &str = r#"
import { hello } from "./hello";
export default {
    async fetch(request: Request, env: any): Promise<Response> {
        const greeting: string = hello(env.GREETING);
        if (!env.API) return Response.json({ greeting, secret: env.SECRET ?? null });
        const api = await (await env.API.fetch("http://api/x")).text();
        const [who, count] = [await env.ADMIN.who(), await env.ROOMS.getByName("a").count()];
        return Response.json({ greeting, secret: env.SECRET, api, who, count });
    },
};
"#;

const HELLO: &str = "export const hello = (text: string): string => `<${text}>`;\n";

const API: &str = r#"
name = "api"
main = "index.ts"
compatibility_date = "2026-11-01"
[[kv_namespaces]]
binding = "KV"
id = "abc"
[[queues.producers]]
binding = "QUEUE"
queue = "jobs"
[[queues.consumers]]
queue = "jobs"
[triggers]
crons = ["0 0 1 1 *"]
[[durable_objects.bindings]]
name = "ROOMS"
class_name = "Room"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Room"]
"#;

const API_MAIN: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Room extends DurableObject {
    async count(): Promise<number> {
        const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
        await this.ctx.storage.put("count", count);
        return count;
    }
}
export class Admin extends WorkerEntrypoint { who() { return this.ctx.props; } }
export default {
    async fetch(request: Request, env: any) {
        await env.KV.put("last", request.url);
        return new Response("v1 " + (await env.KV.get("last")));
    },
    tail(events: any[]) { console.log("tail of", events[0].scriptName ?? "web"); },
    scheduled(event: any) { console.log("cron", event.cron, event.scheduledTime); },
    queue(batch: any) {
        console.log("queue", batch.queue, JSON.stringify(batch.messages.map((message: any) => message.body)));
        if (batch.messages.length > 2) throw new Error("too many");
    },
};
"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn dev(files: &[(&str, &str)], words: &[&str]) -> Up {
    let port = free_port();
    let listen = format!("--listen={port}");
    let words: Vec<_> = ["dev", "--json", &listen].iter().chain(words).copied().collect();
    Up::run(folder(files), &words, port).await
}

/// Another command, with sessions of its own.
async fn beside(up: &Up, config: &str) -> Kept {
    let mut kept = Kept::start(&up.folder, &["dev", "--json", config]);
    kept.event("ready").await;
    kept
}

async fn fetch(up: &Up) -> Value {
    let text = up.fetch().await;
    // Bodies may come in chunks.
    let json = text.find('{').zip(text.rfind('}')).map(|(start, end)| &text[start..=end]);
    serde_json::from_str(json.unwrap_or_else(|| panic!("no JSON: {text}"))).unwrap()
}

/// The next line of a worker that begins so.
async fn line(up: &mut Up, begins: &str) -> String {
    loop {
        let event = up.event("output").await;
        if let Some(line) = event["line"].as_str().filter(|line| line.starts_with(begins)) {
            return line.to_owned();
        }
    }
}

const BOTH: [(&str, &str); 6] = [
    ("web/wrangler.jsonc", WEB),
    ("web/src/index.ts", WEB_MAIN),
    ("web/src/hello.ts", HELLO),
    ("web/.dev.vars", "SECRET=\"mine\"\n"),
    ("api/wrangler.toml", API),
    ("api/index.ts", API_MAIN),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_projects_are_linked_fired_at_and_reloaded() {
    let mut up = dev(&BOTH, &["web", "api"]).await;
    let mut wanted = json!({
        "greeting": "<hi>", "secret": "mine", "api": "v1 http://api/x", "who": { "who": "web" }, "count": 1
    });
    assert_eq!(fetch(&up).await, wanted);
    assert!(line(&mut up, "tail of").await.contains("web"));

    let (code, told, said) =
        up.ask(&["fire", "api", "cron", "* * * * *", "--time", "2026-11-01T00:00:00Z", "--json"]).await;
    assert_eq!((code, &told["outcome"]), (0, &json!("ok")), "{said}");
    assert_eq!(line(&mut up, "cron").await, "cron * * * * * 1793491200000");
    let (code, told, _) = up.ask(&["fire", "api", "queue", "jobs", r#"{"a":[1]}"#, "text", "--json"]).await;
    assert_eq!((code, &told["outcome"]), (0, &json!("ok")));
    assert_eq!(line(&mut up, "queue").await, r#"queue jobs [{"a":[1]},"text"]"#);
    let (code, told, said) = up.ask(&["fire", "api", "queue", "jobs", "1", "2", "3", "--json"]).await;
    assert_eq!((code, &told["outcome"]), (1, &json!("exception")), "{said}");
    let (code, _, said) = up.ask(&["fire", "nobody", "cron", "0 0 * * *"]).await;
    assert!(code == 1 && said.contains("no session nobody"), "{said}");

    // What does not compile is told with its place, and what ran still runs.
    up.write("web/src/hello.ts", "export const hello = (text: string): string => ;\n");
    let failed = up.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    assert!(failed.contains("wrangler.jsonc:4:3") && failed.contains("src/hello.ts:1:"), "{failed}");
    wanted["count"] = json!(2);
    assert_eq!(fetch(&up).await, wanted);
    up.write("web/src/hello.ts", "export const hello = (text: string): string => `[${text}]`;\n");
    assert_eq!(up.event("reloaded").await["restarted"], json!(["web"]));
    (wanted["count"], wanted["greeting"]) = (json!(3), json!("[hi]"));
    assert_eq!(fetch(&up).await, wanted);

    // Stored objects are those of the generation before.
    up.write("api/index.ts", &API_MAIN.replace("v1 ", "v2 "));
    assert_eq!(up.event("reloaded").await["restarted"], json!(["api"]));
    (wanted["count"], wanted["api"]) = (json!(4), json!("v2 http://api/x"));
    assert_eq!(fetch(&up).await, wanted);
    up.write("web/.dev.vars", "SECRET=other\n");
    assert_eq!(up.event("reloaded").await["restarted"], json!(["web"]));
    (wanted["count"], wanted["secret"]) = (json!(5), json!("other"));
    assert_eq!(fetch(&up).await, wanted);

    assert!(up.folder.path().join("api/.wrangler/state/workerd").is_dir());
    assert_eq!(std::fs::read_dir(up.folder.path().join("api/.wrangler/tmp")).unwrap().count(), 0);
    assert_eq!(up.ask(&["down", "--json"]).await.0, 0);
    assert_eq!(up.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_inherits_as_wrangler_has_it() {
    let up = dev(&BOTH, &["web", "--env", "prod"]).await;
    // Neither services nor the top level's vars are inherited; the name gets the environment's.
    assert_eq!(fetch(&up).await, json!({ "greeting": "<good day>", "secret": "mine" }));
    let (_, rows, _) = up.ask(&["ls", "--json"]).await;
    assert_eq!(rows["sessions"][0]["session"], "web-prod");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_no_configuration_runs_may_join_later() {
    let web = dev(&BOTH, &["web"]).await;
    let (code, links, _) = web.ask(&["links", "--json"]).await;
    assert_eq!(code, 0);
    assert!(links["links"].as_array().unwrap().iter().all(|row| row["state"] != "up"), "{links}");
    // It waits for whoever comes: another command, with sessions of its own.
    let (answer, api) = tokio::join!(fetch(&web), beside(&web, "api"));
    assert_eq!(answer["api"], json!("v1 http://api/x"));
    let (_, links, _) = web.ask(&["links", "--json"]).await;
    assert!(links["links"].as_array().unwrap().iter().all(|row| row["state"] == "up"), "{links}");
    // Its sessions go with it, and those of the other command stay.
    api.signal(Signal::TERM);
    assert_eq!(api.code().await, 0);
    until_down(&web, "api").await;
    let again = beside(&web, "api").await;
    assert_eq!(fetch(&web).await["count"], json!(2));
    drop(again);
    assert_eq!(web.ask(&["down", "--json"]).await.0, 0);
    assert_eq!(web.ended().await, 0);
}

/// Waits until a session is down.
async fn until_down(up: &Up, session: &str) {
    loop {
        let (_, told, _) = up.ask(&["ls", "--json"]).await;
        let rows = told["sessions"].as_array().unwrap();
        if rows.iter().any(|row| row["session"] == session && row["state"] == "down") {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_waited_for_and_nobody_else_is_called_instead() {
    let web = dev(&BOTH, &["web"]).await;
    let api = beside(&web, "api").await;
    let other = folder(&[("api/wrangler.toml", API), ("api/index.ts", &API_MAIN.replace("v1 ", "other "))]);
    let config = other.path().join("api").display().to_string();
    let words = ["dev", "--json", config.as_str(), "--scope", "other"];
    let mut elsewhere = Kept::start(&web.folder, &words);
    elsewhere.event("ready").await;
    assert_eq!(fetch(&web).await["api"], json!("v1 http://api/x"));
    api.signal(Signal::TERM);
    assert_eq!(api.code().await, 0);
    until_down(&web, "api").await;
    // Its name means what it meant, and the caller waits.
    let (answer, _api) = tokio::join!(fetch(&web), beside(&web, "api"));
    assert_eq!(answer["api"], json!("v1 http://api/x"));
    // So it is with what an operator has chosen.
    assert_eq!(web.ask(&["retarget", "web/API", "api@other"]).await.0, 0);
    elsewhere.signal(Signal::KILL);
    until_down(&web, "api@other").await;
    let again = async {
        let mut again = Kept::start(&web.folder, &words);
        again.event("ready").await;
        again
    };
    let (answer, _again) = tokio::join!(fetch(&web), again);
    assert_eq!(answer["api"], json!("other http://api/x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_file_leaves_a_guest_its_name() {
    let web = dev(&BOTH, &["web"]).await;
    let project = "[sessions.web]\nscript = \"w.js\"\ncompatibility_date = \"2026-11-01\"\n";
    web.write("config/jackfield/jackfield.toml", project);
    web.write("config/jackfield/w.js", "export default { fetch() { return new Response(); } };\n");
    let (code, _, said) = web.ask(&["reload"]).await;
    assert!(code == 2 && said.contains("jackfield.toml:1:11: session `web` runs already"), "{said}");
    let (_, rows, _) = web.ask(&["ls", "--json"]).await;
    assert_eq!(rows["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_one_name_are_told_apart_by_their_branches() {
    let mut web = dev(&BOTH, &["web", "api"]).await;
    let (code, _, said) = web.ask(&["dev", "api"]).await;
    assert!(code == 2 && said.contains("api/wrangler.toml:2:1: session `api` runs already"), "{said}");
    let other = folder(&[("wrangler.toml", API), ("index.ts", &API_MAIN.replace("v1 ", "feature "))]);
    std::fs::create_dir(other.path().join(".git")).unwrap();
    std::fs::write(other.path().join(".git/HEAD"), "ref: refs/heads/feature\n").unwrap();
    let _feature = beside(&web, other.path().to_str().unwrap()).await;
    // A binding that says no more than a name stays with its own scope.
    assert_eq!(fetch(&web).await["api"], json!("v1 http://api/x"));
    assert_eq!(web.ask(&["retarget", "web/API", "api@feature"]).await.0, 0);
    assert_eq!(fetch(&web).await["api"], json!("feature http://api/x"));
    web.write("web/src/hello.ts", "export const hello = (text: string): string => `[${text}]`;\n");
    web.event("reloaded").await;
    assert_eq!(fetch(&web).await["api"], json!("feature http://api/x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_compile_at_first_is_waited_for() {
    let mut files = BOTH;
    files[2].1 = "export const hello = ;\n";
    let folder = folder(&files);
    let mut web = Kept::start(&folder, &["dev", "--json", "web"]);
    let failed = web.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    assert!(failed.contains("src/hello.ts:1:"), "{failed}");
    std::fs::write(folder.path().join("web/src/hello.ts"), HELLO).unwrap();
    web.event("ready").await;
}
