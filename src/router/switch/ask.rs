//! The way of an event: the lease it goes on, the capability it is for, or the reason why it waits.

use std::io;
use std::time::Instant;

use capnp::traits::HasTypeId;

use super::caller::{Caller, closing};
use super::lease::{ENTRIES_KEPT, EntryKey, Lease, Upstream};
use super::object::{self, Asked, Entry};
use super::park::Parked;
use super::pool::Idle;
use super::shared::FirstEvent;
use crate::net::{Net, Plug, Socket};
use crate::router::{Link, LinkName, Route, Snapshot, Target};
use crate::rpc::{CallId, ConnId, Outgoing, Refused};
use crate::schema::worker_interface_capnp::{event_dispatcher, workerd_debug_port};
use crate::session::Generation;
use crate::wire::build::Content;
use crate::wire::exception::Exception;
use std::sync::Arc;

const DISPATCHER: u64 = event_dispatcher::Client::TYPE_ID;
const JS_RPC_SESSION: u16 = 9;

/// What a question of ours to an upstream is for.
pub(super) enum Pending {
    Port(ConnId),
    Entry(ConnId, EntryKey),
    /// Asked for one event, and dropped when the answer is there: the event holds the object by then.
    Actor(ConnId),
}

/// What an event needs from its target.
enum Wanted {
    Entry(EntryKey),
    Actor { class: String, id: String },
}

impl Parked {
    pub fn new(call: CallId, entry: Arc<Entry>) -> Self {
        Parked { call, entry, began: Instant::now(), why: String::new(), refused: None, waits: None }
    }
}

impl Lease {
    /// Whether the newest events of its link would take it.
    pub fn is_current(&self, snapshot: &Snapshot) -> bool {
        matches!(snapshot.route(&self.link), Route::Ready(link, generation)
            if link.revision == self.revision && generation.number == self.generation.number
                && generation.session == self.generation.session)
    }

    /// What those are told who hold something of a generation that ended.
    pub fn lost(&self) -> String {
        let Generation { session, number, .. } = &*self.generation;
        format!(
            "Network connection lost: generation {number} of session {session} has ended. Start a new event on \
             {} to reach its successor.",
            self.link
        )
    }
}

impl Caller {
    /// Sends an event to where its link points now, or lets it wait.
    pub fn begin(&mut self, net: &mut Net, mut event: Parked) {
        if self.shared.is_draining() {
            return net.engine.fail(event.call, closing());
        }
        if self.park.holds(&event.entry.link) {
            if event.why.is_empty() {
                event.why = "events before it wait for the same target".into();
            }
            return self.wait(event);
        }
        let route = self.shared.links.load().route(&event.entry.link);
        match route {
            Route::Gone => {
                self.shared.count_failed();
                let why = self.shared.links.load().gone(&event.entry.link);
                self.shared.note_failure(&event.entry.link, &why);
                net.engine.fail(event.call, Exception::failed(why));
            }
            Route::Parked(_, why) => {
                event.why = why;
                self.wait(event);
            }
            Route::Ready(_, generation) if event.was_refused(&generation) => self.wait(event),
            Route::Ready(link, generation) => self.send_to(net, event, &link, generation),
        }
    }

    fn wait(&mut self, mut event: Parked) {
        if event.waits.is_none() {
            self.shared.count_parked();
            event.waits = Some(self.shared.wait(&event.entry.link));
        }
        self.park.push(event);
    }

    fn send_to(&mut self, net: &mut Net, mut event: Parked, link: &Link, generation: Arc<Generation>) {
        let wanted = match wanted(link, &event.entry) {
            Ok(wanted) => wanted,
            Err(reason) => {
                self.shared.count_failed();
                self.shared.note_failure(&link.name, &reason.reason);
                return net.engine.fail(event.call, reason);
            }
        };
        let index = match self.lease(net, link, &generation) {
            Ok(index) => index,
            Err(error) => {
                event.why = format!("session {} does not answer: {error}", generation.session);
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) {
                    event.refused = Some((generation.session.clone(), generation.number));
                } else {
                    // Its queue is full, or we are out of descriptors: that passes.
                    self.retry_at = Some(Instant::now() + generation.debug_port.retry_after());
                }
                return self.wait(event);
            }
        };
        match wanted {
            Wanted::Entry(EntryKey { service: Some(service), .. }) if !generation.services.has(&service) => {
                self.shared.count_failed();
                let text = format!("{} has no service {service} for others.", generation.session);
                self.shared.note_failure(&link.name, &text);
                net.engine.fail(event.call, Exception::failed(text));
            }
            Wanted::Entry(key) => self.start_on_entrypoint(net, event.call, index, key),
            Wanted::Actor { class, id } => self.start_on_actor(net, event.call, index, &class, &id),
        }
        if self.reached.get(&link.name) != Some(&link.revision) {
            self.reached.insert(link.name.clone(), link.revision);
            let (since_published, since_began) = (link.since.elapsed(), event.began.elapsed());
            self.shared.note_first_event(FirstEvent { since_published, since_began });
        }
    }

    /// The lease for new events on `link`: the one that is there if its peer is, else another.
    fn lease(&mut self, net: &mut Net, link: &Link, generation: &Arc<Generation>) -> io::Result<usize> {
        let found = self.leases.iter().position(|lease| {
            !lease.draining
                && lease.link == link.name
                && lease.revision == link.revision
                && lease.generation.number == generation.number
                && lease.generation.session == generation.session
        });
        if let Some(index) = found
            && let Some(lease) = self.leases.get_mut(index)
        {
            // An event that is written to a process which has just died would be lost although it could wait.
            if !net.is_hung_up(lease.conn) {
                return Ok(index);
            }
            let (conn, text) = (lease.conn, lease.lost());
            lease.draining = true;
            net.engine.close(conn, Exception::disconnected(text));
            // Its listener may still be open, for a moment.
            self.shared.links.doubt(generation);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let lease = self.open(net, link, generation)?;
        self.leases.push(lease);
        Ok(self.leases.len() - 1)
    }

    fn open(&mut self, net: &mut Net, link: &Link, generation: &Arc<Generation>) -> io::Result<Lease> {
        while let Some(Idle { fd, detached, entries }) = self.shared.pool.take(generation) {
            let socket = Socket::new(fd)?;
            if socket.is_hung_up() {
                continue;
            }
            let (conn, caps) = net.engine.attach(detached);
            let mut caps = caps.into_iter().map(|cap| Upstream { cap, question: None });
            let Some(port) = caps.next() else { continue };
            let entries = entries.into_iter().zip(caps).collect();
            return Ok(self.new_lease(net, link, generation, conn, socket, port, entries));
        }
        let socket = Socket::new(generation.debug_port.connect()?)?;
        let conn = net.engine.connect(None);
        let question = net.engine.bootstrap(conn);
        let port = Upstream { cap: net.engine.pipeline(question, &[]), question: Some(question) };
        self.pending.insert(question, Pending::Port(conn));
        Ok(self.new_lease(net, link, generation, conn, socket, port, Vec::new()))
    }

    #[allow(clippy::too_many_arguments)]
    fn new_lease(
        &mut self,
        net: &mut Net,
        link: &Link,
        generation: &Arc<Generation>,
        conn: ConnId,
        socket: Socket,
        port: Upstream,
        entries: Vec<(EntryKey, Upstream)>,
    ) -> Lease {
        net.plug(conn, Plug { socket, read: Vec::new() });
        net.engine.refuse(conn, self.refused(&link.name, generation));
        if let Some(trace) = &self.trace {
            let who = format!("{} generation {}", generation.session, generation.number);
            trace.name(conn, &who);
        }
        Lease {
            link: link.name.clone(),
            revision: link.revision,
            generation: generation.clone(),
            conn,
            port,
            entries,
            draining: false,
            cut: false,
            ticket: self.shared.ticket(link, generation),
        }
    }

    /// RPC, where the caller would take its beginning for its end.
    fn refused(&self, link: &LinkName, target: &Generation) -> Option<Refused> {
        let reason = Exception::failed(self.shared.links.load().misfit(link, target)?);
        Some(Refused { interface: DISPATCHER, method: JS_RPC_SESSION, reason: Arc::new(reason) })
    }

    fn start_on_entrypoint(&mut self, net: &mut Net, call: CallId, index: usize, key: EntryKey) {
        let Some(lease) = self.leases.get_mut(index) else { return };
        if let Some(entry) = lease.entry(&key) {
            return net.engine.forward(call, &entry.cap);
        }
        let services = &lease.generation.services;
        let service = match &key.service {
            None => services.of(key.entrypoint.as_deref()),
            Some(special) => special,
        };
        let content = object::get_entrypoint(service, &key);
        let question = net.engine.call(&lease.port.cap, ask(0, content));
        let cap = net.engine.pipeline(question, &[0]);
        net.engine.forward(call, &cap);
        self.pending.insert(question, Pending::Entry(lease.conn, key.clone()));
        lease.entries.push((key, Upstream { cap, question: Some(question) }));
        // An answer on its way is not given up: its events are pipelined on it.
        let oldest = lease.entries.iter().position(|(_, entry)| entry.question.is_none());
        if lease.entries.len() > ENTRIES_KEPT
            && let Some(oldest) = oldest
        {
            let (_, entry) = lease.entries.remove(oldest);
            net.engine.release(entry.cap);
        }
    }

    fn start_on_actor(&mut self, net: &mut Net, call: CallId, index: usize, class: &str, id: &str) {
        let Some(lease) = self.leases.get(index) else { return };
        let content = object::get_actor(&lease.generation.services.named, class, id);
        let conn = lease.conn;
        let question = net.engine.call(&lease.port.cap, ask(1, content));
        let cap = net.engine.pipeline(question, &[0]);
        net.engine.forward(call, &cap);
        net.engine.release(cap);
        self.pending.insert(question, Pending::Actor(conn));
    }
}

/// Method 0 or 1 of the debug port.
fn ask(method: u16, content: Content) -> Outgoing {
    const PORT: u64 = <workerd_debug_port::Client as capnp::traits::HasTypeId>::TYPE_ID;
    Outgoing { interface: PORT, method, content, caps: Vec::new() }
}

/// What an event needs: what its link says, and where that leaves something open, what its caller said.
fn wanted(link: &Link, entry: &Entry) -> Result<Wanted, Exception> {
    match (&link.target, &entry.asked) {
        (Target::Entrypoint { entrypoint, props, .. }, Asked::Entrypoint { name, props: asked, service }) => {
            if let (Some(fixed), Some(name)) = (entrypoint, name)
                && fixed != name
            {
                return Err(Exception::failed(format!(
                    "The link {} leads to the entrypoint {fixed}, not to {name}.",
                    link.name
                )));
            }
            // Props are authority on this interface.
            if asked.is_some() && !link.accepts_props {
                return Err(Exception::failed(format!(
                    "The link {} takes no props of its callers. Props come from the link: give them in jackfield.toml \
                     or with `jackfield retarget --props`, or let it accept its callers' with `accept_props = true`.",
                    link.name
                )));
            }
            let entrypoint = entrypoint.clone().or_else(|| name.clone());
            let props = props.as_ref().map(ToString::to_string);
            let service = service.clone();
            Ok(Wanted::Entry(EntryKey { entrypoint, service, props, asked: asked.clone() }))
        }
        (Target::ActorClass { class, .. }, Asked::Actor { id, .. }) => {
            Ok(Wanted::Actor { class: class.clone(), id: id.clone() })
        }
        // A service link leaves the class open as it leaves the entrypoint open.
        (Target::Entrypoint { entrypoint: None, props: None, .. }, Asked::Actor { class, id }) => {
            Ok(Wanted::Actor { class: class.clone(), id: id.clone() })
        }
        (Target::Entrypoint { .. }, Asked::Actor { class, .. }) => Err(Exception::failed(format!(
            "The link {} leads to an entrypoint, not to objects of the class {class}.",
            link.name
        ))),
        (Target::ActorClass { class, .. }, Asked::Entrypoint { .. }) => Err(Exception::failed(format!(
            "The link {} leads to objects of the class {class}, not to an entrypoint.",
            link.name
        ))),
    }
}
