use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What one peer may make the switch keep. Each bound ends only the connection, or fails only the call, that
/// goes beyond it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest message in bytes. workerd refuses messages above 64 MiB, so nothing longer can arrive anywhere.
    pub frame_bytes: usize,
    /// Most questions that a peer may have open: one stream may hold thousands of writes, so 65,536 is the least
    /// that never stops an honest peer; an entry takes about 200 bytes.
    pub open_questions: usize,
    /// Most capabilities that a peer may have exported to us: about 150 bytes each, so 150 MB at the worst, and
    /// ten times what a session with a stub for every row of a large table holds.
    pub imports: usize,
    /// Most capabilities that may be exported to a peer: what all others may export to us, and as much again
    /// in capabilities of answers still to come. The peer whose message goes beyond it is the one that ends.
    pub exports: usize,
    /// Most Disembargoes of a peer on their way: each stands for a resolved promise, of which a peer has few.
    pub embargoes: usize,
    /// Most calls of a peer that may wait for a target. An event takes about five frames, so this is some
    /// hundreds of events, more than a worker starts in the ten seconds that they may wait.
    pub parked_calls: usize,
    /// Most bytes of a peer's calls that may wait for a target: two of the longest messages.
    pub parked_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes: 64 << 20,
            open_questions: 1 << 17,
            imports: 1 << 20,
            exports: 1 << 21,
            embargoes: 1 << 16,
            parked_calls: 4096,
            parked_bytes: 128 << 20,
        }
    }
}

/// Bytes that the whole process may hold in buffers and parked frames, for all peers together.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    /// Half a gigabyte: eight of the longest messages at once, on machines that run a dozen workerds anyway.
    pub const DEFAULT_BYTES: usize = 512 << 20;

    /// A budget of `max` bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Budget { used: AtomicUsize::new(0), max })
    }

    /// Takes `bytes`, or nothing if that is more than is left. Whoever took them gives them back.
    pub fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Gives back what [`Budget::take`] took.
    pub fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}
