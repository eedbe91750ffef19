//! A middle that passes bytes on as they are. It shows that the comparison holds with something in between, and with a
//! recorder it writes down what two real processes say to each other.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::pair::{LINKS, Middle, Reach, Target, debug_names};
use super::transcript::{Direction, FrameCutter};

/// What passed on one connection.
#[derive(Clone, Default)]
pub struct Record {
    /// The frames in the order in which they passed.
    pub frames: Vec<(Direction, Vec<u8>)>,
    /// Whether it has ended.
    pub closed: bool,
}

/// All connections of a middle, in the order in which they were opened.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    pub fn all(&self) -> Vec<Record> {
        self.0.lock().expect("no recorder panics").clone()
    }

    /// Room for the next connection.
    fn open(&self) -> Recorder {
        let mut records = self.0.lock().expect("no recorder panics");
        records.push(Record::default());
        Recorder { records: self.clone(), index: records.len() - 1 }
    }
}

/// Writes down one connection.
#[derive(Clone)]
struct Recorder {
    records: Records,
    index: usize,
}

impl Recorder {
    fn edit(&self, edit: impl FnOnce(&mut Record)) {
        edit(&mut self.records.0.lock().expect("no recorder panics")[self.index]);
    }
}

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
    (Middle { reach, _keeps: Box::new(keeps) }, records)
}

async fn accept(listener: UnixListener, to: PathBuf, records: Records) {
    // Connections end with the listener: the set aborts what is left in it.
    let mut connections = JoinSet::new();
    while let Ok((caller, _)) = listener.accept().await {
        let (recorder, to) = (records.open(), to.clone());
        connections.spawn(async move {
            join(caller, to, recorder.clone()).await;
            recorder.edit(|record| record.closed = true);
        });
    }
}

async fn join(caller: UnixStream, to: PathBuf, recorder: Recorder) {
    let Ok(target) = dial(&to).await else { return };
    let (Ok(caller_gone), Ok(target_gone)) = (watch(&caller), watch(&target)) else { return };
    let (from_caller, to_caller) = caller.into_split();
    let (from_target, to_target) = target.into_split();
    // workerd stops sending first and closes after that; the other process only notices what is closed both ways. All
    // that one side sent is passed on before its end is.
    tokio::select! {
        () = async {
            pass(from_caller, to_target, Direction::FromCaller, recorder.clone()).await;
            gone(caller_gone).await;
        } => {}
        () = async {
            pass(from_target, to_caller, Direction::FromTarget, recorder.clone()).await;
            gone(target_gone).await;
        } => {}
    }
}

/// A second handle for the same socket: what it learns about readiness is not taken from the one that moves bytes.
fn watch(stream: &UnixStream) -> std::io::Result<UnixStream> {
    let handle = stream.as_fd().try_clone_to_owned()?;
    UnixStream::from_std(std::os::unix::net::UnixStream::from(handle))
}

/// Waits until the peer has closed both ways.
async fn gone(socket: UnixStream) {
    while let Ok(ready) = socket.ready(Interest::WRITABLE).await {
        if ready.is_write_closed() {
            return;
        }
        // Asks to be told of the next change.
        let _ = socket.try_io::<()>(Interest::WRITABLE, || Err(ErrorKind::WouldBlock.into()));
    }
}

async fn dial(path: &Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(path).await
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction, recorder: Recorder) {
    let mut cutter = FrameCutter::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let read = &buffer[..length];
        // Recorded before it is passed on: an answer can then never stand before what it answers.
        let frames = cutter.push(read);
        recorder.edit(|record| record.frames.extend(frames.into_iter().map(|frame| (direction, frame))));
        if to.write_all(read).await.is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown().await;
}
