//! `cargo bench --bench switch`: what the switch costs between two real workerds, against no middle, the barest
//! middle, and one made with capnp-rpc.
//!
//! `-- --quick` takes under 40 s, `-- --json` ends with one line of JSON, `-- --case NAME` and `-- --path MIDDLE`
//! (each may be repeated) leave the others out, `-- --rounds N` sets the rounds of every case, `-- --retargets N` the
//! retargets.
//!
//! `p50_us` is the median over rounds of the time a call takes in a request that makes many; a worker's own clock
//! counts milliseconds. `p99_us` is of whole requests with one call each. Ratios are taken round by round.

#[cfg(target_os = "linux")]
#[path = "switch/forward.rs"]
mod forward;
#[cfg(target_os = "linux")]
#[path = "switch/middle.rs"]
mod middle;
#[cfg(target_os = "linux")]
#[path = "switch/report.rs"]
mod report;
#[cfg(target_os = "linux")]
#[path = "switch/retarget.rs"]
mod retarget;
#[cfg(target_os = "linux")]
#[path = "switch/rounds.rs"]
mod rounds;
#[cfg(target_os = "linux")]
#[path = "switch/router.rs"]
mod router;
#[cfg(target_os = "linux")]
#[path = "switch/sockets.rs"]
mod sockets;
#[cfg(target_os = "linux")]
#[path = "switch/splice.rs"]
mod splice;
#[cfg(target_os = "linux")]
#[path = "switch/stats.rs"]
mod stats;
#[cfg(target_os = "linux")]
#[path = "switch/world.rs"]
mod world;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("The bench of the switch runs on Linux only: it uses epoll and reads /proc.");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == middle::ARGUMENT => middle::be(rest),
        _ => bench(&arguments),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switch: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// What the user asked for.
#[cfg(target_os = "linux")]
#[derive(clap::Parser)]
struct Asked {
    #[arg(long)]
    json: bool,
    #[arg(long)]
    quick: bool,
    #[arg(long = "case")]
    cases: Vec<String>,
    #[arg(long = "path")]
    paths: Vec<String>,
    #[arg(long)]
    rounds: Option<usize>,
    #[arg(long)]
    retargets: Option<usize>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[cfg(target_os = "linux")]
fn bench(arguments: &[String]) -> std::io::Result<()> {
    use clap::Parser;

    let program = std::iter::once("switch".to_owned());
    let asked = Asked::parse_from(program.chain(arguments.iter().cloned()));
    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let mut world = world::World::start()?;
    let routes: Vec<_> =
        world::Route::ALL.into_iter().filter(|route| wanted(&asked.paths, route.middle)).collect();
    let mut report = report::Report::new(&world);
    for mut case in rounds::Case::all(asked.quick) {
        if !wanted(&asked.cases, case.name) {
            continue;
        }
        case.rounds = asked.rounds.unwrap_or(case.rounds);
        report.add(case, rounds::run(&world, case, &routes)?);
    }
    let retargets = asked.retargets.unwrap_or(if asked.quick { 200 } else { 1000 });
    if wanted(&asked.cases, "retarget") && wanted(&asked.paths, "switch") && retargets > 0 {
        report.retargets(retarget::run(&mut world, retargets)?);
    }
    report.end(&world);
    if asked.json {
        println!("{}", report.json());
    }
    Ok(())
}
