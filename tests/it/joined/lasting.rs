//! What registries say, and what is made of it: files that come and go, are left over, or are too many.

use std::path::PathBuf;

use rustix::process::Signal;

use super::stage::{Stage, entry, register, target};
use crate::support::up::DEADLINE;

/// Where everybody registers, as the daemon of a stage sees it.
fn everybodys(stage: &Stage) -> PathBuf {
    let folder = stage.folder.path().join("registry");
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// Waits until a worker that registered by itself is in that state. Gives its name, whose scope depends on where tests
/// run.
async fn plain_is(stage: &Stage, worker: &str, state: &str) -> String {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let rows = stage.sessions().await;
        let is_it = |(name, now): &&(String, String)| name.split('@').next() == Some(worker) && now == state;
        if let Some((name, _)) = rows.iter().find(is_it) {
            return name.clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "{worker} is not {state}: {rows:?}");
    }
}

const NOBODY: &str =
    r#"{"debugPortAddress":"127.0.0.1:1","defaultEntrypointService":"a","userWorkerService":"a"}"#;

#[tokio::test]
async fn an_entry_that_disappears_and_returns_unchanged_is_the_same_session_again() {
    let stage = Stage::new();
    let web = stage.run(&[]).await;
    let (caller, api) = (target("web"), target("api"));
    web.register("web", &entry(&caller));
    let other = stage.run(&[]).await;
    other.register("api", &entry(&api));
    stage.until(&[("api", "up"), ("web", "up")]).await;
    // As tools do that find the heartbeat of others missing after a sleep.
    std::fs::remove_file(other.registry.join("api")).unwrap();
    stage.until(&[("api", "down"), ("web", "up")]).await;
    other.register("api", &entry(&api));
    stage.until(&[("api", "up"), ("web", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");
    // What is written half has not gone.
    std::fs::write(other.registry.join("api"), "{").unwrap();
    other.register("more", NOBODY);
    stage.until(&[("api", "up"), ("more", "down"), ("web", "up")]).await;
    stage.down().await;
}

#[tokio::test]
async fn what_a_killed_tool_has_left_in_a_registry_takes_no_name() {
    let stage = Stage::new();
    let plain = everybodys(&stage);
    register(&plain, "api", NOBODY);
    let web = stage.run(&[]).await;
    let (caller, mut killed, api) = (target("web"), target("lives"), target("api"));
    web.register("web", &entry(&caller));
    register(&plain, "lives", &entry(&killed));
    let lives = plain_is(&stage, "lives", "up").await;
    let run = stage.run(&[]).await;
    run.register("api", &entry(&api));
    stage.until(&[("api", "up"), (&lives, "up"), ("web", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");

    // Nor does what an operator has replaced come back as another.
    killed.kill();
    stage.until(&[("api", "up"), (&lives, "down"), ("web", "up")]).await;
    let address = format!("unix:{}", api.debug_socket().display());
    let mut attach = vec!["attach", &address, "--name", "lives", "--service", "core:user:api"];
    attach.extend(lives.split_once('@').into_iter().flat_map(|(_, scope)| ["--scope", scope]));
    let (code, _, said) = stage.ask(&attach).await;
    assert_eq!(code, 0, "{said}");
    register(&plain, "next", &entry(&caller));
    let next = plain_is(&stage, "next", "up").await;
    stage.until(&[("api", "up"), (&lives, "up"), (&next, "up"), ("web", "up")]).await;
    stage.down().await;
}

#[tokio::test]
async fn a_name_that_somebody_has_is_not_attached_and_no_socket_of_ours() {
    let stage = Stage::new();
    let (run, api) = (stage.run(&[]).await, target("api"));
    run.register("api", NOBODY);
    stage.until(&[("api", "down")]).await;
    let address = format!("unix:{}", api.debug_socket().display());
    let (code, _, said) = stage.ask(&["attach", &address, "--name", "api"]).await;
    assert!(code == 1 && said.contains("there is a session api already"), "{code} {said}");
    let (code, _, said) = stage.ask(&["attach", &address, "--name", "fake", "--scope", "1"]).await;
    assert!(code == 1 && said.contains("fake"), "{code} {said}");
    let ours = format!("unix:{}/x", run.registry.display());
    let (code, _, said) = stage.ask(&["attach", &ours, "--name", "x"]).await;
    assert!(code == 1 && said.contains("jackfield's own"), "{code} {said}");
    stage.down().await;
}

#[tokio::test]
async fn why_an_entry_is_no_session_is_explained() {
    let stage = Stage::new();
    let plain = everybodys(&stage);
    let (web, caller) = (stage.run(&[]).await, target("web"));
    web.register("web", &entry(&caller));
    register(&plain, "_api", &entry(&caller));
    register(&plain, "db", NOBODY);
    register(&plain, "last", &entry(&caller));
    plain_is(&stage, "last", "up").await;
    for (link, why) in [("web/_api", "cannot stand here"), ("web/db", "nobody listens at 127.0.0.1:1")] {
        let (code, told, said) = stage.ask(&["explain", link, "--json"]).await;
        assert!(code == 0 && told["candidates"].to_string().contains(why), "{told} {said}");
    }
    stage.down().await;
}

#[tokio::test]
async fn ten_thousand_entries_stall_nobody() {
    let stage = Stage::new();
    let plain = everybodys(&stage);
    let many = target("many");
    for number in 0..10_000 {
        std::fs::write(plain.join(format!("w{number:05}")), entry(&many)).unwrap();
    }
    let (web, caller, api) = (stage.run(&[]).await, target("web"), target("api"));
    web.register("web", &entry(&caller));
    let run = stage.run(&[]).await;
    run.register("api", &entry(&api));
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");
    assert_eq!(web.fetch("w00007", None).await.unwrap(), "many");
    let up = stage.sessions().await.len();
    assert!((3..1_000).contains(&up), "{up} sessions");
    stage.down().await;
}

#[tokio::test]
async fn a_command_that_meets_an_ending_daemon_gets_the_next() {
    let stage = Stage::new();
    for _ in 0..3 {
        let run = stage.run(&[]).await;
        let words = ["run", "--", "true"];
        let (_, (code, _, said)) = tokio::join!(stage.down(), stage.ask(&words));
        assert_eq!(code, 0, "{said}");
        run.end().await;
    }
    stage.down().await;
}

#[tokio::test]
async fn signals_of_the_users_own_reach_the_command() {
    let stage = Stage::new();
    let run = stage.run(&[]).await;
    run.signal(Signal::USR1);
    assert_eq!(run.ended().await, 128 + Signal::USR1.as_raw());
    stage.down().await;
}
