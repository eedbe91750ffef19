//! Where bytes go that come from a worker, as they are.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use super::failure::Failure;

/// Standard output, or a file.
pub(super) struct Out {
    to: Box<dyn Write>,
    /// Shown as it arrives: somebody looks on, or asked for it.
    at_once: bool,
}

impl Out {
    /// Standard output; in pieces of any size unless it is a terminal.
    pub(super) fn standard() -> Self {
        Out { at_once: io::stdout().is_terminal(), ..Out::at_once() }
    }

    /// Standard output, each piece as it comes.
    pub(super) fn at_once() -> Self {
        Out { to: Box::new(BufWriter::new(io::stdout())), at_once: true }
    }

    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::create(path)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
        Ok(Out { to: Box::new(BufWriter::new(file)), at_once: false })
    }

    /// Whether there is still somebody who reads: one that has seen enough (`| head`) is no error.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let at_once = self.at_once;
        let written = self.to.write_all(bytes);
        goes_on(written.and_then(|()| if at_once { self.to.flush() } else { Ok(()) }))
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        goes_on(self.to.flush()).map(drop)
    }
}

fn goes_on(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}
