//! Objects of workerd.

use super::Reader;
use crate::wire::v8::error::{Fault, V8Error};
use crate::wire::v8::external::ExternalKind;
use crate::wire::v8::heap::Node;
use crate::wire::v8::slot::Slot;

impl Reader<'_> {
    pub(super) fn host_object(&mut self) -> Result<Option<Slot>, V8Error> {
        let offset = self.cursor.offset();
        let tag = self.cursor.varint32()?;
        if let Some(kind) = ExternalKind::of_tag(tag) {
            return self.external(kind, offset).map(Some);
        }
        Err(V8Error { offset, fault: Fault::UnknownHostObject(tag) })
    }

    /// The next of what came beside the value, which has to be of this kind.
    fn external(&mut self, kind: ExternalKind, offset: usize) -> Result<Slot, V8Error> {
        let found = match self.externals.next() {
            Some(external) if external.kind() == kind => {
                return Ok(Slot::node(self.node(Node::External(external))?));
            }
            Some(external) => external.kind().class(),
            None => "nothing",
        };
        Err(V8Error { offset, fault: Fault::External { said: kind.class(), found } })
    }
}
