//! A project whose sources a command makes.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{fetch, folder, free_port, line};
use crate::support::up::{DEADLINE, Kept, Up};

const CONFIG: &str = r#"{
  "name": "site", "main": "dist/index.js", "compatibility_date": "2026-11-01",
  "build": { "command": "sh ./make", "watch_dir": ["src", "more"] },
}"#;

/// Counts its runs, so that needless ones are seen.
const MAKE: &str = r#"
echo "for $WRANGLER_COMMAND"
echo >> runs
grep bad src/text >&2 && exit 3
mkdir -p dist
echo "const text = '$(cat src/text)', runs = $(wc -l < runs);" > dist/index.js
echo "export default { fetch: () => Response.json({ text, runs }) };" >> dist/index.js
"#;

const FILES: [(&str, &str); 4] =
    [("wrangler.jsonc", CONFIG), ("make", MAKE), ("src/text", "one"), ("more/none", "")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_makes_the_sources_and_again_when_its_own_change() {
    let folder = folder(&FILES);
    let port = free_port();
    let listen = format!("--listen={port}");
    let mut kept = Kept::start(&folder, &["dev", "--json", &listen]);
    // What it writes is told before anything runs.
    let lines: Vec<Value> = [kept.event("output").await, kept.event("output").await].into();
    assert_eq!(
        lines.iter().map(|told| &told["line"]).collect::<Vec<_>>(),
        ["[build] sh ./make", "[build] for dev"]
    );
    assert_eq!(lines[0]["session"], "site");
    kept.event("ready").await;
    let mut up = Up::kept(folder, kept, port);
    assert_eq!(fetch(&up).await, json!({ "text": "one", "runs": 1 }));

    // What fails is shown, and what ran goes on.
    up.write("src/text", "bad");
    assert_eq!(line(&mut up, "[build] bad").await, "[build] bad");
    let failed = up.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    let wanted = ["wrangler.jsonc:3:3: `site` cannot be built", "`sh ./make` ended with exit status: 3"];
    assert!(wanted.iter().all(|part| failed.contains(part)), "{failed}");
    assert_eq!(fetch(&up).await, json!({ "text": "one", "runs": 1 }));
    up.write("src/text", "two");
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(fetch(&up).await, json!({ "text": "two", "runs": 3 }));

    // A change of what it does not watch is no reason, and neither is one of the configuration.
    up.write("wrangler.jsonc", &CONFIG.replace("\"build\"", "\"vars\": { \"A\": 1 }, \"build\""));
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(fetch(&up).await, json!({ "text": "two", "runs": 3 }));
    up.write("more/none", "something");
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(fetch(&up).await, json!({ "text": "two", "runs": 4 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_makes_nothing_is_waited_for_and_one_that_runs_ends_with_its_command() {
    let config = CONFIG.replace("sh ./make", "echo $$ > pid; test -e src/go && sleep 1000 & wait");
    let folder = folder(&[("wrangler.jsonc", &config), ("src/text", "one")]);
    let mut kept = Kept::start(&folder, &["dev", "--json"]);
    let failed = kept.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    assert!(failed.contains("has ended, and there is no ") && failed.contains("dist/index.js"), "{failed}");
    let pid = || std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
    let first = pid();
    std::fs::write(folder.path().join("src/go"), "").unwrap();
    let begun = async {
        while pid() == first || pid().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, begun).await.expect("it is not run again");
    let group = pid().trim().to_owned();
    kept.signal(Signal::INT);
    assert_eq!(kept.code().await, 0);
    let gone = async {
        let lives = |group: &str| {
            let told = std::process::Command::new("pgrep").args(["-g", group]).output().unwrap();
            !told.stdout.is_empty()
        };
        while lives(&group) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("it lives on");
}
