use crate::wire::exception::Exception;

/// Why a stream ended before its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// While reading: what came is not all that there was. Read it anew, if its source can give it again.
    #[error("the stream broke off, and what came of it is not whole: {}", plain(.0))]
    Truncated(Exception),
    /// While writing: the far side takes no more. What it took before, it has.
    #[error("the reader of the stream takes no more: {}", plain(.0))]
    Refused(Exception),
}

impl StreamError {
    /// What the far side, or the way to it, said.
    pub fn exception(&self) -> &Exception {
        match self {
            StreamError::Truncated(exception) | StreamError::Refused(exception) => exception,
        }
    }
}

/// The reason without the prefixes by which workers know what to throw.
pub(crate) fn plain(exception: &Exception) -> &str {
    let told = exception.reason.trim_start_matches("remote.");
    told.strip_prefix("jsg.Error: ").or_else(|| told.strip_prefix("jsg.")).unwrap_or(told)
}
