//! Sessions against a real workerd: start, output, crash, reload, stop, and a killed owner.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jackfield::session::{Level, RuntimeDir, SessionName, SessionState, Times};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::support::sessions::{Bench, DEADLINE, get, http};
use crate::support::workerd::workerd_path;

const ONE: &str = r#"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
"#;

fn says(text: &str) -> String {
    format!("export default {{ fetch() {{ return new Response({text:?}); }} }};\n")
}

#[tokio::test]
async fn a_session_serves_its_entrypoints_with_its_bindings() {
    let project = r##"
        [sessions.web]
        modules = ["web.js", "part.js", "note.txt"]
        compatibility_date = "2026-11-01"
        vars = { TEXT = "t", JSON = { a = [1, true] } }
        services = { SELF = "web#Admin" }
    "##;
    let script = r#"
        import { WorkerEntrypoint } from "cloudflare:workers";
        import { part } from "./part.js";
        import note from "./note.txt";
        export default {
            fetch(request, env) {
                return Response.json([request.url, request.cf, env.TEXT, env.JSON, part, note]);
            },
        };
        export class Admin extends WorkerEntrypoint {
            fetch() { return new Response("admin"); }
        }
    "#;
    let files = [("web.js", script), ("part.js", "export const part = 'p';"), ("note.txt", "n")];
    let bench = Bench::new(project, &files);
    let sessions = bench.start().await.unwrap();
    let up = bench.up("web", 1).await;

    let cf = format!("{}: {{\"c\":1}}\r\n", up.cf_header);
    let answer = get(&http(&up, None), "https://host.example/path?q=1", &cf).await;
    let expected = r#"["https://host.example/path?q=1",{"c":1},"t",{"a":[1,true]},"p","n"]"#;
    assert!(answer.contains(expected), "{answer}");
    assert!(get(&http(&up, Some("Admin")), "http://x/", "").await.ends_with("admin"));
    for socket in up
        .http_sockets
        .values()
        .map(PathBuf::as_path)
        .chain(up.front_socket.as_deref())
        .chain(up.debug_port.path())
    {
        assert_eq!(socket.metadata().unwrap().mode() & 0o777, 0o600, "{}", socket.display());
    }

    sessions.stop().await;
    assert_eq!(bench.generation_files(), Vec::<String>::new());
    let (_, last) = bench.states.now().pop().unwrap();
    assert!(matches!(last, SessionState::Down { .. }), "{last:?}");
}

#[tokio::test]
async fn output_comes_in_lines_with_the_name_of_the_session_and_their_levels() {
    let script = "export default { fetch() {
        console.log('one\\ntwo'); console.debug('three'); console.info('four'); console.warn('five'); console.error('six');
        console.log('x'.repeat(1 << 21)); console.log('end');
        return new Response();
    } }";
    let bench = Bench::new(ONE, &[("web.js", script)]);
    let sessions = bench.start().await.unwrap();
    get(&http(&*bench.up("web", 1).await, None), "http://x/", "").await;
    let is_last = |(_, _, line): &(SessionName, Level, String)| (line == "end").then_some(());
    bench.output.wait("the end", is_last).await;
    let all = bench.output.now();
    assert!(all.iter().all(|(session, ..)| session.to_string() == "web"));
    let wanted = [
        (Level::Log, "one"),
        (Level::Log, "two"),
        (Level::Debug, "three"),
        (Level::Info, "four"),
        (Level::Warn, "five"),
        (Level::Error, "six"),
    ];
    let told: Vec<_> = all.iter().map(|(_, level, line)| (*level, line.as_str())).collect();
    assert_eq!(told[..wanted.len()], wanted);
    // Of what is too long for a record the beginning comes, in pieces.
    let long: Vec<_> = told[wanted.len()..told.len() - 1].iter().map(|(_, line)| *line).collect();
    assert!(long.len() > 60 && long.iter().all(|line| line.len() <= 16 << 10), "{}", long.len());
    let long = long.concat();
    let rest = long.trim_start_matches('x');
    assert!((1 << 19..1 << 20).contains(&(long.len() - rest.len())) && rest.starts_with('…'), "{rest}");
    sessions.stop().await;
}

#[tokio::test]
async fn a_crash_makes_a_new_generation_at_a_new_place() {
    let bench = Bench::new(ONE, &[("web.js", &says("hello"))]);
    let sessions = bench.start().await.unwrap();
    let first = bench.up("web", 1).await;
    assert!(sessions.kill(&first.session).await);
    let second = bench.up("web", 2).await;
    assert_ne!(first.debug_port, second.debug_port);
    assert!(!first.debug_port.path().unwrap().exists());
    assert!(get(&http(&second, None), "http://x/", "").await.ends_with("hello"));
    let why = bench.states.wait("reason", |(_, state)| match state {
        SessionState::Down { why } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.await, "workerd was ended by signal 9 (generation 1); it is started again at once");
    sessions.stop().await;
}

#[tokio::test]
async fn a_session_that_does_not_start_takes_the_others_with_it_and_says_why() {
    let project = format!("{ONE}[sessions.bad]\nscript = \"bad.js\"\ncompatibility_date = \"2026-11-01\"\n");
    let files = [("web.js", says("hello")), ("bad.js", "export default {\nthrow".to_owned())];
    let bench = Bench::new(&project, &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let said = bench.start().await.unwrap_err().to_string();
    assert!(said.starts_with("session `bad` does not start: workerd ended with status 1\n  | "), "{said}");
    assert!(said.contains("SyntaxError") && said.contains("bad.js:2"), "{said}");
    assert_eq!(bench.generation_files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_reload_replaces_what_changed_and_a_bad_one_nothing() {
    let bench = Bench::new(ONE, &[("web.js", &says("old"))]);
    let mut sessions = bench.start().await.unwrap();
    let old = bench.up("web", 1).await;

    bench.write("web.js", "export default { fetch() {} ");
    let said = sessions.apply(&bench.project()).await.unwrap_err().to_string();
    assert!(said.contains("SyntaxError"), "{said}");
    assert!(get(&http(&old, None), "http://x/", "").await.ends_with("old"));
    assert_eq!(bench.states.now().len(), 2, "starting, up, and nothing since");

    // The old generation stays as long as it has calls.
    bench.gate.0.send_replace(false);
    bench.write("web.js", &says("new"));
    let applied = sessions.apply(&bench.project()).await.unwrap();
    assert_eq!(applied.replaced, ["web".parse().unwrap()]);
    let (_, state) = bench.states.now().pop().unwrap();
    let SessionState::Up(new) = state else { panic!("{state:?}") };
    assert!(get(&http(&new, None), "http://x/", "").await.ends_with("new"));
    assert!(get(&http(&old, None), "http://x/", "").await.ends_with("old"));
    bench.gate.0.send_replace(true);
    let applied = sessions.apply(&bench.project()).await.unwrap();
    assert_eq!(applied.unchanged, ["web".parse().unwrap()]);

    bench.write("jackfield.toml", &ONE.replace("sessions.web", "sessions.other"));
    let applied = sessions.apply(&bench.project()).await.unwrap();
    assert_eq!((applied.started.len(), applied.stopped.len()), (1, 1));
    sessions.stop().await;
    assert_eq!(bench.generation_files(), Vec::<String>::new());
}

#[tokio::test]
async fn stored_objects_have_one_process_at_a_time_and_outlive_it() {
    let project = format!(
        "{ONE}[sessions.web.durable_objects]\nCount = {{ storage = \"stored\", binding = \"COUNT\" }}\n"
    );
    let script = |word: &str| {
        format!(
            r#"import {{ DurableObject }} from "cloudflare:workers";
            export class Count extends DurableObject {{
                async next() {{
                    const n = ((await this.ctx.storage.get("n")) ?? 0) + 1;
                    await this.ctx.storage.put("n", n);
                    return n;
                }}
            }}
            export default {{ async fetch(_, env) {{
                return new Response("{word} " + await env.COUNT.get(env.COUNT.idFromName("x")).next());
            }} }};"#
        )
    };
    let bench = Bench::new(&project, &[("web.js", &script("old"))]);
    let mut sessions = bench.start().await.unwrap();
    let old = bench.up("web", 1).await;
    assert!(get(&http(&old, None), "http://x/", "").await.ends_with("old 1"));

    bench.write("web.js", &script("new"));
    sessions.apply(&bench.project()).await.unwrap();
    assert!(!old.debug_port.path().unwrap().exists(), "the old process has ended");
    let (_, state) = bench.states.now().pop().unwrap();
    let SessionState::Up(new) = state else { panic!("{state:?}") };
    assert!(get(&http(&new, None), "http://x/", "").await.ends_with("new 2"));
    sessions.stop().await;
    assert!(bench.folder.path().join(".jackfield/state/web/web-Count").is_dir());
}

#[tokio::test]
async fn a_link_calls_its_face_and_names_itself() {
    let project = format!("{ONE}services = {{ API = \"web\" }}\n");
    let script = r#"export default { async fetch(request, env) {
        if (request.url.includes("rpc")) await env.API.add(1, 2); else await env.API.fetch("https://far.example/p", { cf: { a: 1 } });
        return new Response();
    } };"#;
    let bench = Bench::new(&project, &[("web.js", script)]);
    let sessions = bench.start().await.unwrap();
    let up = bench.up("web", 1).await;
    let face = UnixListener::bind(bench.runtime.link_face(&up.session, "API")).unwrap();
    for (url, expected) in [
        ("http://x/rpc", "CONNECT web!API HTTP/1.1\r\n"),
        ("http://x/", "GET https://far.example/p HTTP/1.1\r\n"),
    ] {
        let socket = http(&up, None);
        let caller = tokio::spawn(async move { get(&socket, url, "").await });
        let (mut stream, _) = tokio::time::timeout(DEADLINE, face.accept()).await.unwrap().unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap();
            head.push(char::from(byte));
        }
        assert!(head.starts_with(expected), "{head}");
        let has_cf = head.to_lowercase().contains(&format!("{}: {{\"a\":1}}", up.cf_header));
        assert_eq!(has_cf, head.starts_with("GET"), "{head}");
        drop(stream);
        caller.await.unwrap();
    }
    sessions.stop().await;
}

#[tokio::test]
async fn a_session_that_falls_again_and_again_is_started_after_pauses() {
    let bench = Bench::new(ONE, &[("web.js", &says("hello"))]);
    // However slow the machine, no generation counts as healthy.
    let times = Times { healthy: Duration::MAX, ..Times::default() };
    let sessions = bench.start_with(workerd_path(), times).await.unwrap();
    for number in 1..4 {
        let up = bench.up("web", number).await;
        sessions.kill(&up.session).await;
    }
    bench.up("web", 4).await;
    let states = bench.states.now();
    let pauses = states.iter().filter_map(|(_, state)| match state {
        SessionState::Down { why } => Some(why.rsplit_once("again ").unwrap().1),
        _ => None,
    });
    assert_eq!(pauses.collect::<Vec<_>>(), ["at once", "in 100ms", "in 200ms"]);
    sessions.stop().await;
}

#[tokio::test]
async fn a_process_that_never_listens_and_one_that_never_ends_are_killed() {
    let bench = Bench::new(ONE, &[("web.js", &says("hello"))]);
    let times = Times {
        start: Duration::from_millis(300),
        terminate: Duration::from_millis(300),
        ..Times::default()
    };
    let dumb = bench.folder.path().join("dumb");
    std::fs::write(&dumb, "#!/bin/sh\necho waiting >&2\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&dumb, PermissionsExt::from_mode(0o700)).unwrap();
    let said = bench.start_with(&dumb, times).await.unwrap_err().to_string();
    let expected = "session `web` does not start: workerd does not listen (debug-port, default export, front) after 300ms\n  | waiting";
    assert_eq!(said, expected);

    // A request that never ends keeps workerd from ending.
    let times = Times { start: DEADLINE, ..times };
    let sessions = bench.start_with(workerd_path(), times).await.unwrap();
    let (_, state) = bench.states.now().pop().unwrap();
    let SessionState::Up(up) = state else { panic!("{state:?}") };
    let mut stream = UnixStream::connect(http(&up, None)).await.unwrap();
    stream.write_all(b"GET http://x/ HTT").await.unwrap();
    let began = Instant::now();
    sessions.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.generation_files(), Vec::<String>::new());
}

const OWNER: &str = "JACKFIELD_TEST_OWNER";

/// The other half of the next test: in a process of its own it starts a session and waits to be killed.
#[tokio::test]
async fn owner_that_is_killed() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    let bench = Bench::new(ONE, &[("web.js", &says("hello"))]);
    let _sessions = bench.start().await.unwrap();
    let up = bench.up("web", 1).await;
    println!("{OWNER} {} {}", bench.folder.path().display(), up.debug_port.path().unwrap().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_owner_leaves_nothing_after_the_next_start() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "session::owner_that_is_killed", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let place = lines.find(|line| line.contains(OWNER)).expect("the owner starts");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let (folder, socket) = place.rsplit_once(&format!("{OWNER} ")).unwrap().1.split_once(' ').unwrap();
    let folder = Path::new(folder);
    let children = std::fs::read_to_string(Path::new(socket).with_file_name("children")).unwrap();
    let child: serde_json::Value = serde_json::from_str(children.lines().next().unwrap()).unwrap();

    let runtime = RuntimeDir::claim_in(&folder.join("run"), &folder.join("jackfield.toml")).unwrap();
    assert!(!Path::new(socket).exists());
    let left: Vec<_> = runtime.folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child["pid"].as_i64().unwrap()).unwrap()).unwrap();
    let gone = rustix::process::test_kill_process(pid).is_err()
        || std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .is_ok_and(|stat| stat.contains(") Z "));
    assert!(gone, "the child lives");
    drop(runtime);
    std::fs::remove_dir_all(folder).unwrap();
}
