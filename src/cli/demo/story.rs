//! What the demo tells, act by act.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::{Held, Report};
use crate::cli::screen::{self, BAD, FAINT, GOOD, STRONG};
use crate::session::workerd::Workerd;

fn say(text: &str) {
    // Nobody listens any more: the exit code still tells.
    let _ = screen::data(text);
}

/// A line of an act: what was to be shown, and whether it was.
fn check(good: bool, text: &str) {
    match good {
        true => say(&format!("  {GOOD}✓{GOOD:#} {text}")),
        false => say(&format!("  {BAD}✗ {text}{BAD:#}")),
    }
}

fn act(title: &str) {
    say(&format!("\n{STRONG}{title}{STRONG:#}"));
}

pub(super) fn opening(workerd: &Workerd) {
    say(&format!(
        "{STRONG}jackfield demo{STRONG:#}: a worker calls another through a link, and the link moves."
    ));
    say(&format!(
        "{FAINT}workerd {}, {}: {}{FAINT:#}",
        workerd.version,
        workerd.source,
        workerd.path.display()
    ));
}

pub(super) fn started(took: Duration) {
    act("Three workerd processes");
    let took = took.as_millis();
    check(true, &format!("web, api@blue and api@green run, {took} ms after the start"));
    say(&format!("    {FAINT}web/API → api@blue{FAINT:#}"));
    act("The link moves under load");
}

/// The progress of the first act.
pub(super) struct Bar(ProgressBar);

pub(super) fn bar(retargets: usize) -> Bar {
    let style = ProgressStyle::with_template("  web/API → {msg:18} {bar:30.cyan} {pos}/{len} moves")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let target = if colour { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    Bar(ProgressBar::with_draw_target(Some(retargets as u64), target).with_style(style))
}

impl Bar {
    pub fn moved(&self, to: &str, events: u64) {
        self.0.set_message(format!("{to:9} {events:>6} ev"));
        self.0.inc(1);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}

pub(super) fn moved(report: &Report) {
    let Report { events, failed, wrong_target, doubled, retargets, .. } = report;
    let first = &report.retarget_to_first_event_ms;
    check(*retargets >= 100, &format!("{retargets} retargets while {events} fetches and calls went through"));
    check(
        *failed + *wrong_target + *doubled == 0,
        &format!("{failed} failed, {wrong_target} at the wrong target, {doubled} delivered twice"),
    );
    let (p50, p99) = (first.p50, first.p99);
    check(true, &format!("the first event followed a new target in {p50:.2} ms (p50), {p99:.2} ms (p99)"));
    act("What was open before a retarget stays");
}

pub(super) fn held(report: &Report) {
    let Held { stub, stream, websocket, slow_call, new_event } = report.held;
    check(stub, "a stub still counts at api@blue");
    check(stream, "a stream still comes from api@blue");
    check(websocket, "a WebSocket is still answered by api@blue");
    check(slow_call, "a slow call came back from api@blue");
    check(new_event, "a call begun in between went to api@green");
    act("An error crosses whole");
}

pub(super) fn thrown(report: &Report) {
    check(
        report.error_whole,
        "InsufficientFunds: the account is empty — with its code, a nested object and a Date",
    );
    act("A target is killed under load");
}

pub(super) fn killed(report: &Report) {
    let Report { broken_by_kill, parked, kill_to_served_ms, .. } = report;
    check(*parked > 0, &format!("{parked} events waited for the successor of api@green and were served"));
    check(
        true,
        &format!("{broken_by_kill} that had been delivered broke with it, and say that they may be retried"),
    );
    check(
        report.failed == 0,
        &format!("{} failed; the successor served {kill_to_served_ms:.0} ms after the kill", report.failed),
    );
}

pub(super) fn failures(texts: &[String]) {
    for text in texts.iter().take(3) {
        screen::note(&format!("    {BAD}{text}{BAD:#}"));
    }
}

pub(super) fn ending(report: &Report) {
    let seconds = report.seconds;
    match report.is_good() {
        true => say(&format!(
            "\n{GOOD}All of it held{GOOD:#}, in {seconds:.1} s. Now with your own: `jackfield up`."
        )),
        false => say(&format!("\n{BAD}Not all of it held{BAD:#}, in {seconds:.1} s.")),
    }
}
