//! A middle that passes bytes on as they are. It shows that the comparison holds with something in between, and with a
//! recorder it writes down what two real processes say to each other.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::pair::{LINKS, Middle, Reach, Target, debug_names};
use super::transcript::{Direction, FrameCutter};

/// The frames of one connection in the order in which they passed.
pub type Record = Arc<Mutex<Vec<(Direction, Vec<u8>)>>>;

/// All connections of a middle, in the order in which they were opened.
pub type Records = Arc<Mutex<Vec<Record>>>;

/// A splice of bytes for each link and for the debug port.
pub fn splice(target: &Target) -> Middle {
    recording_splice(target).0
}

/// The same, with a record of every connection that went through.
pub fn recording_splice(target: &Target) -> (Middle, Records) {
    let folder = tempfile::Builder::new().prefix("jf").tempdir().expect("a temporary folder");
    let records = Records::default();
    let mut listeners = JoinSet::new();
    let mut listen = |name: &str, to: PathBuf| {
        let path = folder.path().join(name);
        let listener = UnixListener::bind(&path).expect("a socket for the splice");
        listeners.spawn(accept(listener, to, records.clone()));
        path
    };
    let links = LINKS.map(|(name, _)| (name, listen(name, target.socket(name)))).into();
    let debug = listen("debug", target.0.debug_socket());
    let reach = Reach { links, debug, names: debug_names() };
    let keeps: (TempDir, Mutex<JoinSet<()>>) = (folder, Mutex::new(listeners));
    (Middle { reach, keeps: Box::new(keeps) }, records)
}

async fn accept(listener: UnixListener, to: PathBuf, records: Records) {
    // Connections end with the listener: the set aborts what is left in it.
    let mut connections = JoinSet::new();
    while let Ok((caller, _)) = listener.accept().await {
        let record = Record::default();
        records.lock().expect("no recorder panics").push(record.clone());
        connections.spawn(join(caller, to.clone(), record));
    }
}

async fn join(caller: UnixStream, to: PathBuf, record: Record) {
    let Ok(target) = dial(&to).await else { return };
    let (Ok(caller_gone), Ok(target_gone)) = (watch(&caller), watch(&target)) else { return };
    let (from_caller, to_caller) = caller.into_split();
    let (from_target, to_target) = target.into_split();
    // workerd stops sending first and closes after that; the other process only notices what is closed both ways. All
    // that one side sent is passed on before its end is.
    tokio::select! {
        () = async {
            pass(from_caller, to_target, Direction::FromCaller, record.clone()).await;
            gone(caller_gone).await;
        } => {}
        () = async {
            pass(from_target, to_caller, Direction::FromTarget, record.clone()).await;
            gone(target_gone).await;
        } => {}
    }
}

/// A second handle for the same socket: what it learns about readiness is not taken from the one that moves bytes.
fn watch(stream: &UnixStream) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(stream.as_fd().try_clone_to_owned()?, Interest::WRITABLE)
}

/// Waits until the peer has closed both ways.
async fn gone(socket: AsyncFd<OwnedFd>) {
    while let Ok(mut guard) = socket.ready(Interest::WRITABLE).await {
        if guard.ready().is_write_closed() {
            return;
        }
        guard.clear_ready();
    }
}

async fn dial(path: &Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(path).await
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction, record: Record) {
    let mut cutter = FrameCutter::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let read = &buffer[..length];
        // Recorded before it is passed on: an answer can then never stand before what it answers.
        let frames = cutter.push(read);
        record.lock().expect("no recorder panics").extend(frames.into_iter().map(|frame| (direction, frame)));
        if to.write_all(read).await.is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown().await;
}
