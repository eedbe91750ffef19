//! `workerd serve wrangler.jsonc`: workerd alone, which knows no registry. Its debug port is attached.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::stage::{Stage, until};
use super::tool::Dev;
use super::wrangler::{API, API_CONFIG, NEWEST, WEB, WEB_CONFIG};
use crate::support::workerd::{esbuild_path, workerd_path};

/// A workerd that compiles its project itself. Dropping it ends it.
struct Plain {
    child: Child,
    debug_port: String,
}

impl Plain {
    async fn start(folder: &Path, config: &str, script: (&str, &str)) -> Self {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("wrangler.jsonc"), config).unwrap();
        std::fs::write(folder.join(script.0), script.1).unwrap();
        let log = |name| std::fs::File::create(folder.join(name)).unwrap();
        let mut command = Command::new(workerd_path());
        command
            .args([
                "serve",
                "wrangler.jsonc",
                "--experimental",
                "--control-fd=1",
                "--socket-addr=http=127.0.0.1:0",
            ])
            .arg("--debug-port=127.0.0.1:0")
            .env("WORKERD_ESBUILD", esbuild_path())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log("events"))
            .stderr(log("log"));
        let mut plain = Self { child: command.spawn().unwrap(), debug_port: String::new() };
        let port = until(|| {
            let events = std::fs::read_to_string(folder.join("events")).unwrap();
            let mut events =
                events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            events.find(|event| event["socket"] == "debug-port")?["port"].as_u64()
        });
        plain.debug_port = format!("127.0.0.1:{}", port.await);
        plain
    }

    fn kill(&mut self) {
        // Both only fail for a process that has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_workerd_is_called_by_commands_and_by_a_wrangler() {
    let stage = Stage::new();
    let folder = stage.folder.path().join("plain");
    let web = Dev::start(&stage, NEWEST, "x", WEB_CONFIG, ("web.js", WEB));
    let api = Plain::start(&folder, API_CONFIG, ("api.js", API));
    let (web, mut api) = tokio::join!(web, api);
    let (code, _, said) = stage.ask(&["attach", &api.debug_port, "--name", "api"]).await;
    assert_eq!(code, 0, "{said}");
    stage.until(&[("api", "up"), ("web@x", "up")]).await;

    let (code, sum, said) = stage.ask(&["call", "api", "add", "1", "2", "--json"]).await;
    assert_eq!((code, sum), (0, 3.into()), "{said}");
    let (code, who, said) =
        stage.ask(&["call", "api#Admin", "who", "--props", r#"{"tenant":8}"#, "--json"]).await;
    assert_eq!((code, who), (0, serde_json::json!([["admin", { "tenant": 8 }]])), "{said}");
    let (code, _, said) = stage.ask(&["call", "api", "boom"]).await;
    assert!(code == 1 && said.contains("TypeError: bad"), "{said}");
    let output = stage.command(&["fetch", "api", "/p"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "api /p");

    web.until("/fetch", "api /x").await;
    assert_eq!(web.get("/rpc").await.unwrap(), "3");
    assert_eq!(web.get("/admin").await.unwrap(), r#"["admin",{"tenant":7}]"#);
    assert_eq!(web.get("/object").await.unwrap(), r#"[1,"room 1"]"#);
    assert_eq!(web.get("/object").await.unwrap(), r#"[2,"room 2"]"#);
    assert_eq!(web.get("/socket").await.unwrap(), "echo hello");
    assert_eq!(web.get("/error").await.unwrap(), r#"[true,"bad"]"#);

    // Its successor has another port, and is attached by the same name.
    api.kill();
    stage.until(&[("api", "down"), ("web@x", "up")]).await;
    let script = API.replace("a + b", "a * b");
    let next = Plain::start(&stage.folder.path().join("next"), API_CONFIG, ("api.js", &script)).await;
    let waiting = web.get("/rpc");
    let words = ["attach", &next.debug_port, "--name", "api"];
    let attached = stage.ask(&words);
    let (answer, (code, _, said)) = tokio::join!(waiting, attached);
    assert_eq!((code, answer.unwrap().as_str()), (0, "2"), "{said}");
    drop((web, next));
    stage.down().await;
}
