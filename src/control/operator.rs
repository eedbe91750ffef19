//! What stands behind the API.

use std::future::Future;
use std::sync::Arc;

use super::problem::Problem;
use super::shape::{
    Attach, Attached, ChangeRequest, Changed, EndDev, Ending, Explanation, FakeRequest, Links, Placed,
    Places, Reloaded, Run, Running, Sessions, Status, Stopped,
};
use super::told::Telling;
use crate::session::wrangler::Request;

/// The daemon as the API sees it. One method a request; see [`shape`](super::shape) for what each promises.
///
/// # Cancellation
/// A client that goes away drops the future of its request. What the future has started goes on or is undone; it is
/// never left half done.
pub trait Operator: Send + Sync + 'static {
    /// The daemon at this moment.
    fn status(&self) -> Status;

    /// All sessions.
    fn sessions(&self) -> Sessions;

    /// All links.
    fn links(&self) -> Links;

    /// Why the events of a link, or of a session, go where they go.
    fn explain(&self, asked: String) -> impl Future<Output = Result<Explanation, Problem>> + Send;

    /// Moves links, all or none.
    fn change(&self, request: ChangeRequest) -> impl Future<Output = Result<Changed, Problem>> + Send;

    /// Leads links to a fake, all or none.
    fn fake(&self, request: FakeRequest) -> impl Future<Output = Result<Changed, Problem>> + Send;

    /// Gives a command a registry of its own.
    fn run(&self, run: Run) -> impl Future<Output = Result<Running, Problem>> + Send;

    /// Leads places in bundles back to their sources.
    fn places(&self, places: Places) -> Placed;

    /// Runs wrangler's projects as long as somebody listens to what is told of them. The number is for
    /// [`Operator::end_dev`].
    fn dev(self: Arc<Self>, request: Request) -> Result<(u64, Telling), Problem>;

    /// Begins to end them, once their calls have.
    fn end_dev(&self, end: EndDev) -> Result<Ending, Problem>;

    /// Makes a session of a debug port.
    fn attach(&self, attach: Attach) -> impl Future<Output = Result<Attached, Problem>> + Send;

    /// Reads the project again and applies it as a whole, or changes nothing.
    fn reload(&self) -> impl Future<Output = Result<Reloaded, Problem>> + Send;

    /// Waits until the daemon begins to stop.
    fn end(&self) -> impl Future<Output = Ending> + Send;

    /// Stops every session, removes what the daemon made and frees its folder; the answer is the last it does.
    fn down(&self) -> impl Future<Output = Result<Stopped, Problem>> + Send;
}
