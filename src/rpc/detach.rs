//! An idle upstream connection goes from one engine to another, with the capabilities that the host caches.

use super::engine::Engine;
use super::tables::*;

/// What an idle connection remembers: the capabilities that were kept, in the order in which they were given.
#[derive(Debug)]
pub struct Detached {
    imports: Vec<(u32, u32, bool)>,
}

impl Engine {
    /// Whether nothing is left on `conn` but `kept`, each with no other reference.
    pub fn is_idle(&self, conn: ConnId, kept: &[&CapId]) -> bool {
        let Some(conn) = self.conns.get(conn.0 as usize).filter(|conn| !conn.ended) else { return false };
        conn.questions.is_empty()
            && conn.high.is_empty()
            && conn.answers.is_empty()
            && conn.exports.is_empty()
            && conn.embargoes.is_empty()
            && conn.imports.len() == kept.len()
            && kept.iter().all(|cap| self.caps.get(cap.0 as usize).is_some_and(|cap| cap.refs == 1))
    }

    /// Takes an idle connection out: nobody is told anything, its stream goes on elsewhere. Its unsent output,
    /// if any, has to be written first.
    ///
    /// # Errors
    /// It is not idle ([`Engine::is_idle`]); `kept` comes back.
    pub fn detach(&mut self, conn: ConnId, kept: Vec<CapId>) -> Result<Detached, Vec<CapId>> {
        if !self.is_idle(conn, &kept.iter().collect::<Vec<_>>()) {
            return Err(kept);
        }
        let mut imports = Vec::with_capacity(kept.len());
        for cap in kept {
            if let Home::Import { id, .. } = self.caps.remove(cap.0 as usize).home
                && let Some(import) =
                    self.conns.get_mut(conn.0 as usize).and_then(|conn| conn.imports.remove(&id))
            {
                imports.push((id, import.count, import.promise));
            }
        }
        self.conns.remove(conn.0 as usize);
        Ok(Detached { imports })
    }

    /// Takes a detached connection in. The capabilities come in the order in which they were kept.
    pub fn attach(&mut self, detached: Detached) -> (ConnId, Vec<CapId>) {
        let conn = self.connect(None);
        let mut caps = Vec::with_capacity(detached.imports.len());
        for (id, count, promise) in detached.imports {
            let cap = self.new_cap(Home::Import { conn: conn.0, id });
            if let Some(to) = self.conns.get_mut(conn.0 as usize) {
                to.imports.insert(id, Import { cap, count, promise, origin: 0 });
            }
            caps.push(CapId(cap));
        }
        (conn, caps)
    }
}
