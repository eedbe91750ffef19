//! Retargets under load: how soon events follow, and whether each was served, once.
//!
//! The times run until the first event was handed to the new target: `with_arrival` from the publication of the target,
//! so that they hold the time in which no event came; the others from the publication or from the event's arrival,
//! whichever was later. That is the router's share.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::stats::quantile;
use crate::world::{Client, World};

/// Calls at once of one request, and requests at once: together 64.
const LANES: usize = 16;
const LOADS: usize = 4;
const CALLS: usize = 50;

#[derive(Deserialize)]
struct Issued {
    issued: usize,
    failures: Vec<String>,
}

/// Runs `times` retargets, with calls flowing all the while.
pub fn run(world: &mut World, times: usize) -> io::Result<Value> {
    let mut targets =
        world.targets.iter().map(|socket| Client::dial(socket)).collect::<io::Result<Vec<_>>>()?;
    for target in &mut targets {
        target.get(MARKS)?;
    }
    let (stop, runs) = (AtomicBool::new(false), AtomicUsize::new(0));
    let caller = world.caller.clone();
    let load = || -> io::Result<Issued> {
        let mut client = Client::dial(&caller)?;
        let mut all = Issued { issued: 0, failures: Vec::new() };
        while !stop.load(Relaxed) {
            let run = runs.fetch_add(1, Relaxed);
            let answer = client.get(&format!("/marks?run={run}&at={LANES}&n={CALLS}"))?;
            let one: Issued = serde_json::from_str(&answer)?;
            all.issued += one.issued;
            all.failures.extend(one.failures);
        }
        Ok(all)
    };
    let router = world.middles.get_mut("switch").ok_or(io::ErrorKind::NotFound)?;
    let (inside, loads) = thread::scope(|scope| {
        let loads: Vec<_> = (0..LOADS).map(|_| scope.spawn(load)).collect();
        let inside = router.retarget(times);
        stop.store(true, Relaxed);
        let loads: Vec<_> = loads.into_iter().map(|load| load.join()).collect();
        (inside, loads)
    });
    let inside = inside?;
    let (mut issued, mut failures) = (0, Vec::new());
    for load in loads {
        let load = load.map_err(|_| io::Error::other("a load ended early"))??;
        issued += load.issued;
        failures.extend(load.failures);
    }

    let mut served: HashMap<String, usize> = HashMap::new();
    let mut by = Vec::new();
    for target in &mut targets {
        let marks: Vec<String> = serde_json::from_str(&target.get(MARKS)?)?;
        by.push(marks.len());
        for mark in marks {
            *served.entry(mark).or_default() += 1;
        }
    }
    let times = |name: &str| -> Vec<f64> {
        inside[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (published, within) = (times("published_ms"), times("inside_ms"));
    if let Some(first) = failures.first() {
        eprintln!("retarget: {first}");
    }
    Ok(json!({
        "p50": quantile(&within, 0.5),
        "p99": quantile(&within, 0.99),
        "max": quantile(&within, 1.0),
        "with_arrival": { "p50": quantile(&published, 0.5), "p99": quantile(&published, 0.99) },
        "retargets": published.len(),
        "events": issued,
        "failed": failures.len() + (issued - failures.len()).saturating_sub(served.len()),
        "doubled": served.values().filter(|count| **count > 1).count(),
        "without_event": inside["without"],
        "parked": inside["parked"],
        "served_by": by,
    }))
}

const MARKS: &str = "/marks";
