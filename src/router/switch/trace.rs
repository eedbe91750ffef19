//! `--trace-frames`: every frame of every caller, one JSON line each.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::rpc::ConnId;
use crate::rpc::trace::{Trace, TraceRecord};

/// The file that takes the lines. Each begins with `us` (since the start) and `engine` (one number a caller's
/// connection); a line with `is` says who a connection is. A frame that goes out carries in `frame` the number of
/// the frame that came in and caused it, so that each pair of lines shows how ids were mapped.
pub struct TraceFile {
    out: Mutex<BufWriter<File>>,
    start: Instant,
    engines: AtomicU64,
}

impl TraceFile {
    /// Creates the file, readable by its owner only: frames tell what sessions do.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> io::Result<Arc<Self>> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let out = Mutex::new(BufWriter::new(file));
        Ok(Arc::new(TraceFile { out, start: Instant::now(), engines: AtomicU64::new(1) }))
    }

    /// A trace for one engine.
    pub(super) fn engine(self: &Arc<Self>) -> EngineTrace {
        EngineTrace { file: self.clone(), engine: self.engines.fetch_add(1, Ordering::Relaxed) }
    }

    fn line(&self, engine: u64, rest: Value) {
        let mut line = json!({ "us": self.start.elapsed().as_micros() as u64, "engine": engine });
        if let (Some(line), Value::Object(rest)) = (line.as_object_mut(), rest) {
            line.extend(rest);
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not stop the traffic that is being looked at. Flushed, since people read along.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

#[derive(Clone)]
pub(super) struct EngineTrace {
    file: Arc<TraceFile>,
    engine: u64,
}

impl EngineTrace {
    /// Says who a connection is.
    pub fn name(&self, conn: ConnId, who: &str) {
        self.file.line(self.engine, json!({ "conn": conn.number(), "is": who }));
    }
}

impl Trace for EngineTrace {
    fn frame(&mut self, record: &TraceRecord) {
        self.file.line(self.engine, record.to_json());
    }
}
