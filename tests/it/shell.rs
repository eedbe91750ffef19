//! Workers called from the shell: through a daemon, and at a debug port of its.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::support::up::{DEADLINE, Up, command};

const PROJECT: &str = r##"
[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
compatibility_flags = ["enable_abortsignal_rpc"]
[sessions."api@blue".durable_objects]
Room = "stored"
"##;

const API: &str = r#"
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Room extends DurableObject { id() { return this.ctx.id.toString(); } }
export class Admin extends WorkerEntrypoint {
    version = "hidden";
    get limits() { return { requests: 10n }; }
    add(a, b) { return a + b; }
    echo(...values) { return values; }
    props() { return this.ctx.props; }
    lines() { return new Blob(["first\n", "second\n"]).stream(); }
    symbol() { return Symbol("s"); }
    large() { return "x".repeat(33 << 20); }
    signal() { return [1, new AbortController().signal]; }
    size(text) { return text.length; }
    hang() { console.log("hangs"); return scheduler.wait(600000); }
    broken() { return new ReadableStream({ type: "bytes", pull(c) { c.enqueue(new Uint8Array([65])); c.error(new Error("no")); } }); }
    boom() { const error = new TypeError("not today"); error.code = "E_DAY"; error.until = new Date(0); throw error; }
}
export default {
    async fetch(request) {
        const body = await request.text();
        const told = [request.method, request.url, request.headers.get("x"), request.headers.get("content-type"), body];
        return new Response(told.join("|"), { status: 418, headers: [["a", "1"], ["a", "2"]] });
    },
};
"#;

/// Exit code, standard output and standard error of a command.
async fn say(up: &Up, words: &[&str]) -> (i32, String, String) {
    let output = tokio::time::timeout(DEADLINE, command(&up.folder, words).output()).await.unwrap().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, err)
}

/// A debug port of the daemon's.
fn port(up: &Up) -> String {
    let folder = up.folder.path().join("run").read_dir().unwrap().next().unwrap().unwrap().path();
    folder.join("port.sock").display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_called_and_their_results_printed() {
    let up = Up::start(PROJECT, &[("api.js", API)]).await;
    std::fs::write(up.folder.path().join("argument.json"), r#"{"deep":[1,["bytes","AAE"]]}"#).unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["call", "api@blue#Admin", "add", "1", "2"], "3\n"),
        (&["call", "api@blue#Admin", "add", "-1", r#""x""#], "'-1x'\n"),
        (
            &["call", "api@blue#Admin", "echo", r#"[1,["a"]]"#, r#"["date",0]"#],
            "[ [ 1, [ 'a' ] ], 1970-01-01T00:00:00.000Z ]\n",
        ),
        (
            &["call", "api@blue#Admin", "echo", "@argument.json", "--json"],
            "[[{\"deep\":[[1,[\"bytes\",\"AAE\"]]]}]]\n",
        ),
        (&["call", "api@blue#Admin", "props", "--props", r#"{"n":[1]}"#], "{ n: [ 1 ] }\n"),
        (&["call", "api@blue#Admin", "lines"], "first\nsecond\n"),
        (&["get", "api@blue#Admin", "limits"], "{ requests: 10n }\n"),
        (&["get", "api@blue#Admin", "limits.requests", "--json"], "[\"bigint\",\"10\"]\n"),
        (
            &["call", "api@blue#Room/name:lobby", "id"],
            "'4b675f312e916fafd58ffb6e4d812809903fd0748261807af87bf365213fc2df'\n",
        ),
    ];
    for (words, printed) in cases {
        assert_eq!(say(&up, words).await, (0, printed.to_owned(), String::new()), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_what_to_do() {
    let up = Up::start(PROJECT, &[("api.js", API)]).await;
    let (code, out, err) = say(&up, &["call", "api@blue#Admin", "boom"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    for part in
        ["TypeError: not today", "code: 'E_DAY'", "until: 1970-01-01T00:00:00.000Z", "at Admin.boom (api.js:"]
    {
        assert!(err.contains(part), "{part} in {err}");
    }
    let (_, _, err) = say(&up, &["call", "api@blue#Admin", "boom", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(told["thrown"][1], "TypeError");
    assert_eq!(told["thrown"][4]["code"], "E_DAY");

    let port = port(&up);
    let cases: [(&[&str], i32, &str); 9] = [
        (&["call", "api@blue#Admin", "nope"], 1, "does not implement the method \"nope\""),
        (&["call", "api@blue#Nobody", "add"], 1, "Nobody"),
        (
            &["call", "api@bleu#Admin", "add"],
            1,
            "error: There is no session api@bleu; did you mean api@blue?\nhelp: `jackfield ls` shows",
        ),
        (&["call", "api@blue#Admin", "add", "hello"], 2, "is not JSON"),
        (&["call", "api@blue#Room/lobby", "id"], 2, "which object"),
        (&["call", "api@blue#Room/id:12", "id"], 2, "64"),
        (&["call", "api@blue#Hall/name:x", "id"], 2, "no stored class Hall"),
        (&["call", "--at", &port, "api@blue#Room/name:x", "id"], 2, "--unique-key"),
        (&["call", "--at", "127.0.0.1:9", "api", "add"], 3, "cannot connect"),
    ];
    for (words, code, part) in cases {
        let (found, out, err) = say(&up, words).await;
        assert_eq!((found, out.as_str()), (code, ""), "{words:?}: {err}");
        assert!(err.contains(part), "{words:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_sent_as_curl_would() {
    let up = Up::start(PROJECT, &[("api.js", API)]).await;
    let port = port(&up);
    std::fs::write(up.folder.path().join("body"), "two\nlines\n").unwrap();
    let body = format!("@{}", up.folder.path().join("body").display());
    let form = "application/x-www-form-urlencoded";
    let cases: [(&[&str], String); 5] = [
        (&["fetch", "api@blue", "/a?b"], "GET|http://api-blue/a?b|||".to_owned()),
        (&["fetch", "api@blue", "https://x.test/", "-d", "a=1", "-d", &body], format!("POST|https://x.test/||{form}|a=1&twolines")),
        (&["fetch", "--at", &port, "api@blue", "http://x/", "-X", "PUT", "--data-binary", &body, "-H", "x: y", "-H", "content-type:"],
            "PUT|http://x/|y||two\nlines\n".to_owned()),
        (&["fetch", "api@blue", "/", "-i"], "HTTP/1.1 418 I'm a teapot\r\ncontent-type: text/plain;charset=UTF-8\r\na: 1\r\na: 2\r\ncontent-length: 23\r\n\r\nGET|http://api-blue/|||".to_owned()),
        (&["fetch", "api@blue", "/", "-o", "out"], String::new()),
    ];
    for (words, printed) in cases {
        assert_eq!(say(&up, words).await, (0, printed, String::new()), "{words:?}");
    }
    assert_eq!(std::fs::read_to_string(up.folder.path().join("out")).unwrap(), "GET|http://api-blue/|||");
    let (code, _, err) = say(&up, &["fetch", "api@blue", "/", "--fail"]).await;
    assert!(code == 1 && err.contains("418"), "{err}");
}

/// Every one says what is wrong in words of its own, and what to do next in a line of its own.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_apart() {
    let up = Up::start(PROJECT, &[("api.js", API)]).await;
    std::fs::write(up.folder.path().join("large.json"), format!("\"{}\"", "x".repeat(33 << 20))).unwrap();
    let other = format!("api@blue#Room/id:{}", "0123456789abcdef".repeat(4));
    let cases: [(&[&str], i32, &str, &str); 17] = [
        (&["call", "api@blue#Room/id:12", "id"], 2, "it has 2 digits, and ids have 64", "ctx.id.toString()"),
        (&["get", &other, "id"], 2, "of the class with the unique key `", "all of it is there"),
        (&["fetch", "api@blue#Room/str:x", "/"], 2, "objects of Room are stored", "give its name as `name:`"),
        (
            &["get", "api@bleu", "x"],
            1,
            "There is no session api@bleu; did you mean api@blue?",
            "`jackfield ls`",
        ),
        (
            &["fetch", "api@blue#Admn", "/"],
            1,
            "an entrypoint named \"Admn\"",
            "did you mean api@blue#Admin? session api@blue has default, Admin",
        ),
        (
            &["call", "api@blue#Rom/str:x", "id"],
            1,
            "Durable Object class named \"Rom\"",
            "did you mean api@blue#Room?",
        ),
        (
            &["call", "api@blue#Admin", "ad"],
            1,
            "TypeError: The RPC receiver does not implement the method \"ad\"",
            "look for it in the worker's class",
        ),
        (&["call", "api@blue#Admin", "limits"], 1, "is not a function", "get it instead"),
        (
            &["call", "api@blue#Admin", "symbol"],
            1,
            "DataCloneError: Symbol(s) could not be cloned",
            "return what can travel",
        ),
        (&["call", "api@blue#Admin", "large"], 1, "limited to 32MiB", "send large data as a ReadableStream"),
        (
            &["call", "api@blue#Admin", "size", "@large.json"],
            2,
            "more than the 33554432 bytes",
            "jackfield fetch TARGET URL --data-binary @FILE",
        ),
        (&["call", "api@blue#Room", "id"], 1, "Room is a Durable Object class", "api@blue#Room/name:NAME"),
        (
            &["call", "api@blue#Admin", "scheduled"],
            1,
            "scheduled",
            "carries no scheduled, queue or alarm events",
        ),
        (&["call", "api@blue#Admin", "a..b"], 2, "`a..b` names no method", "dots between them"),
        (&["fetch", "api@blue", "/", "-X", "head"], 2, "the method head does not exist", "capitals: -X HEAD"),
        (
            &["call", "api@blue#Admin", "signal"],
            1,
            "an AbortSignal (host object 9) is not read here",
            "let the worker return",
        ),
        (&["call", "api@blue#Admin", "broken"], 1, "error: the body broke off", "only its beginning"),
    ];
    let direct = generation(&up);
    for (words, code, message, help) in cases {
        let (found, _, err) = say(&up, words).await;
        assert_eq!(found, code, "{words:?}: {err}");
        let (said, helped) = err.split_once("\nhelp: ").unwrap_or_else(|| panic!("{words:?}: {err}"));
        assert!(said.contains(message) && helped.contains(help), "{words:?}: {err}");
        if code == 1 && !words.contains(&"api@bleu") {
            let at: Vec<_> =
                words[..1].iter().chain(&["--at", &direct]).chain(&words[1..]).copied().collect();
            let (found, _, err) = say(&up, &at).await;
            assert!(found == code && err.contains(message) && err.contains("\nhelp: "), "{at:?}: {err}");
        }
    }
    let (code, _, err) = say(&up, &["get", "--at", &direct, "nobody", "x"]).await;
    assert!(code == 1 && err.contains("Worker \"nobody\" not found\nhelp: look at the names"), "{err}");
    let (code, _, err) = say(&up, &["call", "--at", &direct, "api@blue#Room/str:x", "id"]).await;
    assert!(code == 1 && err.contains("Invalid Durable Object ID"), "{err}");
    assert!(err.contains("\nhelp: objects of a stored class"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_none_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let listen = |answer: Option<&'static [u8]>| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut socket in listener.incoming().flatten() {
                if let Some(answer) = answer {
                    let _ = socket.read(&mut [0; 8]);
                    let _ = socket.write_all(answer);
                } else {
                    kept.push(socket);
                }
            }
        });
        address
    };
    let (silent, http) = (listen(None), listen(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    let closes = listen(Some(b""));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let cases = [
        (&silent, "accepted the connection and said nothing for 5 s", "at a breakpoint, resume it"),
        (&http, "is not a debug port", "the address that workerd prints for `--debug-port`"),
        (&closes, "closed the connection before it answered", "look whether it runs"),
        (&free, "cannot connect", "is the session running"),
    ];
    for (address, message, help) in cases {
        for [command_name, what] in [["call", "x"], ["get", "x"], ["fetch", "/"]] {
            let words = [command_name, "--at", address, "api", what];
            let output = tokio::time::timeout(DEADLINE, command(&folder, &words).output()).await;
            let output = output.unwrap().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{words:?}: {err}");
            let (said, helped) = err.split_once("\nhelp: ").unwrap_or_else(|| panic!("{words:?}: {err}"));
            assert!(said.starts_with("error: "), "{words:?}: {err}");
            assert!(said.contains(message) && helped.contains(help), "{words:?}: {err}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_the_middle_is_told() {
    let mut up = Up::start(PROJECT, &[("api.js", API)]).await;
    let direct = generation(&up);
    let calls: [&[&str]; 2] =
        [&["call", "api@blue#Admin", "hang"], &["call", "--at", &direct, "api@blue#Admin", "hang"]];
    let begin = |words: &&[&str]| command(&up.folder, words).stderr(Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = calls.iter().map(begin).collect();
    for _ in &running {
        while !up.event("output").await["line"].as_str().unwrap_or_default().contains("hangs") {}
    }
    let (_, sessions, _) = up.ask(&["ls", "--json"]).await;
    let pid = i32::try_from(sessions["sessions"][0]["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    for call in running {
        let output = tokio::time::timeout(DEADLINE, call.wait_with_output()).await.unwrap().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.starts_with("error: the connection broke before the answer came"), "{err}");
        assert!(err.contains("\nhelp: connect again, and repeat it only if it may happen twice"), "{err}");
    }
}

/// The debug port of the session itself.
fn generation(up: &Up) -> String {
    let folder = up.folder.path().join("run").read_dir().unwrap().next().unwrap().unwrap().path();
    let all = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let port = all.filter(|path| name(path).starts_with("g-")).min_by_key(|path| name(path).len());
    port.unwrap().display().to_string()
}
