//! A middle as a process of its own: this program again, with other arguments. It ends when its standard input does.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::forward::{self, Speaks};
use crate::router;
use crate::sockets::Address;
use crate::splice::Splice;

/// The first argument of such a process.
pub const ARGUMENT: &str = "--be-the-middle";
const READY: &str = "ready";

/// What a middle serves: `link FROM TO` or `port FROM TO`, one an argument.
#[derive(Clone)]
pub struct Pair {
    pub speaks: Speaks,
    pub from: Address,
    pub to: Address,
}

impl Pair {
    fn argument(&self) -> String {
        let speaks = if self.speaks == Speaks::Link { "link" } else { "port" };
        format!("{speaks} {} {}", self.from, self.to)
    }

    fn parse(argument: &str) -> Option<Self> {
        let mut words = argument.split(' ');
        let speaks = match words.next()? {
            "link" => Speaks::Link,
            "port" => Speaks::Port,
            _ => return None,
        };
        Some(Pair { speaks, from: words.next()?.parse().ok()?, to: words.next()?.parse().ok()? })
    }
}

/// Is one, until standard input ends.
pub fn be(arguments: &[String]) -> io::Result<()> {
    let [kind, folder, pairs @ ..] = arguments else { return Err(io::ErrorKind::InvalidInput.into()) };
    let pairs: Vec<Pair> = pairs.iter().filter_map(|pair| Pair::parse(pair)).collect();
    match kind.as_str() {
        "splice" => {
            let mut splice = Splice::new()?;
            for pair in &pairs {
                splice.lead(&pair.from, &pair.to)?;
            }
            thread::spawn(|| splice.run());
            say(READY);
            input_ends()
        }
        "capnp-rpc" => {
            let pairs = pairs.into_iter().map(|pair| (pair.speaks, pair.from, pair.to)).collect();
            thread::spawn(|| forward::run(pairs, || say(READY)));
            input_ends()
        }
        _ => {
            let middle = router::Middle::start(Path::new(folder))?;
            say(READY);
            for line in io::stdin().lines() {
                let times = line?.parse().unwrap_or(0);
                say(&middle.retarget(times).to_string());
            }
            Ok(())
        }
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more: the end of the input says the same.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Until whoever started this process ends, or ends it.
fn input_ends() -> io::Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

/// A middle that runs.
pub struct Middle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub idle_rss_mb: Option<f64>,
}

impl Middle {
    pub fn start(kind: &str, folder: &Path, pairs: &[Pair]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(kind)
            .arg(folder)
            .args(pairs.iter().map(Pair::argument))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut middle = Middle { child, input, output: BufReader::new(output), idle_rss_mb: None };
        if middle.line()? != READY {
            return Err(io::Error::other(format!("the middle {kind} does not start")));
        }
        middle.idle_rss_mb = middle.rss_mb();
        Ok(middle)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Tells the router to move its link that often, and waits for what it saw.
    pub fn retarget(&mut self, times: usize) -> io::Result<Value> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        writeln!(input, "{times}")?;
        input.flush()?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// The time its threads have run, where the kernel tells it in nanoseconds.
    pub fn cpu(&self) -> Option<Duration> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let mut sum = 0;
        for task in tasks {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            sum += stat.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(Duration::from_nanos(sum))
    }

    pub fn rss_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib / 1024.0)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
