//! The acts: what is driven through the link, and what must come of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::Caller;
use super::report::{Held, Percentiles, Report};
use super::{Stage, TARGETS, story};
use crate::cli::failure::Failure;

/// Loops that send events at the same time.
const LOOPS: usize = 8;
/// How often the link moves. More than the hundred that the demo promises.
const RETARGETS: usize = 120;
/// Events that each target gets at least before the link moves on.
const EVENTS_BETWEEN: u64 = 12;

/// What web says of one event.
#[derive(Debug, Deserialize)]
struct Served {
    who: Option<String>,
    error: Option<String>,
    retryable: Option<bool>,
}

/// Where the link pointed, over time: an event may be served by any target that was in force from its begin to its
/// end, and by no other.
#[derive(Default)]
struct History {
    published: RefCell<Vec<&'static str>>,
    /// Targets up to this one were confirmed before now.
    confirmed: Cell<usize>,
    events: Cell<u64>,
    stop: Cell<bool>,
}

impl History {
    fn allows(&self, from: usize, who: &str) -> bool {
        self.published.borrow().get(from..).is_some_and(|targets| targets.contains(&who))
    }
}

/// What the loops counted.
#[derive(Default)]
struct Tally {
    events: Cell<u64>,
    wrong: Cell<u64>,
    broken: Cell<u64>,
    failed: RefCell<Vec<String>>,
}

fn add(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Sends events, fetches and calls in turn, until the history says stop.
async fn events(caller: &mut Caller, name: usize, history: &History, tally: &Tally) -> Result<(), Failure> {
    let mut count = 0u64;
    while !history.stop.get() {
        count += 1;
        let path = if count.is_multiple_of(2) { "fetch" } else { "call" };
        let from = history.confirmed.get();
        let served: Served = caller.json(&format!("/{path}?id={name}-{from}-{count}")).await?;
        add(&tally.events);
        add(&history.events);
        match served {
            Served { who: Some(who), .. } if !history.allows(from, &who) => add(&tally.wrong),
            Served { who: Some(_), .. } => {}
            Served { retryable: Some(true), .. } => add(&tally.broken),
            Served { error, .. } => tally.failed.borrow_mut().push(error.unwrap_or_default()),
        }
    }
    Ok(())
}

async fn callers(stage: &Stage) -> Result<Vec<Caller>, Failure> {
    let socket = stage.socket("web")?;
    try_join_all((0..LOOPS).map(|_| Caller::connect(&socket))).await
}

/// Act one: the link moves back and forth while events flow.
pub(super) async fn while_it_moves(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let (history, tally) = (History::default(), Tally::default());
    history.published.borrow_mut().push(TARGETS[0]);
    stage.router.shared().take_first_events();
    let mut callers = callers(stage).await?;
    let bar = story::bar(RETARGETS);
    let loops = callers.iter_mut().enumerate().map(|(name, caller)| events(caller, name, &history, &tally));
    let moves = async {
        for turn in 1..=RETARGETS {
            let to = TARGETS[turn % TARGETS.len()];
            history.published.borrow_mut().push(to);
            stage.point(to).await?;
            history.confirmed.set(turn);
            bar.moved(to, history.events.get());
            let enough = history.events.get() + EVENTS_BETWEEN;
            while history.events.get() < enough && tally.failed.borrow().is_empty() {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok::<_, Failure>(())
    };
    let moves = async {
        let moved = moves.await;
        history.stop.set(true);
        moved
    };
    let (moved, sent) = tokio::join!(moves, join_all(loops));
    bar.done();
    moved?;
    sent.into_iter().collect::<Result<Vec<()>, Failure>>()?;
    report.retargets = RETARGETS as u64;
    report.events = tally.events.get();
    report.wrong_target = tally.wrong.get();
    // Nothing was killed yet: a broken event is a failed one here.
    report.failed = tally.failed.borrow().len() as u64 + tally.broken.get();
    report.doubled = doubled(stage).await?;
    let first = stage.router.shared().take_first_events();
    let first = first.iter().map(|first| first.since_published.as_nanos() as u64).collect();
    report.retarget_to_first_event_ms = Percentiles::of(first);
    story::failures(&tally.failed.borrow());
    Ok(())
}

/// Events that were delivered more than once, by what both targets remember.
async fn doubled(stage: &Stage) -> Result<u64, Failure> {
    let mut times: HashMap<String, u64> = HashMap::new();
    for target in TARGETS {
        let mut caller = Caller::connect(&stage.socket(target)?).await?;
        let delivered: Vec<(String, u64)> = caller.json("/delivered").await?;
        for (id, count) in delivered {
            *times.entry(id).or_default() += count;
        }
    }
    Ok(times.values().map(|count| count.saturating_sub(1)).sum())
}

/// Act two: what was opened before a retarget stays where it is.
pub(super) async fn hold_across(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let [old, new] = TARGETS;
    stage.point(old).await?;
    let mut caller = Caller::connect(&stage.socket("web")?).await?;
    let (body, mut lines) = caller.open("/hold").await?;
    let opened = lines.next().await?;
    if let Some(error) = opened.get("error") {
        return Err(Failure::failed(format!("nothing could be held: {error}")));
    }
    stage.point(new).await?;
    drop(body);
    let after = lines.next().await?;
    let is = |key: &str, what: &str| after.get(key).and_then(Value::as_str) == Some(what);
    report.held = Held {
        stub: is("stub", &format!("{old} 2")),
        stream: is("stream", &format!("{old} {old} {old} ")),
        websocket: is("websocket", old),
        slow_call: is("slow_call", old),
        new_event: is("now", new),
    };
    if !report.held.all() {
        story::failures(&[after.to_string()]);
    }
    Ok(())
}

/// Act three: an error crosses with all that it is.
pub(super) async fn throw(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let mut caller = Caller::connect(&stage.socket("web")?).await?;
    let error: Value = caller.json("/refuse").await?;
    let whole = json!({
        "arrived": true,
        "is_error": true,
        "name": "InsufficientFunds",
        "message": "the account is empty",
        "code": 402,
        "retry": { "after": [1, 2, 3] },
        "hint": "1970-01-01T00:00:00.000Z",
        "remote": true,
        "stack": "InsufficientFunds: the account is empty",
    });
    report.error_whole = error == whole;
    if !report.error_whole {
        story::failures(&[error.to_string()]);
    }
    Ok(())
}

/// Act four: the target is killed under load; new events wait for its successor.
pub(super) async fn kill(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let target = TARGETS[1];
    stage.point(target).await?;
    let (history, tally) = (Rc::new(History::default()), Tally::default());
    history.published.borrow_mut().push(target);
    let parked_before = stage.router.shared().counts().parked;
    let mut callers = callers(stage).await?;
    let loops = callers.iter_mut().enumerate().map(|(name, caller)| events(caller, name, &history, &tally));
    let mut took = Duration::ZERO;
    let killing = async {
        let killed = strike(stage, target, &history, &mut took).await;
        history.stop.set(true);
        killed
    };
    let (killed, sent) = tokio::join!(killing, join_all(loops));
    killed?;
    sent.into_iter().collect::<Result<Vec<()>, Failure>>()?;
    report.events += tally.events.get();
    report.wrong_target += tally.wrong.get();
    report.failed += tally.failed.borrow().len() as u64;
    report.broken_by_kill = tally.broken.get();
    report.parked = stage.router.shared().counts().parked - parked_before;
    report.kill_to_served_ms = took.as_secs_f64() * 1e3;
    story::failures(&tally.failed.borrow());
    Ok(())
}

async fn strike(stage: &Stage, target: &str, history: &History, took: &mut Duration) -> Result<(), Failure> {
    let enough = |more: u64| {
        let goal = history.events.get() + more;
        async move {
            while history.events.get() < goal {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    enough(200).await;
    let pid =
        stage.pid(target).and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::failed(format!("session {target} has no process to kill")))?;
    let died = Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)
        .map_err(|error| Failure::failed(format!("session {target} could not be killed: {error}")))?;
    // Every loop has at most one event on the old process: after these, the successor serves.
    enough(LOOPS as u64 + 1).await;
    *took = died.elapsed();
    enough(200).await;
    Ok(())
}
