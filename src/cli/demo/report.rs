use serde::Serialize;

/// What the demo saw: the line that `--json` ends with.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Events that web sent to api, fetches and calls.
    pub events: u64,
    /// Events that were not served although their target was up, or came up in time.
    pub failed: u64,
    /// Events that a target served which their link did not point at between their begin and their end.
    pub wrong_target: u64,
    /// Events that were delivered twice.
    pub doubled: u64,
    /// Events that had been delivered to the target that was killed, and broke with it.
    pub broken_by_kill: u64,
    /// How often the link was moved.
    pub retargets: u64,
    /// From the publication of a target to the forwarding of the first event to it, in milliseconds.
    pub retarget_to_first_event_ms: Percentiles,
    /// The error arrived with its name, message, stack and own properties.
    pub error_whole: bool,
    /// What was opened before a retarget, and who served it after.
    pub held: Held,
    /// Events that waited for the successor of the target that was killed.
    pub parked: u64,
    /// From the kill to the first event that the successor served, in milliseconds.
    pub kill_to_served_ms: f64,
    /// All in all.
    pub seconds: f64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Percentiles {
    pub p50: f64,
    pub p99: f64,
}

/// Each is true if it stayed with its target to its end.
#[derive(Debug, Default, Serialize)]
pub(super) struct Held {
    pub stub: bool,
    pub stream: bool,
    pub websocket: bool,
    pub slow_call: bool,
    /// A new event, begun while the others were held, went to the new target.
    pub new_event: bool,
}

impl Held {
    pub fn all(&self) -> bool {
        self.stub && self.stream && self.websocket && self.slow_call && self.new_event
    }
}

impl Percentiles {
    /// Of times in nanoseconds.
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |part: f64| {
            let index = (times.len() as f64 * part) as usize;
            times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |nanos| *nanos as f64 / 1e6)
        };
        Percentiles { p50: at(0.5), p99: at(0.99) }
    }
}

impl Report {
    /// Counts and truths decide, never times.
    pub fn is_good(&self) -> bool {
        self.events > 0
            && self.failed == 0
            && self.wrong_target == 0
            && self.doubled == 0
            && self.retargets >= 100
            && self.error_whole
            && self.held.all()
            && self.parked > 0
    }
}
