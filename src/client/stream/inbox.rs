//! What a far side sends piece by piece, each with a call, until somebody here takes it.
//!
//! A piece's call is answered when the piece is taken. So a slow reader slows the writer, whose window fills with
//! calls that have no answer, and nothing else is needed for backpressure.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::net::local::{Body, Call};
use crate::wire::exception::{Exception, Kind};

/// Bytes that may wait to be taken. A workerd has a few hundred kilobytes under way on one stream, what its socket
/// holds; who sends this much does not wait for answers, and is refused.
const MOST_WAITING: usize = 16 << 20;

/// What those are told who send to nobody.
pub(super) const READER_GONE: &str = "The reader of the stream has gone.";

/// What a piece counts for beside its content.
const PIECE_BYTES: usize = 128;

struct Piece<T> {
    content: T,
    cost: usize,
    /// Answered when the piece is taken.
    call: Option<Call>,
}

struct State<T> {
    pieces: VecDeque<Piece<T>>,
    waiting: usize,
    end: Option<End>,
    /// Nobody takes any more: why.
    refused: Option<Exception>,
    waker: Option<Waker>,
}

/// How what was sent ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// As its sender meant it to.
    Whole,
    /// The sender broke off, or sent too much.
    Broken(Exception),
}

struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes back if it is not wanted.
    fn push(
        &self,
        content: T,
        cost: usize,
        call: Option<Call>,
    ) -> Result<(), Box<(Exception, Option<Call>)>> {
        let mut state = self.state();
        let why = if let Some(why) = &state.refused {
            why.clone()
        } else if let Some(end) = &state.end {
            match end {
                End::Broken(why) => why.clone(),
                End::Whole => Exception::failed("The stream has ended already."),
            }
        } else if state.waiting >= MOST_WAITING {
            let why = "jsg.Error: More was sent on the stream than was read, without waiting for answers.";
            let why = Exception::new(Kind::Overloaded, why);
            drop(state);
            self.end(End::Broken(why.clone()));
            why
        } else {
            state.waiting += cost;
            state.pieces.push_back(Piece { content, cost, call });
            if let Some(waker) = state.waker.take() {
                drop(state);
                waker.wake();
            }
            return Ok(());
        };
        Err(Box::new((why, call)))
    }

    /// The first end is the one that counts.
    fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }
}

/// The side that takes. Dropped, it refuses what still comes.
pub(crate) struct Inbox<T>(Arc<Shared<T>>);

/// The side that is fed, by the objects that the far side calls. When the last clone goes before the end, the rest is
/// missing.
pub(crate) struct Feed<T>(Arc<Feeding<T>>);

struct Feeding<T>(Arc<Shared<T>>);

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Feed(self.0.clone())
    }
}

/// Both sides of a new box.
pub(crate) fn inbox<T>() -> (Feed<T>, Inbox<T>) {
    let shared = Arc::new(Shared(Mutex::new(State {
        pieces: VecDeque::new(),
        waiting: 0,
        end: None,
        refused: None,
        waker: None,
    })));
    (Feed(Arc::new(Feeding(shared.clone()))), Inbox(shared))
}

impl<T> Inbox<T> {
    /// The next piece; then, for ever, how it ended.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Result<T, End>> {
        let mut state = self.0.state();
        if let Some(Piece { content, cost, call }) = state.pieces.pop_front() {
            state.waiting -= cost;
            drop(state);
            if let Some(call) = call {
                call.respond(Body::empty());
            }
            return Poll::Ready(Ok(content));
        }
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.clone()));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => state.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes no more: what waits and what comes is refused for this reason.
    pub fn refuse(&self, why: Exception) {
        let mut state = self.0.state();
        state.waiting = 0;
        let pieces = std::mem::take(&mut state.pieces);
        let why = state.refused.get_or_insert(why).clone();
        drop(state);
        for call in pieces.into_iter().filter_map(|piece| piece.call) {
            call.fail(why.clone());
        }
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.refuse(Exception::disconnected(READER_GONE));
    }
}

impl<T> Feed<T> {
    /// Hands a piece of so many bytes over. `call` is answered when it is taken.
    pub fn push(&self, content: T, bytes: usize, call: Option<Call>) {
        if let Err(why) = self.0.0.push(content, bytes + PIECE_BYTES, call) {
            let (why, call) = *why;
            if let Some(call) = call {
                call.fail(why);
            }
        }
    }

    /// Nothing more comes: all was sent.
    pub fn end(&self) {
        self.0.0.end(End::Whole);
    }
}

impl<T> Drop for Feeding<T> {
    fn drop(&mut self) {
        let why = Exception::disconnected("The stream was dropped before its end.");
        self.0.end(End::Broken(why));
    }
}
