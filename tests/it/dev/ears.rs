//! Who hears what a worker does: while it happens, and once it is over.

use super::{dev, line};

const WEB: &str = r#"{
  "name": "web", "main": "i.js", "compatibility_date": "2026-11-01",
  "tail_consumers": [{ "service": "api" }],
  "streaming_tail_consumers": [{ "service": "api" }, { "service": "api" }],
}"#;

const WEB_MAIN: &str = r#"
export default { fetch() { console.log("said"); return new Response("web"); } };
"#;

const API: &str = r#"{ "name": "api", "main": "i.js", "compatibility_date": "2026-11-01" }"#;

const API_MAIN: &str = r#"
export default {
    tail(events) { console.log("heard", events[0].logs[0].message[0]); },
    tailStream(onset) {
        console.log("begins", onset.event.info.type);
        return {
            log: ({ event }) => console.log("hears", event.message[0]),
            outcome: ({ event }) => console.log("ends", event.outcome),
        };
    },
};
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_hears_another_while_it_works_and_afterwards() {
    let files = [
        ("web/wrangler.jsonc", WEB),
        ("web/i.js", WEB_MAIN),
        ("api/wrangler.jsonc", API),
        ("api/i.js", API_MAIN),
    ];
    let mut up = dev(&files, &["web", "api"]).await;
    assert_eq!(up.fetch().await, "web");
    let mut heard = Vec::new();
    for _ in 0..4 {
        let told = loop {
            let line = line(&mut up, "").await;
            if line != "said" {
                break line;
            }
        };
        heard.push(told);
    }
    heard.sort();
    assert_eq!(heard, ["begins fetch", "ends ok", "heard said", "hears said"]);
}
