//! What registers becomes a session, and what a caller finds in its registry leads there.

use rustix::process::Signal;

use tokio::io::AsyncWriteExt;

use super::stage::{Stage, entry, register, target, text};
use crate::support::up::DEADLINE;
use jackfield::client::{ActorId, Session};

#[tokio::test]
async fn a_command_keeps_its_exit_code_its_words_and_its_signals() {
    let stage = Stage::new();
    let (code, _, said) = stage.ask(&["run", "--", "sh", "-c", "exit 7"]).await;
    assert_eq!(code, 7, "{said}");
    let run = stage.run(&[]).await;
    run.signal(Signal::TERM);
    assert_eq!(run.ended().await, 128 + 15);
    let (code, _, said) = stage.ask(&["run", "--", "no-such-command"]).await;
    assert!(code == 1 && said.contains("no-such-command"), "{code} {said}");
    stage.down().await;
}

#[tokio::test]
async fn sessions_find_each_other_by_entrypoint_props_and_object() {
    let stage = Stage::new();
    let ((web, _first), (api, _second)) =
        (stage.joined("web", "web").await, stage.joined("api", "api").await);
    stage.until(&[("api@x", "up"), ("web@x", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");
    assert_eq!(web.fetch("api", Some("Admin")).await.unwrap(), r#"["api",{"tenant":7}]"#);
    assert_eq!(api.fetch("web", None).await.unwrap(), "web");
    let published = web.published("api").await;
    let port =
        Session::connect(&published["debugPortAddress"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let room = port.actor(published["userWorkerService"].as_str().unwrap(), "Room", ActorId::ephemeral("a"));
    assert_eq!(text(&room).await.unwrap(), "room of api");
    // The process behind it is nobody's to call but for what is offered.
    let refused = text(&port.entrypoint("internet", None, None)).await.unwrap_err();
    assert!(refused.contains("has no service internet"), "{refused}");

    // Both leave nothing behind, and the daemon goes after them.
    let folder = web.registry.clone();
    assert_eq!((web.end().await, api.end().await), (0, 0));
    super::stage::until(|| (!folder.exists()).then_some(())).await;
    stage.down().await;
}

#[tokio::test]
async fn calls_wait_for_a_session_that_was_killed_and_find_its_successor() {
    let stage = Stage::new();
    let (web, api) = (stage.run(&[]).await, stage.run(&[]).await);
    let (caller, mut old) = (target("web"), target("old"));
    web.register("web", &entry(&caller));
    api.register("api", &entry(&old));
    stage.until(&[("api", "up"), ("web", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "old");
    old.kill();
    stage.until(&[("api", "down"), ("web", "up")]).await;
    let waiting = web.fetch("api", None);
    let successor = async {
        let new = target("new");
        // What a new wrangler writes where the old one could not remove its entry.
        api.register("api", &entry(&new).replace("one", "two"));
        new
    };
    let (answer, _new) = tokio::join!(waiting, successor);
    assert_eq!(answer.unwrap(), "new");
    stage.down().await;
}

#[tokio::test]
async fn one_that_registers_and_never_listens_is_down_until_it_does() {
    let stage = Stage::new();
    let run = stage.run(&[]).await;
    let quiet =
        r#"{"debugPortAddress":"127.0.0.1:1","defaultEntrypointService":"a","userWorkerService":"a"}"#;
    run.register("api", quiet);
    stage.until(&[("api", "down")]).await;
    let (_, told, _) = stage.ask(&["ls", "--json"]).await;
    let why = told["sessions"][0]["why"].as_str().unwrap();
    assert!(why.contains("nobody listens at 127.0.0.1:1"), "{why}");
    stage.down().await;
}

/// What `ls` says of the one session.
async fn why(stage: &Stage, wanted: &str) {
    let said = async {
        loop {
            let (_, told, _) = stage.ask(&["ls", "--json"]).await;
            let row = &told["sessions"][0];
            if row["why"].as_str().is_some_and(|why| why.contains(wanted)) {
                assert_eq!(row["state"], "down");
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, said).await.unwrap_or_else(|_| panic!("it is not said: {wanted}"));
}

#[tokio::test]
async fn what_listens_and_is_no_debug_port_is_down_and_said_to_be_none() {
    let stage = Stage::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let (code, _, said) = stage.ask(&["attach", &address, "--name", "api"]).await;
    assert_eq!(code, 0, "{said}");
    why(&stage, "listens, but is no debug port").await;
    let (_, told, _) = stage.ask(&["explain", "api", "--json"]).await;
    assert_eq!(told["next"][0], "start what listens there, or attach it anew");
    stage.down().await;
}

#[tokio::test]
async fn a_debug_port_that_answers_late_is_waited_for() {
    let stage = Stage::new();
    let (run, api) = (stage.run(&[]).await, target("api"));
    let socket = stage.folder.path().join("late");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    run.register("api", &entry(&api).replace(api.debug_socket().to_str().unwrap(), socket.to_str().unwrap()));
    why(&stage, "does not answer as a debug port so far").await;
    let debug_port = api.debug_socket().to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let debug_port = debug_port.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::UnixStream::connect(&debug_port).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    stage.until(&[("api", "up")]).await;
    let (code, _, said) = stage.ask(&["call", "api#Admin", "nothing"]).await;
    assert!(code == 1 && said.contains("nothing"), "{said}");
    stage.down().await;
}

#[tokio::test]
async fn a_tool_that_registers_a_service_that_it_does_not_run_is_not_believed() {
    let stage = Stage::new();
    let (run, api) = (stage.run(&[]).await, target("api"));
    run.register("api", &entry(&api).replace("core:user:api", "core:user:gone"));
    why(&stage, "has no service `core:user:gone`; its tool has registered what it does not run").await;
    run.register("api", &entry(&api).replace("one", "two"));
    stage.until(&[("api", "up")]).await;
    stage.down().await;
}

#[tokio::test]
async fn a_debug_port_becomes_a_session_by_its_address() {
    let stage = Stage::new();
    let api = target("api");
    let address = format!("unix:{}", api.debug_socket().display());
    let (code, _, said) = stage.ask(&["attach", &address, "--name", "api"]).await;
    assert!(code == 0 && said.contains("it is down:") && said.contains("has no service `api`"), "{said}");
    why(&stage, "has no service `api`; attach it again with `--service`").await;
    // What is sent to it is never handed on.
    let (code, _, said) = stage.ask(&["fetch", "api", "/"]).await;
    let parts = ["it is waited for. Ctrl-C gives up", "nothing was sent", "`jackfield explain api`"];
    assert!(code == 1 && parts.iter().all(|part| said.contains(part)), "{said}");
    let attach = ["attach", address.as_str(), "--name", "api", "--service", "core:user:api", "--json"];
    let (code, told, said) = stage.ask(&attach).await;
    assert_eq!((code, &told["session"]), (0, &"api".into()), "{said}");
    stage.until(&[("api", "up")]).await;
    let (code, _, said) = stage.ask(&["call", "api#Admin", "nothing"]).await;
    assert!(code == 1 && said.contains("nothing"), "{said}");
    let (code, _, said) = stage.ask(&attach).await;
    assert!(
        code == 1 && said.contains("there is a session api already") && said.contains("--scope"),
        "{said}"
    );
    for far in ["10.0.0.1:80", "example.com:80", "api"] {
        let (code, _, said) = stage.ask(&["attach", far, "--name", "x"]).await;
        assert!(code == 2 && said.contains("not an address on this machine"), "{said}");
    }
    stage.down().await;
}

#[tokio::test]
async fn what_registers_where_everybody_does_is_seen_and_can_be_called() {
    let stage = Stage::new();
    let plain = stage.folder.path().join("registry");
    std::fs::create_dir(&plain).unwrap();
    let web = stage.run(&[]).await;
    let (caller, api) = (target("web"), target("plain"));
    web.register("web", &entry(&caller));
    register(&plain, "api", &entry(&api));
    register(&plain, "evil", &entry(&api).replace("unix:", "unix-abstract:"));
    register(&plain, "old", r#"{"protocol":"http","host":"localhost","port":8787}"#);
    let deadline = tokio::time::Instant::now() + crate::support::up::DEADLINE;
    let api = loop {
        let now = stage.sessions().await;
        if let Some((name, _)) = now.iter().find(|(name, state)| name.starts_with("api") && state == "up") {
            break name.clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "{now:?}");
    };
    assert_eq!(web.fetch("api", None).await.unwrap(), "plain");
    assert!(stage.sessions().await.iter().all(|(name, _)| *name == api || name == "web"));
    stage.down().await;
}

#[tokio::test]
async fn commands_that_come_at_once_share_one_daemon() {
    let stage = Stage::new();
    let words = ["run", "--", "true"];
    let all = futures::future::join_all((0..6).map(|_| stage.ask(&words))).await;
    for (code, _, said) in all {
        assert_eq!(code, 0, "{said}");
    }
    stage.down().await;
}

/// As when the tool of a plain session is killed: its workerd lives on, and serves old code.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_its_tool_has_left_behind_is_never_called() {
    let stage = Stage::new();
    let plain = stage.folder.path().join("registry");
    std::fs::create_dir(&plain).unwrap();
    let web = stage.run(&[]).await;
    let (caller, api) = (target("web"), target("api"));
    web.register("web", &entry(&caller));
    stage.until(&[("web", "up")]).await;
    // A tool of its own for a second listener of the same worker, which outlives it.
    let socket = stage.folder.path().join("left");
    let script = format!(
        r#"cd {} && {} serve config.capnp --experimental --debug-port=unix:{} & echo $!; read line"#,
        api.path("").display(),
        crate::support::workerd::workerd_path().display(),
        socket.display(),
    );
    let mut tool = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut told = tokio::io::BufReader::new(tool.stdout.take().unwrap());
    tokio::io::AsyncBufReadExt::read_line(&mut told, &mut line).await.unwrap();
    let left = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    super::stage::until(|| std::os::unix::net::UnixStream::connect(&socket).ok()).await;
    let text = entry(&api).replace(api.debug_socket().to_str().unwrap(), socket.to_str().unwrap());
    register(&plain, "api", &text);
    let named = |now: &[(String, String)], wanted: &str| {
        now.iter().any(|(name, state)| name.starts_with("api") && state == wanted)
    };
    let deadline = tokio::time::Instant::now() + crate::support::up::DEADLINE;
    while !named(&stage.sessions().await, "up") {
        assert!(tokio::time::Instant::now() < deadline);
    }
    tool.kill().await.unwrap();
    while !named(&stage.sessions().await, "down") {
        assert!(tokio::time::Instant::now() < deadline, "an orphan is called");
    }
    let (_, told, _) = stage.ask(&["ls", "--json"]).await;
    assert!(told.to_string().contains("left it behind"), "{told}");
    rustix::process::kill_process(left, Signal::KILL).unwrap();
    stage.down().await;
}
