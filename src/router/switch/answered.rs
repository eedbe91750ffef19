//! What comes back from targets: answers, and the ends of their connections.

use super::ask::Pending;
use super::caller::Caller;
use super::lease::Lease;
use super::pool::Idle;
use crate::net::Net;
use crate::rpc::{ConnId, Incoming, QuestionId};
use crate::wire::exception::Exception;

impl Caller {
    pub fn on_return(&mut self, net: &mut Net, question: QuestionId, result: Result<Incoming, Exception>) {
        let pending = self.pending.remove(&question);
        let mut caps = match result {
            Ok(incoming) => incoming.caps,
            Err(reason) => {
                self.note_refusal(&pending, &reason);
                Vec::new()
            }
        };
        let settled = match caps.is_empty() {
            true => None,
            false => caps.swap_remove(0),
        };
        for cap in caps.into_iter().flatten() {
            net.engine.release(cap);
        }
        let slot = match &pending {
            Some(Pending::Port(conn)) => {
                self.leases.iter_mut().find(|lease| lease.conn == *conn).map(|lease| &mut lease.port)
            }
            Some(Pending::Entry(conn, key)) => {
                let lease = self.leases.iter_mut().find(|lease| lease.conn == *conn);
                lease
                    .and_then(|lease| lease.entries.iter_mut().find(|(known, _)| known == key))
                    .map(|(_, e)| e)
            }
            Some(Pending::Actor(_)) | None => None,
        };
        match (slot, settled) {
            (Some(slot), Some(cap)) => {
                slot.question = None;
                net.engine.release(std::mem::replace(&mut slot.cap, cap));
            }
            // A bad name: the event that was pipelined has failed with workerd's own text. The next asks anew.
            (Some(_), None) => self.drop_entry(net, &pending),
            (None, Some(cap)) => net.engine.release(cap),
            (None, None) => {}
        }
        net.engine.finish(question);
    }

    /// The target knows no such name.
    fn note_refusal(&self, pending: &Option<Pending>, reason: &Exception) {
        let Some(Pending::Port(conn) | Pending::Entry(conn, _) | Pending::Actor(conn)) = pending else {
            return;
        };
        if let Some(lease) = self.leases.iter().find(|lease| lease.conn == *conn) {
            self.shared.note_failure(&lease.link, &reason.reason);
        }
    }

    fn drop_entry(&mut self, net: &mut Net, pending: &Option<Pending>) {
        match pending {
            Some(Pending::Entry(conn, key)) => {
                let Some(lease) = self.leases.iter_mut().find(|lease| lease.conn == *conn) else { return };
                if let Some(index) = lease.entries.iter().position(|(known, _)| known == key) {
                    let (_, entry) = lease.entries.remove(index);
                    net.engine.release(entry.cap);
                }
            }
            Some(Pending::Port(conn)) => {
                net.engine.close(*conn, Exception::disconnected("The debug port gave no answer."));
            }
            Some(Pending::Actor(_)) | None => {}
        }
    }

    /// A lease's connection has ended with that many events on it; `hostile` says how its peer broke the protocol.
    pub fn on_upstream_closed(
        &mut self,
        net: &mut Net,
        conn: ConnId,
        hostile: Option<&Exception>,
        events: usize,
    ) {
        let Some(index) = self.leases.iter().position(|lease| lease.conn == conn) else { return };
        let lease = self.leases.swap_remove(index);
        if let Some(reason) = hostile {
            tracing::warn!(session = %lease.generation.session, "{}", reason.reason);
        }
        match lease.cut {
            true => self.shared.count_cut(events),
            false => {
                self.shared.count_broken(events);
                if events > 0 {
                    let text = hostile.map_or_else(|| lease.lost(), |reason| reason.reason.to_string());
                    self.shared.note_failure(&lease.link, &text);
                }
                self.shared.links.doubt(&lease.generation);
            }
        }
        self.pending.retain(|question, pending| match pending {
            Pending::Port(of) | Pending::Entry(of, _) if *of == conn => {
                net.engine.finish(*question);
                false
            }
            _ => true,
        });
        net.engine.release(lease.port.cap);
        for (_, entry) in lease.entries {
            net.engine.release(entry.cap);
        }
    }

    /// Gives an idle lease's connection to the next who needs one, if its target still takes events.
    pub fn return_lease(&mut self, net: &mut Net, lease: Lease) {
        let newest = self.shared.links.load().is_newest(&lease.generation.session, lease.generation.number);
        let (keys, entries): (Vec<_>, Vec<_>) = lease.entries.into_iter().unzip();
        let caps = std::iter::once(lease.port).chain(entries).map(|upstream| upstream.cap).collect();
        let socket = if newest { net.unplug(lease.conn) } else { None };
        match (socket, net.engine.detach(lease.conn, caps)) {
            (Some(socket), Ok(detached)) => {
                if let Ok(fd) = socket.into_fd() {
                    self.shared.pool.put(&lease.generation, Idle { fd, detached, entries: keys });
                }
            }
            (_, Ok(_)) => net.drop_line(lease.conn),
            (_, Err(caps)) => {
                net.engine.close(lease.conn, Exception::disconnected("The lease has ended."));
                for cap in caps {
                    net.engine.release(cap);
                }
            }
        }
        drop(lease.ticket);
    }
}
