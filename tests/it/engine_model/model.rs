//! The naive model: what every capability stands for and what became of every call, known from the outside.

use std::collections::{HashMap, HashSet};

/// Who holds an object. The host is no peer.
pub const HOST: u64 = 99;

/// A capability as the model knows it, whatever it is called on the wire.
pub type Logical = u64;

#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    Object(u64, u64),
    /// Not decided, or what it was decided to be; `None` is an exception.
    Promise(Option<Option<Logical>>),
    /// Capability `i` of the results of a call.
    Result(u64, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    Results(Vec<Logical>),
    /// An exception, by the bytes of its details.
    Thrown(Vec<u8>),
    Canceled,
}

#[derive(Debug)]
pub struct CallRecord {
    pub caller: u64,
    pub target: Logical,
    /// The host sent it on: where it has to arrive besides.
    pub forwarded: Option<Logical>,
    pub lineage: u64,
    pub seq: u64,
    pub only_pipeline: bool,
    pub delivered: Vec<(u64, u64)>,
    pub given: Option<Given>,
    /// How often it was answered, and whether by an exception of nobody's objects.
    pub answered: usize,
    pub failed: Option<String>,
    /// The caller let go of it before it was answered.
    pub let_go: bool,
}

#[derive(Default)]
pub struct Model {
    pub meanings: Vec<Meaning>,
    pub calls: Vec<CallRecord>,
    order: HashMap<(u64, u64, u64), u64>,
    pub lineages: u64,
    /// A connection was cut: calls may fail.
    pub cut: bool,
}

impl Model {
    pub fn mean(&mut self, meaning: Meaning) -> Logical {
        self.meanings.push(meaning);
        self.meanings.len() as Logical - 1
    }

    pub fn lineage(&mut self) -> u64 {
        self.lineages += 1;
        self.lineages
    }

    /// A new call; returns its number.
    pub fn call(&mut self, caller: u64, target: Logical, lineage: u64, seq: u64, only_pipeline: bool) -> u64 {
        self.calls.push(CallRecord {
            caller,
            target,
            forwarded: None,
            lineage,
            seq,
            only_pipeline,
            delivered: Vec::new(),
            given: None,
            answered: 0,
            failed: None,
            let_go: false,
        });
        self.calls.len() as u64 - 1
    }

    /// The object that a capability leads to: `None` while that is open, an error where it leads nowhere.
    pub fn object(&self, mut at: Logical) -> Option<Result<(u64, u64), ()>> {
        loop {
            match self.meanings[at as usize] {
                Meaning::Object(peer, object) => return Some(Ok((peer, object))),
                Meaning::Promise(to) => match to? {
                    Some(to) => at = to,
                    None => return Some(Err(())),
                },
                Meaning::Result(uid, index) => match self.calls[uid as usize].given.as_ref()? {
                    Given::Results(results) => match results.get(index) {
                        Some(to) => at = *to,
                        None => return Some(Err(())),
                    },
                    Given::Thrown(_) | Given::Canceled => return Some(Err(())),
                },
            }
        }
    }

    /// Whether a capability hangs on a promise, or on the results of a call. Neither may be made to hang on itself:
    /// its calls would go round for ever, or what keeps it would never be released, as between real peers. An
    /// answer is kept as a whole, so all its capabilities count.
    pub fn hangs_on(&self, at: Logical, promise: Option<Logical>, call: Option<u64>) -> bool {
        let (mut open, mut seen) = (vec![at], HashSet::new());
        while let Some(at) = open.pop() {
            if !seen.insert(at) {
                continue;
            }
            match self.meanings[at as usize] {
                Meaning::Promise(_) if Some(at) == promise => return true,
                Meaning::Result(uid, _) if Some(uid) == call => return true,
                Meaning::Promise(Some(Some(to))) => open.push(to),
                Meaning::Result(uid, _) => {
                    let record = &self.calls[uid as usize];
                    match &record.given {
                        Some(Given::Results(results)) => open.extend(results),
                        Some(_) => {}
                        None => open.push(record.forwarded.unwrap_or(record.target)),
                    }
                }
                Meaning::Promise(_) | Meaning::Object(..) => {}
            }
        }
        false
    }

    /// A call arrived at an object.
    pub fn delivered(&mut self, uid: u64, at: (u64, u64), words: &[u64]) {
        let call = &self.calls[uid as usize];
        let on_the_way = call.delivered.is_empty() && call.forwarded.is_some();
        assert!(!on_the_way, "call {uid} came to a second object before the first");
        assert_eq!(words[..3], [call.lineage, call.seq, call.target], "content of call {uid}");
        let expected = call.forwarded.unwrap_or(call.target);
        assert_eq!(self.object(expected), Some(Ok(at)), "call {uid} came to {at:?}");
        assert!(!call.delivered.contains(&at) || call.forwarded.is_some(), "call {uid} came to {at:?} twice");
        assert!(call.delivered.len() <= usize::from(call.forwarded.is_some()), "call {uid} was doubled");
        if call.forwarded.is_none() {
            let last = self.order.insert((call.lineage, at.0, at.1), call.seq);
            let (uid, seq) = (uid, call.seq);
            assert!(last.is_none_or(|last| last < seq), "call {uid}, number {seq}, came after {last:?}");
        }
        self.calls[uid as usize].delivered.push(at);
    }

    /// What its object answered.
    pub fn give(&mut self, uid: u64, given: Given) {
        let call = &mut self.calls[uid as usize];
        assert!(call.given.is_none() || given == Given::Canceled, "call {uid} is answered twice");
        call.given.get_or_insert(given);
    }

    /// What its caller was told.
    pub fn answered(&mut self, uid: u64, result: Result<&[Logical], (&str, &[u8])>) {
        let call = &mut self.calls[uid as usize];
        call.answered += 1;
        assert_eq!(call.answered, 1, "call {uid} was answered again");
        match result {
            Ok(results) => assert_eq!(call.given, Some(Given::Results(results.to_vec())), "call {uid}"),
            Err((_, details)) if !details.is_empty() => {
                // An exception also breaks the capabilities of its answer: calls on them fail alike.
                let own = Given::Thrown(details.to_vec());
                let theirs = call.delivered.len() <= usize::from(call.forwarded.is_some());
                assert!(call.given.as_ref() == Some(&own) || theirs, "call {uid}: {:?}", call.given);
                if theirs {
                    call.failed = Some("as another".to_owned());
                }
            }
            Err((reason, _)) => call.failed = Some(reason.to_owned()),
        }
    }

    /// After everything has been answered and released.
    pub fn finish(&self, alive: &dyn Fn(u64) -> bool) {
        for (uid, call) in self.calls.iter().enumerate() {
            if alive(call.caller) && !call.let_go && !call.only_pipeline {
                assert_eq!(call.answered, 1, "call {uid} was never answered: {call:?}");
            }
            if self.cut || call.only_pipeline {
                continue;
            }
            let leads = self.object(call.forwarded.unwrap_or(call.target));
            if let Some(why) = &call.failed {
                let known = matches!(leads, Some(Ok(_)));
                let thrown = matches!(call.given, Some(Given::Thrown(_)));
                assert!(!known || thrown, "call {uid} failed ({why}), but leads to {leads:?}: {call:?}");
            } else if !call.let_go {
                let hops = 1 + usize::from(call.forwarded.is_some());
                let thrown = matches!(call.given, Some(Given::Thrown(_)));
                assert!(call.delivered.len() == hops || thrown, "call {uid} was lost: {call:?}");
            }
        }
    }
}
