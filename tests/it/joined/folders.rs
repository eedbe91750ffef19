//! Registries that cannot be read or written, or are not there: said, survived, and over when they are right again.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::stage::{Run, Stage, entry, register, target, until};
use crate::support::up::DEADLINE;

/// The process that serves the stage.
async fn daemon(stage: &Stage) -> Value {
    let (_, told, said) = stage.ask(&["doctor", "--json"]).await;
    let checks = told["checks"].as_array().unwrap_or_else(|| panic!("{said}"));
    let daemon = checks.iter().find(|check| check["topic"] == "daemon").unwrap();
    assert_eq!(daemon["mark"], "ok", "{told:#}");
    let what = daemon["what"].as_str().unwrap();
    what.split_once("process ").unwrap().1.split(',').next().unwrap().into()
}

/// What `doctor` says of registries.
async fn doctor(stage: &Stage) -> (i32, String) {
    let (code, told, _) = stage.ask(&["doctor", "--json"]).await;
    let checks = told["checks"].as_array().unwrap();
    let lines = checks.iter().filter(|check| check["topic"] == "registry");
    (code, lines.map(|line| format!("{} {}\n", line["mark"], line["what"])).collect())
}

/// What the daemon has written to its log.
fn log(stage: &Stage) -> String {
    let folder = stage.folder.path().join("state/jackfield");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

async fn logged(stage: &Stage, text: &str) {
    until(|| log(stage).contains(text).then_some(())).await;
}

/// Waits until a worker that registered by itself is in that state. Its scope depends on where tests run.
async fn plain_is(stage: &Stage, worker: &str, state: &str) {
    let found = async {
        loop {
            let rows = stage.sessions().await;
            if rows.iter().any(|(name, now)| name.split('@').next() == Some(worker) && now == state) {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("{worker} is not {state}"));
}

/// A caller, and where others register.
async fn caller(stage: &Stage) -> (Run, crate::support::running::Running) {
    let joined = stage.joined("web", "web").await;
    stage.until(&[("web@x", "up")]).await;
    joined
}

#[tokio::test]
async fn a_registry_that_vanishes_takes_its_sessions_along_and_brings_them_back() {
    let stage = Stage::new();
    let plain = stage.folder.path().join("registry");
    let (web, _caller) = caller(&stage).await;
    let process = daemon(&stage).await;
    let api = target("plain");
    for round in 0..3 {
        std::fs::create_dir(&plain).unwrap();
        register(&plain, "api", &entry(&api));
        plain_is(&stage, "api", "up").await;
        assert_eq!(web.fetch("api", None).await.unwrap(), "plain", "round {round}");
        std::fs::remove_dir_all(&plain).unwrap();
        plain_is(&stage, "api", "down").await;
        let (_, told, _) = stage.ask(&["explain", "web/api", "--json"]).await;
        assert_eq!(told["session"]["why"], "it has unregistered", "{told:#}");
    }
    let (code, said) = doctor(&stage).await;
    assert!(code == 0 && said.contains("is not there; nobody has registered"), "{said}");
    assert_eq!(daemon(&stage).await, process, "it went and another came");
    stage.down().await;
}

/// What makes a folder unreadable: of no use against the superuser, who is stopped by a file in its place.
#[tokio::test]
async fn a_registry_that_cannot_be_read_is_told_and_its_sessions_stay() {
    let stage = Stage::new();
    let plain = stage.folder.path().join("registry");
    std::fs::create_dir(&plain).unwrap();
    let (web, _caller) = caller(&stage).await;
    let process = daemon(&stage).await;
    let (api, more) = (target("plain"), target("more"));
    register(&plain, "api", &entry(&api));
    plain_is(&stage, "api", "up").await;
    // Readable alone is enough.
    std::fs::set_permissions(&plain, Permissions::from_mode(0o500)).unwrap();
    assert_eq!(doctor(&stage).await.0, 0);
    assert_eq!(web.fetch("api", None).await.unwrap(), "plain");
    std::fs::set_permissions(&plain, Permissions::from_mode(0o700)).unwrap();

    let away = stage.folder.path().join("away");
    std::fs::rename(&plain, &away).unwrap();
    std::fs::write(&plain, "no folder").unwrap();
    logged(&stage, "a registry cannot be read").await;
    let (code, said) = doctor(&stage).await;
    assert!(code == 1 && said.contains("\"error\"") && said.contains("cannot be read"), "{said}");
    // The moment in which it was away may have been seen; whoever was not, is called as before.
    register(&away, "more", &entry(&more));
    std::fs::remove_file(&plain).unwrap();
    std::fs::rename(&away, &plain).unwrap();
    plain_is(&stage, "more", "up").await;
    plain_is(&stage, "api", "up").await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "plain");
    assert_eq!(web.fetch("more", None).await.unwrap(), "more");
    let (code, said) = doctor(&stage).await;
    assert!(code == 0 && said.contains("2 sessions that can be reached"), "{said}");
    assert_eq!(daemon(&stage).await, process, "it went and another came");
    // It was looked at every second, and said once.
    assert_eq!(log(&stage).matches("a registry cannot be read").count(), 1, "{}", log(&stage));
    stage.down().await;
}

/// Takes a folder's name away from it; gives where it went.
fn replace_by_file(folder: &Path) -> std::path::PathBuf {
    let away = folder.with_extension("away");
    std::fs::rename(folder, &away).unwrap();
    std::fs::write(folder, "no folder").unwrap();
    away
}

#[tokio::test]
async fn a_session_whose_own_registry_breaks_is_told_and_finds_the_others_again() {
    let stage = Stage::new();
    let (web, caller) = caller(&stage).await;
    let process = daemon(&stage).await;
    let other = stage.run(&["--scope", "x"]).await;
    let (one, two) = (target("one"), target("two"));
    other.register("one", &entry(&one));
    assert_eq!(web.fetch("one", None).await.unwrap(), "one");

    // It vanishes: what it said is written again, and the session's own entry is its tool's to write.
    std::fs::remove_dir_all(&web.registry).unwrap();
    assert_eq!(web.fetch("one", None).await.unwrap(), "one");
    web.register("web", &entry(&caller));
    stage.until(&[("one@x", "up"), ("web@x", "up")]).await;

    // It cannot be written.
    let away = replace_by_file(&web.registry);
    other.register("two", &entry(&two));
    logged(&stage, "the registry of a session cannot be written").await;
    stage.until(&[("one@x", "up"), ("two@x", "up"), ("web@x", "up")]).await;
    assert!(!away.join("two").exists());
    std::fs::remove_file(&web.registry).unwrap();
    std::fs::rename(&away, &web.registry).unwrap();
    assert_eq!(web.fetch("two", None).await.unwrap(), "two");
    assert_eq!(daemon(&stage).await, process, "it went and another came");
    logged(&stage, "right again").await;
    assert_eq!(log(&stage).matches("cannot be written").count(), 1, "{}", log(&stage));
    let registry = web.registry.clone();
    assert_eq!((web.end().await, other.end().await), (0, 0));
    until(|| (!registry.exists()).then_some(())).await;
    stage.down().await;
}
