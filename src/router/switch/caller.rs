//! The host of one caller's engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::ask::Pending;
use super::lease::Lease;
use super::object::{self, Method, Object, Services};
use super::park::{Park, Parked};
use super::shared::{Membership, Shared};
use super::trace::EngineTrace;
use crate::net::{Driver, Host, Net, Plug};
use crate::router::{LinkName, Revision};
use crate::rpc::{CallId, CapId, ConnId, Engine, Event, FastMap, ObjectId, QuestionId};
use crate::session::{Generation, SessionName};
use crate::wire::build::Content;
use crate::wire::exception::Exception;

pub use super::object::Entry;

/// How long the upstreams of a caller that has gone may take to confirm it. A target that stands at a breakpoint
/// does not confirm; closing its connection then only breaks what nobody waits for.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// The host of the engine of one caller's connection.
pub(super) struct Caller {
    pub shared: Arc<Shared>,
    pub membership: Membership,
    pub trace: Option<EngineTrace>,
    /// Who calls, for messages.
    name: String,
    /// Whether its links come as it calls.
    adopts: bool,
    plug: Option<(Plug, Object)>,
    conn: Option<ConnId>,
    objects: FastMap<u64, Object>,
    next_object: u64,
    pub leases: Vec<Lease>,
    pub pending: FastMap<QuestionId, Pending>,
    pub park: Park,
    pub retry_at: Option<Instant>,
    seen: Revision,
    /// Links whose current target has had its first event from here.
    pub reached: FastMap<LinkName, Revision>,
    gone_at: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
}

impl Shared {
    /// A task that serves one caller of a link face: its bootstrap is the link's target.
    pub fn serve_link(
        self: &Arc<Self>,
        link: LinkName,
        plug: Plug,
    ) -> impl Future<Output = ()> + Send + use<> {
        let name = link.to_string();
        self.serve(name, Object::Entry(Arc::new(Entry::of(link))), plug)
    }

    /// A task that serves one caller of the debug-port face of `session`.
    pub fn serve_port(
        self: &Arc<Self>,
        session: SessionName,
        plug: Plug,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.serve(session.to_string(), Object::Port(Services::LinksOf(session)), plug)
    }

    /// A task that serves one caller of the face that stands for a link in its registry.
    pub fn serve_entry(
        self: &Arc<Self>,
        link: LinkName,
        plug: Plug,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.serve(link.to_string(), Object::Port(Services::Link(link)), plug)
    }

    /// A task that serves one of the user's own tools: every session is a service.
    pub fn serve_sessions(self: &Arc<Self>, plug: Plug) -> impl Future<Output = ()> + Send + use<> {
        self.serve("a tool".to_owned(), Object::Port(Services::Sessions), plug)
    }

    fn serve(self: &Arc<Self>, name: String, bootstrap: Object, plug: Plug) -> Driver<Caller> {
        let settings = &self.settings;
        let mut engine = Engine::new(settings.limits.clone(), settings.budget.clone());
        let trace = settings.trace.as_ref().map(|file| file.engine());
        if let Some(trace) = &trace {
            engine.set_trace(Box::new(trace.clone()));
        }
        let caller = Caller {
            shared: self.clone(),
            membership: self.join(),
            trace,
            name,
            adopts: matches!(bootstrap, Object::Port(Services::Link(_))),
            plug: Some((plug, bootstrap)),
            conn: None,
            objects: FastMap::default(),
            next_object: 0,
            leases: Vec::new(),
            pending: FastMap::default(),
            park: Park::default(),
            retry_at: None,
            seen: Revision::default(),
            reached: FastMap::default(),
            gone_at: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_at: None,
        };
        Driver::new(engine, settings.budget.clone(), caller)
    }
}

impl Caller {
    pub fn add_object(&mut self, engine: &mut Engine, object: Object) -> CapId {
        self.next_object += 1;
        self.objects.insert(self.next_object, object);
        engine.object(ObjectId(self.next_object))
    }

    fn on_call(&mut self, net: &mut Net, call: CallId, object: ObjectId, interface: u64, method: u16) {
        let Some(object) = self.objects.get(&object.0) else {
            return net.engine.fail(call, Exception::failed("The object is gone."));
        };
        let made = match (Method::of(object, interface, method), object) {
            (Ok(Method::StartEvent), Object::Entry(entry)) => {
                let entry = entry.clone();
                self.shared.count_began();
                return self.begin(net, Parked::new(call, entry));
            }
            (Ok(method), Object::Port(services)) => {
                let budget = &self.shared.settings.budget;
                object::entry(&net.engine, call, services, matches!(method, Method::Actor), budget)
            }
            (Err(reason), _) => Err(reason),
            (Ok(_), Object::Entry(_)) => Err(Exception::failed("Method not implemented.")),
        };
        let found = made.and_then(|mut entry| {
            if let Some(queue) = entry.queue() {
                let consumer = self.shared.links.load().consumer(&entry.link.session, queue);
                entry.link = LinkName::direct(consumer.map_err(Exception::failed)?);
            }
            Ok(entry)
        });
        match found {
            Ok(mut entry) => {
                if entry.link.is_direct() {
                    // Who types a name may leave the scope out.
                    entry.link = LinkName::direct(self.shared.links.load().meant(entry.link.session));
                }
                if self.adopts {
                    self.shared.links.adopt(&entry.link);
                }
                let cap = self.add_object(&mut net.engine, Object::Entry(Arc::new(entry)));
                net.engine.respond(call, &Content::capabilities(1), vec![Some(cap)]);
            }
            Err(reason) => net.engine.fail(call, reason),
        }
    }

    /// Looks again at what a change of the links may have moved.
    fn look_again(&mut self, net: &mut Net) {
        self.retry_at = None;
        let snapshot = self.shared.links.snapshot();
        self.seen = snapshot.revision;
        for lease in &mut self.leases {
            lease.draining |= self.gone_at.is_some() || !lease.is_current(&snapshot);
        }
        for event in self.park.take() {
            self.begin(net, event);
        }
    }

    /// Breaks what `--cut` asks to break.
    fn cut(&mut self, net: &mut Net) {
        let cuts = {
            let mut cuts = self.membership.mailbox.cuts.lock().unwrap_or_else(PoisonError::into_inner);
            if cuts.is_empty() {
                return;
            }
            std::mem::take(&mut *cuts)
        };
        for (link, before) in cuts {
            let old = self.leases.iter_mut().filter(|lease| lease.link == link && lease.revision < before);
            let old = old.map(|lease| {
                lease.cut = true;
                let Generation { session, number, .. } = &*lease.generation;
                let text = format!(
                    "The link {link} was cut while {session} generation {number} was at work on this. It may have been \
                     carried out; the link points elsewhere now, and a new event goes there."
                );
                (lease.conn, text)
            });
            for (conn, text) in old.collect::<Vec<(ConnId, String)>>() {
                net.engine.close(conn, Exception::disconnected(text));
            }
        }
    }

    /// Ends the caller's connection once nothing of its is under way.
    fn drain(&mut self, net: &mut Net) {
        for event in self.park.take() {
            net.engine.fail(event.call, closing());
        }
        for lease in &mut self.leases {
            lease.draining = true;
        }
        if let Some(conn) = self.conn
            && self.may_end(net)
        {
            net.engine.close(conn, closing());
        }
    }

    /// Whether nothing is under way of a caller that has gone, or that is to go.
    fn may_end(&self, net: &Net) -> bool {
        let idle = |conn| net.engine.sizes(conn).answers == 0;
        let ending = match self.conn {
            None => self.gone_at.is_some(),
            Some(conn) => self.shared.is_draining() && idle(conn),
        };
        ending && self.leases.is_empty()
    }

    /// Gives back the leases that nobody needs any more.
    fn give_back(&mut self, net: &mut Net) {
        let mut index = 0;
        while let Some(lease) = self.leases.get(index) {
            let idle = lease.draining && lease.is_settled() && net.engine.is_idle(lease.conn, &lease.kept());
            if !idle {
                index += 1;
                continue;
            }
            let lease = self.leases.swap_remove(index);
            self.return_lease(net, lease);
        }
    }

    fn fail_late(&mut self, net: &mut Net) {
        let park_for = self.shared.settings.park_for;
        if self.park.oldest().is_none() {
            return;
        }
        let Some(began_by) = Instant::now().checked_sub(park_for) else { return };
        while let Some(event) = self.park.take_late(began_by) {
            self.shared.count_failed();
            let text = self.shared.no_target(&event.entry.link, &event.why);
            self.shared.note_failure(&event.entry.link, &text);
            net.engine.fail(event.call, Exception::disconnected(text));
        }
    }

    /// The next moment at which something is due.
    fn next_due(&self) -> Option<Instant> {
        let late = self.park.oldest().map(|began| began + self.shared.settings.park_for);
        let gone = self.gone_at.map(|at| at + CONFIRM_WITHIN);
        [late, gone, self.retry_at].into_iter().flatten().min()
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        let due = self.next_due();
        if due != self.timer_at {
            self.timer_at = due;
            if let Some(due) = due {
                self.timer.as_mut().reset(due.into());
            }
        }
        if due.is_some() && self.timer.as_mut().poll(cx).is_ready() {
            // Due already, or again: come back at once.
            self.timer_at = None;
            cx.waker().wake_by_ref();
        }
    }

    fn is_due(&self, at: Option<Instant>) -> bool {
        at.is_some_and(|at| at <= Instant::now())
    }
}

/// What events are told that come while we stop.
pub(super) fn closing() -> Exception {
    Exception::disconnected("jackfield is stopping.")
}

impl Host for Caller {
    fn event(&mut self, net: &mut Net, event: Event) {
        match event {
            Event::Call { call, object, interface, method } => {
                self.on_call(net, call, object, interface, method);
            }
            Event::Canceled { call } => {
                self.park.remove(call);
            }
            Event::Return { question, result } => self.on_return(net, question, result),
            Event::ObjectDropped { object } => {
                self.objects.remove(&object.0);
            }
            Event::Closed { conn, reason, hostile, .. } if Some(conn) == self.conn => {
                if hostile {
                    tracing::warn!(caller = self.name, "{}", reason.reason);
                }
                self.conn = None;
                self.gone_at = Some(Instant::now());
                self.park = Park::default();
                for lease in &mut self.leases {
                    lease.draining = true;
                }
            }
            Event::Closed { conn, reason, hostile, unfinished } => {
                self.on_upstream_closed(net, conn, hostile.then_some(&reason), unfinished);
            }
        }
    }

    fn poll(&mut self, net: &mut Net, cx: &mut Context<'_>) -> Poll<()> {
        self.membership.mailbox.waker.register(cx.waker());
        if let Some((plug, object)) = self.plug.take() {
            let bootstrap = self.add_object(&mut net.engine, object);
            let conn = net.engine.connect(Some(bootstrap));
            if let Some(trace) = &self.trace {
                trace.name(conn, &format!("caller {}", self.name));
            }
            net.plug(conn, plug);
            self.conn = Some(conn);
        }
        self.cut(net);
        if self.seen < self.shared.links.load().revision || self.is_due(self.retry_at) {
            self.look_again(net);
        }
        self.fail_late(net);
        if self.is_due(self.gone_at.map(|at| at + CONFIRM_WITHIN)) {
            for lease in std::mem::take(&mut self.leases) {
                net.engine.close(lease.conn, Exception::disconnected("The caller has gone."));
            }
        }
        if self.shared.is_draining() {
            self.drain(net);
        }
        self.give_back(net);
        self.arm(cx);
        if self.gone_at.is_some() && self.leases.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn turn(&mut self, net: &mut Net) {
        if self.leases.iter().any(|lease| lease.draining) {
            self.give_back(net);
        }
        // Only `poll` can set the timer for what was parked since, end the caller's connection, or the task.
        if self.next_due() != self.timer_at || self.may_end(net) {
            self.membership.mailbox.waker.wake();
        }
    }

    fn lost(&mut self, conn: ConnId, why: &str) -> Exception {
        match self.leases.iter().find(|lease| lease.conn == conn) {
            Some(lease) => Exception::disconnected(lease.lost()),
            None => Exception::disconnected(format!("The caller {} has gone: {why}.", self.name)),
        }
    }
}
