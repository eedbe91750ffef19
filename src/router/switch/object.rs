//! The objects that a caller holds: they answer by themselves, and never resolve to anything of a target's.

use std::sync::Arc;

use super::lease::EntryKey;
use super::props::{AskedProps, Refused, one_segment};
use crate::router::LinkName;
use crate::rpc::{Budget, CallId, Engine};
use crate::schema::rpc_capnp::message;
use crate::schema::worker_interface_capnp::{workerd_bootstrap, workerd_debug_port};
use crate::session::{SessionName, state};
use crate::wire::build::Content;
use crate::wire::exception::{Exception, Kind};

/// What a registry entry of ours calls the service of the target's default export, and that of its other exports.
pub const DEFAULT_SERVICE: &str = "default";
/// See [`DEFAULT_SERVICE`].
pub const NAMED_SERVICE: &str = "named";

/// What stands behind an id of ours.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// A debug port.
    Port(Services),
    /// Something on which events start.
    Entry(Arc<Entry>),
}

/// What the services of a debug port are.
#[derive(Debug, Clone)]
pub(super) enum Services {
    /// The links of a calling session, by their bindings; and whoever consumes a queue, by what its service is called.
    LinksOf(SessionName),
    /// One link, whatever a service is called: what stands in the registry of a session that joined leads here. Their
    /// names say which of the target's services is meant; see [`Asked::Entrypoint`].
    Link(LinkName),
    /// The sessions: for the user's own tools. Behind a `/` may stand one of the session's services for others.
    Sessions,
}

impl Services {
    /// The service that is meant, if it is neither the default export nor the others of the target.
    fn special<'a>(&self, service: &'a str) -> Option<&'a str> {
        match self {
            Services::Link(_) => {
                Some(service).filter(|name| !matches!(*name, DEFAULT_SERVICE | NAMED_SERVICE))
            }
            Services::Sessions => service.split_once('/').map(|(_, name)| name),
            // What is sent to a queue goes to whoever consumes it, by no link.
            Services::LinksOf(_) => Some(service).filter(|name| state::Services::queue_of(name).is_some()),
        }
    }

    fn link(&self, service: String) -> Result<LinkName, Exception> {
        match self {
            Services::LinksOf(session) => Ok(LinkName::new(session.clone(), service)),
            Services::Link(link) => Ok(link.clone()),
            Services::Sessions => {
                let session = service.split('/').next().unwrap_or_default().parse().map_err(|error| {
                    refuse(format!(
                        "There is no session `{service}`: {error}. `jackfield ls` shows those that there are."
                    ))
                })?;
                Ok(LinkName::direct(session))
            }
        }
    }
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
    Entrypoint {
        name: Option<String>,
        /// Good only where the link accepts them.
        props: Option<AskedProps>,
        /// A service of the target's own that is no worker: the tool that runs the caller knows it by name.
        service: Option<String>,
    },
    /// An object of a class.
    Actor { class: String, id: String },
}

impl Entry {
    /// The link's own target, as it is.
    pub fn of(link: LinkName) -> Self {
        Entry { link, asked: Asked::Entrypoint { name: None, props: None, service: None } }
    }

    /// The queue to which a session sends, whoever consumes it.
    pub(super) fn queue(&self) -> Option<&str> {
        state::Services::queue_of(&self.link.binding)
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

/// Reads getEntrypoint or getActor as a caller sent it to a debug port.
pub(super) fn entry(
    engine: &Engine,
    call: CallId,
    services: &Services,
    actor: bool,
    budget: &Arc<Budget>,
) -> Result<Entry, Exception> {
    let mut frame = engine.params(call).unwrap_or_default();
    read(&mut frame, services, actor, budget)
        .unwrap_or_else(|error| Err(refuse(format!("The parameters cannot be read: {error}."))))
}

fn read(
    frame: &mut &[u8],
    services: &Services,
    actor: bool,
    budget: &Arc<Budget>,
) -> capnp::Result<Result<Entry, Exception>> {
    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message_from_flat_slice(frame, options)?;
    let message::Which::Call(call) = message.get_root::<message::Reader>()?.which()? else {
        return Err(capnp::Error::failed("it is no call".into()));
    };
    let content = call?.get_params()?.get_content();
    let (service, asked) = if actor {
        let params = content.get_as::<workerd_debug_port::get_actor_params::Reader>()?;
        let class = params.get_entrypoint()?.to_string()?;
        let asked = Asked::Actor { class, id: params.get_actor_id()?.to_string()? };
        (params.get_service()?.to_string()?, asked)
    } else {
        let params = content.get_as::<workerd_debug_port::get_entrypoint_params::Reader>()?;
        let props = match params.has_props() {
            true => AskedProps::read(params.get_props()?, budget)?,
            false => Ok(None),
        };
        let props = match props {
            Ok(props) => props,
            Err(Refused::Capabilities) => {
                return Ok(Err(refuse("Stubs and other capabilities cannot be passed on as props.")));
            }
            Err(Refused::TooMuch) => {
                return Ok(Err(Exception::new(
                    Kind::Overloaded,
                    "Too much is held already to keep these props.",
                )));
            }
        };
        let name = params.has_entrypoint().then(|| params.get_entrypoint()).transpose()?;
        let name = name.map(|name| name.to_string()).transpose()?;
        let service = params.get_service()?.to_string()?;
        let special = services.special(&service).map(str::to_owned);
        (service, Asked::Entrypoint { name, props, service: special })
    };
    Ok(services.link(service).map(|link| Entry { link, asked }))
}

/// Parameters of getEntrypoint.
pub(super) fn get_entrypoint(service: &str, key: &EntryKey) -> Content {
    let EntryKey { entrypoint, props, asked, .. } = key;
    let texts =
        service.len() + entrypoint.as_ref().map_or(0, String::len) + props.as_ref().map_or(0, String::len);
    // Where both say props, the caller's properties are written twice, and each of the link's becomes a struct: nine
    // words for what may be five bytes of JSON.
    let both = asked.as_ref().map_or(0, |asked| 2 * asked.bytes() + 16 * texts);
    let mut message = one_segment(texts + both);
    let mut params = message.init_root::<workerd_debug_port::get_entrypoint_params::Builder>();
    params.set_service(service);
    if let Some(entrypoint) = entrypoint {
        params.set_entrypoint(entrypoint);
    }
    match (asked, props) {
        (None, Some(props)) => params.init_props().set_json(&**props),
        (None, None) => {}
        (Some(asked), props) => {
            let link = props.as_ref().and_then(|props| serde_json::from_str(props).ok());
            // What was written once is written again.
            let _ = asked.write(params, link.as_ref());
        }
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
