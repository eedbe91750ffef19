//! A program that outlives whoever starts it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use tokio::process::{ChildStdout, Command};

/// Starts a program as nobody's child, and returns its standard output. What it writes to standard error goes to `log`.
///
/// # Errors
/// It cannot be started.
///
/// # Cancellation
/// It may have been started.
pub async fn background<T: AsRef<OsStr>>(
    program: &OsStr,
    arguments: impl IntoIterator<Item = T>,
    log: File,
) -> io::Result<ChildStdout> {
    // By a shell that ends at once: whoever ends a command with all that is below it must not end what serves others.
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", r#""$@" &"#, "sh"]).arg(program).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    // No signal of a terminal's reaches it.
    command.process_group(0);
    let mut shell = Command::from(command).spawn()?;
    let out = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    shell.wait().await?;
    Ok(out)
}
