//! Ten sessions that are killed, stopped, replaced, registered again and moved, while one of them calls the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jackfield::client::{FetchError, Session};
use rustix::process::{Pid, Signal, kill_process};

use super::stage::{Run, Stage, entry, target};
use crate::support::running::Running;
use crate::support::up::DEADLINE;

/// Targets; with the caller they are ten.
const TARGETS: usize = 9;
/// Calls at once.
const CALLERS: usize = 4;
/// How long it goes on.
const LASTS: Duration = Duration::from_secs(60);

/// What a target answers: its name, and the how manyeth process of it.
fn label(name: usize, number: u64) -> String {
    format!("t{name}:{number}")
}

struct Target {
    run: Run,
    process: Running,
    number: u64,
}

impl Target {
    async fn start(stage: &Stage, name: usize) -> Self {
        let run = stage.run(&[]).await;
        let process = target(&label(name, 1));
        run.register(&format!("t{name}"), &entry(&process));
        Self { run, process, number: 1 }
    }

    /// Kills its process, and starts and registers the next.
    fn replace(&mut self, name: usize, newest: &AtomicU64) {
        self.process.kill();
        self.number += 1;
        self.process = target(&label(name, self.number));
        let entry = entry(&self.process).replace("\"one\"", &format!("\"{}\"", self.number));
        self.run.register(&format!("t{name}"), &entry);
        // What begins from now on must not be answered by anything older, once the old process is gone.
        newest.store(self.number, SeqCst);
    }

    fn pause(&self) {
        let pid = Pid::from_raw(self.process.pid().cast_signed()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        kill_process(pid, Signal::CONT).unwrap();
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

#[derive(Default)]
struct Tally {
    served: AtomicU64,
    /// Delivered to a process that was killed then: retryable, and said so.
    broken: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_chaos_fails_no_new_event_and_brings_no_stale_answer() {
    let stage = Stage::new();
    let web = stage.run(&[]).await;
    let caller = target("web");
    web.register("web", &entry(&caller));
    let mut targets = Vec::new();
    for name in 0..TARGETS {
        targets.push(Target::start(&stage, name).await);
    }
    let mut ports = HashMap::new();
    for name in 0..TARGETS {
        let published = web.published(&format!("t{name}")).await;
        ports.insert(name, published["debugPortAddress"].as_str().unwrap().to_owned());
    }
    let newest: Arc<Vec<AtomicU64>> = Arc::new((0..TARGETS).map(|_| AtomicU64::new(1)).collect());
    let (tally, over) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|seed| {
            let load = load(ports.clone(), newest.clone(), tally.clone(), over.clone(), seed as u64 + 1);
            tokio::spawn(load)
        })
        .collect();
    // A link comes with its first call, and what is not there cannot be moved.
    let linked = async {
        while stage.ask(&["links", "--json"]).await.1["links"].as_array().map(Vec::len) != Some(TARGETS) {}
    };
    tokio::time::timeout(DEADLINE, linked).await.expect("all are called");
    let began = Instant::now();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut kills = 0;
    while began.elapsed() < LASTS {
        let name = dice.roll(TARGETS);
        match dice.roll(4) {
            0 => {
                kills += 1;
                targets[name].replace(name, &newest[name]);
            }
            1 => targets[name].pause(),
            2 => {
                let to = format!("t{}", dice.roll(TARGETS));
                let (code, _, said) = stage.ask(&["retarget", &format!("web/t{name}"), &to]).await;
                assert!(code == 0, "{said}");
            }
            _ => {
                let entry = entry(&targets[name].process);
                targets[name]
                    .run
                    .register(&format!("t{name}"), &entry.replace("one", &dice.roll(9_999).to_string()));
            }
        }
    }
    over.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    let wrong = std::mem::take(&mut *tally.wrong.lock().unwrap());
    let (served, broken) = (tally.served.load(SeqCst), tally.broken.load(SeqCst));
    assert!(wrong.is_empty(), "{} of {served} went wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    assert!(served > 1_000, "{served} served, {broken} broken");
    // A caller has one call at a time, and a kill breaks it once.
    assert!(broken <= kills * CALLERS as u64, "{broken} broken by {kills} kills");
    let registry = web.registry.clone();
    for target in targets {
        assert_eq!(target.run.end().await, 0);
    }
    assert_eq!(web.end().await, 0);
    super::stage::until(|| (!registry.exists()).then_some(())).await;
    stage.down().await;
}

/// Calls one target after the other until it is over.
async fn load(
    ports: HashMap<usize, String>,
    newest: Arc<Vec<AtomicU64>>,
    tally: Arc<Tally>,
    over: Arc<AtomicBool>,
    seed: u64,
) {
    let mut dice = Dice(seed * 0x2545_f491_4f6c_dd1d);
    let mut sessions = HashMap::new();
    for (name, port) in &ports {
        sessions.insert(*name, Session::connect(&port.parse().unwrap()).await.unwrap());
    }
    while !over.load(SeqCst) {
        let name = dice.roll(TARGETS);
        let before: Vec<u64> = newest.iter().map(|number| number.load(SeqCst)).collect();
        let request = http::Request::get("https://chaos/").body("".into()).unwrap();
        let answered = sessions[&name].entrypoint("default", None, None).fetch(request).await;
        let text = match answered {
            Ok(answer) => answer.into_body().text().await.map_err(|error| error.to_string()),
            Err(FetchError::Event(error)) if error.is_retryable() => Err(format!("retryable: {error}")),
            Err(error) => Err(error.to_string()),
        };
        match text {
            Ok(text) => {
                let (who, number) = text.split_once(':').unwrap();
                let (who, number): (usize, u64) = (who[1..].parse().unwrap(), number.parse().unwrap());
                match number >= before[who] {
                    true => drop(tally.served.fetch_add(1, SeqCst)),
                    false => tally.wrong.lock().unwrap().push(format!("stale: {text}, not {}", before[who])),
                }
            }
            // What a process had in its hands when it was killed. What waits and is not served says otherwise.
            Err(why) if why.contains("has ended") && !why.contains("Make sure it is running") => {
                tally.broken.fetch_add(1, SeqCst);
            }
            Err(why) => tally.wrong.lock().unwrap().push(why),
        }
    }
}
