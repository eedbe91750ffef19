//! Requests to the calling session, over the unix socket on which it listens.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::Request;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::cli::failure::Failure;

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// One connection to a session, for one request at a time.
pub(super) struct Caller {
    sender: SendRequest<Body>,
    task: AbortHandle,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("a request to the demo's session failed: {error}"))
}

impl Caller {
    pub async fn connect(socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket).await.map_err(broken)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the caller, who owns it.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Caller { sender, task })
    }

    async fn send(&mut self, path: &str, body: Body) -> Result<Incoming, Failure> {
        self.sender.ready().await.map_err(broken)?;
        let request = Request::post(format!("http://demo{path}")).header("host", "demo").body(body);
        let response = self.sender.send_request(request.map_err(broken)?).await.map_err(broken)?;
        Ok(response.into_body())
    }

    /// The JSON that a path answers.
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let body = self.send(path, Empty::new().boxed()).await?;
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        serde_json::from_slice(&bytes).map_err(broken)
    }

    /// A request whose body stays open until the sender is dropped, and the lines of its answer.
    pub async fn open(&mut self, path: &str) -> Result<(mpsc::Sender<Bytes>, Lines), Failure> {
        let (sender, queue) = mpsc::channel::<Bytes>(1);
        let frames = futures::stream::unfold(queue, |mut queue| async move {
            let bytes = queue.recv().await?;
            Some((Ok(Frame::data(bytes)), queue))
        });
        // The first chunk makes the request begin.
        sender.send(Bytes::from_static(b"\n")).await.map_err(broken)?;
        let body = self.send(path, BodyExt::boxed(StreamBody::new(frames))).await?;
        Ok((sender, Lines { body, rest: Vec::new() }))
    }
}

/// The lines of an answer, as they come.
pub(super) struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    pub async fn next(&mut self) -> Result<serde_json::Value, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(broken);
            }
            let frame = self.body.frame().await.ok_or_else(|| broken("it ended too early"))?;
            if let Ok(data) = frame.map_err(broken)?.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}
