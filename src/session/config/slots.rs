//! Lists of Cap'n Proto, which have to be counted before they are filled.

use capnp::struct_list;
use capnp::traits::OwnedStruct;

use crate::schema::workerd_config_capnp::worker;

/// The entries of a list whose length was counted beforehand, one after the other.
pub(super) struct Slots<'a, T: OwnedStruct> {
    list: struct_list::Builder<'a, T>,
    next: u32,
}

impl<'a, T: OwnedStruct> Slots<'a, T> {
    pub(super) fn new(list: struct_list::Builder<'a, T>) -> Self {
        Self { list, next: 0 }
    }

    pub(super) fn next(&mut self) -> capnp::Result<T::Builder<'_>> {
        let slot = self.list.reborrow().try_get(self.next);
        self.next += 1;
        slot.ok_or_else(|| capnp::Error::failed("a list was counted too short".into()))
    }
}

pub(super) fn named<'s>(
    bindings: &'s mut Slots<'_, worker::binding::Owned>,
    name: &str,
) -> capnp::Result<worker::binding::Builder<'s>> {
    let mut binding = bindings.next()?;
    binding.set_name(name);
    Ok(binding)
}

pub(super) fn size(count: usize) -> capnp::Result<u32> {
    u32::try_from(count).map_err(|_| capnp::Error::failed("more than 2^32 entries in a list".into()))
}
