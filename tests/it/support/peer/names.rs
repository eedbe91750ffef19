//! What a simulated peer calls capabilities on its connection.

use std::rc::{Rc, Weak};

use super::node::*;
use super::wire::Desc;
use super::{Peer, lowest};

impl Peer {
    pub(super) fn describe_all(&mut self, caps: &[Option<Cap>]) -> (Vec<Desc>, Vec<Option<Cap>>, Vec<u32>) {
        let (mut descs, mut targets, mut exports) = (Vec::new(), Vec::new(), Vec::new());
        for cap in caps {
            let Some(cap) = cap else {
                descs.push(Desc::None);
                targets.push(None);
                continue;
            };
            let (desc, pinned) = self.describe(cap);
            if let Desc::SenderHosted(id) | Desc::SenderPromise(id) = desc {
                exports.push(id);
            }
            descs.push(desc);
            targets.push(Some(pinned));
        }
        (descs, targets, exports)
    }

    /// Names a capability, and says what calls on that name have to reach for ever: a peer that was told
    /// `receiverHosted` relies on its calls' coming back to it by that way.
    pub(super) fn describe(&mut self, cap: &Cap) -> (Desc, Cap) {
        let at = leaf(cap);
        let named = match &*at.state.borrow() {
            State::Import(import) => Some((Desc::ReceiverHosted(import.id), State::Import(import.clone()))),
            State::Pipeline(question, path) => Some((
                Desc::ReceiverAnswer(question.id, path.clone()),
                State::Pipeline(question.clone(), path.clone()),
            )),
            _ => None,
        };
        if let Some((desc, pinned)) = named {
            at.called.set(true);
            return (desc, Node::new(pinned));
        }
        let known = self.exports.iter_mut().find(|(_, export)| Rc::ptr_eq(&export.target, &at));
        let (id, promise) = match known {
            Some((id, export)) => {
                export.count += 1;
                (*id, export.promise)
            }
            None => {
                let (id, promise) = (lowest(&self.exports), at.is_promise());
                self.exports.insert(id, Export { target: at.clone(), count: 1, promise });
                (id, promise)
            }
        };
        (if promise { Desc::SenderPromise(id) } else { Desc::SenderHosted(id) }, at)
    }

    pub(super) fn import(&mut self, id: u32, promise: bool) -> Cap {
        self.serial += 1;
        let fresh = Import { serial: 0, count: 0, promise, node: Weak::new(), held: Weak::new() };
        let import = self.imports.entry(id).or_insert(fresh);
        import.count += 1;
        assert!(import.promise || !promise, "peer {}: {id} has been resolved", self.name);
        if let Some(node) = import.node.upgrade() {
            return node;
        }
        let held = import.held.upgrade().unwrap_or_else(|| {
            import.serial = self.serial;
            Rc::new(ImportRef { id, serial: self.serial, drops: self.drops.clone() })
        });
        import.held = Rc::downgrade(&held);
        let node = Node::new(State::Import(held));
        import.node = Rc::downgrade(&node);
        node
    }
}
