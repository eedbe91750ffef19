//! Values: read and written by us and by node, whose `v8.deserialize` and `v8.serialize` are V8's own.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jackfield::wire::v8::{ArrayBuffer, JsValue, Limits, Source, deserialize_within, serialize_within};

use super::report::Report;

const BUFFER: usize = 64 << 20;

/// The buffer and a head.
const LIMITS: Limits = Limits { bytes: BUFFER + 64, depth: Limits::DEPTH, memory: Limits::MEMORY };

/// A node that measures itself when it is told to.
struct Node {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Node {
    fn start() -> Result<Node> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("codec.cjs");
        std::fs::write(&script, include_str!("codec.js"))?;
        let mut process = Command::new("node")
            .arg(&script)
            .arg(folder.path().join("object"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::other("node has no pipes"));
        };
        let mut node = Node { process, input, output: BufReader::new(output), folder };
        match node.line()?.as_str() {
            "ready" => Ok(node),
            said => Err(Error::other(format!("node is not ready, and says: {said}"))),
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// How long node takes for a job.
    fn time(&mut self, job: &str) -> Result<Duration> {
        writeln!(self.input, "{job}")?;
        let nanoseconds = self.line()?;
        nanoseconds.parse().map(Duration::from_nanos).map_err(Error::other)
    }

    /// The object that it reads, serialized.
    fn object(&self) -> Result<Vec<u8>> {
        std::fs::read(self.folder.path().join("object"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long it takes, with what is left of it thrown away.
fn time<T>(job: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    drop(black_box(job()));
    start.elapsed()
}

/// Something that both do.
struct Job {
    row: String,
    /// What node calls it.
    named: &'static str,
    /// How many times node's time ours may take.
    goal: Option<f64>,
    ours: Box<dyn Fn() -> Duration>,
}

impl Job {
    fn new(
        row: String,
        named: &'static str,
        goal: Option<f64>,
        ours: impl Fn() -> Duration + 'static,
    ) -> Job {
        Job { row, named, goal, ours: Box::new(ours) }
    }
}

pub fn run(rounds: usize, report: &mut Report) -> Result<()> {
    let mut node = Node::start()?;
    for job in object_jobs(node.object()?)? {
        let [ours, theirs, _] = measure(rounds, &job, &mut node, &[])?;
        report.add(&job.row, &ours, ("node", &theirs), job.goal);
    }
    let buffer = JsValue::from(ArrayBuffer { bytes: vec![7; BUFFER].into(), max_len: None });
    let bytes = Bytes::from(write(&buffer)?);
    for job in buffer_jobs(buffer, &bytes) {
        let [ours, theirs, copies] = measure(rounds, &job, &mut node, &bytes)?;
        report.add(&job.row, &ours, ("node", &theirs), job.goal);
        report.add(&job.row, &ours, ("memcpy into new memory", &copies), Some(1.2));
    }
    Ok(())
}

fn object_jobs(bytes: Vec<u8>) -> Result<Vec<Job>> {
    let object = read(&bytes)?;
    let row = |verb: &str| format!("{verb} a nested object of {} KiB", bytes.len() / 1024);
    let (reading, writing) = (row("read"), row("write"));
    Ok(vec![
        Job::new(reading, "read object", Some(1.5), move || time(|| read(&bytes).map_err(drop))),
        Job::new(writing, "write object", Some(1.5), move || time(|| write(&object).map_err(drop))),
    ])
}

fn buffer_jobs(buffer: JsValue, bytes: &Bytes) -> Vec<Job> {
    let row = |what: &str| format!("{what} an ArrayBuffer of 64 MiB");
    let (copied, shared) = (bytes.clone(), bytes.clone());
    vec![
        Job::new(row("read and copy"), "read buffer", None, move || time(|| read(&copied[..]).map_err(drop))),
        Job::new(row("read and share"), "read buffer", None, move || {
            time(|| deserialize_within(Source::Shared(&shared), Vec::new(), LIMITS).map_err(drop))
        }),
        Job::new(row("write"), "write buffer", None, move || time(|| write(&buffer).map_err(drop))),
    ]
}

/// How long we take, how long node takes, and how long a copy of these bytes takes: in turn.
fn measure(rounds: usize, job: &Job, node: &mut Node, bytes: &[u8]) -> Result<[Vec<Duration>; 3]> {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=rounds {
        let took = [(job.ours)(), node.time(job.named)?, time(|| bytes.to_vec())];
        // The first round warms up.
        if round > 0 {
            times.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    Ok(times)
}

fn read(bytes: &[u8]) -> Result<JsValue> {
    deserialize_within(bytes, Vec::new(), LIMITS).map_err(Error::other)
}

fn write(value: &JsValue) -> Result<Vec<u8>> {
    serialize_within(value, LIMITS).map(|encoded| encoded.bytes).map_err(Error::other)
}
