//! The command line as it is typed. [`settings`](super::settings) makes sense of it.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Printed below every help text, so that scripts need not guess.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed, or the daemon refused; the message says why
  2  the command line or the project file is wrong; nothing was changed
  3  no daemon answers for this project";

/// Links running workerd sessions, and moves the links while they run.
#[derive(Debug, Parser)]
#[command(name = "jackfield", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Args {
    /// The project file [default: jackfield.toml here or in a folder above]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the sessions of a project and keep them linked until Ctrl-C
    #[command(after_help = EXIT_CODES)]
    Up(UpArgs),
    /// Show what it is about, in seconds, with three sessions of its own
    #[command(after_help = EXIT_CODES)]
    Demo(DemoArgs),
    /// Apply an edited project file or script to the running sessions
    #[command(after_help = EXIT_CODES)]
    Reload(OutputArgs),
    /// List the sessions
    #[command(after_help = EXIT_CODES)]
    Ls(OutputArgs),
    /// List the links and where they lead
    #[command(after_help = EXIT_CODES)]
    Links(OutputArgs),
    /// Move links to other targets while everything runs
    #[command(after_help = EXIT_CODES)]
    Retarget(RetargetArgs),
    /// Stop the sessions and the daemon
    #[command(after_help = EXIT_CODES)]
    Down(OutputArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    /// The project file, like --file
    #[arg(value_name = "FILE", conflicts_with = "file")]
    pub(super) project: Option<PathBuf>,
    /// Write every decoded frame, with how its ids were changed, as a JSON line
    #[arg(long, value_name = "FILE")]
    pub(super) trace_frames: Option<PathBuf>,
    /// How long calls in progress may take to end when it stops
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, allow_negative_numbers = true)]
    pub(super) grace: f64,
    /// One JSON object a line: what starts, stops and changes
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Write every decoded frame, with how its ids were changed, as a JSON line
    #[arg(long, value_name = "FILE")]
    pub(super) trace_frames: Option<PathBuf>,
    /// End with one line of JSON: counts, times and truths
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// One JSON object instead of a text for people
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetargetArgs {
    /// A link and its new target, like `web/API api@green` or `web/API api@green#Admin`; of several
    /// pairs all are moved in one step, or none
    #[arg(value_names = ["LINK", "TARGET"], num_args = 2.., required = true)]
    pub(super) pairs: Vec<String>,
    /// The target's entrypoint, for one pair; the same as `TARGET#NAME`
    #[arg(long, value_name = "NAME")]
    pub(super) entrypoint: Option<String>,
    /// What the target finds as ctx.props, for one pair; a JSON object
    #[arg(long, value_name = "JSON")]
    pub(super) props: Option<String>,
    /// Break calls, streams and WebSockets that began before, instead of letting them end
    #[arg(long)]
    pub(super) cut: bool,
    /// Return when all that began before has ended
    #[arg(long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl Args {
    /// Whether the reader is a program.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Up(args) => args.json,
            Command::Demo(args) => args.json,
            Command::Retarget(args) => args.output.json,
            Command::Reload(args) | Command::Ls(args) | Command::Links(args) | Command::Down(args) => {
                args.json
            }
        }
    }
}
