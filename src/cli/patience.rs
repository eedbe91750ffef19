//! What is said while a worker says nothing.

use std::future::Future;
use std::time::Duration;

use super::screen::{self, FAINT};
use super::target::Target;

/// Calls may take as long as they like; after this somebody who looks on begins to wonder.
const WONDER: Duration = Duration::from_secs(5);

/// Waits for an answer, and says so if it takes long.
///
/// # Cancellation
/// Cancels the call.
pub(super) async fn patiently<T>(target: &Target, answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    if let Ok(answer) = tokio::time::timeout(WONDER, &mut answer).await {
        return answer;
    }
    let waited = WONDER.as_secs();
    screen::note(&format!(
        "{FAINT}{target} has said nothing for {waited} s: it is busy, waits for something, or stands at a breakpoint. \
         Ctrl-C gives up.{FAINT:#}"
    ));
    answer.await
}
