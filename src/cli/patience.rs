//! What is said while a worker says nothing.

use std::future::Future;
use std::time::Duration;

use super::reach::Reach;
use super::screen::{self, FAINT};
use super::target::Target;

/// Calls may take as long as they like; after this somebody who looks on begins to wonder.
const WONDER: Duration = Duration::from_secs(5);

/// Waits for an answer, and says so if it takes long.
///
/// # Cancellation
/// Cancels the call.
pub(super) async fn patiently<T>(reach: &Reach, target: &Target, answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    if let Ok(answer) = tokio::time::timeout(WONDER, &mut answer).await {
        return answer;
    }
    let waited = WONDER.as_secs();
    let why = match reach.trouble(target).await {
        Some(trouble) => format!("{trouble}; it is waited for"),
        None => {
            format!(
                "{target} has said nothing for {waited} s: it is busy, waits for something, or stands at a breakpoint"
            )
        }
    };
    screen::note(&format!("{FAINT}{why}. Ctrl-C gives up.{FAINT:#}"));
    answer.await
}
