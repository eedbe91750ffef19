//! The object to which a far side sends its messages.

use capnp::traits::HasTypeId;

use super::message::{Close, Message};
use crate::client::stream::Feed;
use crate::net::local::{Body, Call, Handler, RpcError, Span};
use crate::schema::http_over_capnp_capnp::web_socket;

pub(super) const SOCKET: u64 = web_socket::Client::TYPE_ID;
pub(super) const SEND_TEXT: u16 = 0;
pub(super) const SEND_DATA: u16 = 1;
pub(super) const CLOSE: u16 = 2;

pub(super) struct Messages(pub Feed<Message>);

impl Handler for Messages {
    fn call(&mut self, mut call: Call) {
        if call.interface != SOCKET || call.method > CLOSE {
            return call.unimplemented();
        }
        match read(&mut call) {
            Ok(message) => {
                let bytes = match &message {
                    Message::Text(text) => text.len(),
                    Message::Binary(bytes) => bytes.len(),
                    Message::Close(close) => close.reason.len(),
                };
                let last = matches!(message, Message::Close(_));
                self.0.push(message, bytes, Some(call));
                if last {
                    self.0.end();
                }
            }
            Err(error) => call.fail(error.into_exception()),
        }
    }
}

fn read(call: &mut Call) -> Result<Message, RpcError> {
    let params = call.take_params();
    match call.method {
        SEND_TEXT => params
            .read::<web_socket::send_text_params::Owned, _>(|params, _| Ok(lossy(params.get_text()?)))
            .map(Message::Text),
        SEND_DATA => params
            .into_bytes::<web_socket::send_data_params::Owned>(|params| Ok(Span::of(params.get_data()?)))
            .map(Message::Binary),
        _ => params
            .read::<web_socket::close_params::Owned, _>(|params, _| {
                Ok(Close { code: params.get_code(), reason: lossy(params.get_reason()?) })
            })
            .map(Message::Close),
    }
}

fn lossy(text: capnp::text::Reader) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// Method and parameters of a message on its way.
pub(super) fn write(message: &Message) -> Result<(u16, Body), RpcError> {
    match message {
        Message::Text(text) => {
            Body::sized::<web_socket::send_text_params::Owned>(text.len(), |mut params, _| {
                params.set_text(&**text);
                Ok(())
            })
            .map(|body| (SEND_TEXT, body))
        }
        Message::Binary(bytes) => Ok((SEND_DATA, Body::data(bytes.clone()))),
        Message::Close(Close { code, reason }) => {
            Body::sized::<web_socket::close_params::Owned>(reason.len(), |mut params, _| {
                params.set_code(*code);
                params.set_reason(&**reason);
                Ok(())
            })
            .map(|body| (CLOSE, body))
        }
    }
}
