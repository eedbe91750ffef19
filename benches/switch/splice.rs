//! The middle that only copies bytes: one thread, epoll, read interest alone. The least that any middle can cost.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use slab::Slab;

use crate::sockets::{Address, Listener};

/// What workerd writes at once.
const CHUNK: usize = 64 << 10;

enum Entry {
    Door { listener: Listener, to: Address },
    End(End),
}

/// One end of a spliced pair.
struct End {
    fd: OwnedFd,
    peer: usize,
    /// Bytes for this end that its socket did not take. Meanwhile the peer is not read.
    unwritten: Vec<u8>,
    at_end: bool,
}

pub struct Splice {
    epoll: OwnedFd,
    entries: Slab<Entry>,
    /// Removed only after the events of one wait, so that none of them meets a successor.
    dead: Vec<usize>,
    chunk: Vec<u8>,
}

impl Splice {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Splice { epoll, entries: Slab::new(), dead: Vec::new(), chunk: vec![0; CHUNK] })
    }

    /// Leads everything that connects to `from` to `to`.
    pub fn lead(&mut self, from: &Address, to: &Address) -> io::Result<()> {
        let listener = from.listen()?;
        let entry = self.entries.vacant_entry();
        epoll::add(&self.epoll, listener.as_fd(), EventData::new_u64(entry.key() as u64), EventFlags::IN)?;
        entry.insert(Entry::Door { listener, to: to.clone() });
        Ok(())
    }

    pub fn run(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let (key, flags) = (event.data.u64() as usize, event.flags);
                match self.entries.get(key) {
                    Some(Entry::Door { .. }) => self.accept(key)?,
                    Some(Entry::End(_)) => {
                        if flags.contains(EventFlags::OUT) && self.write_on(key).is_err() {
                            self.drop_pair(key);
                            continue;
                        }
                        if self.read(key).is_err() {
                            self.drop_pair(key);
                        }
                    }
                    None => {}
                }
            }
            for key in self.dead.drain(..) {
                self.entries.try_remove(key);
            }
        }
    }

    fn accept(&mut self, key: usize) -> io::Result<()> {
        let Some(Entry::Door { listener, to }) = self.entries.get(key) else { return Ok(()) };
        let (near, far) = (listener.accept()?, to.dial()?);
        let near = self.entries.insert(Entry::End(End::new(near)));
        let far = self.entries.insert(Entry::End(End::new(far)));
        for (key, peer) in [(near, far), (far, near)] {
            if let Some(Entry::End(end)) = self.entries.get_mut(key) {
                end.peer = peer;
                let interest = EventFlags::IN | EventFlags::ET;
                epoll::add(&self.epoll, &end.fd, EventData::new_u64(key as u64), interest)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, key: usize) -> Option<&mut End> {
        match self.entries.get_mut(key) {
            Some(Entry::End(end)) => Some(end),
            _ => None,
        }
    }

    /// Copies what there is from `key` to its peer.
    fn read(&mut self, key: usize) -> Result<(), Errno> {
        loop {
            let Some(Entry::End(from)) = self.entries.get(key) else { return Ok(()) };
            let Some(Entry::End(to)) = self.entries.get(from.peer) else { return Ok(()) };
            if from.at_end || !to.unwritten.is_empty() {
                return Ok(());
            }
            let read = match recv(&from.fd, &mut self.chunk[..], RecvFlags::DONTWAIT) {
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            };
            let peer = from.peer;
            if read == 0 {
                shutdown(&to.fd, Shutdown::Write)?;
                let both = to.at_end;
                if let Some(from) = self.end(key) {
                    from.at_end = true;
                }
                return if both { Err(Errno::CONNRESET) } else { Ok(()) };
            }
            let written = write(&to.fd, &self.chunk[..read])?;
            if written < read {
                let rest = self.chunk[written..read].to_vec();
                self.wait_to_write(peer, rest)?;
            } else if read < self.chunk.len() {
                // An edge tells of what comes later.
                return Ok(());
            }
        }
    }

    fn wait_to_write(&mut self, key: usize, rest: Vec<u8>) -> Result<(), Errno> {
        let Some(Entry::End(end)) = self.entries.get_mut(key) else { return Ok(()) };
        end.unwritten = rest;
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::modify(&self.epoll, &end.fd, EventData::new_u64(key as u64), interest)
    }

    fn write_on(&mut self, key: usize) -> Result<(), Errno> {
        let Some(Entry::End(end)) = self.entries.get_mut(key) else { return Ok(()) };
        let written = write(&end.fd, &end.unwritten)?;
        end.unwritten.drain(..written);
        if !end.unwritten.is_empty() {
            return Ok(());
        }
        let (peer, interest) = (end.peer, EventFlags::IN | EventFlags::ET);
        epoll::modify(&self.epoll, &end.fd, EventData::new_u64(key as u64), interest)?;
        self.read(peer)
    }

    fn drop_pair(&mut self, key: usize) {
        let Some(peer) = self.end(key).map(|end| end.peer) else { return };
        for key in [key, peer] {
            if let Some(end) = self.end(key) {
                let _ = shutdown(&end.fd, Shutdown::Both);
                end.at_end = true;
            }
            if !self.dead.contains(&key) {
                self.dead.push(key);
            }
        }
    }
}

impl End {
    fn new(fd: OwnedFd) -> Self {
        End { fd, peer: usize::MAX, unwritten: Vec::new(), at_end: false }
    }
}

/// How much the socket took.
fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    match send(fd.as_fd(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        written => written,
    }
}
