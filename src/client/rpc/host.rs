use std::sync::Arc;

use tokio::runtime::Handle;

use super::push::{Claims, Pusher};
use crate::net::local::{Call, Handler, Peer, Stub};

/// What everything on one connection needs that sends or receives values.
#[derive(Clone)]
pub(in crate::client) struct Host(Arc<Inner>);

struct Inner {
    /// Runs what goes on by itself: streams that are sent, calls that are answered.
    runtime: Option<Handle>,
    claims: Claims,
    /// Through which the far side gives us streams. One is enough, and costs one entry in its tables.
    pusher: Stub,
}

impl Host {
    /// For what is called through a peer.
    pub fn of_peer(peer: &Peer) -> Self {
        Host::new(|pusher| peer.serve(pusher))
    }

    /// For an object that is called.
    pub fn of_call(call: &Call) -> Self {
        Host::new(|pusher| call.serve(pusher))
    }

    fn new(serve: impl FnOnce(Pusher) -> Stub) -> Self {
        let claims = Claims::default();
        let pusher = serve(Pusher(claims.clone()));
        Host(Arc::new(Inner { runtime: Handle::try_current().ok(), claims, pusher }))
    }

    pub(super) fn runtime(&self) -> Option<&Handle> {
        self.0.runtime.as_ref()
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.0.claims
    }

    pub(super) fn pusher(&self) -> &Stub {
        &self.0.pusher
    }

    /// A stub of an object of this process.
    pub(super) fn serve(&self, handler: impl Handler) -> Stub {
        self.0.pusher.beside(handler)
    }

    /// Whether a stub can be sent as it is.
    pub(super) fn is_home_of(&self, stub: &Stub) -> bool {
        self.0.pusher.meets(stub)
    }
}
