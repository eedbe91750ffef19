//! Where the HTTP events of a link go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hyper::header::HeaderName;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::http::{
    Asked, Broken, EventMeta, Lease, Refusal, Route as HttpRoute, RouteError, Routed, Speaks, Upstream,
};
use super::link::{Link, LinkName, Target};
use super::snapshot::{Route, Snapshot};
use super::spelling::{Meant, Spelling};
use super::switch::{Cuttable, Shared, Ticket, Waits};
use crate::session::{Generation, is_seen_alive};

/// Which of its sockets a generation takes an event at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The one of the link's entrypoint.
    Entrypoint,
    /// The one for what comes from outside. These events are over no link, so they are in no count.
    Front,
    /// That of an entrypoint, for what comes from outside. These are in no count, either.
    Export(String),
}

/// Routes the HTTP events of one link by the snapshot of their moment.
pub(super) struct LinkRoute {
    shared: Arc<Shared>,
    link: LinkName,
    door: Door,
    /// Where nobody knows how the entrypoint of the door is spelled.
    spelling: Option<Spelling>,
    /// Held by the oldest waiting event; fair, so the others follow in order.
    gate: Mutex<()>,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

/// One [`LinkRoute`], for the faces of several threads.
#[derive(Clone)]
pub(super) struct Routes(pub Arc<LinkRoute>);

impl LinkRoute {
    pub fn new(shared: Arc<Shared>, link: LinkName, door: Door) -> Self {
        LinkRoute {
            shared,
            link,
            door,
            spelling: None,
            gate: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
        }
    }

    /// The same for an entrypoint of that name in any case.
    pub fn in_any_case(self, typed: String) -> Self {
        LinkRoute { spelling: Some(Spelling::new(typed)), ..self }
    }

    /// The same way with the entrypoint's right name.
    async fn spelled(&self, spelling: &Spelling, routed: Routed) -> Result<Routed, RouteError> {
        let Upstream { socket, speaks: Speaks::Capnp(asked), label } = &routed.upstream else {
            return Ok(routed);
        };
        let entrypoint = match spelling.meant(label, socket, &asked.service).await {
            Meant::Entrypoint(name) => name,
            Meant::Several(names) => {
                let (session, names) = (&self.link.session, names.join(" and "));
                return Err(RouteError::Unsupported(format!(
                    "Session {session} has the entrypoints {names}, which only their case tells apart, and browsers send \
                     hosts in lower case. `jackfield fetch {session}#NAME /` reaches each."
                )));
            }
            Meant::Nothing => {
                let (session, typed) = (&self.link.session, spelling.typed());
                return Err(RouteError::Unsupported(format!(
                    "Session {session} has no entrypoint {typed}, in whatever case. A name of more than twelve letters that \
                     has many capitals is found as its worker writes it: `jackfield fetch {session}#NAME /`."
                )));
            }
        };
        let asked = Asked { entrypoint: Some(entrypoint), ..Asked::clone(asked) };
        let upstream = Upstream { speaks: Speaks::Capnp(Arc::new(asked)), ..routed.upstream };
        Ok(Routed { upstream, ..routed })
    }

    /// Where events are counted, if these are.
    fn counted(&self) -> Option<&Arc<Shared>> {
        (self.door == Door::Entrypoint).then_some(&self.shared)
    }

    /// The target that takes an event now, or why none does.
    fn now(&self, snapshot: &Snapshot, refused: Option<&Refusal>) -> Result<Routed, NotNow> {
        match snapshot.route(&self.link) {
            Route::Gone => Err(NotNow::Never(RouteError::Unavailable(snapshot.gone(&self.link)))),
            Route::Parked(_, why) => Err(NotNow::For(why)),
            Route::Ready(link, generation) => {
                let upstream = match &self.door {
                    Door::Entrypoint => entrypoint(&link, &generation),
                    Door::Front => front(&link, &generation),
                    Door::Export(name) => export(Some(name), None, &generation),
                };
                let upstream = upstream.map_err(NotNow::Never)?;
                if let Some(refused) = refused.filter(|refused| refused.upstream.socket == upstream.socket) {
                    return Err(NotNow::For(format!(
                        "session {} does not answer: {}",
                        generation.session, refused.why
                    )));
                }
                let lease = Arc::new(EventLease {
                    shared: self.shared.clone(),
                    cut: self.shared.cuttable(&link, &generation),
                    _ticket: self.shared.ticket(&link, &generation),
                    is_counted: self.counted().is_some(),
                    link,
                    generation,
                });
                Ok(Routed { upstream, lease })
            }
        }
    }

    /// Waits until a target takes the event.
    async fn park(&self, event: &EventMeta<'_>) -> Result<Routed, RouteError> {
        let _waiting = self.enter(event.bytes)?;
        // An attempt that was refused has been counted when it waited before, or had no reason to.
        if let Some(shared) = self.counted().filter(|_| event.refused.is_none()) {
            shared.count_parked();
        }
        let settings = &self.shared.settings;
        let deadline = tokio::time::Instant::from_std(event.began + settings.park_for);
        let mut why = String::from("events before it wait for the same target");
        let found = timeout_at(deadline, async {
            let _first = self.gate.lock().await;
            let ready = |snapshot: &Arc<Snapshot>| match self.now(snapshot, event.refused) {
                Ok(routed) => Some(Ok(routed)),
                Err(NotNow::Never(error)) => Some(Err(error)),
                Err(NotNow::For(reason)) => {
                    why = reason;
                    None
                }
            };
            self.shared.links.until(ready).await
        });
        tokio::select! {
            biased;
            () = self.shared.draining().cancelled() => {
                Err(RouteError::Unavailable("jackfield is stopping.".to_owned()))
            }
            found = found => match found {
                Ok(found) => found,
                Err(_) => Err(RouteError::Unavailable(self.shared.no_target(&self.link, &why))),
            },
        }
    }

    /// Counts an event among those that wait, within the bounds of one peer.
    fn enter(&self, bytes: usize) -> Result<Waiting<'_>, RouteError> {
        let limits = &self.shared.settings.limits;
        let count = self.waiting.fetch_add(1, Relaxed) + 1;
        let total = self.waiting_bytes.fetch_add(bytes, Relaxed) + bytes;
        let waiting = Waiting { route: self, bytes, _waits: self.shared.wait(&self.link) };
        if count > limits.parked_calls || total > limits.parked_bytes {
            let text =
                format!("Too many events wait for the target of {}: {count}, with {total} bytes.", self.link);
            return Err(RouteError::Unavailable(text));
        }
        Ok(waiting)
    }
}

struct Waiting<'a> {
    route: &'a LinkRoute,
    bytes: usize,
    _waits: Waits,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.route.waiting.fetch_sub(1, Relaxed);
        self.route.waiting_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// Why an event does not go now.
enum NotNow {
    For(String),
    Never(RouteError),
}

/// The HTTP socket for a link's entrypoint, if there is one and nothing is needed that HTTP cannot carry; else the
/// target's debug port.
fn entrypoint(link: &Link, generation: &Generation) -> Result<Upstream, RouteError> {
    let (entrypoint, props) = match &link.target {
        Target::Entrypoint { entrypoint, props, .. } => (entrypoint, props),
        Target::ActorClass { .. } => {
            let text =
                format!("The link {} leads to objects of a class, and takes no fetch by itself.", link.name);
            return Err(RouteError::Unsupported(text));
        }
    };
    export(entrypoint.as_ref(), props.as_ref(), generation)
}

fn export(
    entrypoint: Option<&String>,
    props: Option<&Value>,
    generation: &Generation,
) -> Result<Upstream, RouteError> {
    let entrypoint = entrypoint.cloned();
    if let Some(socket) = generation.http_sockets.get(&entrypoint).filter(|_| props.is_none()) {
        return over_http(socket, false, generation);
    }
    let service = generation.services.of(entrypoint.as_deref()).to_owned();
    let asked = Asked { service, entrypoint, props: props.cloned() };
    let speaks = Speaks::Capnp(Arc::new(asked));
    Ok(Upstream { socket: generation.debug_port.clone(), speaks, label: label(generation) })
}

/// The socket for what comes from outside, where there is one.
fn front(link: &Link, generation: &Generation) -> Result<Upstream, RouteError> {
    match &generation.front_socket {
        Some(socket) => over_http(socket, true, generation),
        None => entrypoint(link, generation),
    }
}

fn over_http(socket: &Path, is_front: bool, generation: &Generation) -> Result<Upstream, RouteError> {
    let Generation { session, cf_header, .. } = generation;
    let Ok(cf_header) = HeaderName::try_from(cf_header) else {
        return Err(RouteError::Unsupported(format!("Session {session} has no header for `cf`.")));
    };
    Ok(Upstream {
        socket: socket.into(),
        speaks: Speaks::Http { cf_header, is_front },
        label: label(generation),
    })
}

fn label(generation: &Generation) -> Arc<str> {
    format!("{} generation {}", generation.session, generation.number).into()
}

impl HttpRoute for Routes {
    async fn begin(&self, event: &EventMeta<'_>) -> Result<Routed, RouteError> {
        let route = &*self.0;
        if let Some(shared) = route.counted().filter(|_| event.refused.is_none()) {
            shared.count_began();
        }
        let found = match route.waiting.load(Relaxed) {
            // Nobody waits: the moment decides.
            0 => route.now(&route.shared.links.load(), event.refused),
            _ => Err(NotNow::For("events before it wait for the same target".to_owned())),
        };
        let routed = match found {
            Ok(routed) => Ok(routed),
            Err(NotNow::For(_)) => route.park(event).await,
            Err(NotNow::Never(error)) => Err(error),
        };
        let routed = match (routed, &route.spelling) {
            (Ok(routed), Some(spelling)) => route.spelled(spelling, routed).await,
            (routed, _) => routed,
        };
        if let Err(error) = &routed {
            route.shared.note_failure(&route.link, &error.to_string());
            if let Some(shared) = route.counted() {
                shared.count_failed();
            }
        }
        routed
    }
}

/// One HTTP event that is under way.
struct EventLease {
    shared: Arc<Shared>,
    link: Arc<Link>,
    cut: Cuttable,
    _ticket: Ticket,
    is_counted: bool,
    generation: Arc<Generation>,
}

impl Lease for EventLease {
    fn cut(&self) -> &CancellationToken {
        self.cut.token()
    }

    fn stands(&self) {
        self.cut.stands();
    }

    fn broken(&self, why: &str) -> Broken {
        let Generation { session, number, pid, .. } = &*self.generation;
        let broken = match is_seen_alive(*pid) {
            true => Broken::Connection { failed: self.shared.failed_lately(session) },
            false => Broken::Process,
        };
        let ended = if broken == Broken::Process { "ended" } else { "closed the connection" };
        let text = format!("Generation {number} of session {session} {ended} while it was at work: {why}.");
        self.shared.note_failure(&self.link.name, &text);
        self.shared.links.doubt(&self.generation);
        if self.is_counted {
            self.shared.count_broken(1);
        }
        broken
    }
}

impl Drop for EventLease {
    fn drop(&mut self) {
        if self.is_counted && self.cut.token().is_cancelled() {
            self.shared.count_cut(1);
        }
    }
}
