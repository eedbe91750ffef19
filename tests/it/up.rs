//! `jackfield up` with real sessions: started, called, retargeted, reloaded, stopped, and nothing left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::up::{DEADLINE, Up, command};

const WEB: &str = "export default { async fetch(request, env) {
    if (request.url.endsWith('/hang')) await env.API.hang();
    const answer = await env.API.hello();
    return new Response(`${answer}, ${await (await env.API.fetch('http://api/')).text()}`);
} };";

const API: &str = "import { WorkerEntrypoint } from 'cloudflare:workers';
export default class extends WorkerEntrypoint {
    hello() { return `hello from ${this.env.NAME}`; }
    async hang() { console.log('it hangs'); await scheduler.wait(1e9); }
    fetch() { return new Response(`fetched from ${this.env.NAME}`); }
}
export class Admin extends WorkerEntrypoint {
    hello() { return `hello from admin ${this.env.NAME}`; }
    fetch() { return new Response(`fetched from admin ${this.env.NAME}`); }
}
export class Room {}";

const FILES: [(&str, &str); 2] = [("web.js", WEB), ("api.js", API)];

fn project() -> String {
    format!(
        "[sessions.web]\nscript = \"web.js\"\ncompatibility_date = \"2026-11-01\"\nlisten = \"127.0.0.1:PORT\"\n\
         [sessions.web.services]\nAPI = \"api@blue\"\n{}{}",
        api("blue"),
        api("green")
    )
}

fn api(scope: &str) -> String {
    format!(
        "[sessions.\"api@{scope}\"]\nscript = \"api.js\"\ncompatibility_date = \"2026-11-01\"\nvars = {{ NAME = \"{scope}\" }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_moves_while_everything_runs_and_all_ends_with_down() {
    let up = Up::start(&project(), &FILES).await;
    assert_eq!(up.fetch().await, "hello from blue, fetched from blue");
    let (code, sessions, _) = up.ask(&["ls", "--json"]).await;
    let sessions = sessions["sessions"].as_array().unwrap().clone();
    assert_eq!((code, sessions.len()), (0, 3));
    assert!(sessions.iter().all(|row| row["state"] == "up" && row["pid"].as_u64() > Some(1)), "{sessions:?}");
    assert_eq!(sessions[0]["entrypoints"], serde_json::json!(["default", "Admin"]));
    assert_eq!(sessions[2]["url"], format!("http://127.0.0.1:{}", up.port));

    let (code, changed, said) = up.ask(&["retarget", "web/API", "api@green", "--wait", "--json"]).await;
    assert_eq!((code, &changed["links"][0]["target"]), (0, &Value::from("api@green")), "{said}");
    assert_eq!(up.fetch().await, "hello from green, fetched from green");

    let (code, _, said) = up.ask(&["retarget", "web/API", "api@gren"]).await;
    assert_eq!(
        (code, said.lines().next()),
        (1, Some("error: there is no session api@gren; did you mean api@green?"))
    );
    let (code, _, said) = up.ask(&["retarget", "web/API", "api@green#Admim"]).await;
    let expected = "error: session api@green exports no entrypoint Admim; did you mean api@green#Admin?\n\
                    help: entrypoints of api@green: default, Admin\n";
    assert_eq!((code, said.as_str()), (1, expected));
    let (_, _, said) = up.ask(&["retarget", "web/API", "api@green#Room"]).await;
    assert!(
        said.starts_with("error: Room of session api@green is a Durable Object class, and no entrypoint\n"),
        "{said}"
    );
    // An entrypoint that no link of the file names takes fetches too.
    let (code, _, said) = up.ask(&["retarget", "web/API", "api@blue#Admin"]).await;
    assert_eq!(
        (code, up.fetch().await.as_str()),
        (0, "hello from admin blue, fetched from admin blue"),
        "{said}"
    );

    let (code, ..) = up.ask(&["up"]).await;
    assert_eq!(code, 1, "a second daemon for one project");

    let (code, stopped, _) = up.ask(&["down", "--json"]).await;
    assert_eq!((code, stopped["sessions"].as_array().unwrap().len()), (0, 3));
    assert_eq!(up.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_applied_by_reload_and_by_sighup_and_a_bad_one_changes_nothing() {
    let mut up = Up::start(&project(), &FILES).await;
    up.write("api.js", "export default { this is no JavaScript");
    let (code, _, said) = up.ask(&["reload"]).await;
    assert_eq!(code, 2, "{said}");
    assert_eq!(said.matches("Uncaught SyntaxError").count(), 2, "once for each session: {said}");
    assert!(said.contains("what ran before still runs") && !said.contains("does not start"), "{said}");
    assert_eq!(up.fetch().await, "hello from blue, fetched from blue");

    up.write("api.js", &API.replace("hello from", "good morning from"));
    let (code, reloaded, said) = up.ask(&["reload", "--json"]).await;
    assert_eq!((code, reloaded["restarted"].as_array().unwrap().len()), (0, 2), "{said}");
    let (_, sessions, _) = up.ask(&["ls", "--json"]).await;
    let generations: Vec<_> =
        sessions["sessions"].as_array().unwrap().iter().map(|row| &row["generation"]).collect();
    assert_eq!(generations, [2, 2, 1], "what did not serve is not counted");
    assert_eq!(up.fetch().await, "good morning from blue, fetched from blue");

    // A link that an operator moved stays where it is; web itself is replaced on its own port.
    up.ask(&["retarget", "web/API", "api@green"]).await;
    up.write("web.js", &WEB.replace("${answer}, ", "${answer}; "));
    up.signal(Signal::HUP);
    let reloaded = up.event("reloaded").await;
    assert_eq!(reloaded["restarted"], serde_json::json!(["web"]));
    assert_eq!(up.fetch().await, "good morning from green; fetched from green");

    up.write("jackfield.toml", "[sessions.web]\nscrpt = \"web.js\"\n");
    let (code, _, said) = up.ask(&["reload"]).await;
    assert_eq!(code, 2);
    assert!(
        said.contains("jackfield.toml:2:1: `scrpt`") && said.contains("did you mean `script`?"),
        "{said}"
    );

    up.signal(Signal::INT);
    up.event("stopped").await;
    assert_eq!(up.ended().await, 0);
}

#[tokio::test]
async fn a_wrong_project_starts_nothing_and_is_said_once() {
    let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
    let project = "[sessions.web]\nscript = \"web.js\"\ncompatibility_date = \"2026-11-01\"\n\
                   compatibility_flags = [\"rpc\", \"nodejs_compatt\"]\n";
    std::fs::write(folder.path().join("jackfield.toml"), project).unwrap();
    std::fs::write(folder.path().join("web.js"), "console.log('loaded'); export default {}").unwrap();
    let output = tokio::time::timeout(DEADLINE, command(&folder, &["up"]).output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let file = folder.path().canonicalize().unwrap().join("jackfield.toml");
    let expected = format!(
        "error: {}:4:31: this workerd knows no compatibility flag `nodejs_compatt`\n  \
         they are listed at https://developers.cloudflare.com/workers/configuration/compatibility-flags/; \
         a newer workerd may know it\n  did you mean `nodejs_compat`?\n\
         help: nothing was started; put it right and try again\n",
        file.display()
    );
    assert!(said.ends_with(&expected), "{said}");
    assert_eq!((said.lines().count(), output.status.code()), (2 + 4, Some(2)), "{said}");
    assert!(output.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ctrl_c_ends_at_once_whatever_is_under_way() {
    let mut up = Up::start(&project(), &FILES).await;
    let mut stream = TcpStream::connect(("127.0.0.1", up.port)).await.unwrap();
    stream.write_all(b"GET /hang HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    while up.event("output").await["line"] != "it hangs" {}
    up.signal(Signal::INT);
    up.event("stopping").await;
    up.signal(Signal::INT);
    let began = Instant::now();
    assert_eq!(up.ended().await, 1);
    // The grace time of a first one is ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "after {:?}", began.elapsed());
}
