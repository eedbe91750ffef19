use bytes::Bytes;
use capnp::any_pointer;
use capnp::message::ReaderOptions;
use capnp::private::capability::{ClientHook, PipelineOp};
use capnp::traits::{Imbue, Owned};

use super::error::RpcError;
use super::hook::Caps;
use super::stub::Stub;
use crate::schema::rpc_capnp::{message, return_};

/// What came in, as parameters or as an answer: the frame, and the stubs that the capabilities in it stand for.
pub struct Payload {
    pub(super) frame: Vec<u8>,
    pub(super) stubs: Vec<Option<Stub>>,
}

/// Where in the memory of a [`Payload`] some bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    at: usize,
    len: usize,
}

impl Span {
    /// That of bytes of the content.
    pub fn of(bytes: &[u8]) -> Self {
        Span { at: bytes.as_ptr() as usize, len: bytes.len() }
    }
}

impl Payload {
    /// Reads the content as a type. `read` gets the reader and the stubs: [`Caps::stub`] tells the one behind a
    /// capability field.
    ///
    /// # Errors
    /// The content is not of this type, or `read` failed.
    pub fn read<T: Owned, R>(
        &self,
        read: impl FnOnce(T::Reader<'_>, &Caps) -> capnp::Result<R>,
    ) -> Result<R, RpcError> {
        self.with_content(|content, caps| read(content.get_as()?, caps)).map_err(RpcError::Unreadable)
    }

    /// The bytes that `find` finds in the content. They go on sharing the memory of the message.
    ///
    /// # Errors
    /// As [`Payload::read`].
    pub fn into_bytes<T: Owned>(
        self,
        find: impl FnOnce(T::Reader<'_>) -> capnp::Result<Span>,
    ) -> Result<Bytes, RpcError> {
        let Span { at, len } = self.read::<T, _>(|content, _| find(content))?;
        // Empty data may be anywhere.
        let start = at.wrapping_sub(self.frame.as_ptr() as usize);
        match start.checked_add(len) {
            Some(end) if len > 0 && end <= self.frame.len() => Ok(Bytes::from(self.frame).slice(start..end)),
            _ => Ok(Bytes::new()),
        }
    }

    /// The stub of the capability at `path` in the content: from its root struct, pointer field by pointer field.
    pub fn stub(&self, path: &[u16]) -> Option<Stub> {
        let ops: Vec<_> = path.iter().map(|field| PipelineOp::GetPointerField(*field)).collect();
        self.with_content(|content, caps| caps.of(&*content.get_pipelined_cap(&ops)?)).ok()
    }

    /// The stubs in the order of the capability table: entry `index` is the word `3 | index << 32` in the content.
    pub fn stubs(&self) -> &[Option<Stub>] {
        &self.stubs
    }

    /// Bytes of the message that brought it.
    pub fn frame_len(&self) -> usize {
        self.frame.len()
    }

    fn with_content<R>(
        &self,
        read: impl FnOnce(any_pointer::Reader<'_>, &Caps) -> capnp::Result<R>,
    ) -> capnp::Result<R> {
        let options = ReaderOptions::new();
        let message = capnp::serialize::read_message_from_flat_slice(&mut &*self.frame, options)?;
        let mut content = match message.get_root::<message::Reader>()?.which()? {
            message::Call(call) => call?.get_params()?.get_content(),
            message::Return(ret) => match ret?.which()? {
                return_::Results(results) => results?.get_content(),
                _ => return Err(capnp::Error::failed("the answer has no results".into())),
            },
            _ => return Err(capnp::Error::failed("the message has no content".into())),
        };
        let caps = Caps::default();
        let hook = |stub: &Option<Stub>| stub.as_ref().map(|stub| caps.client::<Box<dyn ClientHook>>(stub));
        let table = self.stubs.iter().map(hook).collect();
        content.imbue(&table);
        read(content, &caps)
    }
}
