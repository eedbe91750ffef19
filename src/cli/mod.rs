//! The command line: the only room that prints.
//!
//! `args` is what was typed, `settings` what is meant by it; then one file a subcommand. Every failure is printed in
//! one place, `failure`, and every result through `screen`.

mod account;
mod args;
mod attach;
mod background;
mod call;
mod completions;
mod demo;
mod dev;
mod doctor;
mod down;
mod explain;
mod failure;
mod fake;
mod fetch;
mod fire;
mod links;
mod ls;
mod names;
mod out;
mod patience;
mod place;
mod progress;
mod reach;
mod reload;
mod retarget;
mod run;
mod screen;
mod settings;
mod signals;
mod target;
mod thrown;
mod up;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use args::Args;
use failure::Failure;
use settings::Settings;

/// What the log shows: a filter like `jackfield=debug`. Warnings if it is not set.
const LOG: &str = "JACKFIELD_LOG";

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let as_json = args.json();
    log(args.log());
    match run(args) {
        Ok(code) => code,
        Err(failure) => failure.report(as_json),
    }
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    let as_json = args.json();
    let here = std::env::current_dir().map_err(|error| {
        Failure::failed(format!("the current folder cannot be found: {error}"))
            .hint("change to one that exists")
    })?;
    let done = match Settings::resolve(args, &here)? {
        Settings::Run(settings) => return runtime()?.block_on(self::run::run(settings, &here)),
        Settings::Attach(place, attach) => runtime()?.block_on(attach::run(&place, &attach, as_json)),
        Settings::Daemon(place, ingress) => up::in_background(place, ingress),
        Settings::Up(settings) => up::run(settings, as_json),
        Settings::Dev(settings) => dev::run(*settings, as_json),
        Settings::Demo(trace_frames) => demo::run(trace_frames.as_deref(), as_json),
        Settings::Reload(place) => runtime()?.block_on(reload::run(&place, as_json)),
        Settings::Ls(place) => runtime()?.block_on(ls::run(&place, as_json)),
        Settings::Links(place) => runtime()?.block_on(links::run(&place, as_json)),
        Settings::Explain(place, asked) => runtime()?.block_on(explain::run(&place, &asked, as_json)),
        Settings::Retarget(place, change) => runtime()?.block_on(retarget::run(&place, &change, as_json)),
        Settings::Fake(place, fake) => runtime()?.block_on(fake::run(&place, &fake, as_json)),
        Settings::Call(reach, settings) => runtime()?.block_on(call::run(&reach, *settings, as_json)),
        Settings::Fetch(reach, settings) => runtime()?.block_on(fetch::run(&reach, *settings, as_json)),
        Settings::Fire(place, args) => runtime()?.block_on(fire::run(&place, args, as_json)),
        Settings::Doctor(root) => return doctor::run(&root, as_json),
        Settings::Completions(shell) => completions::run(shell),
        Settings::Down(place) => runtime()?.block_on(down::run(&place, as_json)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Commands wait for one socket at a time, so one thread is enough.
fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("could not start the runtime: {error}")))
}

fn log(usual: &str) {
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .compact()
        .init();
}
