//! The object to which a worker gives its answer.

use capnp::traits::HasTypeId;
use http::{HeaderMap, Response};
use tokio::sync::oneshot;

use crate::client::stream::Reader;
use crate::client::websocket::Ear;
use crate::net::local::{Body, Call, Handler, RpcError, Stub};
use crate::schema::http_over_capnp_capnp::http_service::client_request_context;
use crate::wire::exception::Exception;
use crate::wire::http::{HeadError, Length, read_headers, read_response};

pub(crate) const CONTEXT: u64 = client_request_context::Client::TYPE_ID;
pub(crate) const START_RESPONSE: u16 = 0;
pub(crate) const START_WEB_SOCKET: u16 = 1;

/// What a worker begins its answer with.
pub(super) enum Start {
    Response { head: Response<()>, length: Length, body: Option<Reader> },
    WebSocket { headers: HeaderMap, to: Stub, ear: Ear },
}

/// Takes one answer.
pub(super) struct Context(pub Option<oneshot::Sender<Result<Start, HeadError>>>);

impl Handler for Context {
    fn call(&mut self, call: Call) {
        if call.interface != CONTEXT || !matches!(call.method, START_RESPONSE | START_WEB_SOCKET) {
            return call.unimplemented();
        }
        let Some(tell) = self.0.take() else {
            return call.fail(Exception::failed("The request was answered already."));
        };
        match call.method {
            START_RESPONSE => start_response(tell, call),
            _ => start_web_socket(tell, call),
        }
    }
}

type Tell = oneshot::Sender<Result<Start, HeadError>>;

fn start_response(tell: Tell, mut call: Call) {
    let head =
        call.take_params().read::<client_request_context::start_response_params::Owned, _>(|params, _| {
            Ok(params.get_response().map_err(HeadError::from).and_then(read_response))
        });
    let (head, length) = match flat(head) {
        Ok(head) => head,
        Err(error) => return refuse(tell, call, error),
    };
    let (stub, body) = match length {
        Some(0) => (None, None),
        _ => {
            let (stub, reader) = Reader::for_call(&call);
            (Some(stub), Some(reader))
        }
    };
    // Whoever waited may have gone: then the reader refuses what is written, and the request is cancelled anyway.
    let _ = tell.send(Ok(Start::Response { head, length, body }));
    call.respond(Body::stubs_only(stub));
}

fn start_web_socket(tell: Tell, mut call: Call) {
    let read = call.take_params().read::<client_request_context::start_web_socket_params::Owned, _>(
        |params, caps| {
            let to = caps.stub(&params.get_up_socket()?)?;
            Ok(params
                .get_headers()
                .map_err(HeadError::from)
                .and_then(read_headers)
                .map(|headers| (headers, to)))
        },
    );
    match flat(read) {
        Ok((headers, to)) => {
            let (stub, ear) = Ear::for_call(&call);
            let _ = tell.send(Ok(Start::WebSocket { headers, to, ear }));
            call.respond(Body::stubs_only([stub]));
        }
        Err(error) => refuse(tell, call, error),
    }
}

fn flat<T>(read: Result<Result<T, HeadError>, RpcError>) -> Result<T, HeadError> {
    match read {
        Ok(head) => head,
        Err(RpcError::Unreadable(error)) => Err(HeadError::Unreadable(error)),
        Err(other) => Err(HeadError::Unreadable(capnp::Error::failed(other.to_string()))),
    }
}

fn refuse(tell: Tell, call: Call, error: HeadError) {
    call.fail(Exception::failed(&error));
    let _ = tell.send(Err(error));
}
