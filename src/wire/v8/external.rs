//! What a value refers to and cannot carry: stubs and streams.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What kind of thing travels beside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExternalKind {
    /// An object or a function that can be called.
    Stub,
    /// A stream that its receiver writes to.
    WritableStream,
    /// A stream that its receiver reads.
    ReadableStream,
    /// A service's entrypoint.
    ServiceStub,
    /// A Durable Object class.
    ActorClass,
    /// Something that is not read here, such as an AbortSignal. No value refers to it.
    Unknown,
}

impl ExternalKind {
    /// The tag of its host object.
    pub(super) fn tag(self) -> u32 {
        match self {
            ExternalKind::Stub => 1,
            ExternalKind::WritableStream => 2,
            ExternalKind::ReadableStream => 3,
            ExternalKind::ServiceStub => 11,
            ExternalKind::ActorClass => 12,
            // The tag that stands for nothing.
            ExternalKind::Unknown => 0,
        }
    }

    pub(super) fn of_tag(tag: u32) -> Option<Self> {
        use ExternalKind::*;
        [Stub, WritableStream, ReadableStream, ServiceStub, ActorClass]
            .into_iter()
            .find(|kind| kind.tag() == tag)
    }

    /// Its class in JavaScript.
    pub fn class(self) -> &'static str {
        match self {
            ExternalKind::Stub => "RpcStub",
            ExternalKind::WritableStream => "WritableStream",
            ExternalKind::ReadableStream => "ReadableStream",
            ExternalKind::ServiceStub => "Fetcher",
            ExternalKind::ActorClass => "DurableObjectClass",
            ExternalKind::Unknown => "something unknown",
        }
    }
}

/// Something that a value refers to and that travels beside it.
///
/// The codec does not know what it is: whoever reads and writes messages makes the handles and takes them back, by
/// [`External::downcast`]. Clones share the handle, and values that contain it keep it alive.
#[derive(Clone)]
pub struct External {
    kind: ExternalKind,
    handle: Arc<dyn Any + Send + Sync>,
}

impl External {
    /// A thing of this kind, behind this handle.
    pub fn new(kind: ExternalKind, handle: Arc<dyn Any + Send + Sync>) -> Self {
        External { kind, handle }
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> ExternalKind {
        self.kind
    }

    /// The handle, if it is of this type.
    pub fn downcast<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.handle.clone().downcast().ok()
    }

    /// As [`External::downcast`], borrowed.
    pub fn downcast_ref<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.handle.downcast_ref()
    }
}

/// Of the same kind, with the same handle.
impl PartialEq for External {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && Arc::ptr_eq(&self.handle, &other.handle)
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.class())
    }
}
