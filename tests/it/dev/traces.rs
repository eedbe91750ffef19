//! What a worker writes of its errors names the files that its author has written.

use serde_json::{Value, json};

use super::{dev, fetch, folder, free_port, line};
use crate::support::up::{Kept, Up};

/// The type above the function is gone from the bundle, so that lines of the two differ.
const DEEP: &str = "interface Thing {
    name: string;
}

export function fail(thing: Thing): never {
    throw new RangeError(`too far: ${thing.name}`);
}
";

const MAIN: &str = r#"import { fail } from "./lib/deep";
export default {
    fetch(): Response {
        try {
            fail({ name: "me" });
        } catch (error) {
            console.error(error);
        }
        return Response.json({});
    },
};
"#;

const CONFIG: &str = r#"{ "name": "site", "main": "src/index.ts", "compatibility_date": "2026-11-01" }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_traces_point_into_the_sources_of_each_generation() {
    let files = [("wrangler.jsonc", CONFIG), ("src/index.ts", MAIN), ("src/lib/deep.ts", DEEP)];
    let mut up = dev(&files, &[]).await;
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "RangeError").await, "RangeError: too far: me");
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:6:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:5:13)");

    // The bundle stays as it is, and so does the process; only where its parts come from is another place.
    up.write("src/lib/deep.ts", &format!("// A line more.\n{DEEP}"));
    assert_eq!(up.event("reloaded").await["restarted"], json!([]));
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:7:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:5:13)");

    let longer = MAIN.replace("        try {", "        console.info(\"it begins\");\n        try {");
    up.write("src/index.ts", &longer);
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:7:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:6:13)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_while_it_is_loaded_is_shown_in_its_source() {
    let files = [("wrangler.jsonc", CONFIG), ("src/index.ts", MAIN), ("src/lib/deep.ts", DEEP)];
    let mut up = dev(&files, &[]).await;
    up.write("src/lib/deep.ts", &format!("{DEEP}\nthrow new Error(\"at start\");\n"));
    let failed = up.event("reload_failed").await["error"].to_string();
    assert!(failed.contains("at start") && failed.contains("src/lib/deep.ts:9:7"), "{failed}");
    assert_eq!(fetch(&up).await, json!({}), "what ran before runs on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_at_its_first_start_is_shown_in_its_source_and_tried_again() {
    let broken = format!("{DEEP}\nthrow new Error(\"at start\");\n");
    let files = [("wrangler.jsonc", CONFIG), ("src/index.ts", MAIN), ("src/lib/deep.ts", broken.as_str())];
    let folder = folder(&files);
    let mut kept = Kept::start(&folder, &["dev", "--json", &format!("--listen={}", free_port())]);
    let failed = kept.event("reload_failed").await["error"].to_string();
    assert!(failed.contains("at start") && failed.contains("src/lib/deep.ts:9:7"), "{failed}");
    std::fs::write(folder.path().join("src/lib/deep.ts"), DEEP).unwrap();
    kept.event("ready").await;
    Up::kept(folder, kept, 0);
}

const UNCAUGHT: &str = r#"import { fail } from "./lib/deep";
let asked = 0;
const LIKE = "workerd/io/worker.c++:3042: info: uncaught exception; source = Uncaught; stack = Error: mine";
const RECORD = JSON.stringify({ timestamp: "1", level: "info", source: "workerd/io/worker.c++:3042", message: "mine" });
export default {
    async fetch(): Promise<Response> {
        if (asked++ === 0) {
            console.log(LIKE);
            fail({ name: "me\nand more" });
        }
        console.error("stack: none");
        console.error(LIKE);
        console.info(RECORD);
        console.debug("the end");
        return Response.json({});
    },
    async scheduled(): Promise<void> {
        await scheduler.wait(1);
        fail({ name: "cron" });
    },
};
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_nobody_catches_is_shown_once_with_its_sources() {
    let files = [("wrangler.jsonc", CONFIG), ("src/index.ts", UNCAUGHT), ("src/lib/deep.ts", DEEP)];
    let mut up = dev(&files, &[]).await;
    assert_eq!(up.fetch().await, "Internal Server Error");
    assert_eq!(fetch(&up).await, json!({}));
    // What looks like workerd's own is the worker's.
    let like = "workerd/io/worker.c++:3042: info: uncaught exception; source = Uncaught; stack = Error: mine";
    let record = json!({ "timestamp": "1", "level": "info", "source": "workerd/io/worker.c++:3042", "message": "mine" });
    let wanted = [
        ("log", like),
        ("error", "Uncaught RangeError: too far: me"),
        ("error", "and more"),
        ("error", "    at fail (src/lib/deep.ts:6:11)"),
        ("error", "    at Object.fetch (src/index.ts:9:13)"),
        ("error", "stack: none"),
        ("error", like),
    ];
    for wanted in wanted {
        let event = up.event("output").await;
        assert_eq!((event["level"].as_str().unwrap(), event["line"].as_str().unwrap()), wanted);
    }
    let event = up.event("output").await;
    let told: Value = serde_json::from_str(event["line"].as_str().unwrap()).unwrap();
    assert_eq!((&event["level"], told), (&json!("info"), record));
    assert_eq!(up.event("output").await["level"], json!("debug"));

    let (code, fired, said) = up.ask(&["fire", "site", "cron", "* * * * *", "--json"]).await;
    assert_eq!((code, &fired["outcome"]), (1, &json!("exception")), "{said}");
    assert_eq!(line(&mut up, "").await, "Uncaught RangeError: too far: cron");
    assert_eq!(line(&mut up, "").await, "    at fail (src/lib/deep.ts:6:11)");
    assert_eq!(line(&mut up, "").await, "    at Object.scheduled (src/index.ts:19:9)");
}

const PROJECT: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
listen = "127.0.0.1:PORT"
[sessions.web.services]
API = "api"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
"#;

const CALLER: &str = r#"export default { async fetch(request, env) {
    return new Response(await env.API.boom().catch((error) => `caught ${error.message}`));
} };
"#;

const CALLED: &str = r#"import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
    boom() { throw new RangeError("too far"); }
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_is_caught_elsewhere_is_shown_where_it_was_thrown() {
    let mut up = Up::start(PROJECT, &[("web.js", CALLER), ("api.js", CALLED)]).await;
    assert_eq!(up.fetch().await, "caught too far");
    let event = up.event("output").await;
    assert_eq!((&event["session"], &event["line"]), (&json!("api"), &json!("Uncaught RangeError: too far")));
    assert!(line(&mut up, "").await.starts_with("    at "), "it has its stack");
}
