//! Calls that cannot go on yet: their host thinks about them, their target is not there, an embargo is on, or
//! the call whose answer they want is itself held. A held call took its references when it arrived, and gets
//! its ids when it leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::engine::{Engine, Event, Fault};
use super::tables::*;
use crate::wire::exception::{Exception, Kind};
use crate::wire::frame::Frame;
use crate::wire::message::{self, Call, Target};

impl Engine {
    pub(super) fn hold_new(
        &mut self,
        asker: Asker,
        frame: &mut Frame,
        call: &Call,
        caps: CapList,
        dest: Dest,
    ) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        let sender = asker.0;
        if let Err(reason) = self.charge(sender, bytes.len()) {
            self.release_caps(caps);
            return self.fail_answer(asker, Arc::new(reason));
        }
        let target = match &dest {
            Dest::Object(cap) | Dest::Promise(cap) => HeldTarget::Cap(self.retain_cap(*cap)),
            _ => match &call.target {
                Target::Answer { question, path } => {
                    HeldTarget::Answer { conn: sender, question: *question, path: path.clone() }
                }
                Target::Import(_) => return,
            },
        };
        self.serial += 1;
        let serial = self.serial;
        let slot = self.held.insert(Held {
            serial,
            asker: Some(asker),
            also: SmallVec::new(),
            sender,
            charged: bytes.len(),
            frame: bytes,
            caps,
            target,
            queue: VecDeque::new(),
            at_host: false,
            forwarded: false,
            finishing: false,
        }) as u32;
        let key = HeldKey { slot, serial };
        if let Some(answer) = self.answer(asker) {
            answer.state = AnswerState::Waiting(key);
        }
        match dest {
            Dest::Object(object) => self.announce(key, call, object),
            dest => self.enqueue(Waiting::Call(key), &dest),
        }
    }

    /// Puts a message behind the promise or the held call that it waits for.
    pub(super) fn enqueue(&mut self, waiting: Waiting, dest: &Dest) {
        match dest {
            Dest::Promise(cap) => {
                if let Some(Cap { home: Home::Promise(promise), .. }) = self.caps.get_mut(*cap as usize) {
                    promise.queue.push_back(waiting);
                }
            }
            Dest::Held(key) => {
                if let Some(held) = self.held_mut(*key) {
                    held.queue.push_back(waiting);
                }
            }
            Dest::Remote { .. } | Dest::Object(_) | Dest::Broken(_) => self.ready.push_back(waiting),
        }
    }

    pub(super) fn held_mut(&mut self, key: HeldKey) -> Option<&mut Held> {
        self.held.get_mut(key.slot as usize).filter(|held| held.serial == key.serial)
    }

    /// Takes a held call out, and gives its bytes back to the bounds.
    pub(super) fn unhold(&mut self, key: HeldKey) -> Option<Held> {
        self.held_mut(key)?;
        let held = self.held.remove(key.slot as usize);
        self.budget.give(held.charged);
        if let Some(sender) = self.conns.get_mut(held.sender as usize) {
            sender.parked_calls = sender.parked_calls.saturating_sub(1);
            sender.parked_bytes = sender.parked_bytes.saturating_sub(held.charged);
        }
        Some(held)
    }

    fn charge(&mut self, sender: u32, bytes: usize) -> Result<(), Exception> {
        let over = |what: String| {
            Err(Exception::new(Kind::Overloaded, format!("jsg.Error: Too much waits for a target: {what}.")))
        };
        let Some(conn) = self.conns.get_mut(sender as usize) else {
            return over("the caller has gone".into());
        };
        let max = &self.limits;
        if sender != HOST && conn.parked_calls >= max.parked_calls {
            return over(format!("{} calls", max.parked_calls));
        }
        if sender != HOST && conn.parked_bytes + bytes > max.parked_bytes {
            return over(format!("{} bytes", max.parked_bytes));
        }
        if !self.budget.take(bytes) {
            return over("the memory set aside for it is used up".into());
        }
        conn.parked_calls += 1;
        conn.parked_bytes += bytes;
        Ok(())
    }

    /// What waited for one call goes before what waited for a later one.
    pub(super) fn ready_first(&mut self, queue: VecDeque<Waiting>) {
        for waiting in queue.into_iter().rev() {
            self.ready.push_front(waiting);
        }
    }

    /// Fails a held call and all that wait behind it.
    pub(super) fn fail_held(&mut self, key: HeldKey, reason: Arc<Exception>) {
        let Some(held) = self.unhold(key) else { return };
        self.release_caps(held.caps);
        self.release_target(held.target);
        if let Some(asker) = held.asker {
            self.fail_answer(asker, reason.clone());
        }
        for also in held.also {
            if let Some(lent) = self.answer(also) {
                lent.state = AnswerState::Failed(reason.clone());
            }
        }
        self.ready_first(held.queue);
    }

    /// Drops a held call that nobody wants any more. Its answer is the caller's affair.
    pub(super) fn cancel_held(&mut self, key: HeldKey) {
        let Some(held) = self.unhold(key) else { return };
        if held.at_host {
            self.events.push_back(Event::Canceled { call: CallId(key) });
        }
        self.release_caps(held.caps);
        self.resume_finish(&held.target);
        self.release_target(held.target);
        for also in held.also {
            let closed = self.closed.clone();
            if let Some(lent) = self.answer(also) {
                lent.state = AnswerState::Failed(closed);
            }
        }
        self.ready_first(held.queue);
    }

    /// Puts a Finish for a held call behind the calls on its answer, if there are any.
    pub(super) fn postpone_finish(&mut self, key: HeldKey, (conn, id): Asker, flags: u64) -> bool {
        let serial = self.conns.get(conn as usize).map_or(0, |conn| conn.serial);
        if conn == HOST || !self.is_depended_on(key) {
            return false;
        }
        if let Some(held) = self.held_mut(key)
            && !held.finishing
        {
            held.finishing = true;
            held.queue.push_back(Waiting::Finish { conn, serial, id, flags });
        }
        true
    }

    /// Whether calls for a held call's answer may still come by way of a tail caller.
    pub(super) fn is_led_to(&mut self, key: HeldKey) -> bool {
        self.held_mut(key).is_some_and(|held| !held.also.is_empty())
    }

    fn is_depended_on(&self, key: HeldKey) -> bool {
        let held = |key: HeldKey| self.held.get(key.slot as usize).filter(|held| held.serial == key.serial);
        let lives = |waiting: &Waiting| match waiting {
            Waiting::Call(key) => held(*key).is_some(),
            Waiting::Pipeline { promise, .. } => {
                // One reference is the queue's own.
                self.caps.get(*promise as usize).is_some_and(|promise| promise.refs > 1)
            }
            Waiting::Disembargo { .. } | Waiting::Echo { .. } | Waiting::Finish { .. } => false,
        };
        held(key).is_some_and(|held| held.queue.iter().any(lives))
    }

    /// A call for `target` is not wanted any more: it may have been the last that kept another going.
    fn resume_finish(&mut self, target: &HeldTarget) {
        let HeldTarget::Answer { conn, question, .. } = target else { return };
        let Some(AnswerState::Waiting(key)) = self.answer((*conn, *question)).map(|answer| &answer.state)
        else {
            return;
        };
        let key = *key;
        if self.is_depended_on(key) {
            return;
        }
        if let Some(held) = self.held_mut(key).filter(|held| held.finishing)
            && let Some(finish @ Waiting::Finish { .. }) = held.queue.pop_back()
        {
            self.ready.push_back(finish);
        }
    }

    pub(super) fn release_target(&mut self, target: HeldTarget) {
        if let HeldTarget::Cap(cap) = target {
            self.release_cap(cap);
        }
    }

    pub(super) fn is_same(&self, conn: u32, serial: u64) -> bool {
        self.conns.get(conn as usize).is_some_and(|conn| conn.serial == serial && !conn.ended)
    }

    /// A promise for a capability in the answer to a held call.
    pub(super) fn derive_held(
        &mut self,
        key: HeldKey,
        conn: u32,
        question: u32,
        path: message::Transform,
    ) -> Result<u32, Fault> {
        self.count_waiting(conn)?;
        let promise = self.new_cap(Home::Promise(Box::default()));
        let kept = self.retain_cap(promise);
        self.enqueue(Waiting::Pipeline { promise: kept, conn, question, path }, &Dest::Held(key));
        Ok(promise)
    }

    /// Counts something small that waits on behalf of `conn` among its parked calls.
    pub(super) fn count_waiting(&mut self, conn: u32) -> Result<(), Fault> {
        let max = self.limits.parked_calls;
        let Some(from) = self.conns.get_mut(conn as usize) else {
            return Err(Fault::Protocol("the connection has ended"));
        };
        if conn != HOST && from.parked_calls >= max {
            return Err(Fault::Limit { what: "waiting messages", max });
        }
        from.parked_calls += 1;
        Ok(())
    }

    pub(super) fn uncount_waiting(&mut self, conn: u32) {
        if let Some(from) = self.conns.get_mut(conn as usize) {
            from.parked_calls = from.parked_calls.saturating_sub(1);
        }
    }

    /// Settles a promise of ours. Takes the reference to what it became.
    pub(super) fn resolve_promise(&mut self, index: u32, to: Result<u32, Arc<Exception>>) {
        // A promise that would become itself never becomes anything.
        let to = match to {
            Ok(cap) if self.follow(cap) == index => {
                self.release_cap(cap);
                Err(self.closed.clone())
            }
            to => to,
        };
        let Some(cap) = self.caps.get_mut(index as usize) else {
            if let Ok(cap) = to {
                self.release_cap(cap);
            }
            return;
        };
        let Home::Promise(promise) = &mut cap.home else { return };
        let promise = std::mem::take(promise);
        cap.home = match &to {
            Ok(target) => Home::Alias(*target),
            Err(reason) => Home::Broken(reason.clone()),
        };
        self.ready.extend(promise.queue);
        if let Some(known) = promise.known {
            self.release_cap(known);
        }
        self.resolve_exports(index, &to);
    }
}
