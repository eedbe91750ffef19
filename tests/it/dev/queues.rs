//! Queues between sessions: a message waits where it was sent until it is with its consumer.

use rustix::process::Signal;

use super::{beside, dev, fetch, line};

const WEB: &str = r#"{
  "name": "web", "main": "i.js", "compatibility_date": "2026-11-01",
  "queues": {
    "producers": [{ "binding": "JOBS", "queue": "jobs" }],
    "consumers": [{ "queue": "dead", "max_batch_timeout": 0 }],
  },
}"#;

const WEB_MAIN: &str = r#"
let sent = 0;
export default {
    async fetch(request, env) {
        await env.JOBS.send({ sent: ++sent, at: new Date(5), map: new Map([[1, 2]]) }, { contentType: "v8" });
        const { metadata } = await env.JOBS.sendBatch([{ body: "text", contentType: "text" }, { body: [1] }]);
        return Response.json({ sent, known: "backlogCount" in metadata.metrics });
    },
    queue(batch) {
        for (const { body } of batch.messages) console.log(batch.queue, JSON.stringify(body));
    },
};
"#;

const API: &str = r#"{
  "name": "api", "main": "i.js", "compatibility_date": "2026-11-01",
  "queues": { "consumers": [
    { "queue": "jobs", "max_batch_size": 3, "max_batch_timeout": 30, "max_retries": 1, "dead_letter_queue": "dead" },
  ] },
}"#;

const API_MAIN: &str = r#"
export default {
    queue(batch) {
        const bodies = batch.messages.map(({ body }) => body);
        if (bodies[0].sent) {
            const { sent, at, map } = bodies[0];
            console.log(batch.queue, sent, at.getTime(), map.get(1), JSON.stringify(bodies.slice(1)));
        }
        for (const message of batch.messages) {
            if (Date.now() - message.timestamp.getTime() > 60_000) console.error("not when it was sent");
            if (message.body === "text") {
                console.log("attempt", message.attempts);
                message.retry();
            }
        }
    },
};
"#;

const BOTH: [(&str, &str); 4] = [
    ("web/wrangler.jsonc", WEB),
    ("web/i.js", WEB_MAIN),
    ("api/wrangler.jsonc", API),
    ("api/i.js", API_MAIN),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_retries_and_dead_letters_are_those_of_the_consumer() {
    let mut up = dev(&BOTH, &["web", "api"]).await;
    // The batch is full, so nothing waits for its time.
    assert_eq!(fetch(&up).await, serde_json::json!({ "sent": 1, "known": true }));
    assert_eq!(line(&mut up, "jobs").await, r#"jobs 1 5 2 ["text",[1]]"#);
    assert_eq!(line(&mut up, "attempt").await, "attempt 1");
    assert_eq!(line(&mut up, "attempt").await, "attempt 2");
    // What the one gives up on the other consumes.
    assert_eq!(line(&mut up, "dead").await, r#"dead "text""#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_consumer_in_another_terminal() {
    let mut web = dev(&BOTH, &["web"]).await;
    fetch(&web).await;
    assert!(line(&mut web, "queue \"jobs\": messages wait").await.contains("No session consumes"));
    let mut api = beside(&web, "api").await;
    let told = async |api: &mut crate::support::up::Kept, begins: &str| loop {
        let event = api.event("output").await;
        if let Some(line) = event["line"].as_str().filter(|line| line.starts_with(begins)) {
            return line.to_owned();
        }
    };
    assert_eq!(told(&mut api, "jobs").await, r#"jobs 1 5 2 ["text",[1]]"#);
    api.signal(Signal::TERM);
    assert_eq!(api.code().await, 0);
    // Both may start anew meanwhile.
    fetch(&web).await;
    web.write("web/i.js", &WEB_MAIN.replace("let sent = 0", "let sent = 10"));
    web.event("reloaded").await;
    let mut api = beside(&web, "api").await;
    assert_eq!(told(&mut api, "jobs").await, r#"jobs 2 5 2 ["text",[1]]"#);
    fetch(&web).await;
    assert_eq!(told(&mut api, "jobs").await, r#"jobs 11 5 2 ["text",[1]]"#);
}
