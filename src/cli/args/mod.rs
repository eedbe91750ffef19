//! The command line as it is typed. [`settings`](super::settings) makes sense of it.

mod asking;

use std::path::PathBuf;

pub(super) use asking::{CallArgs, FetchArgs, FireArgs, Fired, GetArgs, ReachArgs};
use clap::{Parser, Subcommand};

/// The port of browsers, for daemons that start by themselves too.
pub(super) const INGRESS_PORT: &str = "JACKFIELD_INGRESS_PORT";

/// Printed below every help text, so that scripts need not guess.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed, or the daemon refused; the message says why
  2  the command line or the project file is wrong; nothing was changed
  3  no daemon answers for this project";

/// The same below the form of a fake.
const FAKING: &str = r#"A fake, like

  { "fetch":      { "GET /items": { "json": [1, 2] }, "*": { "status": 404, "delay": 250 } },
    "methods":    { "add": { "returns": 3 }, "boom": { "throws": ["error", "TypeError", "no"] } },
    "properties": { "version": { "returns": "1.0" } } }

lasts until no link leads to it: `jackfield retarget LINK TARGET` moves a link away. This command,
given again, replaces it. All keys are in the README.

Exit codes:
  0  done
  1  it failed, or the daemon refused; the message says why
  2  the command line or the file is wrong; nothing was changed
  3  no daemon answers for this project"#;

/// The same for a command that runs another.
const RUNNING: &str = "\
The command sees a registry of its own: it finds every session that runs, and jackfield knows who
calls. Signals and the terminal are the command's.

Exit codes: those of the command; 128 and the signal's number, if one ended it;
1 if it cannot be started";

/// The same for commands that speak to workers.
const CALLING: &str = "\
Schedules and queue messages are sent by `jackfield fire`; alarms cannot be.

Exit codes:
  0  done
  1  the worker failed, or cannot be found; the message says why
  2  the command line is wrong; nothing was sent
  3  nobody answers, neither at --at nor as the daemon of this project";

/// The same for what goes into a shell.
const COMPLETING: &str = "\
In:
  bash  jackfield completions bash > ~/.local/share/bash-completion/completions/jackfield
  zsh   jackfield completions zsh > a folder of $fpath/_jackfield
  fish  jackfield completions fish > ~/.config/fish/completions/jackfield.fish";

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
    /// Run wrangler projects on bare workerd, linked, and reload them when their sources change
    #[command(after_help = EXIT_CODES)]
    Dev(DevArgs),
    /// Run any dev command (wrangler dev, vite, ...), linked with the other sessions
    #[command(after_help = RUNNING)]
    Run(RunArgs),
    /// Make a session of a debug port that listens somewhere on this machine
    #[command(after_help = EXIT_CODES)]
    Attach(AttachArgs),
    /// What the other commands start when they need it
    #[command(hide = true)]
    Daemon(DaemonArgs),
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
    /// Say why the events of a link go where they go, or what is the matter with a session
    #[command(after_help = EXIT_CODES)]
    Explain(ExplainArgs),
    /// Move links to other targets while everything runs
    #[command(after_help = EXIT_CODES)]
    Retarget(RetargetArgs),
    /// Lead links to a fake, which answers as a JSON file says
    #[command(after_help = FAKING, override_usage = "jackfield fake [OPTIONS] <LINK>... <FILE>")]
    Fake(FakeArgs),
    /// Call a method of a worker, or of a Durable Object
    #[command(after_help = CALLING)]
    Call(CallArgs),
    /// Get a property of a worker, or of a Durable Object
    #[command(after_help = CALLING)]
    Get(GetArgs),
    /// Send a request to a worker, as curl would
    #[command(after_help = CALLING)]
    Fetch(FetchArgs),
    /// Send a schedule or queue messages to a worker
    #[command(after_help = EXIT_CODES)]
    Fire(FireArgs),
    /// Stop the sessions and the daemon
    #[command(after_help = EXIT_CODES)]
    Down(OutputArgs),
    /// Look at all that is needed, and say what to do where something is the matter
    #[command(after_help = EXIT_CODES)]
    Doctor(OutputArgs),
    /// Print what completes commands in a shell
    #[command(after_help = COMPLETING)]
    Completions(CompletionsArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    /// The project file, like --file
    #[arg(value_name = "FILE", conflicts_with = "file")]
    pub(super) project: Option<PathBuf>,
    /// Write every decoded frame, with how its ids were changed, as a JSON line
    #[arg(long, value_name = "FILE")]
    pub(super) trace_frames: Option<PathBuf>,
    /// Where browsers reach all sessions, as http://NAME.localhost:PORT/ [default: a free port]
    #[arg(long, value_name = "PORT", env = INGRESS_PORT, hide_env_values = true)]
    pub(super) ingress_port: Option<u16>,
    /// How long calls in progress may take to end when it stops
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, allow_negative_numbers = true)]
    pub(super) grace: f64,
    /// One JSON object a line: what starts, stops and changes
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// wrangler configurations, each a session, or their folders [default: wrangler.jsonc, wrangler.json
    /// or wrangler.toml here]
    #[arg(value_name = "CONFIG")]
    pub(super) configs: Vec<PathBuf>,
    /// The environment of the configurations
    #[arg(short, long, value_name = "NAME", env = "CLOUDFLARE_ENV", hide_env = true)]
    pub(super) env: Option<String>,
    /// Where the first worker listens, a port or an address of this machine [default: the
    /// configuration's dev.port, or a free port]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// What tells the sessions apart from others of the same names [default: the git branch]
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// Run without a field of the configurations that is not supported here; may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(super) without: Vec<String>,
    /// Where browsers reach all sessions, as http://NAME.localhost:PORT/, if no daemon runs yet [default:
    /// a free port]
    #[arg(long, value_name = "PORT", env = INGRESS_PORT, hide_env_values = true)]
    pub(super) ingress_port: Option<u16>,
    /// One JSON object a line: what starts, stops and changes
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DaemonArgs {
    #[arg(long, env = INGRESS_PORT)]
    pub(super) ingress_port: Option<u16>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// What the session is called [default: what its worker is called]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// What tells it apart from others of that name [default: the git branch]
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(super) command: Vec<std::ffi::OsString>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AttachArgs {
    /// Where it listens, like 127.0.0.1:9230 or unix:/PATH
    #[arg(value_name = "ADDR")]
    pub(super) address: String,
    /// What the session is called
    #[arg(long)]
    pub(super) name: String,
    /// What tells it apart from others of that name
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// The service of its worker [default: the session's name]
    #[arg(long)]
    pub(super) service: Option<String>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
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
pub(super) struct ExplainArgs {
    /// A link, like `web/API`, or a session, like `web`
    #[arg(value_name = "LINK")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    pub(super) shell: Shell,
}

/// A shell that completes words.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
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

#[derive(Debug, clap::Args)]
pub(super) struct FakeArgs {
    /// Links, like `web/API`, and the fake's file, or - for standard input; all links are moved in one
    /// step, or none
    #[arg(value_names = ["LINK", "FILE"], num_args = 2.., required = true)]
    pub(super) words: Vec<String>,
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
    /// What the log shows if nobody says. Commands that fail say why themselves.
    pub(super) fn log(&self) -> &'static str {
        match &self.command {
            Command::Call(_) | Command::Get(_) | Command::Fetch(_) | Command::Fire(_) => "error",
            _ => "warn",
        }
    }

    /// Whether the reader is a program.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Up(args) => args.json,
            Command::Dev(args) => args.json,
            Command::Demo(args) => args.json,
            Command::Retarget(args) => args.output.json,
            Command::Fake(args) => args.output.json,
            Command::Explain(args) => args.output.json,
            Command::Attach(args) => args.output.json,
            Command::Run(_) | Command::Daemon(_) | Command::Completions(_) => false,
            Command::Doctor(args) => args.json,
            Command::Fire(args) => match &args.what {
                Fired::Cron { output, .. } | Fired::Queue { output, .. } => output.json,
            },
            Command::Fetch(args) => args.json,
            Command::Call(args) => args.json,
            Command::Get(args) => args.json,
            Command::Reload(args) | Command::Ls(args) | Command::Links(args) | Command::Down(args) => {
                args.json
            }
        }
    }
}
