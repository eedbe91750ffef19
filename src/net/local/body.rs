use bytes::Bytes;
use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::traits::{ImbueMut, Owned};

use super::error::RpcError;
use super::hook::Caps;
use super::stub::Stub;
use crate::wire::build::Content;

/// Words of a builder's first segment where nothing is said of the size: the parameters of any method without long
/// texts or data.
const FIRST_WORDS: usize = 64;

/// What goes out, as parameters or as an answer: content, and the stubs that the capabilities in it stand for.
#[derive(Debug, Clone, Default)]
pub struct Body {
    pub(super) content: Content,
    pub(super) stubs: Vec<Option<Stub>>,
}

impl Body {
    /// Nothing: a null pointer, which is read as a struct of defaults.
    pub fn empty() -> Self {
        Body::default()
    }

    /// Content made elsewhere. A capability in it is the word `3 | index << 32`, `index` counting in `stubs`.
    pub fn new(content: Content, stubs: Vec<Option<Stub>>) -> Self {
        Body { content, stubs }
    }

    /// A struct whose only field is data. Its memory is shared until it is sent.
    pub fn data(bytes: Bytes) -> Self {
        Body { content: Content::data(bytes), stubs: Vec::new() }
    }

    /// A struct whose only fields are these capabilities, in order.
    pub fn stubs_only(stubs: impl IntoIterator<Item = Stub>) -> Self {
        let stubs: Vec<_> = stubs.into_iter().map(Some).collect();
        Body { content: Content::capabilities(stubs.len().min(u16::MAX.into()) as u16), stubs }
    }

    /// Builds content of a type. `fill` sets the fields; [`Caps::client`] makes a stub a client that fits into a
    /// capability field. It may be run twice: again, when the content turned out longer than one segment.
    ///
    /// # Errors
    /// `fill` failed.
    pub fn build<T: Owned>(
        fill: impl Fn(T::Builder<'_>, &Caps) -> capnp::Result<()>,
    ) -> Result<Self, RpcError> {
        Body::sized::<T>(0, fill)
    }

    /// As [`Body::build`], for content with so many bytes of text and data: it is built once.
    ///
    /// # Errors
    /// As [`Body::build`].
    pub fn sized<T: Owned>(
        bytes: usize,
        fill: impl Fn(T::Builder<'_>, &Caps) -> capnp::Result<()>,
    ) -> Result<Self, RpcError> {
        let mut words = bytes / 8 + FIRST_WORDS;
        loop {
            let first = words.min(u32::MAX as usize) as u32;
            let mut message = Builder::new(HeapAllocator::new().first_segment_words(first));
            let stubs = fill_in::<T>(&mut message, &fill).map_err(RpcError::Unbuildable)?;
            if let Some(content) = Content::from_message(&message) {
                return Ok(Body { content, stubs });
            }
            let built: usize =
                message.get_segments_for_output().iter().map(|segment| segment.len() / 8).sum();
            // It grows each time, whatever `fill` does, so it comes to an end: a message has at most 2^29 words.
            if words >= u32::MAX as usize {
                let error = capnp::Error::failed("the content is too long".into());
                return Err(RpcError::Unbuildable(error));
            }
            words = built.max(2 * words);
        }
    }

    /// The stubs in it.
    pub(super) fn stubs(&self) -> impl Iterator<Item = &Stub> {
        self.stubs.iter().flatten()
    }

    /// Length of the content in bytes.
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn fill_in<T: Owned>(
    message: &mut Builder<HeapAllocator>,
    fill: &impl Fn(T::Builder<'_>, &Caps) -> capnp::Result<()>,
) -> capnp::Result<Vec<Option<Stub>>> {
    let caps = Caps::default();
    let mut table = Vec::new();
    {
        let mut root: any_pointer::Builder = message.init_root();
        root.imbue_mut(&mut table);
        fill(root.init_as(), &caps)?;
    }
    // The table of the content is in the order in which its fields were set, and may name a stub twice.
    table.iter().map(|hook| hook.as_deref().map(|hook| caps.of(hook)).transpose()).collect()
}
