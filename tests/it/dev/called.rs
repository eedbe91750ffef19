//! What a called worker throws says where that is in the files that its author has written.

use serde_json::Value;

use super::dev;
use crate::support::up::command;

const CONFIG: &str = r#"{ "name": "site", "main": "src/index.ts", "compatibility_date": "2026-11-01" }"#;

const MAIN: &str = r#"import { WorkerEntrypoint } from "cloudflare:workers";
interface Thing {
    name: string;
}
export default class extends WorkerEntrypoint {
    boom(thing: Thing): never {
        throw new RangeError(`too far: ${thing.name}`, { cause: new Error("why") });
    }
    fetch(): Response {
        throw new TypeError("no answer");
    }
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_traces_of_calls_point_into_the_sources() {
    let up = dev(&[("wrangler.jsonc", CONFIG), ("src/index.ts", MAIN)], &[]).await;
    let call = ["call", "site", "boom", r#"{"name":"me"}"#];
    let (code, _, said) = up.ask(&call).await;
    assert!(code == 1 && said.contains("RangeError: too far: me"), "{said}");
    // Those of the cause, which is one of its properties, as well.
    assert_eq!(said.matches("(src/index.ts:7:").count(), 2, "{said}");
    let output = command(&up.folder, &[&call[..], &["--json"]].concat()).output().await.unwrap();
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(told["thrown"].to_string().contains("(src/index.ts:7:15)"), "{told}");
    let (code, _, said) = up.ask(&["fetch", "site", "/"]).await;
    assert!(code == 1 && said.contains("(src/index.ts:10:15)"), "{said}");
}

const CALLER: &str = r#"export default {
    async fetch(request: Request, env: any): Promise<Response> {
        return Response.json(await env.API.hello());
    },
};
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_worker_that_is_not_there_is_told_so() {
    let config = CONFIG.replace(" }", r#", "services": [{ "binding": "API", "service": "api" }] }"#);
    let mut up = dev(&[("wrangler.jsonc", config.as_str()), ("src/index.ts", CALLER)], &[]).await;
    // workerd closes the connection of a worker that fails since another is not there.
    let answer = up.fetch().await;
    let parts = [
        "site generation 1 gave no answer",
        "not found. Make sure it is running",
        "there is no session called api",
    ];
    assert!(parts.iter().all(|part| answer.contains(part)), "{answer}");
    let (code, told, _) = up.ask(&["ls", "--json"]).await;
    assert_eq!((code, &told["sessions"][0]["state"]), (0, &"up".into()));
    loop {
        let event = up.event("output").await;
        let line = event["line"].as_str().unwrap();
        assert!(!line.contains("HTTP connection failed") && !line.contains("stack: "), "{line}");
        if line.contains("Make sure it is running") {
            break;
        }
    }
}
