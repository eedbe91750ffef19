//! What all callers' engines share: the links, the idle upstream connections, and who has to be told of changes.

mod guards;
mod in_flight;
mod settings;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pool::Pool;
use crate::router::failures::{Failure, Failures};
use crate::router::{Link, LinkName, Links, Revision, Route};
use crate::rpc::FastMap;
use crate::session::{Generation, SessionName};
pub(in crate::router) use guards::{Cuttable, Ticket, Waits};
use guards::{Held, HttpEvent};
pub(super) use guards::{Mailbox, Membership};
use settings::Counters;
pub use settings::{Counts, FirstEvent, Settings};

/// See the module's text.
pub struct Shared {
    pub(in crate::router) links: Arc<Links>,
    pub(in crate::router) settings: Settings,
    pub(super) pool: Pool,
    callers: Mutex<Slab<Arc<Mailbox>>>,
    leases: Mutex<FastMap<Arc<Held>, usize>>,
    cuttable: Mutex<Slab<HttpEvent>>,
    lease_returned: Notify,
    draining: CancellationToken,
    counters: Counters,
    /// Events that wait for their target now, link by link.
    waiting: Mutex<FastMap<LinkName, usize>>,
    failures: Failures,
    first_events: Mutex<Vec<FirstEvent>>,
}

/// Retargets whose first event is remembered, for the bench and the demo.
const FIRST_EVENTS_KEPT: usize = 100_000;

impl Shared {
    /// The shared part of a router over `links`.
    pub fn new(links: Arc<Links>, settings: Settings) -> Arc<Self> {
        Arc::new(Shared {
            links,
            settings,
            pool: Pool::default(),
            callers: Mutex::default(),
            leases: Mutex::default(),
            cuttable: Mutex::default(),
            lease_returned: Notify::new(),
            draining: CancellationToken::new(),
            counters: Counters::default(),
            waiting: Mutex::default(),
            failures: Failures::default(),
            first_events: Mutex::default(),
        })
    }

    /// Events so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.counters;
        Counts {
            began: counters.began.load(Relaxed),
            parked: counters.parked.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            broken: counters.broken.load(Relaxed),
            cut: counters.cut.load(Relaxed),
        }
    }

    pub(in crate::router) fn count_began(&self) {
        self.counters.began.fetch_add(1, Relaxed);
    }

    pub(in crate::router) fn count_parked(&self) {
        self.counters.parked.fetch_add(1, Relaxed);
    }

    /// An event waits for its target, until what this returns is dropped.
    pub(in crate::router) fn wait(self: &Arc<Self>, link: &LinkName) -> Waits {
        *self.lock_waiting().entry(link.clone()).or_default() += 1;
        Waits { shared: self.clone(), link: link.clone() }
    }

    fn lock_waiting(&self) -> MutexGuard<'_, FastMap<LinkName, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that wait for their target now.
    pub fn waiting(&self) -> usize {
        self.lock_waiting().values().sum()
    }

    /// Those of one link; see [`Shared::waiting_outside`] for those that come by none.
    pub fn waiting_on(&self, link: &LinkName) -> usize {
        self.lock_waiting().get(link).copied().unwrap_or_default()
    }

    /// Those that wait for a session and come by no link: from browsers, and from the user's own tools.
    pub fn waiting_outside(&self, session: &SessionName) -> usize {
        self.waiting_on(&LinkName::direct(session.clone()))
    }

    /// Why an event on that link was last not served. Not what its target threw.
    pub fn last_failure(&self, link: &LinkName) -> Option<Failure> {
        self.failures.of(link)
    }

    /// The same of what comes by no link.
    pub fn last_failure_outside(&self, session: &SessionName) -> Option<Failure> {
        self.last_failure(&LinkName::direct(session.clone()))
    }

    /// What a session was told last of an event of its own that was not served, if that was just now.
    pub(in crate::router) fn failed_lately(&self, session: &SessionName) -> Option<String> {
        self.failures.lately(session)
    }

    /// An event of that link was not served, and its caller is told so.
    pub(in crate::router) fn note_failure(&self, link: &LinkName, text: &str) {
        self.failures.note(link, text);
    }

    pub(in crate::router) fn count_failed(&self) {
        self.counters.failed.fetch_add(1, Relaxed);
    }

    pub(in crate::router) fn count_broken(&self, events: usize) {
        self.counters.broken.fetch_add(events as u64, Relaxed);
    }

    pub(in crate::router) fn count_cut(&self, events: usize) {
        self.counters.cut.fetch_add(events as u64, Relaxed);
    }

    /// Bytes that are held for all callers and targets, beyond what each connection has for itself: long frames that
    /// are not whole yet, and what waits.
    pub fn buffered(&self) -> usize {
        self.settings.budget.used()
    }

    /// Idle upstream connections.
    pub fn pooled(&self) -> usize {
        self.pool.len()
    }

    /// Callers' connections that are open.
    pub fn callers(&self) -> usize {
        self.lock_callers().len()
    }

    /// Leases that are held.
    pub fn leased(&self) -> usize {
        self.lock_leases().values().sum()
    }

    /// Leases of one link.
    pub fn leased_by(&self, link: &LinkName) -> usize {
        self.lock_leases().iter().filter(|(held, _)| held.link == *link).map(|(_, count)| count).sum()
    }

    pub(super) fn note_first_event(&self, first: FirstEvent) {
        let mut times = self.first_events.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() < FIRST_EVENTS_KEPT {
            times.push(first);
        }
    }

    /// The first event that each caller sent to each new target, since the last call.
    pub fn take_first_events(&self) -> Vec<FirstEvent> {
        std::mem::take(&mut self.first_events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock_callers(&self) -> MutexGuard<'_, Slab<Arc<Mailbox>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_leases(&self) -> MutexGuard<'_, FastMap<Arc<Held>, usize>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller's connection was taken: from now on it is told of changes.
    pub(super) fn join(self: &Arc<Self>) -> Membership {
        let mailbox = Arc::new(Mailbox::default());
        let key = self.lock_callers().insert(mailbox.clone());
        Membership { shared: self.clone(), key, mailbox }
    }

    /// Lets every caller look at the links again: targets of parked events may be up, leases may have to drain.
    pub fn wake_all(&self) {
        let snapshot = self.links.snapshot();
        self.pool.retain(|session, number| snapshot.is_newest(session, number));
        for (_, mailbox) in self.lock_callers().iter() {
            mailbox.waker.wake();
        }
    }

    /// No new events from now on, and none that waits goes on; callers end when theirs have.
    pub fn drain(&self) {
        self.draining.cancel();
        self.wake_all();
    }

    pub(in crate::router) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Closes all idle upstream connections.
    pub(in crate::router) fn empty_pool(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Breaks the leases of `link` from before `before`.
    pub fn cut(&self, link: &LinkName, before: Revision) {
        for (_, mailbox) in self.lock_callers().iter() {
            let mut cuts = mailbox.cuts.lock().unwrap_or_else(PoisonError::into_inner);
            cuts.push((link.clone(), before));
            drop(cuts);
            mailbox.waker.wake();
        }
        for (_, event) in self.lock_cuttable().iter() {
            if event.link.name == *link && event.link.revision < before {
                event.token.cancel();
            }
        }
    }

    /// Ready when no lease of `link` from before `before` is held.
    ///
    /// # Cancellation
    /// Safe: nothing is kept.
    pub async fn returned(&self, link: &LinkName, before: Revision) {
        self.until_none(|held| held.link == *link && held.revision < before).await;
    }

    /// Ready when no lease of that generation of the session is held.
    ///
    /// # Cancellation
    /// Safe: nothing is kept.
    pub async fn drained(&self, session: &SessionName, number: u64) {
        self.until_none(|held| held.session == *session && held.number == number).await;
    }

    async fn until_none(&self, counts: impl Fn(&Held) -> bool) {
        self.until(|| !self.lock_leases().keys().any(|held| counts(held))).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.lease_returned.notified());
            // From here on no notification is missed.
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }

    /// A lease, or an HTTP event, begins.
    pub(in crate::router) fn ticket(self: &Arc<Self>, link: &Link, generation: &Generation) -> Ticket {
        let held = Arc::new(Held {
            link: link.name.clone(),
            revision: link.revision,
            session: generation.session.clone(),
            number: generation.number,
        });
        *self.lock_leases().entry(held.clone()).or_default() += 1;
        Ticket { shared: self.clone(), held }
    }

    fn lock_cuttable(&self) -> MutexGuard<'_, Slab<HttpEvent>> {
        self.cuttable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is cancelled when the link, as it leads now, is cut.
    pub(in crate::router) fn cuttable(
        self: &Arc<Self>,
        link: &Arc<Link>,
        generation: &Arc<Generation>,
    ) -> Cuttable {
        let token = CancellationToken::new();
        let (link, generation) = (link.clone(), generation.clone());
        let key =
            self.lock_cuttable().insert(HttpEvent { link, generation, token: token.clone(), stands: false });
        Cuttable { shared: self.clone(), key, token }
    }

    /// What an event is told that found no target in time. `why` is what it last knew itself; what the links say at
    /// this moment comes first.
    pub(in crate::router) fn no_target(&self, link: &LinkName, why: &str) -> String {
        let now = self.links.load().route(link);
        let why = if let Route::Parked(_, now) = &now { now } else { why };
        let waited = self.settings.park_for.as_secs_f32();
        let what = match link.is_direct() {
            true => format!("Session {link} takes no events."),
            false => format!("The target of the link {link} was not found."),
        };
        let advice = match (link.is_direct(), self.links.load().instead(link)) {
            (true, _) => "`jackfield ls` shows what runs".to_owned(),
            (false, Some(other)) => {
                format!(
                    "{other} is up: `jackfield retarget {link} {other}`; `jackfield explain {link}` tells more"
                )
            }
            (false, None) => format!("`jackfield explain {link}` tells more"),
        };
        format!("{what} Make sure it is running: {why} (waited {waited} s; {advice}).")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::router::{Change, Origin, Target};
    use crate::session::{Services, SessionSink, SessionState};

    fn generation(session: &SessionName) -> Arc<Generation> {
        Arc::new(Generation {
            session: session.clone(),
            number: 1,
            pid: 1,
            release: None,
            debug_port: std::path::PathBuf::new().into(),
            services: Services::alike(String::new()),
            http_sockets: HashMap::new(),
            front_socket: None,
            cf_header: String::new(),
        })
    }

    #[test]
    fn callers_without_a_target_are_told_who_could_be_meant() {
        let links = Arc::new(Links::new());
        let [web, blue, green] = ["web@x", "api@blue", "api@green"].map(|name| name.parse().unwrap());
        let join = |session: &SessionName| Change::JoinSession(session.clone(), Origin::Run);
        links.change([&web, &blue, &green].map(join).to_vec(), None).unwrap();
        let shared = Shared::new(links.clone(), Settings::default());
        let link = LinkName::new(web.clone(), "api");
        links.adopt(&link);
        let told = shared.no_target(&link, "");
        for part in
            ["web@x/api was not found. Make sure it is running", "api@blue, api@green", "`jackfield explain"]
        {
            assert!(told.contains(part), "{told}");
        }
        let target = Target::Entrypoint { session: blue.clone(), entrypoint: None, props: None };
        links
            .change(vec![Change::DefineLink { link: link.clone(), target, accepts_props: false }], None)
            .unwrap();
        links.publish(&blue, SessionState::Down { why: "it ended".to_owned() });
        links.publish(&green, SessionState::Up(generation(&green)));
        let told = shared.no_target(&link, "");
        let instead = "api@green is up: `jackfield retarget web@x/api api@green`";
        assert!(told.contains("session api@blue is down: it ended") && told.contains(instead), "{told}");
    }
}
