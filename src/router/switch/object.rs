//! The objects that a caller holds: they answer by themselves, and never resolve to anything of a target's.

use std::sync::Arc;

use serde_json::Value;

use crate::router::LinkName;
use crate::rpc::{CallId, Engine};
use crate::schema::rpc_capnp::message;
use crate::schema::worker_interface_capnp::{workerd_bootstrap, workerd_debug_port};
use crate::session::SessionName;
use crate::wire::build::Content;
use crate::wire::exception::{Exception, Kind};

/// What stands behind an id of ours.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// The debug port of the face of this session.
    Port(SessionName),
    /// Something on which events start.
    Entry(Arc<Entry>),
}

/// Something on which a caller starts events. It follows its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The link.
    pub link: LinkName,
    /// What the caller said of the target, where its link leaves that open.
    pub(super) asked: Asked,
}

/// What a caller of the debug-port face asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// An entrypoint; `None` is the default export.
    Entrypoint(Option<String>),
    /// An object of a class.
    Actor { class: String, id: String },
}

impl Entry {
    /// The link's own target, as it is.
    pub fn of(link: LinkName) -> Self {
        Entry { link, asked: Asked::Entrypoint(None) }
    }
}

/// Which method of ours a call is.
pub(super) enum Method {
    Entrypoint,
    Actor,
    StartEvent,
}

impl Method {
    pub fn of(object: &Object, interface: u64, method: u16) -> Result<Self, Exception> {
        const PORT: u64 = <workerd_debug_port::Client as capnp::traits::HasTypeId>::TYPE_ID;
        const BOOTSTRAP: u64 = <workerd_bootstrap::Client as capnp::traits::HasTypeId>::TYPE_ID;
        match (object, interface, method) {
            (Object::Port(_), PORT, 0) => Ok(Method::Entrypoint),
            (Object::Port(_), PORT, 1) => Ok(Method::Actor),
            (Object::Entry(_), BOOTSTRAP, 0) => Ok(Method::StartEvent),
            _ => Err(Exception::new(Kind::Unimplemented, "Method not implemented.")),
        }
    }
}

fn refuse(text: impl std::fmt::Display) -> Exception {
    Exception::failed(text)
}

/// Reads getEntrypoint or getActor as a caller sent it to the face of `session`.
pub(super) fn entry(
    engine: &Engine,
    call: CallId,
    session: &SessionName,
    actor: bool,
) -> Result<Entry, Exception> {
    let mut frame = engine.params(call).unwrap_or_default();
    read(&mut frame, session, actor)
        .unwrap_or_else(|error| Err(refuse(format!("The parameters cannot be read: {error}."))))
}

fn read(frame: &mut &[u8], session: &SessionName, actor: bool) -> capnp::Result<Result<Entry, Exception>> {
    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message_from_flat_slice(frame, options)?;
    let message::Which::Call(call) = message.get_root::<message::Reader>()?.which()? else {
        return Err(capnp::Error::failed("it is no call".into()));
    };
    let content = call?.get_params()?.get_content();
    let (binding, asked) = if actor {
        let params = content.get_as::<workerd_debug_port::get_actor_params::Reader>()?;
        let class = params.get_entrypoint()?.to_string()?;
        let asked = Asked::Actor { class, id: params.get_actor_id()?.to_string()? };
        (params.get_service()?.to_string()?, asked)
    } else {
        let params = content.get_as::<workerd_debug_port::get_entrypoint_params::Reader>()?;
        if has_props(&params)? {
            return Ok(Err(refuse(
                "Props come from the link: give them in jackfield.toml or with `jackfield retarget --props`.",
            )));
        }
        let name = params.has_entrypoint().then(|| params.get_entrypoint()).transpose()?;
        let name = name.map(|name| name.to_string()).transpose()?;
        (params.get_service()?.to_string()?, Asked::Entrypoint(name))
    };
    Ok(Ok(Entry { link: LinkName::new(session.clone(), binding), asked }))
}

/// Props are authority on this interface, and the caller's would override the link's.
fn has_props(params: &workerd_debug_port::get_entrypoint_params::Reader) -> capnp::Result<bool> {
    use crate::schema::frankenvalue_capnp::frankenvalue::Which;
    if !params.has_props() {
        return Ok(false);
    }
    let props = params.get_props()?;
    let empty = match props.which()? {
        Which::EmptyObject(()) => true,
        Which::Json(text) => text?.to_str().is_ok_and(|text| text.trim() == "{}"),
        _ => false,
    };
    Ok(!empty || !props.get_properties()?.is_empty())
}

/// Parameters of getEntrypoint.
pub(super) fn get_entrypoint(service: &str, entrypoint: Option<&str>, props: Option<&Value>) -> Content {
    let props = props.map(Value::to_string);
    let texts = service.len() + entrypoint.map_or(0, str::len) + props.as_ref().map_or(0, String::len);
    let mut message = one_segment(texts);
    let mut params = message.init_root::<workerd_debug_port::get_entrypoint_params::Builder>();
    params.set_service(service);
    if let Some(entrypoint) = entrypoint {
        params.set_entrypoint(entrypoint);
    }
    if let Some(props) = props {
        params.init_props().set_json(&*props);
    }
    Content::from_message(&message).unwrap_or_default()
}

/// Parameters of getActor.
pub(super) fn get_actor(service: &str, class: &str, id: &str) -> Content {
    let mut message = one_segment(service.len() + class.len() + id.len());
    let mut params = message.init_root::<workerd_debug_port::get_actor_params::Builder>();
    params.set_service(service);
    params.set_entrypoint(class);
    params.set_actor_id(id);
    Content::from_message(&message).unwrap_or_default()
}

/// A builder whose first segment holds texts of that many bytes, and the structs around them.
fn one_segment(texts: usize) -> capnp::message::Builder<capnp::message::HeapAllocator> {
    let words = (texts / 8 + 64).min(u32::MAX as usize) as u32;
    capnp::message::Builder::new(capnp::message::HeapAllocator::new().first_segment_words(words))
}
