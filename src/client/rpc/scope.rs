//! What holds the parts of one JavaScript RPC session together.
//!
//! A worker cuts a session off when its caller drops the `session` capability: disposers that have not run are
//! skipped, and calls that are under way are cancelled. So everything that comes of a session has a [`Tie`] to it, and
//! when the last of them is gone the session is held on until the worker says that it is over. Capability `session`
//! has no methods; it is a promise that resolves when the session is over, and a call on a promise is answered after
//! it has resolved: by an error, since it resolves to nothing.
//!
//! What a worker calls back is tied loosely. Else a call could not be given up while its callback runs, and the session
//! would never end for an object of ours that the worker holds. Nothing is lost by that: while the worker waits for a
//! callback, or we have something of its, the session is not over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::task::AbortOnDropHandle;

use super::host::Host;
use super::ids::SESSION;
use crate::client::event::Event;
use crate::net::local::{Body, Call, Handler, Pending, RpcError, Stub};

/// How something belongs to a session.
#[derive(Clone)]
pub(super) struct Tie {
    common: Arc<Common>,
    /// Holds the session; else it is a loose tie.
    _holds: Option<Arc<Scope>>,
}

struct Common {
    host: Host,
    /// Streams that are being sent.
    pumps: Mutex<Vec<AbortOnDropHandle<()>>>,
    /// Capabilities went one way or the other, so that something may be left to do when all is dropped here.
    carried: AtomicBool,
}

impl Tie {
    /// To a session that we begin.
    pub fn asking(host: Host, session: Stub, event: Event) -> Self {
        Tie::new(host, Some(Root::Asked(Asked { session, _event: event }))).0
    }

    /// To a session that a far side begins, and the promise that resolves at its end.
    ///
    /// # Errors
    /// The connection's task has ended.
    pub fn serving(host: Host) -> Result<(Self, Stub), RpcError> {
        let (tie, scope) = Tie::new(host, None);
        let ending = tie.host().serve(Ending(Arc::downgrade(&scope)));
        let over = ending.start_now(SESSION, 0, Body::empty())?;
        let session = over.pipeline(&[0]);
        *scope.root() = Some(Root::Serving { call: None, _over: over });
        Ok((tie, session))
    }

    fn new(host: Host, root: Option<Root>) -> (Self, Arc<Scope>) {
        let common = Arc::new(Common { host, pumps: Mutex::default(), carried: AtomicBool::default() });
        let scope = Arc::new(Scope { common: common.clone(), root: Mutex::new(root) });
        (Tie { common, _holds: Some(scope.clone()) }, scope)
    }

    /// The same, without holding it.
    pub fn loose(&self) -> Self {
        Tie { common: self.common.clone(), _holds: None }
    }

    pub fn host(&self) -> &Host {
        &self.common.host
    }

    /// A capability went along: from now on the session's end is waited for.
    pub fn carries(&self) {
        self.common.carried.store(true, Ordering::Relaxed);
    }

    /// Keeps streams going that were sent, until nothing holds the session.
    pub fn keep(&self, pumps: impl IntoIterator<Item = AbortOnDropHandle<()>>) {
        let mut kept = self.common.pumps();
        kept.retain(|pump| !pump.is_finished());
        kept.extend(pumps);
    }
}

impl Common {
    fn pumps(&self) -> MutexGuard<'_, Vec<AbortOnDropHandle<()>>> {
        self.pumps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lives as long as the session is held.
struct Scope {
    common: Arc<Common>,
    root: Mutex<Option<Root>>,
}

enum Root {
    /// We called.
    Asked(Asked),
    /// We are called: the call is answered when nothing of the session is left.
    Serving {
        call: Option<Call>,
        /// The same call, from its other end. Given up, it would end the session.
        _over: Pending,
    },
}

struct Asked {
    session: Stub,
    _event: Event,
}

impl Scope {
    fn root(&self) -> MutexGuard<'_, Option<Root>> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is given the call whose answer says that a session is over.
struct Ending(Weak<Scope>);

impl Handler for Ending {
    fn call(&mut self, now: Call) {
        let Some(scope) = self.0.upgrade() else { return end(now) };
        if let Some(Root::Serving { call, .. }) = &mut *scope.root() {
            *call = Some(now);
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.common.pumps().clear();
        match self.root.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Root::Asked(asked)) if self.common.carried.load(Ordering::Relaxed) => {
                linger(&self.common.host, asked);
            }
            Some(Root::Asked(_)) | None => {}
            Some(Root::Serving { call, .. }) => call.into_iter().for_each(end),
        }
    }
}

/// Says that a session of ours is over. What its promise resolves to says nothing but that it has.
fn end(call: Call) {
    let over = call.serve(|call: Call| call.unimplemented());
    call.respond(Body::stubs_only([over]));
}

/// Holds a session until the worker says that it is over, or the connection ends.
fn linger(host: &Host, asked: Asked) {
    let Some(runtime) = host.runtime() else { return };
    if let Ok(over) = asked.session.start_now(SESSION, 0, Body::empty()) {
        runtime.spawn(async move {
            // An error is what tells.
            let _ = over.await;
            drop(asked);
        });
    }
}
