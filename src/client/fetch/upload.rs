use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use tokio_util::task::AbortOnDropHandle;

use crate::client::body::{Body, BodyError};
use crate::client::stream::Writer;
use crate::net::local::Stub;

/// The body of a request on its way: ready when it is over. Dropped, it breaks off.
pub(super) enum Upload {
    /// There is none, or it is over.
    Over,
    /// Goes on while it is polled.
    Here(BoxFuture<'static, Result<(), BodyError>>),
    /// Goes on by itself: whoever has the head of the answer may read its body late, or never.
    Apart(AbortOnDropHandle<Result<(), BodyError>>),
}

impl Upload {
    pub fn new(body: Body, to: Stub) -> Self {
        Upload::Here(Box::pin(upload(body, to)))
    }

    /// Lets it go on by itself, if it is not over.
    pub fn set_apart(self) -> Self {
        match self {
            Upload::Here(upload) => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => Upload::Apart(AbortOnDropHandle::new(runtime.spawn(upload))),
                Err(_) => Upload::Here(upload),
            },
            other => other,
        }
    }

    /// Ready with an error if the body could not be read here; pending for ever when it is over.
    pub fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let over = match self {
            Upload::Over => return Poll::Pending,
            Upload::Here(upload) => ready!(upload.as_mut().poll(cx)),
            // A task that panicked has said so; the far side sees that the body is not whole.
            Upload::Apart(task) => ready!(Pin::new(task).poll(cx)).unwrap_or(Ok(())),
        };
        *self = Upload::Over;
        match over {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }
}

/// Ends well also when the far side wants no more of it: that is its right, and its answer says what came of it.
async fn upload(mut body: Body, to: Stub) -> Result<(), BodyError> {
    let said = body.length();
    let mut found = 0;
    let mut writer = Writer::new(to);
    while let Some(bytes) = body.try_next().await? {
        found += bytes.len() as u64;
        if said.is_some_and(|said| found > said) {
            break;
        }
        if writer.write(bytes).await.is_err() {
            return Ok(());
        }
    }
    match said {
        // Dropped without its end: the far side sees that it is not whole.
        Some(said) if said != found => Err(BodyError::Length { said, found }),
        _ => {
            let _ = writer.end().await;
            Ok(())
        }
    }
}
