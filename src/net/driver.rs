//! The task that moves the bytes of one engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::buffer::Buffer;
use super::ready::{ConnWaker, ReadySet};
use super::socket::Socket;
use crate::rpc::{Budget, ConnId, Engine, Event, IdTable};
use crate::wire::exception::Exception;

/// Unwritten bytes of a connection at which those who send to it are no longer read: what a unix socket holds in the
/// kernel by default, once more.
const HIGH_WATER: usize = 256 << 10;

/// Reads in a row from one connection before the others get their turn.
const READS_PER_TURN: usize = 16;

/// Small frames that are switched before a look at whether their receivers keep up. What they may overshoot by is a
/// fraction of the high-water mark, even if our own objects answer each with an error.
const FRAMES_BETWEEN_LOOKS: u32 = 32;

/// Capacity of an output buffer that is kept when it is empty.
const KEPT_OUTPUT: usize = 256 << 10;

/// The code that owns the objects of an engine. Runs on the driver's task and must not block.
pub trait Host: Send {
    /// Something happened; called after each frame, until there is nothing left to tell.
    fn event(&mut self, net: &mut Net, event: Event);

    /// Called at each wake-up of the task, before anything is read; `cx` wakes it. Ready when the driver shall end:
    /// its connections are dropped then.
    fn poll(&mut self, net: &mut Net, cx: &mut Context<'_>) -> Poll<()>;

    /// Called after each wake-up's frames were switched, before the output is written.
    fn turn(&mut self, _net: &mut Net) {}

    /// What those who wait for `conn` are told when it is lost.
    fn lost(&mut self, conn: ConnId, why: &str) -> Exception;
}

/// A connection's stream.
struct Line {
    socket: Socket,
    buffer: Buffer,
    waker: Arc<ConnWaker>,
    std_waker: Waker,
    /// Bytes at the front of the output that are written already.
    written: usize,
    /// A write would block.
    stuck: bool,
    /// Connections that have to take what this one sent before it is read again.
    waits_for: Vec<ConnId>,
}

/// A socket and what was read from it beyond the bytes that belonged to others.
#[derive(Debug)]
pub struct Plug {
    /// The socket.
    pub socket: Socket,
    /// Bytes that came behind what its former reader wanted.
    pub read: Vec<u8>,
}

/// An engine and the sockets of its connections.
pub struct Net {
    /// The engine. Connections are added with its methods, then plugged in here.
    pub engine: Engine,
    lines: IdTable<Line>,
    ready: Arc<ReadySet>,
    budget: Arc<Budget>,
    scratch: Vec<ConnId>,
    /// Connections with output to write at the end of this turn.
    dirty: Vec<ConnId>,
    /// Connections that took enough for those who wait for them to go on.
    relieved: Vec<ConnId>,
}

impl Net {
    /// Gives a connection of the engine its stream.
    pub fn plug(&mut self, conn: ConnId, plug: Plug) {
        let waker = ConnWaker::new(conn, self.ready.clone());
        let mut buffer = Buffer::new(self.budget.clone());
        buffer.fill(&plug.read);
        let line = Line {
            socket: plug.socket,
            buffer,
            std_waker: waker.clone().into(),
            waker,
            written: 0,
            stuck: false,
            waits_for: Vec::new(),
        };
        // Its first turn registers it for reading.
        line.waker.wake_by_ref();
        self.lines.insert(conn.number(), line);
    }

    /// Takes a connection's stream back, if nothing is under way on it.
    pub fn unplug(&mut self, conn: ConnId) -> Option<Socket> {
        self.flush(conn);
        let idle = self.engine.output(conn).is_some_and(|out| out.is_empty())
            && self.lines.get(&conn.number()).is_some_and(|line| line.buffer.is_empty() && !line.stuck);
        idle.then(|| self.lines.remove(&conn.number())).flatten().map(|line| line.socket)
    }

    /// Drops the stream of a connection that the engine does not know any more.
    pub fn drop_line(&mut self, conn: ConnId) {
        self.lines.remove(&conn.number());
        self.relieved.push(conn);
    }

    /// Whether the peer on `conn` has hung up, as far as the kernel knows.
    pub fn is_hung_up(&self, conn: ConnId) -> bool {
        self.lines.get(&conn.number()).is_none_or(|line| line.socket.is_hung_up())
    }

    /// The connections that there are.
    pub fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.lines.iter().map(|(_, line)| line.waker.conn())
    }

    /// Notes what the host made the engine write since the last frame. Names a connection whose peer takes less than
    /// that: whatever feeds it should pause until [`Net::is_behind`] says otherwise.
    pub fn host_wrote(&mut self) -> Option<ConnId> {
        let mut written = std::mem::take(&mut self.scratch);
        self.engine.take_written(&mut written);
        let mut behind = None;
        for to in written.drain(..) {
            if !self.dirty.contains(&to) {
                self.dirty.push(to);
            }
            if self.unwritten(to) > HIGH_WATER {
                self.flush(to);
                behind = self.is_behind(to).then_some(to).or(behind);
            }
        }
        self.scratch = written;
        behind
    }

    /// Whether more is unwritten to `conn` than should be. The host's turn comes again when that changes.
    pub fn is_behind(&mut self, conn: ConnId) -> bool {
        self.unwritten(conn) > HIGH_WATER
    }

    /// Writes what the kernel takes. A connection that is gone is left to its reader to notice.
    fn flush(&mut self, conn: ConnId) {
        let Some(line) = self.lines.get_mut(&conn.number()) else { return };
        let Some(out) = self.engine.output(conn) else { return };
        while let Some(rest) = out.get(line.written..)
            && !rest.is_empty()
        {
            // Woken when there is room: the turn that follows writes on.
            let mut cx = Context::from_waker(&line.std_waker);
            match line.socket.poll_write(&mut cx, rest) {
                Poll::Ready(Ok(written)) => line.written += written,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    line.stuck = true;
                    if out.len() - line.written <= HIGH_WATER {
                        self.relieved.push(conn);
                    }
                    // Half of it at least, else a long frame for a slow reader would be moved over and over.
                    if line.written > HIGH_WATER && line.written * 2 >= out.len() {
                        out.drain(..line.written);
                        line.written = 0;
                    }
                    return;
                }
            }
        }
        // Written, or never to be written.
        line.written = 0;
        out.clear();
        out.shrink_to(KEPT_OUTPUT);
        if std::mem::take(&mut line.stuck) {
            self.relieved.push(conn);
        }
    }

    /// Bytes that the peer on `conn` has not taken yet.
    pub fn unwritten(&mut self, conn: ConnId) -> usize {
        let written = self.lines.get(&conn.number()).map_or(0, |line| line.written);
        self.engine.output(conn).map_or(0, |out| out.len().saturating_sub(written))
    }
}

/// Runs an engine: a future that ends when its host says so.
pub struct Driver<H> {
    net: Net,
    host: H,
    woken: Vec<ConnId>,
}

impl<H: Host> Driver<H> {
    /// A driver without connections; the host adds them in its first [`Host::poll`].
    pub fn new(engine: Engine, budget: Arc<Budget>, host: H) -> Self {
        let net = Net {
            engine,
            lines: IdTable::default(),
            ready: Arc::default(),
            budget,
            scratch: Vec::new(),
            dirty: Vec::new(),
            relieved: Vec::new(),
        };
        Driver { net, host, woken: Vec::new() }
    }

    /// Tells the host what happened, until nothing is left to tell. Returns whether a connection has ended.
    fn tell(&mut self) -> bool {
        let mut ended = false;
        while let Some(event) = self.net.engine.poll_event() {
            let closed = match &event {
                Event::Closed { conn, .. } => Some(*conn),
                _ => None,
            };
            self.host.event(&mut self.net, event);
            if let Some(conn) = closed {
                ended = true;
                // Its last words, an Abort, go out if the kernel takes them.
                self.net.flush(conn);
                self.net.lines.remove(&conn.number());
                self.net.engine.forget(conn);
                self.net.relieved.push(conn);
            }
        }
        ended
    }

    /// Reads from one connection and switches what came.
    fn serve(&mut self, conn: ConnId) {
        for _ in 0..READS_PER_TURN {
            if !self.may_read(conn) || !self.switch(conn) {
                return;
            }
            let Some(line) = self.net.lines.get_mut(&conn.number()) else { return };
            let Some(room) = line.buffer.room() else {
                self.net.engine.reject(conn, "there is no memory left for a message this long");
                self.tell();
                return;
            };
            let mut cx = Context::from_waker(&line.std_waker);
            match line.socket.poll_read(&mut cx, room) {
                Poll::Pending => return line.buffer.rest(),
                Poll::Ready(Ok(0)) => return self.lose(conn, "the connection was closed"),
                Poll::Ready(Ok(read)) => line.buffer.advance(read),
                Poll::Ready(Err(error)) => return self.lose(conn, &error.to_string()),
            }
        }
        if self.switch(conn)
            && let Some(line) = self.net.lines.get(&conn.number())
        {
            line.waker.wake_by_ref();
        }
    }

    fn lose(&mut self, conn: ConnId, why: &str) {
        let reason = self.host.lost(conn, why);
        self.net.engine.close(conn, reason);
        self.tell();
    }

    /// Whether those to whom `conn` sent have taken it.
    fn may_read(&mut self, conn: ConnId) -> bool {
        let Some(line) = self.net.lines.get_mut(&conn.number()) else { return false };
        let mut waits_for = std::mem::take(&mut line.waits_for);
        waits_for.retain(|to| self.net.unwritten(*to) > HIGH_WATER);
        let free = waits_for.is_empty();
        if let Some(line) = self.net.lines.get_mut(&conn.number()) {
            line.waits_for = waits_for;
        }
        free
    }

    /// Switches the whole frames in the buffer of `conn`. Returns whether it may be read on.
    fn switch(&mut self, conn: ConnId) -> bool {
        let Some(line) = self.net.lines.get_mut(&conn.number()) else { return false };
        if line.buffer.is_empty() {
            return true;
        }
        // Out of the table meanwhile: to look it up anew for each frame took a third as long as the switching.
        let mut buffer = line.buffer.take();
        let free = self.switch_all(conn, &mut buffer);
        match self.net.lines.get_mut(&conn.number()) {
            Some(line) => line.buffer = buffer,
            None => return false,
        }
        free
    }

    fn switch_all(&mut self, conn: ConnId, buffer: &mut Buffer) -> bool {
        for count in 1.. {
            let bytes = buffer.filled();
            let length = match self.net.engine.frame_length(bytes) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(error) => {
                    self.net.engine.reject(conn, &error.to_string());
                    self.tell();
                    return false;
                }
            };
            let Some(frame) = bytes.get_mut(..length) else { break };
            self.net.engine.receive(conn, frame);
            let ended = self.tell();
            buffer.consume(length);
            if ended && !self.net.lines.contains_key(&conn.number()) {
                return false;
            }
            if count % FRAMES_BETWEEN_LOOKS == 0 && !self.after_frames(conn) {
                return false;
            }
        }
        self.after_frames(conn)
    }

    /// Notes what was written for whom; `false` if the sender has to wait for a slow receiver.
    fn after_frames(&mut self, conn: ConnId) -> bool {
        let mut written = std::mem::take(&mut self.net.scratch);
        self.net.engine.take_written(&mut written);
        let mut free = true;
        for to in written.drain(..) {
            if !self.net.dirty.contains(&to) {
                self.net.dirty.push(to);
            }
            if self.net.unwritten(to) <= HIGH_WATER {
                continue;
            }
            self.net.flush(to);
            // The sender itself among them: our own objects answer it, and it has to take that too.
            if self.net.unwritten(to) > HIGH_WATER {
                free = false;
                if let Some(line) = self.net.lines.get_mut(&conn.number())
                    && !line.waits_for.contains(&to)
                {
                    line.waits_for.push(to);
                }
            }
        }
        self.net.scratch = written;
        free
    }

    /// Writes what this turn brought. What goes on before what goes back to those that were read: the peer that a
    /// write wakes may take the processor, and nobody waits for a confirmation.
    fn flush_all(&mut self, read: &[ConnId]) {
        let mut written = std::mem::take(&mut self.net.scratch);
        self.net.engine.take_written(&mut written);
        written.append(&mut self.net.dirty);
        written.sort_unstable();
        written.dedup();
        for back in [false, true] {
            for conn in written.iter().filter(|conn| read.contains(conn) == back) {
                self.net.flush(*conn);
            }
        }
        written.clear();
        self.net.scratch = written;
    }

    /// Lets those go on who waited for a connection that has taken enough by now.
    fn release_senders(&mut self) {
        for conn in self.net.relieved.drain(..) {
            for (_, line) in self.net.lines.iter() {
                if line.waits_for.contains(&conn) {
                    line.waker.wake_by_ref();
                }
            }
        }
    }
}

impl<H: Host + Unpin> Future for Driver<H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.net.ready.register(cx.waker());
        let ended = this.host.poll(&mut this.net, cx).is_ready();
        this.tell();
        let mut woken = std::mem::take(&mut this.woken);
        this.net.ready.take(&mut woken);
        for &conn in &woken {
            let Some(line) = this.net.lines.get(&conn.number()) else { continue };
            line.waker.taken();
            if line.stuck {
                this.net.flush(conn);
            }
            this.serve(conn);
        }
        this.host.turn(&mut this.net);
        this.tell();
        this.flush_all(&woken);
        this.woken = woken;
        this.release_senders();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }
}
