//! Commands that ask something of a worker.

use std::path::PathBuf;

use clap::Subcommand;

use super::OutputArgs;

/// Whom a command speaks to, and how it gets there.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReachArgs {
    /// Speak to the debug port that listens there, like 127.0.0.1:9230 or unix:/PATH, instead of to
    /// the running sessions of the project
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) at: Option<String>,
    /// The unique key of the class, to find its objects by name where it is not known
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) unique_key: Option<String>,
    /// What the worker finds as ctx.props; a JSON object
    #[arg(long, value_name = "JSON")]
    pub(in crate::cli) props: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CallArgs {
    /// SERVICE, SERVICE#ENTRYPOINT, or SERVICE#CLASS/name:ROOM (id:HEX, str:PLAIN) for a Durable
    /// Object
    pub(in crate::cli) target: String,
    /// The method; `obj.deep.method` for one of an object that it has
    pub(in crate::cli) method: String,
    /// JSON, or a value's textual form, like '["date",0]' or '["bytes","AAE="]'; @FILE and - for what
    /// is in a file or comes in
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    pub(in crate::cli) arguments: Vec<String>,
    /// The result in its textual form, which is JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) reach: ReachArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct GetArgs {
    /// SERVICE, SERVICE#ENTRYPOINT, or SERVICE#CLASS/name:ROOM (id:HEX, str:PLAIN) for a Durable
    /// Object
    pub(in crate::cli) target: String,
    /// The property, like `version` or `config.limits`
    pub(in crate::cli) path: String,
    /// The value in its textual form, which is JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) reach: ReachArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FetchArgs {
    /// SERVICE, SERVICE#ENTRYPOINT, or SERVICE#CLASS/name:ROOM (id:HEX, str:PLAIN) for a Durable
    /// Object
    pub(in crate::cli) target: String,
    /// A whole URL as the worker shall see it, or a path
    pub(in crate::cli) url: String,
    /// The method [default: GET, or POST with a body]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(in crate::cli) method: Option<String>,
    /// A header, `Name: value`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(in crate::cli) headers: Vec<String>,
    /// A body as of a form, or what is in @FILE without its line ends (@- for standard input); several
    /// are joined by &
    #[arg(short = 'd', long, value_name = "DATA", conflicts_with = "data_binary")]
    pub(in crate::cli) data: Vec<String>,
    /// A body as it is, or @FILE, sent as it is read
    #[arg(long, value_name = "DATA")]
    pub(in crate::cli) data_binary: Option<String>,
    /// What the worker finds as request.cf
    #[arg(long, value_name = "JSON")]
    pub(in crate::cli) cf: Option<String>,
    /// Show the head of the answer, too
    #[arg(short, long)]
    pub(in crate::cli) include: bool,
    /// Exit with 1 if the status is 400 or more
    #[arg(long)]
    pub(in crate::cli) fail: bool,
    /// Write the body there
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Write each part of the body as it arrives
    #[arg(short = 'N', long)]
    pub(in crate::cli) no_buffer: bool,
    /// The answer as one JSON object: status, headers, body (body_hex if it is no text)
    #[arg(long, conflicts_with_all = ["include", "output", "no_buffer"])]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) reach: ReachArgs,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FireArgs {
    /// A session that jackfield runs itself (`up`, `dev`)
    pub(in crate::cli) session: String,
    #[command(subcommand)]
    pub(in crate::cli) what: Fired,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Fired {
    /// Call its scheduled handler
    Cron {
        /// The schedule as the handler sees it, like '*/5 * * * *'
        #[arg(value_name = "EXPR")]
        expression: String,
        /// When it was due, like 2026-11-01T12:00:00Z [default: now]
        #[arg(long)]
        time: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Call its queue handler, with one batch
    Queue {
        /// The queue
        name: String,
        /// A message each: JSON, or else a text
        #[arg(value_name = "BODY", required = true, allow_negative_numbers = true)]
        bodies: Vec<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
}
