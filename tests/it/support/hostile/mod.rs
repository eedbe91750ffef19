//! Peers that misbehave on purpose, one way a file.

mod addresses_import_zero;
mod answers_twice;
mod calls_what_it_was_not_given;
mod cuts_a_frame_short;
mod endless_segments;
mod false_canceled;
mod floods_capabilities;
mod floods_questions;
mod long_path;
mod names_a_third_party;
mod overlapping_skeleton;
mod points_out_of_its_segment;
mod releases_too_much;
mod resolves_to_itself;
mod resolves_twice;
mod returns_what_nobody_asked;
mod reuses_question_id;
mod sends_elsewhere;
mod stray_disembargo;
mod takes_nothing;
mod wide_table;

use jackfield::rpc::{ConnId, Limits};

use super::peer::wire::{Body, Call, Desc, Msg, Outcome, Target};
use super::stage::{CALLER, Stage};

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its connection ends by an Abort.
    Abort,
    /// It harms nobody.
    Nothing,
}

pub struct Misbehaviour {
    pub name: &'static str,
    pub play: fn(&mut Attacker),
    pub end: End,
}

const fn aborts(name: &'static str, play: fn(&mut Attacker)) -> Misbehaviour {
    Misbehaviour { name, play, end: End::Abort }
}

const fn harmless(name: &'static str, play: fn(&mut Attacker)) -> Misbehaviour {
    Misbehaviour { name, play, end: End::Nothing }
}

pub const ALL: &[Misbehaviour] = &[
    harmless("addresses import zero", addresses_import_zero::play),
    aborts("answers twice", answers_twice::play),
    aborts("calls what it was not given", calls_what_it_was_not_given::play),
    harmless("cuts a frame short", cuts_a_frame_short::play),
    aborts("endless segments", endless_segments::play),
    aborts("false canceled", false_canceled::play),
    aborts("floods capabilities", floods_capabilities::play),
    aborts("floods questions", floods_questions::play),
    aborts("long path", long_path::play),
    harmless("names a third party", names_a_third_party::play),
    aborts("overlapping skeleton", overlapping_skeleton::play),
    aborts("points out of its segment", points_out_of_its_segment::play),
    aborts("releases too much", releases_too_much::play),
    aborts("resolves to itself", resolves_to_itself::play),
    aborts("resolves twice", resolves_twice::play),
    aborts("returns what nobody asked", returns_what_nobody_asked::play),
    aborts("reuses question id", reuses_question_id::play),
    aborts("sends elsewhere", sends_elsewhere::play),
    aborts("stray disembargo", stray_disembargo::play),
    aborts("takes nothing", takes_nothing::play),
    aborts("wide table", wide_table::play),
];

/// Bounds that a test reaches soon.
pub fn limits() -> Limits {
    Limits { open_questions: 128, imports: 128, ..Limits::default() }
}

/// One that misbehaves, on a stage with two honest peers. The host's bootstrap question to it, 0, is answered, and
/// a call of the honest caller waits for it.
pub struct Attacker<'a> {
    pub stage: &'a mut Stage,
    pub conn: ConnId,
    /// The call that it was asked, and how the honest caller knows it.
    pub asked: u32,
    pub honest_call: u64,
}

pub fn hosted(id: u32) -> Outcome {
    Outcome::Results(Body { is_cap: true, ..Body::default() }, vec![Desc::SenderHosted(id)])
}

pub fn answer(answer: u32, outcome: Outcome) -> Msg {
    Msg::Return { answer, release_params: false, no_finish: false, outcome }
}

pub fn call(question: u32, target: Target) -> Call {
    let body = Body { uid: 1 << 40, words: vec![0; 3], is_cap: false };
    Call { question, target, body, caps: Vec::new(), yourself: false, only_pipeline: false }
}

impl<'a> Attacker<'a> {
    pub fn enter(stage: &'a mut Stage) -> Self {
        let conn = stage.connect(true);
        stage.flush();
        stage.send(conn, &answer(0, hosted(0)));
        let before = stage.honest[CALLER].held.len();
        stage.call(CALLER, 0, Vec::new());
        let main = stage.honest[CALLER].held.len() - 1;
        assert!(main >= before + 2, "the host names the attacker too");
        let honest_call = stage.call(CALLER, main, Vec::new());
        stage.honest[CALLER].held.truncate(before);
        stage.honest[CALLER].peer.settle();
        stage.flush();
        let asked = stage.said[&conn].iter().find_map(|said| match said {
            Msg::Call(call) => Some(call.question),
            _ => None,
        });
        Attacker { stage, conn, asked: asked.expect("the call arrives"), honest_call }
    }

    pub fn send(&mut self, msg: Msg) {
        self.stage.send(self.conn, &msg);
    }

    pub fn send_words(&mut self, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.stage.send_bytes(self.conn, &bytes);
    }

    /// Asks the host for everybody's main object: question 1.
    pub fn look_around(&mut self) {
        self.send(Msg::Bootstrap(1));
        self.send(Msg::Call(call(2, Target::Answer(1, Vec::new()))));
    }
}
