//! What a message costs in the engine alone: no socket, no workerd, one thread.
//!
//! A caller asks a target through the engine: Call, Return and Finish are taken in, patched, and taken out again.
//! Once with one capability alive, and once with 50,000 of which each call picks one at random.
//!
//! `cargo bench --bench engine`, or with `-- --json` for one line of JSON at the end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use capnp::message::Builder;
use capnp::serialize;
use jackfield::rpc::{Budget, ConnId, Engine, Event, Limits};
use jackfield::schema::rpc_capnp as rpc;
use rustix::time::{ClockId, clock_gettime};

/// Live capabilities of the large case.
const MANY: u32 = 50_000;

/// Rounds of each case, taken in turn so that what disturbs the machine disturbs all alike.
const ROUNDS: usize = 41;

/// Calls in a round.
const CALLS: u32 = 10_000;

/// Where the ids are in the messages of this bench, in bytes: question, target, and answer.
const QUESTION: usize = 32;
const TARGET: usize = 80;

/// Counts the bytes that are allocated, while somebody wants to know.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is the system allocator's; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Relaxed) {
            BYTES.fetch_add(layout.size(), Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if COUNTS.load(Relaxed) {
            BYTES.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// A caller with capabilities of a target.
struct Case {
    engine: Engine,
    caller: ConnId,
    target: ConnId,
    ids: Vec<u32>,
    call: Vec<u8>,
    results: Vec<u8>,
    finish: Vec<u8>,
    random: u64,
    question: u32,
}

impl Case {
    fn new() -> Self {
        let mut engine = Engine::new(Limits::default(), Budget::new(Budget::DEFAULT_BYTES));
        let target = engine.connect(None);
        let asked = engine.bootstrap(target);
        take(&mut engine, target);
        let root = message(|message| results(message.init_return(), 0, &[0]));
        engine.receive(target, &mut root.clone());
        let Some(Event::Return { result: Ok(incoming), .. }) = engine.poll_event() else {
            panic!("the target has no main object")
        };
        let root = incoming.caps.into_iter().next().flatten();
        let caller = engine.connect(root);
        engine.finish(asked);
        take(&mut engine, target);
        engine.receive(caller, &mut message(|message| message.init_bootstrap().set_question_id(0)));
        let id = exported(&take(&mut engine, caller));
        engine.receive(caller, &mut finish(0));
        let call = message(|message| {
            let mut call = message.init_call();
            call.set_question_id(1);
            call.set_interface_id(1);
            call.reborrow().init_target().set_imported_cap(0);
            let arguments = call.init_params().get_content();
            arguments.initn_as::<capnp::data::Builder>(16);
        });
        let results = message(|message| {
            let mut ret = message.init_return();
            ret.set_answer_id(0);
            ret.set_release_param_caps(false);
            ret.init_results().get_content().initn_as::<capnp::data::Builder>(8);
        });
        let finish = finish(1);
        Case { engine, caller, target, ids: id, call, results, finish, random: 1, question: 1 }
    }

    /// Lets the target return this many more capabilities to the caller, who keeps them.
    fn grow(&mut self, count: u32) {
        const AT_ONCE: u32 = 1000;
        for first in (0..count).step_by(AT_ONCE as usize) {
            let last = count.min(first + AT_ONCE);
            let ids: Vec<u32> = (first + 1..=last).collect();
            let question = self.send_call(self.ids.first().copied().unwrap_or(0));
            let mut frame = message(|message| results(message.init_return(), question, &ids));
            self.engine.receive(self.target, &mut frame);
            let got = exported(&take(&mut self.engine, self.caller));
            self.ids.extend(got);
            self.engine.receive(self.caller, &mut finish(self.question));
            take(&mut self.engine, self.target);
        }
    }

    /// The caller's Call, as far as the target; what the target has to answer.
    fn send_call(&mut self, to: u32) -> u32 {
        self.question = self.question % 64 + 1;
        set(&mut self.call, QUESTION, self.question);
        set(&mut self.call, TARGET, to);
        let mut frame = self.call.clone();
        self.engine.receive(self.caller, &mut frame);
        let out = take(&mut self.engine, self.target);
        get(&out, QUESTION)
    }

    /// One call of one of the capabilities, there and back.
    fn round(&mut self) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let id = self.ids.get((self.random % self.ids.len() as u64) as usize).copied().unwrap_or(0);
        self.question = self.question % 64 + 1;
        set(&mut self.call, QUESTION, self.question);
        set(&mut self.call, TARGET, id);
        // The engine patches what it is given; a socket would read every message anew, too.
        let mut frame = [0; 256];
        let mut switch = |engine: &mut Engine, conn, message: &[u8]| {
            if let Some(frame) = frame.get_mut(..message.len()) {
                frame.copy_from_slice(message);
                engine.receive(conn, frame);
            }
        };
        switch(&mut self.engine, self.caller, &self.call);
        let question = with_output(&mut self.engine, self.target, |out| get(out, QUESTION));
        set(&mut self.results, QUESTION, question);
        switch(&mut self.engine, self.target, &self.results);
        let answer = with_output(&mut self.engine, self.caller, |out| get(out, QUESTION));
        assert_eq!(answer, self.question, "the answer is to another question");
        set(&mut self.finish, QUESTION, self.question);
        switch(&mut self.engine, self.caller, &self.finish);
        black_box(with_output(&mut self.engine, self.target, |out| get(out, QUESTION)));
    }

    /// Nanoseconds of this thread's CPU a call over one round.
    fn measure(&mut self, written: &mut Vec<ConnId>) -> f64 {
        let start = cpu_ns();
        for _ in 0..CALLS {
            self.round();
            self.engine.take_written(written);
        }
        (cpu_ns() - start) / f64::from(CALLS)
    }
}

fn message(build: impl FnOnce(rpc::message::Builder)) -> Vec<u8> {
    let mut message = Builder::new_default();
    build(message.init_root());
    serialize::write_message_to_words(&message)
}

fn results(mut ret: rpc::return_::Builder, answer: u32, ids: &[u32]) {
    ret.set_answer_id(answer);
    ret.set_release_param_caps(false);
    let mut table = ret.init_results().init_cap_table(ids.len() as u32);
    for (index, id) in ids.iter().enumerate() {
        table.reborrow().get(index as u32).set_sender_hosted(*id);
    }
}

/// A Finish that keeps what the answer brought.
fn finish(question: u32) -> Vec<u8> {
    message(|message| {
        let mut finish = message.init_finish();
        finish.set_question_id(question);
        finish.set_release_result_caps(false);
    })
}

fn take(engine: &mut Engine, conn: ConnId) -> Vec<u8> {
    engine.output(conn).map(std::mem::take).unwrap_or_default()
}

fn with_output(engine: &mut Engine, conn: ConnId, read: impl FnOnce(&[u8]) -> u32) -> u32 {
    let Some(out) = engine.output(conn) else { return 0 };
    let read = read(out);
    out.clear();
    read
}

/// The ids in the capability table of a Return.
fn exported(mut bytes: &[u8]) -> Vec<u32> {
    fn read(bytes: &mut &[u8]) -> capnp::Result<Vec<u32>> {
        let reader = serialize::read_message_from_flat_slice(bytes, capnp::message::ReaderOptions::new())?;
        let message = reader.get_root::<rpc::message::Reader>()?;
        let rpc::message::Which::Return(ret) = message.which()? else { return Ok(Vec::new()) };
        let rpc::return_::Which::Results(payload) = ret?.which()? else { return Ok(Vec::new()) };
        let mut ids = Vec::new();
        for cap in payload?.get_cap_table()? {
            if let rpc::cap_descriptor::Which::SenderHosted(id) = cap.which()? {
                ids.push(id);
            }
        }
        Ok(ids)
    }
    read(&mut bytes).unwrap_or_default()
}

fn set(frame: &mut [u8], at: usize, value: u32) {
    if let Some(bytes) = frame.get_mut(at..at + 4) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

fn get(frame: &[u8], at: usize) -> u32 {
    frame.get(at..).and_then(|rest| rest.first_chunk()).map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes))
}

/// CPU time of this thread: what others do on the machine counts only through the caches.
fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut one = Case::new();
    let mut many = Case::new();
    COUNTS.store(true, Relaxed);
    let before = BYTES.load(Relaxed);
    many.grow(MANY);
    // What the bench itself keeps of each is not the engine's.
    let own = many.ids.capacity() * size_of::<u32>();
    let bytes_per_stub = BYTES.load(Relaxed).wrapping_sub(before).wrapping_sub(own) as f64 / f64::from(MANY);
    COUNTS.store(false, Relaxed);
    assert_eq!(many.ids.len(), MANY as usize + 1, "capabilities got lost");

    let mut written = Vec::new();
    let (mut with_one, mut with_many) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (a, b) = (one.measure(&mut written), many.measure(&mut written));
        // The first round warms up.
        if round > 0 {
            with_one.push(a);
            with_many.push(b);
        }
    }
    let apart = median(with_one.iter().zip(&with_many).map(|(one, many)| many - one).collect());
    let (with_one, with_many) = (median(with_one), median(with_many));
    println!("forwarding, medians of {ROUNDS} rounds of {CALLS} calls (a call is three messages)");
    for (live, ns) in [(1, with_one), (MANY, with_many)] {
        println!("  {live:>6} live: {ns:6.0} ns a call, {:5.0} ns a message", ns / 3.0);
    }
    println!("  apart: {apart:.0} ns a call (goal: 300)");
    println!("  a live stub: {bytes_per_stub:.0} bytes");
    if json {
        let row = |live: u32, ns: f64| serde_json::json!({ "live": live, "ns_per_call": ns.round(), "ns_per_message": (ns / 3.0).round() });
        let summary = serde_json::json!({
            "rows": [row(1, with_one), row(MANY, with_many)],
            "apart_ns_per_call": apart.round(),
            "bytes_per_stub": bytes_per_stub.round(),
        });
        println!("{summary}");
    }
}
