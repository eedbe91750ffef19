//! Disembargo: proof that what was sent along a promise before has gone through.

use std::collections::VecDeque;

use super::engine::{Engine, Fault};
use super::tables::*;
use crate::wire::build;
use crate::wire::message::Target;

const NOT_BACK: Fault = Fault::Protocol("a Disembargo for a capability that does not lead back");

impl Engine {
    pub(super) fn on_sender_loopback(&mut self, conn: u32, target: Target, id: u32) -> Result<(), Fault> {
        let dest = self.dest(conn, &target)?;
        match dest {
            Dest::Object(_) => return Err(NOT_BACK),
            Dest::Promise(_) | Dest::Held(_) => {
                let held = match (&dest, target) {
                    (Dest::Promise(cap), _) => HeldTarget::Cap(self.retain_cap(*cap)),
                    (_, Target::Answer { question, path }) => HeldTarget::Answer { conn, question, path },
                    (_, Target::Import(_)) => return Ok(()),
                };
                self.count_waiting(conn)?;
                let serial = self.conns.get(conn as usize).map_or(0, |conn| conn.serial);
                self.enqueue(Waiting::Disembargo { conn, serial, id, target: held }, &dest);
            }
            Dest::Remote { conn: to, .. } if to != conn => {
                if !self.was_own(conn, &target) {
                    return Err(NOT_BACK);
                }
                let open = self.conns.get(to as usize).map_or(0, |to| to.embargoes.len());
                if open >= self.limits.embargoes {
                    return Err(Fault::Limit { what: "embargoes", max: self.limits.embargoes });
                }
                self.pass_disembargo(conn, id, dest);
            }
            dest => self.pass_disembargo(conn, id, dest),
        }
        Ok(())
    }

    /// Whether `conn` was told that what it calls `target` became, or brought, a capability of its own. Another
    /// peer would be ended for a Disembargo that does not lead back to us.
    fn was_own(&self, conn: u32, target: &Target) -> bool {
        let Some(from) = self.conns.get(conn as usize) else { return false };
        match target {
            Target::Import(id) => {
                from.exports.get(*id as usize).is_some_and(|export| export.told == Told::Own)
            }
            Target::Answer { question, .. } => from.answers.get(question).is_some_and(|answer| answer.own),
        }
    }

    /// Sends a Disembargo of `conn` on, or back where the way ends here: all that came before it on that way has
    /// been passed on by now.
    pub(super) fn pass_disembargo(&mut self, conn: u32, id: u32, dest: Dest) {
        match dest {
            Dest::Remote { conn: to, target } if to == conn => {
                self.send(conn, |out| build::disembargo(out, &target, true, id));
            }
            Dest::Remote { conn: to, target } => {
                let serial = self.conns.get(conn as usize).map_or(0, |conn| conn.serial);
                let Some(peer) = self.conns.get_mut(to as usize) else { return };
                let ours = peer.embargoes.insert(Embargo::Peer { conn, serial, id }) as u32;
                self.send(to, |out| build::disembargo(out, &target, false, ours));
            }
            // The way broke: nothing can come along it any more. C++ looks only at the id.
            Dest::Broken(_) | Dest::Object(_) | Dest::Promise(_) | Dest::Held(_) => {
                self.send(conn, |out| build::disembargo(out, &Target::Import(0), true, id));
            }
        }
    }

    pub(super) fn on_receiver_loopback(&mut self, conn: u32, target: Target, id: u32) -> Result<(), Fault> {
        let peer = self.conns.get_mut(conn as usize).ok_or(Fault::Protocol("the connection has ended"))?;
        let embargo = peer
            .embargoes
            .try_remove(id as usize)
            .ok_or(Fault::Protocol("a Disembargo came back that was not sent"))?;
        match embargo {
            Embargo::Switch { promise, then } => self.came_back(promise, then),
            Embargo::Peer { conn: to, serial, id } => {
                let way = self.dest(conn, &target)?;
                if !self.is_same(to, serial) {
                    return Ok(());
                }
                let held = match (&way, target) {
                    (Dest::Promise(cap), _) => HeldTarget::Cap(self.retain_cap(*cap)),
                    (Dest::Held(_), Target::Answer { question, path }) => {
                        HeldTarget::Answer { conn, question, path }
                    }
                    _ => {
                        self.pass_echo(to, id, way);
                        return Ok(());
                    }
                };
                // What came before it on that way waits here, and so does it.
                self.count_waiting(conn)?;
                let by = (conn, self.conns.get(conn as usize).map_or(0, |conn| conn.serial));
                self.enqueue(Waiting::Echo { by, to: (to, serial), id, target: held }, &way);
            }
        }
        Ok(())
    }

    /// Gives a Disembargo back to the connection that sent it.
    pub(super) fn pass_echo(&mut self, to: u32, id: u32, way: Dest) {
        let target = match way {
            Dest::Remote { conn: back, target } if back == to => target,
            // The receiver may have resolved its own promise to something else meanwhile. It goes by the id,
            // which only a Disembargo that was forwarded could know.
            _ => Target::Import(0),
        };
        self.send(to, |out| build::disembargo(out, &target, true, id));
    }

    /// An embargo of ours has come back from one way, and goes the next. Takes the references.
    pub(super) fn came_back(&mut self, promise: u32, mut then: VecDeque<u32>) {
        while let Some(way) = then.pop_front() {
            let dest = self.dest_of(way);
            self.release_cap(way);
            if let Dest::Remote { conn, target } = dest
                && let Some(peer) = self.conns.get_mut(conn as usize)
            {
                let id = peer.embargoes.insert(Embargo::Switch { promise, then }) as u32;
                return self.send(conn, |out| build::disembargo(out, &target, false, id));
            }
        }
        self.lift(promise);
    }

    /// Ends an embargo of ours; takes its reference to the promise.
    fn lift(&mut self, promise: u32) {
        let known = match self.caps.get(promise as usize).map(|cap| &cap.home) {
            Some(Home::Promise(promise)) => promise.known,
            _ => None,
        };
        if let Some(known) = known {
            let known = self.retain_cap(known);
            self.resolve_promise(promise, Ok(known));
        }
        self.release_cap(promise);
    }
}
