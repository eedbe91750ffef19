//! Byte streams between two peers: what is written here is read there.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use capnp::traits::HasTypeId;
use futures::{SinkExt, StreamExt};
use jackfield::client::stream::{Reader, StreamError, Writer};
use jackfield::net::local::{Body, Call, Connection, Peer, Settings, Stub};
use jackfield::schema::byte_stream_capnp::byte_stream;
use jackfield::wire::exception::Exception;

use super::stage::soon;

const STREAM: u64 = byte_stream::Client::TYPE_ID;

/// A stream that is read here, and the capability to write it as the other peer has it.
struct Ends {
    reader: Reader,
    far: Stub,
    near: Peer,
    other: Peer,
    _lines: [Connection; 2],
}

fn ends() -> Ends {
    let (one, two) = UnixStream::pair().unwrap();
    let (near, other) = (Peer::start(Settings::default()), Peer::start(Settings::default()));
    let (stub, reader) = Reader::new(&near);
    let ours = near.connect(one, "the writer", Some(stub)).unwrap();
    let theirs = other.connect(two, "the reader", None).unwrap();
    Ends { reader, far: theirs.bootstrap(), near, other, _lines: [ours, theirs] }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

async fn rest(reader: &mut Reader) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    while let Some(bytes) = soon(reader.read()).await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_and_its_end_is_known() {
    let mut ends = ends();
    let mut writer = Writer::new(ends.far.clone());
    let long = Bytes::from(vec![3; 200_000]);
    let written = [bytes("one"), bytes(""), long.clone(), bytes("two")];
    let sent = written.concat();
    let write = async {
        for piece in written {
            soon(writer.write(piece)).await.unwrap();
        }
        soon(writer.end()).await.unwrap();
        soon(writer.end()).await.unwrap();
    };
    let (read, ()) = tokio::join!(rest(&mut ends.reader), write);
    assert_eq!(read.unwrap(), sent);
    assert!(soon(ends.reader.next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_is_not_taken_for_a_whole_one() {
    let mut ends = ends();
    let mut writer = Writer::new(std::mem::replace(&mut ends.far, nowhere(&ends.other)));
    soon(writer.feed(bytes("half"))).await.unwrap();
    // It is read while the writer waits for that.
    let (first, flushed) = tokio::join!(soon(ends.reader.read()), soon(writer.flush()));
    assert_eq!(first.unwrap().unwrap(), "half");
    flushed.unwrap();
    // The connection serves the stream, and has it as long as it lasts.
    drop(writer);
    ends._lines[1].close();
    let error = soon(ends.reader.read()).await;
    assert!(matches!(error, Err(StreamError::Truncated(_))));
}

fn nowhere(peer: &Peer) -> Stub {
    peer.serve(|call: Call| call.unimplemented())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_tells_the_writer() {
    let ends = ends();
    let mut writer = Writer::new(ends.far.clone());
    soon(writer.write(bytes("unread"))).await.unwrap();
    ends.reader.refuse(Exception::failed("enough of it"));
    let error = soon(writer.end()).await.unwrap_err();
    assert!(
        matches!(&error, StreamError::Refused(_)) && error.to_string().contains("enough of it"),
        "{error}"
    );
    let again = soon(writer.write(bytes("more"))).await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}

/// A reader that does not read holds the writer up; nothing piles up on either side.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_its_reader() {
    let mut ends = ends();
    let mut writer = Writer::new(ends.far.clone());
    let mut under_way = 0;
    let piece = Bytes::from(vec![1; 64 << 10]);
    let patience = std::time::Duration::from_millis(200);
    // Ends when nothing more is taken: the time is only how long "nothing" is watched.
    while tokio::time::timeout(patience, writer.feed(piece.clone())).await.is_ok() {
        under_way += piece.len();
    }
    assert!((64 << 10..1 << 20).contains(&under_way), "{under_way} bytes are under way");
    let reading = async { rest(&mut ends.reader).await.unwrap().len() };
    let (read, ended) = tokio::join!(reading, soon(writer.end()));
    ended.unwrap();
    assert!(read >= under_way);
}

/// Who does not wait for answers is refused before it fills the memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_wait_is_refused() {
    let mut ends = ends();
    let piece = Bytes::from(vec![1; 1 << 20]);
    let mut pending = Vec::new();
    for _ in 0..40 {
        pending.push(soon(ends.far.start(STREAM, 0, Body::data(piece.clone()))).await.unwrap());
    }
    let last = soon(pending.pop().unwrap()).await.err().unwrap();
    assert!(last.to_string().contains("without waiting"), "{last}");
    let error = rest(&mut ends.reader).await.unwrap_err();
    assert!(error.to_string().contains("without waiting"), "{error}");
}

/// What a callback of a substream is told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Ended(u64),
    ReachedLimit,
}

/// A way out of the stream, with a limit; when that is reached, the rest goes to another stream of the writer's side.
async fn substream(ends: &Ends, limit: u64) -> (Stub, Arc<Mutex<Vec<Told>>>, Reader) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let record = told.clone();
    let (next, rest) = Reader::new(&ends.other);
    let callback = ends.other.serve(move |call: Call| match call.method {
        0 => {
            let count =
                call.params().read::<byte_stream::substream_callback::ended_params::Owned, _>(|p, _| {
                    Ok(p.get_byte_count())
                });
            record.lock().unwrap().push(Told::Ended(count.unwrap()));
            call.respond(Body::empty());
        }
        _ => {
            record.lock().unwrap().push(Told::ReachedLimit);
            call.respond(Body::stubs_only([next.clone()]));
        }
    });
    let params = Body::build::<byte_stream::get_substream_params::Owned>(|mut params, caps| {
        params.set_callback(caps.client(&callback));
        params.set_limit(limit);
        Ok(())
    });
    let answer = soon(ends.far.call(STREAM, 2, params.unwrap())).await.unwrap();
    (answer.stub(&[0]).unwrap(), told, rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_substream_ends_within_its_stream() {
    let mut ends = ends();
    let (stub, told, _rest) = substream(&ends, u64::MAX).await;
    let mut writer = Writer::new(stub.clone());
    let write = async {
        soon(writer.write(bytes("by way"))).await.unwrap();
        soon(writer.end()).await.unwrap();
        // It was only a part of the stream, which goes on.
        let mut writer = Writer::new(ends.far.clone());
        soon(writer.write(bytes(" and direct"))).await.unwrap();
        soon(writer.end()).await.unwrap();
    };
    let (read, ()) = tokio::join!(rest(&mut ends.reader), write);
    assert_eq!(read.unwrap(), b"by way and direct");
    assert_eq!(*told.lock().unwrap(), [Told::Ended(6)]);
    let late = soon(stub.call(STREAM, 0, Body::data("late".into()))).await.err().unwrap();
    assert!(late.to_string().contains("ended already"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_substream_leads_on_at_its_limit() {
    for (limit, pieces) in [(6, &["12", "3456", "789"][..]), (6, &["1234", "56789"]), (0, &["123456789"])] {
        let mut ends = ends();
        let (stub, told, mut beyond) = substream(&ends, limit).await;
        let write = async {
            let mut writer = Writer::new(stub);
            for piece in pieces {
                soon(writer.write(Bytes::from_static(piece.as_bytes()))).await.unwrap();
            }
            soon(writer.end()).await.unwrap();
            soon(Writer::new(ends.far.clone()).end()).await.unwrap();
        };
        let (within, after, ()) = tokio::join!(rest(&mut ends.reader), rest(&mut beyond), write);
        let (within, after) = (within.unwrap(), after.unwrap());
        assert_eq!([within.clone(), after].concat(), b"123456789");
        assert_eq!(within.len() as u64, limit);
        assert_eq!(*told.lock().unwrap(), [Told::ReachedLimit]);
        drop(ends.near);
    }
}
