//! Streams in arguments and in answers.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jackfield::client::{Body, BodyError, ReadableStream, WritableStream};
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon};
use crate::support::alone::{is_alone, resident};

const LENGTHS: [usize; 4] = [0, 1, 64 << 10, 1 << 20];
/// Large enough that nothing of it fits into any buffer on the way.
const LARGE: usize = 256 << 20;

fn text(length: usize) -> Bytes {
    b"0123456789abcdef".iter().copied().cycle().take(length).collect()
}

/// So many bytes, of which only a piece is there at a time.
fn pieces(length: usize) -> Body {
    let piece = text(64 << 10);
    let lengths = (0..length).step_by(piece.len()).map(move |at| (length - at).min(piece.len()));
    let piece = text(64 << 10);
    Body::stream(
        None,
        stream::iter(lengths.map(move |length| Ok::<_, std::io::Error>(piece.slice(..length)))),
    )
}

/// Of a stream of this very text.
async fn length_of(stream: ReadableStream) -> Result<usize, BodyError> {
    let expected = text((64 << 10) + 16);
    let check = |length: usize, bytes: Bytes| {
        let right = expected.get(length % 16..).is_some_and(|expected| expected.starts_with(&bytes));
        assert!(right, "{} bytes at {length} are not those that were sent", bytes.len());
        async move { Ok(length + bytes.len()) }
    };
    stream.try_fold(0, check).await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_workers_give() {
    both(|api| async move {
        for length in LENGTHS {
            for method in ["give", "giveSlowly"] {
                let value = soon(api.main().call(method, [(length as u32).into()])).await.unwrap();
                let stream = ReadableStream::take(&value).unwrap_or_else(|| panic!("{value:?} is a stream"));
                assert!(soon(stream.bytes()).await.unwrap() == text(length), "{method} {length}");
                assert!(ReadableStream::take(&value).is_none());
            }
        }
        let value = soon(api.main().call("giveBroken", [])).await.unwrap();
        let mut stream = ReadableStream::take(&value).unwrap();
        assert_eq!(soon(stream.next()).await.unwrap().unwrap(), text(10));
        let error = soon(stream.next()).await.unwrap().unwrap_err();
        assert!(matches!(error, BodyError::Truncated(_)), "{error}");
        assert!(soon(stream.next()).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_workers_take() {
    both(|api| async move {
        for length in LENGTHS {
            for body in [pieces(length), Body::from(text(length))] {
                let taken = api.main().call("take", [ReadableStream::new(body).into()]);
                assert_eq!(soon(taken).await.unwrap(), (length as u32).into());
            }
        }
        let read = soon(api.main().call("takeText", [ReadableStream::new("hello").into()])).await.unwrap();
        assert_eq!(read, "hello".into());
        let failing = stream::iter([Ok(text(10)), Err(std::io::Error::other("on purpose"))]);
        let failing = ReadableStream::new(Body::stream(None, failing));
        let said = soon(api.main().call("takeFailing", [failing.into()])).await.unwrap();
        assert!(said.as_str().is_some_and(|said| said.contains("rror")), "{said:?}");
        let stream = JsValue::from(ReadableStream::new("once"));
        drop(ReadableStream::take(&stream));
        let error = soon(api.main().call("take", [stream])).await.unwrap_err();
        assert!(error.to_string().contains("read or sent already"), "{error}");
        said
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_say_how_long_they_are() {
    both(|api| async move {
        let taken = |value: &JsValue| ReadableStream::take(value).unwrap();
        for (method, length) in [("give", Some(70_000)), ("giveSlowly", None)] {
            let mut stream = taken(&soon(api.main().call(method, [70_000.into()])).await.unwrap());
            assert_eq!(soon(stream.length()).await, length, "{method}");
            let first = soon(stream.next()).await.unwrap().unwrap().len();
            assert_eq!(soon(stream.length()).await, length.map(|length| length - first as u64));
            let body = stream.into_body();
            assert_eq!(body.length(), length.map(|length| length - first as u64));
            assert_eq!(soon(body.bytes()).await.unwrap().len(), 70_000 - first);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_come_back_and_go_on() {
    both(|api| async move {
        // Through the worker, which passes it on.
        let passed =
            soon(api.main().call("pass", [ReadableStream::new(pieces(300_000)).into()])).await.unwrap();
        assert_eq!(soon(length_of(ReadableStream::take(&passed).unwrap())).await.unwrap(), 300_000);
        // Through us, from one session to another.
        let given = soon(api.main().call("giveSlowly", [300_000.into()])).await.unwrap();
        assert_eq!(soon(api.main().call("take", [given])).await.unwrap(), 300_000.into());
        // Out of a callback.
        let gives = jackfield::client::function(|_| async { Ok(ReadableStream::new(pieces(70_000)).into()) });
        let through = soon(api.main().call("call", [gives])).await.unwrap();
        assert_eq!(soon(length_of(ReadableStream::take(&through).unwrap())).await.unwrap(), 70_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_written_to() {
    both(|api| async move {
        for length in LENGTHS {
            let (writable, mut reader) = WritableStream::channel();
            let wrote = api.main().call("write", [writable, (length as u32).into()]);
            let read = async {
                let mut all = Vec::new();
                while let Some(bytes) = reader.read().await.unwrap() {
                    all.extend_from_slice(&bytes);
                }
                all
            };
            let (wrote, read) = soon(async { tokio::join!(wrote, read) }).await;
            assert_eq!(wrote.unwrap(), (length as u32).into());
            assert_eq!(read, text(length));
        }
        let (writable, mut reader) = WritableStream::channel();
        let aborted = api.main().call("abortWriting", [writable]);
        let read = async {
            assert_eq!(reader.read().await.unwrap().unwrap(), text(10));
            reader.read().await.unwrap_err()
        };
        let (aborted, _) = soon(async { tokio::join!(aborted, read) }).await;
        aborted.unwrap();

        let key = format!("writable {}", api.way);
        let value = soon(api.main().call("writable", [key.as_str().into()])).await.unwrap();
        let mut writable = WritableStream::take(&value).unwrap();
        soon(writable.write("one ")).await.unwrap();
        soon(writable.write("two")).await.unwrap();
        soon(writable.end()).await.unwrap();
        drop(writable);
        assert_eq!(api.journal(&key, 1).await, ["one two"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_streams_flow_both_ways() {
    if !is_alone("client::rpc::streams::large_streams_flow_both_ways").await {
        return;
    }
    both(|api| async move {
        let before = resident();
        let value = soon(api.main().call("giveSlowly", [(LARGE as u32).into()])).await.unwrap();
        assert_eq!(soon(length_of(ReadableStream::take(&value).unwrap())).await.unwrap(), LARGE);
        let taken = api.main().call("take", [ReadableStream::new(pieces(LARGE)).into()]);
        assert_eq!(soon(taken).await.unwrap(), (LARGE as u32).into());
        let more = resident().saturating_sub(before);
        assert!(more < 64 << 20, "{more} bytes more than before");
    })
    .await;
}
