//! Objects of workerd.

use super::collection::expected;
use super::{Reader, What};
use crate::wire::v8::binary::Blob;
use crate::wire::v8::error::{Fault, V8Error};
use crate::wire::v8::external::ExternalKind;
use crate::wire::v8::failure::DomException;
use crate::wire::v8::heap::Node;
use crate::wire::v8::http::{Guard, HeaderName, Headers};
use crate::wire::v8::slot::Slot;

impl Reader<'_> {
    pub(super) fn host_object(&mut self) -> Result<Option<Slot>, V8Error> {
        let offset = self.cursor.offset();
        let tag = self.cursor.varint32()?;
        if let Some(kind) = ExternalKind::of_tag(tag) {
            return self.external(kind, offset);
        }
        match tag {
            4 => self.headers(),
            5 => {
                let url = self.text()?;
                self.open_node(Node::Request { url, init: Slot::HOLE }, What::Parts(1))
            }
            6 => {
                let node = Node::Response { body: Slot::HOLE, init: Slot::HOLE };
                self.open_node(node, What::Parts(2))
            }
            7 => {
                let exception = DomException::new(self.text()?, "");
                self.open_node(exception.into(), What::Parts(1))
            }
            8 => {
                let exception =
                    DomException { name: self.text()?, message: self.text()?, stack: self.text()? };
                self.boxed += size_of::<DomException>();
                self.whole(exception.into())
            }
            10 => self.host_error(),
            15 => {
                let mime = self.text()?;
                let length = self.cursor.varint64()?;
                let bytes = self.bytes(length)?;
                self.boxed += size_of::<Blob>();
                self.whole(Node::Blob(Box::new(Blob { mime, bytes })))
            }
            tag => Err(V8Error { offset, fault: Fault::UnknownHostObject(tag) }),
        }
    }

    /// The next of what came beside the value, which has to be of this kind.
    fn external(&mut self, kind: ExternalKind, offset: usize) -> Result<Option<Slot>, V8Error> {
        let found = match self.externals.next() {
            Some(external) if external.kind() == kind => return self.whole(Node::External(external)),
            Some(external) => external.kind().class(),
            None => "nothing",
        };
        Err(V8Error { offset, fault: Fault::External { said: kind.class(), found } })
    }

    /// Text after its length in bytes.
    fn text(&mut self) -> Result<Box<str>, V8Error> {
        let length = self.cursor.length()?;
        let offset = self.cursor.offset();
        match str::from_utf8(self.cursor.raw(length)?) {
            Ok(text) => {
                self.boxed += text.len();
                Ok(text.into())
            }
            Err(_) => expected(offset, "text in UTF-8"),
        }
    }

    fn headers(&mut self) -> Result<Option<Slot>, V8Error> {
        let offset = self.cursor.offset();
        let Some(guard) = Guard::of_number(self.cursor.varint32()?) else {
            return expected(offset, "the guard of headers");
        };
        let mut headers = Headers::new(guard);
        let count = self.cursor.varint32()?;
        for _ in 0..count {
            let offset = self.cursor.offset();
            let name = match self.cursor.varint32()? {
                0 => HeaderName::Other(self.header_bytes()?),
                number => match HeaderName::of_number(number) {
                    Some(name) => name,
                    None => return expected(offset, "the number of a header"),
                },
            };
            let value = self.header_bytes()?;
            self.boxed += size_of::<(HeaderName, Box<[u8]>)>();
            self.spend(0)?;
            headers.list.push((name, value));
        }
        self.boxed += size_of::<Headers>();
        self.whole(Node::Headers(Box::new(headers)))
    }

    fn header_bytes(&mut self) -> Result<Box<[u8]>, V8Error> {
        let length = self.cursor.length()?;
        self.boxed += length;
        Ok(self.cursor.raw(length)?.into())
    }
}
