//! Nothing is lost: whatever a worker can observe of another one is the same with something in between as without.
//!
//! The cases live in `workers/caller`: each does one thing to the target and tells everything that it could observe.
//! They run against nothing in between, then through a middle, and the two accounts must be equal to the letter.

use std::fmt::Write as _;

use crate::support::pair::{Caller, Middle, Target, Via, direct};
use crate::support::splice::splice;
use crate::support::switched::switched;

/// What every case told, in the order of the list.
type Accounts = Vec<(String, String)>;

/// More than this many differences are only named.
const SHOWN: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_splice_of_bytes_on_links_loses_nothing() {
    compare(Via::Link, splice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_splice_of_bytes_on_the_debug_port_loses_nothing() {
    compare(Via::Debug, splice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_on_links_loses_nothing() {
    compare(Via::Link, switched).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_on_the_debug_port_loses_nothing() {
    compare(Via::Debug, switched).await;
}

/// Runs every case twice, each time with two processes of its own, and compares.
async fn compare(via: Via, middle: fn(&Target) -> Middle) {
    let expected = accounts(via, direct).await;
    let found = accounts(via, middle).await;
    let differing: Vec<_> = expected.iter().zip(&found).filter(|(a, b)| a != b).collect();
    let mut report = String::new();
    for (index, ((case, expected), (_, found))) in differing.iter().enumerate() {
        let shown = if index < SHOWN { difference(expected, found) } else { String::new() };
        write!(report, "\n== {case}\n{shown}").expect("a string grows");
    }
    assert!(differing.is_empty(), "{} of {} cases differ:{report}", differing.len(), expected.len());
}

async fn accounts(via: Via, middle: fn(&Target) -> Middle) -> Accounts {
    let target = Target::start();
    let middle = middle(&target);
    let caller = Caller::start(&middle.reach);
    let only = std::env::var("JACKFIELD_CASES").unwrap_or_default();
    let mut accounts = Accounts::new();
    for case in caller.cases(via).await.into_iter().filter(|case| case.contains(&only)) {
        let account = caller.run(via, &case).await.unwrap_or_else(|error| format!("no account: {error}"));
        accounts.push((case, account));
    }
    // A direct run that hangs or breaks would make an equal one through the middle look right.
    let broken: Vec<_> = accounts.iter().filter(|(_, account)| !is_account(account)).collect();
    let listed: String =
        broken.iter().map(|(case, account)| format!("\n{case}: {}", head(account, 200))).collect();
    assert!(broken.is_empty(), "cases that may never end so:{listed}\ncaller said:\n{}", caller.said());
    accounts
}

/// Neither a hang, nor an unknown case, nor a failed request.
fn is_account(account: &str) -> bool {
    account.starts_with("{\n \"value\":") || account.starts_with("{\n \"threw\":")
}

fn head(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

/// The lines around the first difference.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let mut shown = String::new();
    let mut show = |mark: &str, lines: &[&str], from: usize, count: usize| {
        for line in lines.iter().skip(from).take(count) {
            writeln!(shown, "{mark} {}", head(line, 400)).expect("a string grows");
        }
    };
    show(" ", &expected, same.saturating_sub(4), same.min(4));
    show("-", &expected, same, 6);
    show("+", &found, same, 6);
    shown
}
