//! The interfaces of JavaScript RPC, and their methods.

use capnp::traits::HasTypeId;

use crate::schema::worker_interface_capnp::{event_dispatcher, js_rpc_session, js_rpc_target, js_value};

pub(super) const DISPATCHER: u64 = event_dispatcher::Client::TYPE_ID;
pub(super) const JS_RPC_SESSION: u16 = 9;

pub(super) const TARGET: u64 = js_rpc_target::Client::TYPE_ID;
pub(super) const CALL: u16 = 0;

pub(super) const EXTERNAL_PUSHER: u64 = js_value::external_pusher::Client::TYPE_ID;
pub(super) const PUSH_BYTE_STREAM: u16 = 0;

/// Has no methods; see [`super::scope`] for why it is called all the same.
pub(super) const SESSION: u64 = js_rpc_session::Client::TYPE_ID;
