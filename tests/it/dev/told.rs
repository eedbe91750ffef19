//! What is told of a configuration although it runs, and what is not let run.

use serde_json::json;

use super::refused::{HEAD, refused};
use super::{folder, free_port};
use crate::support::up::{Kept, Up};

const MAIN: &str = "export default { fetch: () => new Response('hello') };";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_are_told_once() {
    let config = format!(
        "{{ {HEAD},\n  \"secrets\": {{ \"required\": [\"KEY\", \"TOKEN\", \"HERE\"] }},\n  \
         \"vars\": {{ \"A\": 1, \"A\": 2 }},\n  \"env\": {{ \"prod\": {{ \"vras\": {{}}, \"vars\": {{}} }} }},\n  \
         \"queues\": {{ \"producers\": [{{ \"binding\": \"Q\", \"queue\": \"jobs\", \"delivery_delay\": 5 }}] }}\n}}"
    );
    let folder = folder(&[("wrangler.jsonc", &config), ("src/index.ts", MAIN), (".dev.vars", "HERE=1\n")]);
    let listen = format!("--listen={}", free_port());
    let mut kept = Kept::start(&folder, &["dev", "--json", &listen, "--without", "queue"]);
    for wanted in [
        ["wrangler.jsonc:2:3: web has no value for the secrets `KEY`, `TOKEN`", ".dev.vars"],
        ["wrangler.jsonc:3:13: `A` stands here twice", "the last one counts"],
        ["wrangler.jsonc:4:22: `vras` is no field", "did you mean `vars`?"],
        ["wrangler.jsonc:5:64: `delivery_delay` has no effect here", "as if it were 0"],
        ["`--without queue` leaves nothing out", "did you mean queues?"],
    ] {
        let told = kept.event("warned").await["message"].as_str().unwrap().to_owned();
        assert!(wanted.iter().all(|part| told.contains(part)), "{wanted:?} in {told}");
    }
    kept.event("ready").await;
    let mut up = Up::kept(folder, kept, 0);
    up.write(".dev.vars", "HERE=1\nKEY=2\n");
    let told = up.event("warned").await["message"].as_str().unwrap().to_owned();
    assert!(told.contains("secrets `TOKEN`"), "the others were told: {told}");
    up.event("reloaded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_schedules_that_cannot_be_meant_are_refused() {
    let jsonc = |rest: &str| format!("{{\n  {HEAD},\n{rest}\n}}");
    for (rest, wanted) in [
        (
            r#"  "vars": { "API": 1 },
  "services": [{ "binding": "API", "service": "api" }]"#,
            ["wrangler.jsonc:4:29: `API` cannot be a service", "is a variable as well"],
        ),
        (
            r#"  "kv_namespaces": [{ "binding": "K", "id": "a" }, { "binding": "K", "id": "b" }]"#,
            ["wrangler.jsonc:3:65: `K` cannot be a KV namespace", "is a KV namespace as well"],
        ),
        (
            r#"  "triggers": { "crons": ["0 0 1 1 *", "61 * * * *"] }"#,
            ["wrangler.jsonc:3:40: `61 * * * *` is no schedule", "the minute cannot be 61"],
        ),
        (r#"  "name": 5"#, ["`name` is no text", "wrangler.jsonc:3:11"]),
        (r#"  "build": { "comand": "x" }"#, ["`comand` is not known here", "`build` has no command"]),
    ] {
        let (code, said) = refused(("wrangler.jsonc", &jsonc(rest)), &[]).await;
        assert_eq!(code, 2, "{said}");
        for part in wanted {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    let toml = "name = \"web\"\nmain = \"src/index.ts\"\nname = \"other\"\n";
    let (code, said) = refused(("wrangler.toml", toml), &[]).await;
    assert!(code == 2 && said.contains("wrangler.toml:3:1: this is not TOML"), "{said}");
}

const FIRED: &str = "export default { scheduled() {}, fetch() { return new Response('x') } };";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fired_is_compared_with_the_configuration() {
    let config = format!("{{ {HEAD}, \"triggers\": {{ \"crons\": [\"0 0 1 1 *\"] }} }}");
    let mut up = super::dev(&[("wrangler.json", &config), ("src/index.ts", FIRED)], &[]).await;
    let (code, told, said) = up.ask(&["fire", "web", "cron", "0 0 1 1 *", "--json"]).await;
    assert_eq!((code, &told["declared"], said.as_str()), (0, &json!(null), ""));
    let (code, told, said) = up.ask(&["fire", "web", "cron", "* * * * *", "--json"]).await;
    assert_eq!((code, &told["declared"], &told["outcome"]), (0, &json!(["0 0 1 1 *"]), &json!("ok")));
    assert!(said.contains("web has no cron `* * * * *`; its configuration has: 0 0 1 1 *"), "{said}");
    let (code, _, said) = up.ask(&["fire", "web", "cron", "* * * * *", "--time", "noon"]).await;
    assert!(code == 2 && said.contains("`noon` is no time"), "{code} {said}");
    let (code, _, said) = up.ask(&["fire", "web#X", "cron", "* * * * *"]).await;
    assert!(code == 2 && said.contains("`web#X`") && !said.contains("jackfield:fire"), "{code} {said}");
    let (code, _, said) = up.ask(&["fire", "web", "queue", "jobs", "1"]).await;
    assert!(code == 1 && said.contains("or that it has no `queue` handler"), "{code} {said}");
    up.write("src/index.ts", &FIRED.replace("scheduled", "queue"));
    up.event("reloaded").await;
    let (code, _, said) = up.ask(&["fire", "web", "cron", "0 0 1 1 *"]).await;
    assert!(code == 1 && said.contains("web has no `scheduled` handler"), "{code} {said}");
    let (code, told, said) = up.ask(&["fire", "web", "queue", "jobs", "1", "--json"]).await;
    assert_eq!((code, &told["declared"]), (0, &json!([])));
    assert!(said.contains("web does not consume the queue jobs; its configuration has: none"), "{said}");
}
