//! Daemons that end while commands run under them.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::stage::{Run, Stage, entry, target, until};
use crate::support::up::DEADLINE;

/// The daemon's process, as it says itself where the next one looks.
async fn daemon(stage: &Stage) -> Pid {
    let folders = stage.folder.path().join("run");
    let read = || {
        let folder = folders.read_dir().ok()?.flatten().next()?.path();
        let text = std::fs::read_to_string(folder.join("lock")).ok()?;
        Pid::from_raw(text.lines().next()?.parse().ok()?)
    };
    until(read).await
}

async fn kill_daemon(stage: &Stage) -> Pid {
    let process = daemon(stage).await;
    kill_process(process, Signal::KILL).unwrap();
    process
}

/// Where browsers find the sessions.
async fn urls(stage: &Stage) -> Vec<Value> {
    let (_, told, _) = stage.ask(&["ls", "--json"]).await;
    told["sessions"].as_array().unwrap().iter().map(|row| row["url"].clone()).collect()
}

/// Calls until somebody answers: with the daemon its sockets have gone.
async fn answered(web: &Run, worker: &str) -> String {
    let asked = async {
        loop {
            match web.fetch(worker, None).await {
                Ok(answer) => return answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.expect("nobody answers")
}

#[tokio::test]
async fn commands_whose_daemon_is_killed_are_linked_again_and_notice_nothing() {
    let stage = Stage::new();
    let ((web, _caller), (api, _called)) =
        (stage.joined("web", "web").await, stage.joined("api", "api").await);
    stage.until(&[("api@x", "up"), ("web@x", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");
    for round in 1..=2 {
        let (before, urls) = (web.published("api").await, urls(&stage).await);
        let killed = kill_daemon(&stage).await;
        assert_eq!(answered(&web, "api").await, "api");
        assert_eq!(answered(&api, "web").await, "web");
        assert_ne!(daemon(&stage).await, killed);
        let after = web.published("api").await;
        assert_ne!(before["instanceId"], after["instanceId"], "whoever holds a connection makes a new one");
        for run in [&web, &api] {
            run.says("linked again", round).await;
        }
        stage.until(&[("api@x", "up"), ("web@x", "up")]).await;
        assert_eq!(self::urls(&stage).await, urls);
    }
    // A new one gets a registry that none of them has, and all end as ever.
    let third = stage.run(&[]).await;
    assert!(third.registry != web.registry && third.registry != api.registry);
    let folder = web.registry.clone();
    assert_eq!((web.end().await, api.end().await, third.end().await), (0, 0, 0));
    until(|| (!folder.exists()).then_some(())).await;
    stage.down().await;
}

#[tokio::test]
async fn whoever_calls_what_has_not_come_back_yet_waits_for_it() {
    let stage = Stage::new();
    let ((web, _caller), (mut api, mut old)) =
        (stage.joined("web", "web").await, stage.joined("api", "old").await);
    stage.until(&[("api@x", "up"), ("web@x", "up")]).await;
    web.published("api").await;
    // All but the caller at once, so that nobody tells the next daemon of the other session.
    api.child.kill().await.unwrap();
    old.kill();
    kill_daemon(&stage).await;
    web.says("linked again", 1).await;
    stage.until(&[("web@x", "up")]).await;
    let comes = async {
        let waits = async { while stage.ask(&["explain", "web/api", "--json"]).await.1["waiting"] != 1 {} };
        tokio::time::timeout(DEADLINE, waits).await.expect("the event waits");
        stage.joined("api", "new").await
    };
    let (answer, _again) = tokio::join!(answered(&web, "api"), comes);
    assert_eq!(answer, "new");
    stage.down().await;
}

#[tokio::test]
async fn a_daemon_that_was_stopped_stays_so_and_its_commands_are_told() {
    let stage = Stage::new();
    let run = stage.run(&[]).await;
    let api = target("api");
    run.register("api", &entry(&api));
    stage.until(&[("api", "up")]).await;
    stage.down().await;
    run.says("the daemon was stopped, and this command runs unlinked", 1).await;
    let (code, ..) = stage.ask(&["ls"]).await;
    assert_eq!(code, 3, "a daemon was started");
    let left = stage.folder.path().join("run").read_dir().unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(run.end().await, 0);
}
