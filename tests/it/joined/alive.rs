//! Sessions that stop for a while, come twice at once, or never begin; and clocks that jump.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::JoinSet;

use super::stage::{Run, Stage, entry, register, target, until};
use crate::support::running::Running;
use crate::support::up::DEADLINE;

fn signal(target: &Running, signal: Signal) {
    kill_process(Pid::from_raw(target.pid().cast_signed()).unwrap(), signal).unwrap();
}

/// Asks until the explanation fits.
async fn explained(stage: &Stage, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = async {
        while !fits(&last) {
            (_, last, _) = stage.ask(&["explain", what, "--json"]).await;
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, found).await.is_ok();
    assert!(in_time, "{last:#}");
    last
}

/// What a session answers to a command.
async fn fetched(stage: &Stage, session: &str) -> String {
    let output = tokio::time::timeout(DEADLINE, stage.command(&["fetch", session, "/"]).output()).await;
    String::from_utf8(output.unwrap().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_in_a_stopped_session_and_none_is_lost() {
    const CALLERS: usize = 8;
    const BEFORE: usize = 20;
    let stage = Stage::new();
    let (web, api) = (stage.run(&[]).await, stage.run(&[]).await);
    let (caller, stopped) = (target("web"), target("api"));
    web.register("web", &entry(&caller));
    api.register("api", &entry(&stopped));
    stage.until(&[("api", "up"), ("web", "up")]).await;
    let web = Arc::new(web);
    let call = |web: Arc<Run>| async move { web.fetch("api", None).await };
    let mut load = JoinSet::new();
    for _ in 0..CALLERS {
        let web = web.clone();
        load.spawn(async move {
            for _ in 0..BEFORE {
                assert_eq!(call(web.clone()).await.unwrap(), "api");
            }
        });
    }
    // It stops while they come, and what is under way waits too.
    load.join_next().await.unwrap().unwrap();
    signal(&stopped, Signal::STOP);
    for _ in 0..CALLERS {
        let web = web.clone();
        load.spawn(async move { assert_eq!(call(web).await.unwrap(), "api") });
    }
    // It lives, so nobody is told otherwise, and nothing waits outside of it.
    let state = if cfg!(target_os = "linux") { "stopped" } else { "up" };
    let told = explained(&stage, "web/api", |told| told["session"]["state"] == state).await;
    assert_eq!(told["waiting"], 0);
    if cfg!(target_os = "linux") {
        assert!(
            told["next"][0].as_str().unwrap().contains(&format!("kill -CONT {}", stopped.pid())),
            "{told:#}"
        );
    }
    stage.until(&[("api", state), ("web", "up")]).await;
    while let Some(ended) = load.try_join_next() {
        // Of before the stop; the last ones cannot have ended.
        ended.unwrap();
    }
    assert!(load.len() >= CALLERS, "something answered for a stopped process");
    signal(&stopped, Signal::CONT);
    while let Some(ended) = tokio::time::timeout(DEADLINE, load.join_next()).await.expect("all end") {
        ended.unwrap();
    }
    let told = explained(&stage, "web/api", |told| told["waiting"] == 0).await;
    assert_eq!((&told["last_error"], &told["session"]["state"]), (&Value::Null, &"up".into()));
    stage.down().await;
}

/// One that is stopped when it registers cannot say what it is.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_session_that_is_stopped_when_it_is_found_is_one() {
    let stage = Stage::new();
    let (web, api) = (stage.run(&[]).await, stage.run(&[]).await);
    let (caller, stopped) = (target("web"), target("api"));
    signal(&stopped, Signal::STOP);
    web.register("web", &entry(&caller));
    api.register("api", &entry(&stopped));
    stage.until(&[("api", "stopped"), ("web", "up")]).await;
    let goes_on = async {
        signal(&stopped, Signal::CONT);
        stage.until(&[("api", "up"), ("web", "up")]).await;
    };
    let (answer, ()) = tokio::join!(web.fetch("api", None), goes_on);
    assert_eq!(answer.unwrap(), "api");
    stage.down().await;
}

/// A stopped session that is killed has the events that reached it; the new ones go to its successor.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_session_that_is_killed_loses_only_what_had_reached_it() {
    let stage = Stage::new();
    let (web, api) = (stage.run(&[]).await, stage.run(&[]).await);
    let (caller, mut stopped) = (target("web"), target("old"));
    web.register("web", &entry(&caller));
    api.register("api", &entry(&stopped));
    stage.until(&[("api", "up"), ("web", "up")]).await;
    signal(&stopped, Signal::STOP);
    stopped.kill();
    stage.until(&[("api", "down"), ("web", "up")]).await;
    let waiting = async { web.fetch("api", None).await.unwrap() };
    let comes = async {
        explained(&stage, "web/api", |told| told["waiting"] == 1).await;
        let new = target("new");
        api.register("api", &entry(&new).replace("one", "two"));
        new
    };
    let (answer, _new) = tokio::join!(waiting, comes);
    assert_eq!(answer, "new");
    stage.down().await;
}

/// Writes entries in the same instant, as far as a machine can.
fn register_at_once(entries: &[(&Path, &str, &str)]) {
    let start = Barrier::new(entries.len());
    std::thread::scope(|scope| {
        for (index, (registry, worker, entry)) in entries.iter().enumerate() {
            let start = &start;
            scope.spawn(move || {
                let new = registry.with_extension(format!("test{index}"));
                std::fs::write(&new, entry).unwrap();
                start.wait();
                std::fs::rename(new, registry.join(worker)).unwrap();
            });
        }
    });
}

#[tokio::test]
async fn two_that_register_one_name_in_the_same_instant_are_both_sessions() {
    let stage = Stage::new();
    let (first, second) = (stage.run(&["--scope", "x"]).await, stage.run(&["--scope", "x"]).await);
    let (one, two) = (target("one"), target("two"));
    for round in 0..5 {
        let worker = format!("api{round}");
        let entries = [entry(&one), entry(&two)];
        register_at_once(&[
            (&first.registry, &worker, &entries[0]),
            (&second.registry, &worker, &entries[1]),
        ]);
        let names = [format!("{worker}@x"), format!("{worker}@x-2")];
        let both = async {
            let up = |name: &String| (name.clone(), "up".to_owned());
            while stage
                .sessions()
                .await
                .into_iter()
                .filter(|row| names.iter().any(|name| up(name) == *row))
                .count()
                != 2
            {}
        };
        tokio::time::timeout(DEADLINE, both).await.unwrap_or_else(|_| panic!("not both of {names:?}"));
        // Who has the number is a matter of luck; who answers by a name is not.
        let mut answers = [fetched(&stage, &names[0]).await, fetched(&stage, &names[1]).await];
        answers.sort();
        assert_eq!(answers, ["one", "two"], "round {round}");
    }
    stage.down().await;
}

/// In one registry there is one file of a name: the last one to write it is the session.
#[tokio::test]
async fn two_that_write_the_same_entry_are_one_session_whose_entry_is_the_last() {
    let stage = Stage::new();
    let (web, api) = (stage.run(&[]).await, stage.run(&[]).await);
    let (caller, one, two) = (target("web"), target("one"), target("two"));
    web.register("web", &entry(&caller));
    stage.until(&[("web", "up")]).await;
    let entries = [entry(&one), entry(&two)];
    register_at_once(&[(&api.registry, "api", &entries[0]), (&api.registry, "api", &entries[1])]);
    stage.until(&[("api", "up"), ("web", "up")]).await;
    let last = std::fs::read_to_string(api.registry.join("api")).unwrap();
    let wanted = if last == entries[0] { "one" } else { "two" };
    let settled = async { while web.fetch("api", None).await.unwrap() != wanted {} };
    tokio::time::timeout(DEADLINE, settled).await.unwrap();
    assert_eq!(web.fetch("api", None).await.unwrap(), wanted);
    stage.down().await;
}

#[tokio::test]
async fn events_wait_for_one_that_has_registered_until_it_listens() {
    let stage = Stage::new();
    let (web, api) = (stage.run(&["--scope", "x"]).await, stage.run(&["--scope", "x"]).await);
    let (caller, late) = (target("web"), target("late"));
    web.register("web", &entry(&caller));
    let socket = stage.folder.path().join("late");
    let text = entry(&late).replace(late.debug_socket().to_str().unwrap(), socket.to_str().unwrap());
    api.register("api", &text);
    stage.until(&[("api@x", "down"), ("web@x", "up")]).await;
    let waiting = async { web.fetch("api", None).await.unwrap() };
    let comes = async {
        let told = explained(&stage, "web/api", |told| told["waiting"] == 1).await;
        let why = told["session"]["why"].as_str().unwrap();
        assert!(why.contains("nobody listens") && why.contains("late"), "{told:#}");
        assert_eq!(told["rule"], "same_scope");
        assert_eq!(told["next"][0], "start its command again under `jackfield run`");
        // The socket of one that listens, at the address that was registered.
        std::fs::rename(late.debug_socket(), &socket).unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, comes);
    assert_eq!(answer, "late");
    stage.until(&[("api@x", "up"), ("web@x", "up")]).await;
    stage.down().await;
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A machine that slept, or whose clock was set, shows entries of long ago or of times to come.
#[tokio::test]
async fn entries_of_any_age_are_as_good_as_their_processes() {
    let stage = Stage::new();
    let plain = stage.folder.path().join("registry");
    std::fs::create_dir(&plain).unwrap();
    let web = stage.run(&["--scope", "x"]).await;
    let (caller, mut api) = (target("web"), target("api"));
    let day = Duration::from_secs(24 * 60 * 60);
    let (past, future) = (SystemTime::UNIX_EPOCH + day, SystemTime::now() + 400 * day);
    web.register("web", &entry(&caller));
    set_time(&web.registry.join("web"), past);
    let api_entry = entry(&api);
    register(&plain, "api", &api_entry);
    set_time(&plain.join("api"), past);
    let is = |state: &'static str| {
        let stage = &stage;
        async move {
            let wanted = |rows: Vec<(String, String)>| {
                rows.iter().any(|(name, now)| name.starts_with("api") && now == state)
                    && rows.iter().any(|(name, now)| name == "web@x" && now == "up")
            };
            let found = async { while !wanted(stage.sessions().await) {} };
            tokio::time::timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("not {state}"));
        }
    };
    is("up").await;
    for time in [future, past] {
        set_time(&plain.join("api"), time);
        set_time(&web.registry.join("web"), time);
        // What others see of it is not judged by the caller's clock either.
        set_time(&web.registry.join("api"), time);
        assert_eq!(web.fetch("api", None).await.unwrap(), "api");
        is("up").await;
    }
    // After a sleep a tool removes what it takes for dead; it is there again at once, and says that it is new.
    let before = web.published("api").await;
    std::fs::remove_file(web.registry.join("api")).unwrap();
    let after = until(|| {
        let text = std::fs::read(web.registry.join("api")).ok()?;
        serde_json::from_slice::<Value>(&text).ok()
    });
    assert_ne!(after.await["instanceId"], before["instanceId"]);
    assert_eq!(web.fetch("api", None).await.unwrap(), "api");
    // The newest entry is no sign of life.
    api.kill();
    set_time(&plain.join("api"), future);
    is("down").await;
    stage.down().await;
}
