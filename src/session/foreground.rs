//! A command of the user's, run in the foreground as a shell would run it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the command with the terminal that we have, and passes on the signals that we get. Returns how it ended.
///
/// What the terminal sends with Ctrl-C goes to all that runs in its foreground, so the command has it already. SIGINT and
/// SIGQUIT that somebody else sends to us alone, while we run there, look the same and are not passed on; use SIGTERM.
///
/// # Errors
/// It cannot be started.
///
/// # Cancellation
/// Kills the command.
pub async fn foreground(
    words: &[OsString],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<ExitStatus> {
    let [program, arguments @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut first = signal(SignalKind::user_defined1())?;
    let mut second = signal(SignalKind::user_defined2())?;
    let mut go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut command = Command::new(program);
    command.args(arguments).envs(environment).kill_on_drop(true);
    die_with_us(&mut command);
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            ended = child.wait() => return ended,
            _ = terminate.recv() => pass(&child, Signal::TERM),
            _ = hang_up.recv() => pass(&child, Signal::HUP),
            _ = interrupt.recv() => if !is_in_foreground() { pass(&child, Signal::INT) },
            _ = quit.recv() => if !is_in_foreground() { pass(&child, Signal::QUIT) },
            _ = first.recv() => pass(&child, Signal::USR1),
            _ = second.recv() => pass(&child, Signal::USR2),
            _ = go_on.recv() => pass(&child, Signal::CONT),
        }
    }
}

/// Whether we run in the foreground of a terminal, wherever our input comes from.
fn is_in_foreground() -> bool {
    File::open("/dev/tty").is_ok_and(|terminal| tcgetpgrp(&terminal) == Ok(getpgrp()))
}

/// The exit code that a shell would see.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn pass(child: &Child, signal: Signal) {
    // It has not been waited for, so its number is still its own.
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, signal);
    }
}

/// A command whose registry has gone with us would run on unlinked, and without a terminal.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            // It may have died before the line above.
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}
