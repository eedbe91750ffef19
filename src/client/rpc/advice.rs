//! What to do about errors that every worker's author meets, by workerd's words for them.

use std::fmt;

use super::thrown::Thrown;

/// What to do when the connection broke while something was under way.
pub(in crate::client) const REPEAT: &str = "connect again, and repeat it only if it may happen twice";

/// Class, a part of the message, and what to do next.
const ADVICE: [(&str, &str, &str); 12] = [
    ("TypeError", "\". The fake ", "add it to the file, and say `jackfield fake` again"),
    (
        "TypeError",
        "The RPC receiver does not implement the method",
        "look for it in the worker's class: only methods and getters of the class itself are reachable, and the \
         class has to extend WorkerEntrypoint, DurableObject or RpcTarget",
    ),
    ("TypeError", "is not a function.", "it is a property: get it instead of calling it"),
    ("TypeError", "is a reserved method", "give the method another name"),
    (
        "DataCloneError",
        "",
        "return what can travel: plain data, functions, and objects of classes that extend RpcTarget",
    ),
    (
        "Error",
        "Serialized RPC arguments or return values are limited to",
        "send large data as a ReadableStream",
    ),
    ("Error", "\" not found", "look at the names of the process's services"),
    ("Error", "Worker does not export", "look at the names that the worker's main module exports"),
    ("Error", "There is no session ", "`jackfield ls` shows those that there are."),
    ("Error", "There is no link ", "`jackfield links` shows those that there are."),
    (
        "TypeError",
        "tried to return a WebSocket",
        "ask for it with the header `upgrade: websocket`, or have the worker answer otherwise",
    ),
    ("Error", "internal error", "the worker's own log says what happened"),
];

impl Thrown {
    /// What to do next about an error that many meet. Messages of errors that carry one end with it.
    pub fn advice(&self) -> Option<&'static str> {
        let fits =
            |(class, part, _): &&(&str, &str, &str)| *class == self.name && self.message.contains(part);
        ADVICE.iter().find(fits).map(|(_, _, advice)| *advice)
    }
}

/// The advice as the end of a message, if the message does not end with it already.
pub(in crate::client) struct Advice<'a>(pub &'a Thrown);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.advice().filter(|advice| !self.0.message.ends_with(advice)) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
