//! Assets, databases and aliases of a project: as workerd's compiler has them, and as a reload keeps them.

use serde_json::json;

use super::dev;
use crate::ingress::exchange;
use crate::support::up::{DEADLINE, Up};

/// The head and the body of an answer.
async fn get(up: &Up, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let (_, answer) = exchange(up.port, &request, None).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer}"));
    (head.to_owned(), body.to_owned())
}

fn config(fields: &str) -> String {
    format!(r#"{{ "name": "site", "main": "src/index.ts", "compatibility_date": "2026-11-01", {fields} }}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assets_are_served_before_the_worker_and_through_its_binding() {
    let worker = r#"export default {
        fetch(request: Request, env: any): Promise<Response> | Response {
            const { pathname } = new URL(request.url);
            if (pathname === "/through") return env.ASSETS.fetch(new URL("/style.css", request.url));
            return new Response(`worker ${pathname}`, { status: 404 });
        },
    };"#;
    let config = config(r#""assets": { "directory": "./public", "binding": "ASSETS" }"#);
    let files = [
        ("wrangler.jsonc", config.as_str()),
        ("src/index.ts", worker),
        ("public/index.html", "<h1>home</h1>"),
        ("public/about.html", "about"),
        ("public/style.css", "body {}"),
    ];
    let up = dev(&files, &[]).await;
    for (path, kind, wanted) in [
        ("/", "text/html", "<h1>home</h1>"),
        ("/about", "text/html", "about"),
        ("/style.css", "text/css", "body {}"),
        ("/through", "text/css", "body {}"),
    ] {
        let (head, body) = get(&up, path).await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(kind), "{path}: {head}");
        assert_eq!(body, wanted, "{path}");
    }
    let (head, body) = get(&up, "/none").await;
    assert!(head.starts_with("HTTP/1.1 404 ") && body.contains("worker /none"), "{head}\n{body}");

    // What is edited is served next, without a word to anybody.
    up.write("public/about.html", "about the new");
    let edited = async { while get(&up, "/about").await.1 != "about the new" {} };
    tokio::time::timeout(DEADLINE, edited).await.expect("the edited asset is served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_keeps_its_rows_when_its_worker_is_replaced() {
    let worker = r#"export default {
        async fetch(_request: Request, env: any): Promise<Response> {
            await env.DB.exec("CREATE TABLE IF NOT EXISTS visits (how TEXT)");
            await env.DB.prepare("INSERT INTO visits VALUES (?)").bind("first").run();
            const { results } = await env.DB.prepare("SELECT how, count(*) AS n FROM visits GROUP BY how").all();
            const wrong = await env.DB.prepare("SELECT who FROM visits").all().catch(String);
            return Response.json({ results, wrong });
        },
    };"#;
    let config =
        config(r#""d1_databases": [{ "binding": "DB", "database_name": "visits", "database_id": "local" }]"#);
    let mut up = dev(&[("wrangler.jsonc", &config), ("src/index.ts", worker)], &[]).await;
    for visits in 1..=2 {
        let told = super::fetch(&up).await;
        assert_eq!(told["results"], json!([{ "how": "first", "n": visits }]));
        assert!(told["wrong"].as_str().unwrap().contains("no such column: who"), "{told}");
    }
    up.write("src/index.ts", &worker.replace("\"first\"", "\"second\""));
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    let told = super::fetch(&up).await;
    assert_eq!(told["results"], json!([{ "how": "first", "n": 2 }, { "how": "second", "n": 1 }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_stands_for_a_package_and_is_watched() {
    let worker = r#"import { greet } from "greeter";
    export default { fetch: () => Response.json({ told: greet("you") }) };"#;
    let stand_in = "export const greet = (who: string): string => `hello ${who}`;";
    let config = config(r#""alias": { "greeter": "./src/stand-in.ts" }"#);
    let files =
        [("wrangler.jsonc", config.as_str()), ("src/index.ts", worker), ("src/stand-in.ts", stand_in)];
    let mut up = dev(&files, &[]).await;
    assert_eq!(super::fetch(&up).await, json!({ "told": "hello you" }));
    up.write("src/stand-in.ts", &stand_in.replace("hello", "good day to"));
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(super::fetch(&up).await, json!({ "told": "good day to you" }));
    // Without it the package would have to be there.
    up.write("wrangler.jsonc", &config.replace("\"greeter\"", "\"other\""));
    let failed = up.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    assert!(failed.contains("greeter"), "{failed}");
    assert_eq!(super::fetch(&up).await, json!({ "told": "good day to you" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_files_need_no_worker() {
    let config =
        r#"{ "name": "site", "compatibility_date": "2026-11-01", "assets": { "directory": "public" } }"#;
    let up = dev(&[("wrangler.jsonc", config), ("public/index.html", "home")], &[]).await;
    assert_eq!(get(&up, "/").await.1, "home");
    let (_, rows, _) = up.ask(&["ls", "--json"]).await;
    assert_eq!(rows["sessions"][0]["entrypoints"], json!(["default"]));
}

/// An environment that no section describes is the top level, with another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_fields_are_read_as_wrangler_does() {
    let worker = r#"
        import note from "./note.md";
        import { page } from "./page.js";
        export default {
            fetch(_request: Request, env: any): Response {
                const { VERSION: { id, tag, timestamp }, ...rest } = env;
                const version = [id.length, tag, !Number.isNaN(Date.parse(timestamp))];
                return Response.json({ note, page: page(), version, env: rest });
            },
        };"#;
    let config = config(
        r#""rules": [{ "type": "Text", "globs": ["**/*.md"] }], "jsx_factory": "h",
           "version_metadata": { "binding": "VERSION" }, "vars": { "KEPT": 1, "GREETING": "public" },
           "tail_consumers": [{ "service": "site-prod" }, { "service": "site-prod" }]"#,
    );
    let files = [
        ("wrangler.jsonc", config.as_str()),
        ("src/index.ts", worker),
        ("src/note.md", "a note"),
        ("src/page.js", "const h = (tag) => tag; export const page = () => <b />;"),
        (".env", "HOST=h:${PORT:-80}\nURL=http://${HOST}/\nGREETING='tis mine\n"),
    ];
    let mut up = dev(&files, &["--env", "prod"]).await;
    let wanted = json!({
        "note": "a note", "page": "b", "version": [36, "", true],
        "env": { "KEPT": 1, "HOST": "h:80", "URL": "http://h:80/", "GREETING": "'tis mine" }
    });
    assert_eq!(super::fetch(&up).await, wanted);
    assert_eq!(up.ask(&["ls", "--json"]).await.1["sessions"][0]["session"], "site-prod");
    // The texts that it imports are sources too.
    up.write("src/note.md", "another note");
    up.event("reloaded").await;
    assert_eq!(super::fetch(&up).await["note"], "another note");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_run_and_survive_a_reload() {
    let worker = r#"import { DurableObject, WorkflowEntrypoint } from "cloudflare:workers";
    export class Room extends DurableObject {}
    export class Flow extends WorkflowEntrypoint {
        async run(event: any, step: any) { return await step.do("one", async () => event.payload.start + 1); }
    }
    export default {
        async fetch(request: Request, env: any) {
            const { pathname } = new URL(request.url);
            const id = pathname.slice(1);
            if (request.method === "POST") await env.FLOW.create({ id, params: { start: 41 } });
            const status = await (await env.FLOW.get(id)).status();
            return Response.json([status.status, status.output ?? null]);
        },
    };"#;
    let config = config(
        r#""workflows": [{ "name": "flow", "binding": "FLOW", "class_name": "Flow" }],
        "durable_objects": { "bindings": [{ "name": "ROOMS", "class_name": "Room" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Room"] }]"#,
    );
    let mut up = dev(&[("wrangler.jsonc", &config), ("src/index.ts", worker)], &[]).await;
    let post = "POST /first HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    exchange(up.port, post, None).await;
    let done = async { while get(&up, "/first").await.1 != r#"["complete",42]"# {} };
    tokio::time::timeout(DEADLINE, done).await.expect("the workflow ends");
    up.write("src/index.ts", &worker.replace("status.status,", "\"again\", status.status,"));
    up.event("reloaded").await;
    assert_eq!(get(&up, "/first").await.1, r#"["again","complete",42]"#);
}
