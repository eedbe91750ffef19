//! Fakes: handlers by a file's word, as long as a link leads to them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

use crate::client::fake::Fake;
use crate::control::problem::{Code, Problem};
use crate::control::shape::FakeRequest;
use crate::router::{
    Aim, Change, ChangeError, Class, Link, LinkName, Links, Offered, Router, Served, Target,
};
use crate::session::{Generation, RuntimeDir, SessionName};

/// Makes the fakes of a run.
pub(super) struct Fakes {
    router: Arc<Router>,
    folder: PathBuf,
    /// Each has a name of its own, so that one that replaces another is another target.
    last: AtomicU64,
}

/// A fake that listens, and the changes that lead links to it.
pub(super) struct Staged {
    pub(super) offered: Offered,
    pub(super) changes: Vec<Change>,
}

impl Fakes {
    pub(super) fn new(router: Arc<Router>, folder: PathBuf) -> Self {
        Self { router, folder, last: AtomicU64::new(0) }
    }

    pub(super) fn stage(&self, request: &FakeRequest) -> Result<Staged, Problem> {
        let fake = Fake::from_json(&request.file, &request.fake).map_err(|error| {
            {
                Problem::new(Code::BadRequest, format!("{}: {error}", request.file.display()))
                    .hint("nothing was moved; `jackfield fake --help` shows what a fake looks like")
            }
        })?;
        let number = self.last.fetch_add(1, Relaxed) + 1;
        let session = SessionName::of_fake(number);
        let path = RuntimeDir::fake_socket(&self.folder, number);
        let classes = self.classes(&request.links)?;
        let offered = self.router.offer(session.clone(), &path, Arc::new(fake));
        let offered = offered.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
        let (generation, file) = (offered.generation().clone(), request.file.as_path().into());
        let names =
            classes.iter().map(|(link, class)| (link, class.as_ref().map(|class| class.name.clone())));
        let moves: Vec<_> = names
            .map(|(link, export)| {
                let to = Aim { session: session.clone(), export };
                Change::Retarget { link: link.clone(), to, props: None }
            })
            .collect();
        let classes = classes.into_iter().filter_map(|(_, class)| class).collect();
        let define = Change::DefineFake { generation, classes, file };
        Ok(Staged { offered, changes: std::iter::once(define).chain(moves).collect() })
    }

    /// The class that the fake stands for on each link, with ids as the link's caller makes them.
    fn classes(&self, links: &[LinkName]) -> Result<Vec<(LinkName, Option<Class>)>, Problem> {
        let snapshot = self.router.links().snapshot();
        let class = |link: &Link| match &link.target {
            Target::ActorClass { session, class } => snapshot.session(session)?.class(class).cloned(),
            Target::Entrypoint { .. } => None,
        };
        let all: Vec<_> = links
            .iter()
            .map(|name| (name.clone(), snapshot.link(name).and_then(|link| class(link))))
            .collect();
        let known: Vec<_> = all.iter().filter_map(|(name, class)| Some((name, class.as_ref()?))).collect();
        for (index, (name, class)) in known.iter().enumerate() {
            let other =
                known.iter().take(index).find(|(_, other)| other.name == class.name && *other != *class);
            if let Some((other, _)) = other {
                let text = format!(
                    "links {other} and {name} make different ids for classes of one name, {}",
                    class.name
                );
                return Err(Problem::new(Code::BadTarget, text).hint("give each a fake of its own"));
            }
        }
        Ok(all)
    }
}

/// Keeps a fake to which links lead by now, until none does and what began there is over.
pub(super) async fn keep(offered: Offered, router: Arc<Router>, stopping: CancellationToken) {
    let generation = offered.generation().clone();
    let served: Served = offered.served();
    stopping.run_until_cancelled(forgotten(router, &generation)).await;
    drop(served);
}

async fn forgotten(router: Arc<Router>, generation: &Generation) {
    let links: &Links = router.links();
    let session = &generation.session;
    loop {
        let is_aimed = |link: &&Arc<Link>| link.target.session() == session;
        links.until(|snapshot| (!snapshot.links().iter().any(is_aimed)).then_some(())).await;
        router.shared().drained(session, generation.number).await;
        match links.change(vec![Change::DropSession(session.clone())], None) {
            // Somebody has led a link there again.
            Err(ChangeError::StillAimed { .. }) => {}
            _ => return,
        }
    }
}
