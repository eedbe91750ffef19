//! What is sent to a far side piece by piece, each with a call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures::future::BoxFuture;

use crate::net::local::{Body, Pending, RpcError, Stub};
use crate::wire::exception::Exception;

/// Bytes that may be under way without an answer. A workerd takes as much as its sockets hold, about 200 KiB; more
/// would lie about in it.
const WINDOW: usize = 256 << 10;

/// What a piece counts for beside its content, so that many small ones do not make an endless queue.
const PIECE_BYTES: usize = 256;

/// Calls on one object, in order, with a bound on those that have no answer yet.
pub(crate) struct Outbox {
    to: Stub,
    interface: u64,
    /// Waits for room in the queue of the connection's task.
    starting: Option<(BoxFuture<'static, Result<Pending, RpcError>>, usize)>,
    /// Oldest first.
    flying: VecDeque<(Pending, usize)>,
    bytes: usize,
    broken: Option<Exception>,
}

impl Outbox {
    pub fn new(to: Stub, interface: u64) -> Self {
        Outbox { to, interface, starting: None, flying: VecDeque::new(), bytes: 0, broken: None }
    }

    /// Whether all that was given is on its way.
    pub fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Exception>> {
        if let Some(why) = &self.broken {
            return Poll::Ready(Err(why.clone()));
        }
        let Some((starting, cost)) = &mut self.starting else { return Poll::Ready(Ok(())) };
        let started = ready!(starting.as_mut().poll(cx));
        let cost = *cost;
        self.starting = None;
        match started {
            Ok(pending) => {
                self.flying.push_back((pending, cost));
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.breaks(error))),
        }
    }

    /// Whether another piece may be given.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Exception>> {
        ready!(self.poll_started(cx))?;
        self.poll_until(cx, WINDOW)
    }

    /// Whether everything that was given has been taken.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Exception>> {
        ready!(self.poll_started(cx))?;
        self.poll_until(cx, 0)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, below: usize) -> Poll<Result<(), Exception>> {
        while let Some((pending, cost)) = self.flying.front_mut() {
            match Pin::new(pending).poll(cx) {
                Poll::Ready(Ok(_)) => {
                    self.bytes -= *cost;
                    self.flying.pop_front();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.breaks(error))),
                Poll::Pending if self.bytes <= below => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives a piece, after [`Outbox::poll_started`] was ready. It sets off at once, or with one of the next polls.
    pub fn give(&mut self, method: u16, body: Body) {
        let cost = body.len() + PIECE_BYTES;
        self.bytes += cost;
        let (to, interface) = (self.to.clone(), self.interface);
        let start = async move { to.start(interface, method, body).await };
        self.starting = Some((Box::pin(start), cost));
        // There is room nearly always. If it is not ready, or failed, the next poll says so.
        let _ = self.poll_started(&mut Context::from_waker(Waker::noop()));
    }

    fn breaks(&mut self, error: RpcError) -> Exception {
        let why = error.into_exception();
        // Nobody wants their answers any more.
        self.flying.clear();
        self.starting = None;
        self.broken = Some(why.clone());
        why
    }
}
