//! The asking side of the control API.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::listening::Listening;
use super::problem::{Problem, Refusal};
use super::server::is_own;
use super::shape::{
    Attach, Attached, ChangeRequest, Changed, EndDev, Ending, Explanation, FakeRequest, GUEST, Links, Placed,
    Places, Reloaded, Run, Running, Sessions, Status, Stopped,
};
use crate::session::wrangler;

/// The largest answer that is read. Thousands of links with props stay far below it.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// A connection, as long as it is polled; it never says that it has ended.
pub(super) type Driven = BoxFuture<'static, Infallible>;

/// Talks to the daemon of one project. Every request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers at {}: {source}", socket.display())]
    Connect {
        /// Where it would listen.
        socket: PathBuf,
        /// Why there is no connection.
        source: io::Error,
    },
    /// Somebody else's process listens there.
    #[error("the process that listens at {} belongs to another user", socket.display())]
    Stranger {
        /// The suspicious socket.
        socket: PathBuf,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The connection ended before the answer did.
    #[error("the daemon at {} went away before it answered: {source}", socket.display())]
    Lost {
        /// The daemon's socket.
        socket: PathBuf,
        /// What hyper saw.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not of this API.
    #[error("the daemon at {} gave an answer ({status}) that this version does not understand: {why}", socket.display())]
    Garbled {
        /// The daemon's socket.
        socket: PathBuf,
        /// The answer's status.
        status: StatusCode,
        /// What is wrong with its body.
        why: String,
    },
}

impl Client {
    /// For the daemon that listens at `socket`. Connects on the first request.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The daemon at this moment.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// All sessions.
    pub async fn sessions(&self) -> Result<Sessions, ClientError> {
        self.get("/v1/sessions").await
    }

    /// All links.
    pub async fn links(&self) -> Result<Links, ClientError> {
        self.get("/v1/links").await
    }

    /// Why the events of a link, or of a session, go where they go.
    pub async fn explain(&self, asked: &str) -> Result<Explanation, ClientError> {
        let hex = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' | b'@' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        let asked: String = asked.bytes().map(hex).collect();
        self.get(&format!("/v1/explain?link={asked}")).await
    }

    /// Moves links, all or none.
    pub async fn change(&self, change: &ChangeRequest) -> Result<Changed, ClientError> {
        self.post("/v1/links", change).await
    }

    /// Leads links to a fake, all or none.
    pub async fn fake(&self, fake: &FakeRequest) -> Result<Changed, ClientError> {
        self.post("/v1/fakes", fake).await
    }

    /// Asks for a registry of a command's own.
    pub async fn run(&self, run: &Run) -> Result<Running, ClientError> {
        self.post("/v1/runs", run).await
    }

    /// Runs wrangler's projects as long as what is returned is kept.
    pub async fn dev(&self, request: &wrangler::Request) -> Result<Listening, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.lost(error))?;
        let (mut sender, mut connection) = self.connect().await?;
        let request = self.prepare(Method::POST, "/v1/dev", body.into())?;
        let answered = async {
            let answer = sender.send_request(request).await.map_err(|error| self.lost(error))?;
            let status = answer.status();
            match status.is_success() {
                true => {
                    let guest =
                        answer.headers().get(GUEST).and_then(|guest| guest.to_str().ok()?.parse().ok());
                    Ok((guest, answer.into_body()))
                }
                false => Err(self.refusal(status, &self.whole(answer.into_body()).await?)),
            }
        };
        let (guest, body) = tokio::select! {
            biased;
            answered = answered => answered?,
            never = &mut connection => match never {},
        };
        let guest = guest.ok_or_else(|| self.garbled(StatusCode::OK, &"it says no number to end it by"))?;
        Ok(Listening::new(self.clone(), guest, body, connection))
    }

    pub(super) async fn end_dev(&self, end: &EndDev) -> Result<Ending, ClientError> {
        self.post("/v1/dev/end", end).await
    }

    /// Leads places in bundles back to their sources.
    pub async fn places(&self, places: &Places) -> Result<Placed, ClientError> {
        self.post("/v1/places", places).await
    }

    /// Makes a session of a debug port.
    pub async fn attach(&self, attach: &Attach) -> Result<Attached, ClientError> {
        self.post("/v1/attached", attach).await
    }

    /// Makes the daemon read its project again.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.post("/v1/reload", &()).await
    }

    /// Returns when the daemon begins to stop; fails with [`ClientError::Lost`] when it is killed.
    pub async fn end(&self) -> Result<Ending, ClientError> {
        self.get("/v1/end").await
    }

    /// Stops the daemon; returns when its sessions have ended and its folder is free for another one.
    pub async fn down(&self) -> Result<Stopped, ClientError> {
        self.post("/v1/down", &()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.lost(error))?;
        self.request(Method::POST, path, body.into()).await
    }

    /// # Cancellation
    /// Dropping the future closes the connection, by which the daemon learns that nobody waits any more.
    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let (mut sender, connection) = self.connect().await?;
        let request = self.prepare(method, path, body)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| self.lost(error))?;
            let status = answer.status();
            let body = self.whole(answer.into_body()).await?;
            match status.is_success() {
                true => serde_json::from_slice(&body).map_err(|error| self.garbled(status, &error)),
                false => Err(self.refusal(status, &body)),
            }
        };
        tokio::select! {
            biased;
            answer = exchange => answer,
            never = connection => match never {},
        }
    }

    async fn connect(&self) -> Result<(http1::SendRequest<Full<Bytes>>, Driven), ClientError> {
        let connect = |source| ClientError::Connect { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).await.map_err(connect)?;
        if !is_own(&stream) {
            return Err(ClientError::Stranger { socket: self.socket.clone() });
        }
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.lost(error))?;
        // What the connection fails of, the exchange reports; it may also end well before the answer is read.
        let drive = async {
            let _ = connection.await;
            std::future::pending().await
        };
        Ok((sender, drive.boxed()))
    }

    fn prepare(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body));
        request.map_err(|error| self.lost(error))
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|source| ClientError::Lost { socket: self.socket.clone(), source })?;
        Ok(body.to_bytes())
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice(body) {
            Ok(Refusal { error }) => error.into(),
            Err(error) => self.garbled(status, &error),
        }
    }

    pub(super) fn garbled(&self, status: StatusCode, why: &impl ToString) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), status, why: why.to_string() }
    }

    pub(super) fn lost(&self, source: impl std::error::Error + Send + Sync + 'static) -> ClientError {
        ClientError::Lost { socket: self.socket.clone(), source: Box::new(source) }
    }
}
