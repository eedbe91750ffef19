//! Tells a calling worker what to do, command by command, within one request of its own.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::channel::mpsc;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Request;
use hyper::body::{Bytes, Frame};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::sessions::DEADLINE;

/// Commands that are on their way to the worker: more than any test gives at once.
const LINES: usize = 1024;

/// An error as the worker saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Failure {
    pub name: String,
    pub message: String,
    pub retryable: bool,
    pub overloaded: bool,
}

type Answer = Result<Value, Failure>;
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

/// The request. Dropping it is a caller that goes away.
pub struct Talk {
    lines: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>,
    waiting: Waiting,
    next: AtomicU64,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Talk {
    pub async fn with(socket: &Path) -> Self {
        let (lines, body) = mpsc::channel(LINES);
        let stream = UnixStream::connect(socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = Request::post("http://web/talk").body(StreamBody::new(body)).unwrap();
        let waiting = Waiting::default();
        let answers = waiting.clone();
        let reader = tokio::spawn(async move {
            let Ok(response) = sender.send_request(request).await else { return };
            let mut body = response.into_body();
            let mut rest = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    answer(&answers, &line);
                }
            }
        });
        Talk { lines, waiting, next: AtomicU64::new(0), tasks: [driver, reader] }
    }

    /// Gives a command; the future is its answer. It is under way as soon as this returns.
    pub fn begin(&self, command: &str, args: &[Value]) -> impl Future<Output = Answer> + use<> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let mut line = vec![json!(id), json!(command)];
        line.extend_from_slice(args);
        let line = format!("{}\n", Value::from(line));
        self.lines.clone().try_send(Ok(Frame::data(line.into()))).unwrap();
        let command = command.to_owned();
        async move {
            let answer = tokio::time::timeout(DEADLINE, answer).await;
            answer.unwrap_or_else(|_| panic!("no answer to {command}")).expect("the caller lives")
        }
    }

    /// What a command without arguments comes to.
    ///
    /// # Panics
    /// If it fails.
    pub async fn get(&self, command: &str) -> Value {
        self.begin(command, &[]).await.unwrap_or_else(|failure| panic!("{command}: {failure:?}"))
    }

    /// How a command without arguments fails.
    ///
    /// # Panics
    /// If it does not.
    pub async fn fail(&self, command: &str) -> Failure {
        self.begin(command, &[]).await.expect_err(command)
    }
}

#[derive(Deserialize)]
struct Line {
    id: u64,
    value: Option<Value>,
    failure: Option<Failure>,
}

fn answer(waiting: &Waiting, line: &[u8]) {
    let line: Line = serde_json::from_slice(line).unwrap();
    let answer = line.failure.map_or_else(|| Ok(line.value.unwrap_or_default()), Err);
    if let Some(waits) = waiting.lock().unwrap().remove(&line.id) {
        let _ = waits.send(answer);
    }
}
