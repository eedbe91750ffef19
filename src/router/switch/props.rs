//! Props that a caller says itself. Nothing of them is decoded: they are copied as the structs that they are.

use std::fmt;
use std::sync::Arc;

use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use serde_json::{Map, Value};

use crate::rpc::Budget;
use crate::schema::frankenvalue_capnp::frankenvalue;

/// What a caller of a debug port said, a message of its own. It may be held as long as the caller likes, so it is
/// taken out of the process's budget.
#[derive(Clone)]
pub(super) struct AskedProps(Arc<Charged>);

struct Charged {
    words: Vec<u8>,
    budget: Arc<Budget>,
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.budget.give(self.words.len());
    }
}

impl fmt::Debug for AskedProps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskedProps({} bytes)", self.0.words.len())
    }
}

impl PartialEq for AskedProps {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.words == other.0.words
    }
}

impl Eq for AskedProps {}

/// Why props are not passed on.
#[derive(Debug)]
pub(super) enum Refused {
    /// workerd takes none with capabilities over a debug port either.
    Capabilities,
    /// The process holds too much already.
    TooMuch,
}

impl AskedProps {
    /// `None` if they say nothing: `{}`, or less.
    pub fn read(
        from: frankenvalue::Reader<'_>,
        budget: &Arc<Budget>,
    ) -> capnp::Result<Result<Option<Self>, Refused>> {
        if is_empty(from)? {
            return Ok(Ok(None));
        }
        if from.has_cap_table() || from.get_cap_table_size() > 0 {
            return Ok(Err(Refused::Capabilities));
        }
        let words = from.total_size()?.word_count.saturating_add(1);
        let Some(bytes) = usize::try_from(words).ok().and_then(|words| words.checked_mul(8)) else {
            return Ok(Err(Refused::TooMuch));
        };
        let mut message = one_segment(bytes);
        message.set_root(from)?;
        let words = capnp::serialize::write_message_to_words(&message);
        if !budget.take(words.len()) {
            return Ok(Err(Refused::TooMuch));
        }
        Ok(Ok(Some(Self(Arc::new(Charged { words, budget: budget.clone() })))))
    }

    /// About what a message with them takes.
    pub fn bytes(&self) -> usize {
        self.0.words.len()
    }

    /// Writes them, and over them those of the link: of two with one name the last counts.
    pub fn write(&self, mut into: PropsField<'_>, link: Option<&Map<String, Value>>) -> capnp::Result<()> {
        let mut words = &*self.0.words;
        let message = capnp::serialize::read_message_from_flat_slice(&mut words, ReaderOptions::new())?;
        let asked = message.get_root::<frankenvalue::Reader<'_>>()?;
        let Some(link) = link.filter(|link| !link.is_empty()) else { return into.set_props(asked) };
        into.reborrow().set_props(asked)?;
        let own = asked.get_properties()?;
        let count = own.len().saturating_add(u32::try_from(link.len()).unwrap_or(u32::MAX));
        let mut all = into.get_props()?.init_properties(count);
        for (index, property) in own.iter().enumerate() {
            all.set_with_caveats(index as u32, property)?;
        }
        for (index, (name, value)) in (own.len()..).zip(link) {
            let mut property = all.reborrow().get(index);
            property.set_name(name);
            property.set_json(value.to_string());
        }
        Ok(())
    }
}

/// Parameters of getEntrypoint: the one place that props go to.
pub(super) type PropsField<'a> =
    crate::schema::worker_interface_capnp::workerd_debug_port::get_entrypoint_params::Builder<'a>;

fn is_empty(props: frankenvalue::Reader<'_>) -> capnp::Result<bool> {
    use frankenvalue::Which;
    let empty = match props.which()? {
        Which::EmptyObject(()) => true,
        Which::Json(text) => text?.to_str().is_ok_and(|text| text.trim() == "{}"),
        // What `{}` in JavaScript comes as: any version, an object, its end, no properties.
        Which::V8Serialized(value) => matches!(value?, [0xff, _, b'o', b'{', 0]),
        _ => false,
    };
    Ok(empty && props.get_properties()?.is_empty())
}

/// A builder whose first segment holds that many bytes, and the structs around them.
pub(super) fn one_segment(bytes: usize) -> Builder<HeapAllocator> {
    let words = (bytes / 8 + 64).min(u32::MAX as usize) as u32;
    Builder::new(HeapAllocator::new().first_segment_words(words))
}
