//! What people read, and what programs do.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rounds::{Case, Seen};
use crate::stats::{Estimate, median, quantile};
use crate::world::{Route, STREAM_BYTES, World};

#[derive(Default)]
pub struct Report {
    rows: Vec<Value>,
    at_once: Vec<Value>,
    goals: Vec<Value>,
    retargets: Value,
    idle_rss_mb: Option<f64>,
    after_rss_mb: Option<f64>,
}

const OURS: Route = Route { middle: "switch", transport: "unix" };
const DIRECT: Route = Route { middle: "direct", transport: "unix" };
const DIRECT_TCP: Route = Route { middle: "direct", transport: "tcp" };
const SPLICE: Route = Route { middle: "splice", transport: "unix" };

impl Report {
    pub fn new(world: &World) -> Self {
        let idle_rss_mb = world.middles.get("switch").and_then(|router| router.idle_rss_mb);
        for (name, middle) in &world.middles {
            eprintln!("{name} is process {}", middle.pid());
        }
        Report { idle_rss_mb, ..Report::default() }
    }

    /// Prints a case and keeps it.
    pub fn add(&mut self, case: Case, seen: BTreeMap<Route, Seen>) {
        let Case { name, at, calls, .. } = case;
        let rounds = seen.values().map(|seen| seen.call_us.len()).min().unwrap_or(0);
        println!("\n{name}, {at} at once: {rounds} rounds of {} calls on each path", calls * at);
        println!("  path            p50 µs [95 %]                p99 µs    calls/s   CPU µs   RSS MB");
        for (route, seen) in &seen {
            let row = row(case, *route, seen);
            let time = Estimate::of(&seen.call_us);
            println!(
                "  {:<15} {:>9.1} [{:>8.1} – {:>8.1}] {} {:>10.0} {} {}",
                format!("{} {}", route.middle, route.transport),
                time.median,
                time.low,
                time.high,
                number(&row["p99_us"], 9, 0),
                row["per_s"].as_f64().unwrap_or(f64::NAN),
                number(&row["cpu_us"], 8, 1),
                number(&row["rss_mb"], 8, 1),
            );
            if at == 1 { self.rows.push(row) } else { self.at_once.push(row) }
        }
        self.compare(case, &seen);
    }

    fn compare(&mut self, case: Case, seen: &BTreeMap<Route, Seen>) {
        let Some(ours) = seen.get(&OURS) else { return };
        for (to, most, least) in goals(case) {
            let Some(other) = seen.get(&to) else { continue };
            let speed = least.is_some();
            let ratio = match speed {
                true => Estimate::ratio(&other.call_us, &ours.call_us),
                false => Estimate::ratio(&ours.call_us, &other.call_us),
            };
            let what = if speed { "speed" } else { "time" };
            let text = format!("{} at {}: {what} / {} {}", case.name, case.at, to.middle, to.transport);
            self.goal(text, ratio, most, least);
        }
        if case.name == "rpc" {
            let most = if case.at == 1 { 15.0 } else { 3.0 };
            let text = format!("rpc at {}: CPU µs a call", case.at);
            self.goal(text, Estimate::of(&ours.cpu_us), Some(most), None);
        }
    }

    fn goal(&mut self, what: String, reached: Estimate, most: Option<f64>, least: Option<f64>) {
        let Estimate { median, low, high } = reached;
        let met = most.is_none_or(|most| median <= most) && least.is_none_or(|least| median >= least);
        let bound = match (most, least) {
            (Some(most), _) => format!("≤ {most}"),
            (_, Some(least)) => format!("≥ {least}"),
            _ => String::new(),
        };
        let said = if met { "reached" } else { "MISSED" };
        println!("  {what:<38} {median:>7.3} [{low:.3} – {high:.3}]  goal {bound}: {said}");
        self.goals.push(json!({
            "what": what, "median": median, "low": low, "high": high, "at_most": most, "at_least": least, "met": met,
        }));
    }

    pub fn retargets(&mut self, seen: Value) {
        println!("\nretargets under load (ms): {seen}");
        if let Some(p99) = seen["p99"].as_f64() {
            let p99 = Estimate { median: p99, low: p99, high: p99 };
            self.goal("retarget: p99 ms".into(), p99, Some(0.2), None);
        }
        self.retargets = seen;
    }

    pub fn end(&mut self, world: &World) {
        self.after_rss_mb = world.middles.get("switch").and_then(|router| router.rss_mb());
        if let (Some(idle), Some(after)) = (self.idle_rss_mb, self.after_rss_mb) {
            println!(
                "\nthe router's memory: {idle:.1} MB resident before the first caller, {after:.1} MB after all this"
            );
            self.goal("idle: MB".into(), Estimate { median: idle, low: idle, high: after }, Some(20.0), None);
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "rows": self.rows,
            "concurrency": self.at_once,
            "goals": self.goals,
            "retarget_ms": self.retargets,
            "idle_rss_mb": self.idle_rss_mb,
            "after_rss_mb": self.after_rss_mb,
        })
    }
}

/// Against whom a case is held: time at most, or speed at least.
fn goals(case: Case) -> Vec<(Route, Option<f64>, Option<f64>)> {
    match (case.name, case.at) {
        ("rpc", 1) => {
            vec![(DIRECT_TCP, Some(1.05), None), (DIRECT, Some(1.10), None), (SPLICE, Some(1.05), None)]
        }
        ("rpc", _) => vec![(DIRECT, None, Some(0.97))],
        ("connect", _) => vec![(DIRECT, Some(1.0), None), (DIRECT_TCP, Some(1.0), None)],
        ("stream", _) => vec![(SPLICE, None, Some(0.95))],
        _ => Vec::new(),
    }
}

fn row(case: Case, route: Route, seen: &Seen) -> Value {
    let p50 = median(&seen.call_us);
    let singles = if seen.single_us.is_empty() { &seen.call_us } else { &seen.single_us };
    let cpu = (!seen.cpu_us.is_empty()).then(|| median(&seen.cpu_us));
    let mut row = json!({
        "path": route.middle,
        "transport": route.transport,
        "case": case.name,
        "at": case.at,
        "p50_us": p50,
        "p99_us": quantile(singles, 0.99),
        "per_s": 1e6 / p50,
        "cpu_us": cpu,
        "rss_mb": seen.rss_mb,
    });
    if case.name == "stream" {
        row["mib_per_s"] = json!((STREAM_BYTES >> 20) as f64 * 1e6 / p50);
    }
    row
}

fn number(value: &Value, width: usize, digits: usize) -> String {
    match value.as_f64() {
        Some(value) => format!("{value:>width$.digits$}"),
        None => format!("{:>width$}", "–"),
    }
}
