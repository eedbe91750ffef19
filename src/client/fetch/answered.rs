use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;

use super::error::FetchError;
use super::exchange::Exchange;
use crate::client::body::BodyError;
use crate::client::stream::{Reader, StreamError};
use crate::wire::exception::Exception;
use crate::wire::http::Length;

/// The body of a worker's answer. Dropped before its end, it cancels the request.
pub struct Answered {
    exchange: Exchange,
    reader: Reader,
    said: Length,
    found: u64,
    state: State,
}

enum State {
    Reading,
    /// All bytes have come. Whether they are all that there were, only the answer to the request says: a worker ends a
    /// body also when it failed in the middle of it.
    Ending(Option<StreamError>),
    Ended,
}

impl Answered {
    pub(super) fn new(exchange: Exchange, reader: Reader, said: Length) -> Self {
        Answered { exchange, reader, said, found: 0, state: State::Reading }
    }

    /// What is still to come, if it is known.
    pub fn length(&self) -> Length {
        self.said.map(|said| said.saturating_sub(self.found))
    }

    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let State::Ended = self.state {
            return Poll::Ready(None);
        }
        let mut over = None;
        if let State::Reading = self.state {
            match self.poll_reader(cx) {
                Poll::Ready(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Poll::Ready(None) => {}
                Poll::Pending => match self.exchange.poll_over(cx) {
                    // What was written before it failed has come meanwhile.
                    Poll::Ready(Err(error)) => match self.poll_reader(cx) {
                        Poll::Ready(Some(bytes)) => {
                            self.exchange.put_back(error);
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        Poll::Ready(None) | Poll::Pending => over = Some(Err(error)),
                    },
                    // The end of the body is still on its way.
                    Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                },
            }
        }
        let over = match over {
            Some(over) => over,
            None => ready!(self.exchange.poll_over(cx)),
        };
        let missing = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ending(missing) => missing,
            State::Reading | State::Ended => None,
        };
        Poll::Ready(match (over, missing) {
            (Err(error), _) => Some(Err(broken(error))),
            (Ok(()), Some(error)) => Some(Err(BodyError::Truncated(error.exception().clone()))),
            (Ok(()), None) => self.wrong_length().map(Err),
        })
    }

    /// The next bytes, or nothing after the last.
    fn poll_reader(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(match ready!(Pin::new(&mut self.reader).poll_next(cx)) {
            Some(Ok(bytes)) => {
                self.found += bytes.len() as u64;
                Some(bytes)
            }
            Some(Err(error)) => {
                self.state = State::Ending(Some(error));
                None
            }
            None => {
                self.state = State::Ending(None);
                None
            }
        })
    }

    fn wrong_length(&self) -> Option<BodyError> {
        let said = self.said.filter(|said| *said != self.found)?;
        Some(BodyError::Length { said, found: self.found })
    }
}

fn broken(error: FetchError) -> BodyError {
    match error {
        FetchError::Body(error) => error,
        FetchError::Event(error) => BodyError::Truncated(error.into_exception()),
        other => BodyError::Truncated(Exception::failed(other)),
    }
}
