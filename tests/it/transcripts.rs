//! What two real workerd processes say to each other, recorded, and what the recordings show to be so.
//!
//! `JACKFIELD_BLESS=1 cargo test transcripts` records them anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use capnp::message::ReaderOptions;
use capnp::serialize::read_message_from_flat_slice;
use jackfield::schema::rpc_capnp::{call, message, return_};

use crate::support::pair::{Caller, Target, Via};
use crate::support::splice::{Records, recording_splice};
use crate::support::transcript::{Direction, Transcript};

/// Cases that together show every kind of message that travels between workerds, each small enough to be read.
const RECORDED: [(Via, &str); 28] = [
    (Via::Link, "values/echo-map"),
    (Via::Link, "errors/thrown-custom"),
    (Via::Link, "errors/call-on-failed"),
    (Via::Link, "errors/unknown-method"),
    (Via::Link, "callbacks/three-levels"),
    (Via::Link, "callbacks/returned-then-called"),
    (Via::Link, "callbacks/returned-pipelined"),
    (Via::Link, "callbacks/pipelined"),
    (Via::Link, "callbacks/stub-from-target-to-target"),
    (Via::Link, "order/pipelined-deep"),
    (Via::Link, "order/before-and-after-slow-resolve"),
    (Via::Link, "order/own-capability-through-promise"),
    (Via::Link, "dispose/only-after-last-dup"),
    (Via::Link, "dispose/argument-of-failed-call"),
    (Via::Link, "cancel/hanging-call-releases-argument"),
    (Via::Link, "cancel/target-context-abort"),
    (Via::Link, "cancel/callback-hangs"),
    (Via::Link, "streams/in-1KiB"),
    (Via::Link, "streams/out-1KiB"),
    (Via::Link, "streams/echo-1KiB"),
    (Via::Link, "streams/mixed"),
    (Via::Link, "streams/fails-at-caller"),
    (Via::Link, "streams/abort-by-target"),
    (Via::Debug, "entrypoints/two-on-one-connection"),
    (Via::Debug, "actors/callback"),
    (Via::Debug, "fetch/body-text"),
    (Via::Debug, "fetch/echo-1"),
    (Via::Debug, "sockets/kinds"),
];

/// All recordings together, so that the repository stays small.
const MAX_BYTES: usize = 300_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_hold_what_the_engine_is_built_on() {
    if std::env::var_os("JACKFIELD_BLESS").is_some() {
        for (via, case) in RECORDED {
            record(via, case).await;
        }
    }
    let transcripts = Transcript::all();
    let mut expected = RECORDED.map(|(via, case)| file_name(via, case));
    expected.sort();
    let of_case = |one: &Transcript| one.name.split_once('.').map_or(&*one.name, |(case, _)| case).to_owned();
    let mut found: Vec<_> = transcripts.iter().map(of_case).collect();
    found.dedup();
    assert_eq!(found, expected, "record them anew with JACKFIELD_BLESS=1");
    let bytes: usize = transcripts.iter().flat_map(|one| &one.frames).map(|(_, frame)| frame.len() * 2).sum();
    assert!(bytes < MAX_BYTES, "{bytes} bytes are too many to check in");
    for transcript in &transcripts {
        let ledger = Ledger::of(&transcript.frames);
        // What a debug-port caller left open ends with its connection.
        assert!(
            ledger.open.is_empty() || transcript.name.starts_with("debug-"),
            "{}: questions left open: {:?}",
            transcript.name,
            ledger.open
        );
        assert_eq!(ledger.faults, Vec::<String>::new(), "{}", transcript.name);
    }
}

fn file_name(via: Via, case: &str) -> String {
    format!("{}-{}", via.word(), case.replace('/', "-"))
}

/// Runs one case in two fresh processes and writes down its connections, the second and later ones as `NAME.2` and so on.
async fn record(via: Via, case: &str) {
    let target = Target::start();
    let (middle, records) = recording_splice(&target);
    let caller = Caller::start(&middle.reach);
    caller.run(via, case).await.expect("the case ends");
    for (index, frames) in settled(via, &records, case).await.into_iter().enumerate() {
        let name = file_name(via, case);
        let name = if index == 0 { name } else { format!("{name}.{}", index + 1) };
        Transcript { name, frames }.write();
    }
}

/// Waits until nothing more will come, which is a little after the case has told: on a link every question was answered
/// and finished; a connection to a debug port is closed as it is when the event ends.
async fn settled(via: Via, records: &Records, case: &str) -> Vec<Vec<(Direction, Vec<u8>)>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut connections: Vec<_> = records.all();
        connections.retain(|connection| !connection.frames.is_empty());
        let open: Vec<_> = connections.iter().map(|connection| Ledger::of(&connection.frames).open).collect();
        let quiet = match via {
            Via::Link => open.iter().all(BTreeMap::is_empty),
            Via::Debug => connections.iter().all(|connection| connection.closed),
        };
        if !connections.is_empty() && quiet {
            return connections.into_iter().map(|connection| connection.frames).collect();
        }
        assert!(Instant::now() < deadline, "{case} leaves questions open: {open:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Follows the questions of both sides.
#[derive(Default)]
struct Ledger {
    /// Of (who asked, question): what is still to come.
    open: BTreeMap<(bool, u32), Open>,
    faults: Vec<String>,
}

#[derive(Debug)]
struct Open {
    pipeline_only: bool,
    returned: bool,
    finished: bool,
}

impl Ledger {
    fn of(frames: &[(Direction, Vec<u8>)]) -> Self {
        let mut ledger = Self::default();
        frames.iter().for_each(|(direction, frame)| ledger.add(*direction, frame));
        ledger
    }

    fn add(&mut self, direction: Direction, frame: &[u8]) {
        let reader = read_message_from_flat_slice(&mut &frame[..], ReaderOptions::new()).expect("a frame");
        let root = reader.get_root::<message::Reader<'_>>().expect("a message");
        let caller = direction == Direction::FromCaller;
        match root.which().expect("a known message") {
            message::Bootstrap(bootstrap) => {
                let question = bootstrap.expect("a bootstrap").get_question_id();
                self.ask(caller, question, false);
            }
            message::Call(call) => {
                let call = call.expect("a call");
                self.ask(caller, call.get_question_id(), call.get_only_promise_pipeline());
                if call
                    .get_send_results_to()
                    .which()
                    .is_ok_and(|to| matches!(to, call::send_results_to::ThirdParty(_)))
                {
                    self.faults.push("results for a third party".to_owned());
                }
            }
            message::Return(answer) => self.answer(!caller, &answer.expect("a return")),
            message::Finish(finish) => self.finish(caller, finish.expect("a finish").get_question_id()),
            message::Unimplemented(_) | message::Abort(_) => {
                self.faults.push("an end of the protocol".to_owned())
            }
            _ => {}
        }
    }

    fn ask(&mut self, caller: bool, question: u32, pipeline_only: bool) {
        // Rule 4: such calls take their ids from the upper half, and only they do.
        if pipeline_only != (question >= 1 << 31) {
            self.faults.push(format!("question {question} with onlyPromisePipeline = {pipeline_only}"));
        }
        let open = Open { pipeline_only, returned: false, finished: false };
        if self.open.insert((caller, question), open).is_some() {
            self.faults.push(format!("question {question} was asked while open"));
        }
    }

    fn answer(&mut self, caller: bool, answer: &return_::Reader<'_>) {
        let key = (caller, answer.get_answer_id());
        let Some(open) = self.open.get_mut(&key) else {
            return self.faults.push(format!("an answer to no question: {key:?}"));
        };
        if open.pipeline_only {
            self.faults.push(format!("an answer to a pipeline-only call: {key:?}"));
        }
        open.returned = true;
        if open.finished || answer.get_no_finish_needed() {
            self.open.remove(&key);
        }
    }

    fn finish(&mut self, caller: bool, question: u32) {
        let key = (caller, question);
        // A Finish may cross a Return that needs none (rule 5): then the entry is gone.
        let Some(open) = self.open.get_mut(&key) else { return };
        open.finished = true;
        if open.returned || open.pipeline_only {
            self.open.remove(&key);
        }
    }
}
