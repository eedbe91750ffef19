//! `cargo bench --bench client`: what a client costs, against what else there is, in the same run.
//!
//! `-- --json` ends with one line of JSON, `-- --case NAME` (may be repeated) leaves the others out, `-- --rounds N`
//! sets the rounds of every case, and `-- --quick` has a quarter of them. Cases: `codec`, `rpc`, `fetch`, `down`, `up`.
//!
//! Both sides of a row are measured in turn, round by round, so that what disturbs the machine disturbs both. Their
//! medians are compared.

#[path = "client/capnp.rs"]
mod capnp;
#[path = "client/codec.rs"]
mod codec;
#[path = "client/fetch.rs"]
mod fetch;
#[path = "client/report.rs"]
mod report;
#[path = "client/rounds.rs"]
mod rounds;
#[path = "client/rpc.rs"]
mod rpc;
#[path = "client/worker.rs"]
mod worker;

use clap::Parser;
use report::Report;

/// What the user asked for.
#[derive(Parser)]
struct Asked {
    #[arg(long)]
    json: bool,
    #[arg(long = "case")]
    cases: Vec<String>,
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    #[arg(long)]
    quick: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A case: it measures what it likes, and adds its rows.
type Case = fn(rounds: usize, report: &mut Report) -> std::io::Result<()>;

/// All cases by their names. A new one is a file beside `codec.rs`, and a line here.
const CASES: &[(&str, Case)] = &[
    ("codec", codec::run),
    ("rpc", rpc::run),
    ("fetch", fetch::run),
    ("down", fetch::down),
    ("up", fetch::up),
];

fn main() -> std::io::Result<()> {
    let asked = Asked::parse();
    let rounds = if asked.quick { asked.rounds / 4 } else { asked.rounds };
    let mut report = Report::default();
    for (name, case) in CASES {
        if asked.cases.is_empty() || asked.cases.iter().any(|wanted| wanted == name) {
            report.begin(name);
            case(rounds.max(1), &mut report)?;
        }
    }
    if asked.json {
        println!("{}", report.json());
    }
    Ok(())
}
