//! Workers called from the shell: through a daemon, and at a debug port of its.

use crate::support::up::{DEADLINE, Up, command};

const PROJECT: &str = r##"
[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
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
        (&["call", "api@bleu#Admin", "add"], 1, "There is no session api@bleu"),
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
        (&["fetch", "api@blue", "/", "-i"], "HTTP/1.1 418 I'm a teapot\r\ncontent-type: text/plain;charset=UTF-8\r\na: 1\r\na: 2\r\n\r\nGET|http://api-blue/|||".to_owned()),
        (&["fetch", "api@blue", "/", "-o", "out"], String::new()),
    ];
    for (words, printed) in cases {
        assert_eq!(say(&up, words).await, (0, printed, String::new()), "{words:?}");
    }
    assert_eq!(std::fs::read_to_string(up.folder.path().join("out")).unwrap(), "GET|http://api-blue/|||");
    let (code, _, err) = say(&up, &["fetch", "api@blue", "/", "--fail"]).await;
    assert!(code == 1 && err.contains("418"), "{err}");
}
