//! `jackfield run` on a terminal: the command has it as it would have it alone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::process::Stdio;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

use super::stage::{Stage, entry, target};
use crate::support::npm::tools;
use crate::support::up::DEADLINE;

const INTERRUPT: &str = "\x03";
const END_OF_INPUT: &str = "\x04";

/// A terminal and the command that it was opened with. Dropping it closes the terminal and kills the command.
struct Terminal {
    /// The side of whoever types.
    keyboard: AsyncFd<File>,
    child: Child,
    shown: String,
}

impl Terminal {
    fn open(stage: &Stage, words: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        // No process that another test starts may hold this side: the terminal would not close.
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = ptsname(&keyboard, Vec::new()).unwrap();
        let both = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let screen = File::from(rustix::fs::open(path, both, rustix::fs::Mode::empty()).unwrap());
        let size = Winsize { ws_row: 40, ws_col: 132, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        rustix::io::fcntl_setfd(&keyboard, rustix::io::FdFlags::CLOEXEC).unwrap();
        rustix::fs::fcntl_setfl(&keyboard, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let mut command = stage.command(words);
        command.env("NO_COLOR", "1");
        let handle = || Stdio::from(screen.try_clone().unwrap());
        command.stdin(handle()).stdout(handle()).stderr(handle());
        // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock. The descriptor is
        // the standard input that was set above.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                Ok(rustix::process::ioctl_tiocsctty(BorrowedFd::borrow_raw(0))?)
            });
        }
        let child = command.spawn().unwrap();
        // SAFETY: a file has the same descriptor for as long as it lives.
        let keyboard = unsafe { AsyncFd::register(File::from(keyboard)) }.unwrap();
        Self { keyboard, child, shown: String::new() }
    }

    async fn types(&self, text: &str) {
        let mut written = self.keyboard.writable().await.unwrap();
        // A few bytes always fit into a terminal's queue.
        let typed = written.try_io(|keyboard| keyboard.get_ref().write_all(text.as_bytes()));
        typed.expect("the terminal takes it").unwrap();
    }

    /// Reads until that is shown, or all has been.
    async fn read_until(&mut self, text: Option<&str>) {
        let read = async {
            let mut part = [0; 4096];
            while text.is_none_or(|text| !self.shown.contains(text)) {
                let mut readable = self.keyboard.readable().await.unwrap();
                match readable.try_io(|keyboard| keyboard.get_ref().read(&mut part)) {
                    // What Linux says, and what others say, where nobody has it open any more.
                    Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                        return io::Result::Ok(false);
                    }
                    Ok(Ok(0)) => return Ok(false),
                    Ok(read) => self.shown.push_str(&String::from_utf8_lossy(&part[..read?])),
                    Err(_) => {}
                }
            }
            Ok(true)
        };
        let found = tokio::time::timeout(DEADLINE, read).await;
        let is_right =
            found.as_ref().is_ok_and(|found| matches!(found, Ok(found) if *found == text.is_some()));
        assert!(is_right, "{text:?}: {found:?} {}", self.shown);
    }

    async fn shows(&mut self, text: &str) {
        self.read_until(Some(text)).await;
    }

    /// Waits for the end of the command; gives all that was shown, and the exit code.
    async fn ends(mut self) -> (String, i32) {
        self.read_until(None).await;
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it does not end");
        (std::mem::take(&mut self.shown), ended.unwrap().code().unwrap())
    }
}

#[tokio::test]
async fn a_terminal_stays_one_and_keeps_its_size() {
    let stage = Stage::new();
    let script =
        "console.log('terminals', [0, 1, 2].map((fd) => require('tty').isatty(fd)), process.stdout.columns)";
    let words = ["run", "--", tools().node.to_str().unwrap(), "-e", script];
    let (shown, code) = Terminal::open(&stage, &words).ends().await;
    assert!(code == 0 && shown.contains("terminals [ true, true, true ] 132"), "{code} {shown}");
    // What is read is what is typed, up to its end.
    let mut cat = Terminal::open(&stage, &["run", "--", "sh", "-c", "echo it listens; exec cat"]);
    cat.shows("it listens\r\n").await;
    cat.types("typed\n").await;
    cat.shows("typed\r\ntyped\r\n").await;
    cat.types(END_OF_INPUT).await;
    assert_eq!(cat.ends().await.1, 0);
    stage.down().await;
}

#[tokio::test]
async fn ctrl_c_reaches_the_command_once_and_its_exit_code_comes_out() {
    let stage = Stage::new();
    let script = "let count = 0;
        process.on('SIGINT', () => console.log(`interrupt ${++count}`));
        process.stdin.on('data', () => process.exit(40 + count));
        console.log('it listens');";
    let mut node = Terminal::open(&stage, &["run", "--", tools().node.to_str().unwrap(), "-e", script]);
    node.shows("it listens").await;
    for count in 1..=3 {
        node.types(INTERRUPT).await;
        node.shows(&format!("interrupt {count}")).await;
    }
    node.types("end\n").await;
    let (shown, code) = node.ends().await;
    assert_eq!(code, 43, "{shown}");

    let mut cat = Terminal::open(&stage, &["run", "--", "sh", "-c", "echo it listens; exec cat"]);
    cat.shows("it listens").await;
    cat.types(INTERRUPT).await;
    assert_eq!(cat.ends().await.1, 128 + 2);
    stage.down().await;
}

/// The daemon that a command has started in a terminal is not the terminal's.
#[tokio::test]
async fn a_terminal_that_is_closed_ends_its_command_and_nobody_else() {
    let stage = Stage::new();
    // It does not read: whoever does may see the end of the terminal before the signal comes.
    let script = "process.on('SIGHUP', () => process.exit(42));
        setInterval(() => {}, 1_000);
        console.log('it listens');";
    let mut first = Terminal::open(&stage, &["run", "--", tools().node.to_str().unwrap(), "-e", script]);
    first.shows("it listens").await;
    let run = stage.run(&[]).await;
    let api = target("api");
    run.register("api", &entry(&api));
    stage.until(&[("api", "up")]).await;
    let Terminal { keyboard, mut child, .. } = first;
    drop(keyboard);
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it does not end");
    assert_eq!(ended.unwrap().code(), Some(42));
    let output = stage.command(&["fetch", "api", "/"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "api");
    assert_eq!(run.end().await, 0);
    stage.down().await;
}
