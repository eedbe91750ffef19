//! Stubs as the clients of the `capnp` crate, to be set in its builders and found by its readers.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::any_pointer;
use capnp::capability::{FromClientHook, Promise, RemotePromise, Request};
use capnp::message::{Builder, HeapAllocator};
use capnp::private::capability::{
    ClientHook, ParamsHook, PipelineHook, PipelineOp, RequestHook, ResultsHook,
};

use super::stub::Stub;

/// The stubs that the capabilities of one content stand for.
///
/// Its clients are place-holders for reading and building. To call, use the stub: a call on the client itself fails.
#[derive(Default)]
pub struct Caps {
    stubs: Rc<RefCell<Vec<Stub>>>,
}

impl Caps {
    /// A client for a capability field that is being set.
    pub fn client<C: FromClientHook>(&self, stub: &Stub) -> C {
        let mut stubs = self.stubs.borrow_mut();
        stubs.push(stub.clone());
        C::new(Box::new(Hook { stubs: self.stubs.clone(), index: stubs.len() - 1 }))
    }

    /// The stub behind a capability field that was read.
    ///
    /// # Errors
    /// The client is not of this content.
    pub fn stub(&self, client: &impl FromClientHook) -> capnp::Result<Stub> {
        self.of(client.as_client_hook())
    }

    pub(super) fn of(&self, hook: &dyn ClientHook) -> capnp::Result<Stub> {
        // The list lives as long as its hooks, so that its address is that of no other.
        let ours = hook.get_brand() == brand(&self.stubs);
        let stub = ours.then(|| self.stubs.borrow().get(hook.get_ptr()).cloned()).flatten();
        stub.ok_or_else(|| capnp::Error::failed("the capability is of another content".into()))
    }
}

fn brand(stubs: &Rc<RefCell<Vec<Stub>>>) -> usize {
    Rc::as_ptr(stubs) as usize
}

struct Hook {
    stubs: Rc<RefCell<Vec<Stub>>>,
    index: usize,
}

fn no_calls() -> capnp::Error {
    capnp::Error::unimplemented("the client only stands for a stub; call the stub".into())
}

impl ClientHook for Hook {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(Hook { stubs: self.stubs.clone(), index: self.index })
    }

    fn new_call(
        &self,
        _interface: u64,
        _method: u16,
        _hint: Option<capnp::MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        Request::new(Box::new(Refused(Builder::new_default())))
    }

    fn call(
        &self,
        _: u64,
        _: u16,
        _: Box<dyn ParamsHook>,
        _: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        Promise::err(no_calls())
    }

    fn get_brand(&self) -> usize {
        brand(&self.stubs)
    }

    fn get_ptr(&self) -> usize {
        self.index
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        Promise::ok(())
    }
}

/// A call on a place-holder.
struct Refused(Builder<HeapAllocator>);

impl RequestHook for Refused {
    fn get(&mut self) -> any_pointer::Builder<'_> {
        self.0.init_root()
    }

    fn get_brand(&self) -> usize {
        0
    }

    fn send(self: Box<Self>) -> RemotePromise<any_pointer::Owned> {
        let pipeline = any_pointer::Pipeline::new(Box::new(RefusedAnswer));
        RemotePromise { promise: Promise::err(no_calls()), pipeline }
    }

    fn send_streaming(self: Box<Self>) -> Promise<(), capnp::Error> {
        Promise::err(no_calls())
    }

    fn tail_send(self: Box<Self>) -> Option<(u32, Promise<(), capnp::Error>, Box<dyn PipelineHook>)> {
        None
    }
}

struct RefusedAnswer;

impl PipelineHook for RefusedAnswer {
    fn add_ref(&self) -> Box<dyn PipelineHook> {
        Box::new(RefusedAnswer)
    }

    fn get_pipelined_cap(&self, _: &[PipelineOp]) -> Box<dyn ClientHook> {
        Box::new(Hook { stubs: Rc::default(), index: 0 })
    }
}
