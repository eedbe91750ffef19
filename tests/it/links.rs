//! The link table against a naive model, its refusals, its watchers, and what a retarget waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jackfield::router::{
    Aim, Barrier, Change, ChangeError, Class, Kind, Leases, LinkName, Links, Revision, Route, Target,
    retarget,
};
use jackfield::session::project::Storage;
use jackfield::session::{Generation, Services, SessionName, SessionSink, SessionState};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Longer than any of these tests takes on a loaded machine; only a lost wake-up reaches it.
const DEADLINE: Duration = Duration::from_secs(20);

fn session(text: &str) -> SessionName {
    text.parse().unwrap()
}

fn link(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn aim(text: &str) -> Aim {
    text.parse().unwrap()
}

fn class(name: &str, key: &str) -> Class {
    Class { name: name.to_owned(), storage: Storage::Stored { unique_key: key.to_owned() } }
}

fn define(name: &str, classes: &[&str]) -> Change {
    Change::DefineSession {
        session: session(name),
        classes: classes.iter().map(|name| class(name, "key")).collect(),
        exports: None,
    }
}

fn define_link(name: &str, kind: Kind, to: &str) -> Change {
    Change::DefineLink { link: link(name), target: kind.target(aim(to), None).unwrap(), accepts_props: false }
}

fn move_to(name: &str, to: &str) -> Change {
    Change::Retarget { link: link(name), to: aim(to), props: None }
}

fn up(name: &str, number: u64) -> SessionState {
    SessionState::Up(Arc::new(Generation {
        session: session(name),
        number,
        pid: 1,
        release: None,
        debug_port: PathBuf::from("debug").into(),
        services: Services::alike(name.to_owned()),
        http_sockets: Default::default(),
        front_socket: Some(PathBuf::from("front")),
        cf_header: "cf".to_owned(),
    }))
}

/// web calls api@blue by a service link and by an actor link.
fn table() -> Links {
    let links = Links::new();
    let changes = vec![
        define("web", &[]),
        define("api@blue", &["Room"]),
        define("api@green", &["Room"]),
        define("plain", &[]),
        define_link("web/API", Kind::Service, "api@blue"),
        define_link("web/ROOMS", Kind::Actor, "api@blue#Room"),
    ];
    links.change(changes, None).unwrap();
    links
}

/// The same rules, written the slow and obvious way.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    sessions: BTreeMap<String, BTreeSet<String>>,
    links: BTreeMap<String, (Kind, String, Option<Value>)>,
}

impl Model {
    fn step(&mut self, change: &Change) -> bool {
        match change {
            Change::Retarget { link, to, props } => {
                let Some(old) = self.links.get_mut(&link.to_string()) else { return false };
                if props.as_ref().is_some_and(|props| !props.is_object()) {
                    return false;
                }
                if old.0 == Kind::Actor && (to.export.is_none() || props.is_some()) {
                    return false;
                }
                *old = (old.0, to.to_string(), props.clone());
                true
            }
            Change::DefineLink { link, target, .. } => {
                let new = (target.kind(), target.to_string(), target.props().cloned());
                let old = self.links.insert(link.to_string(), new);
                old.is_none_or(|old| old.0 == target.kind())
            }
            Change::DropLink(link) => self.links.remove(&link.to_string()).is_some(),
            Change::Adopt(_) | Change::JoinSession(..) | Change::Seek { .. } | Change::Originate(..) => {
                unreachable!("not among those tried here")
            }
            Change::DefineSession { session, classes, .. } => {
                self.sessions
                    .insert(session.to_string(), classes.iter().map(|class| class.name.clone()).collect());
                true
            }
            // Only a daemon makes one.
            Change::DefineFake { .. } => false,
            Change::DropSession(session) => {
                self.links.retain(|name, _| name.split('/').next() != Some(&session.to_string()));
                self.sessions.remove(&session.to_string()).is_some()
            }
        }
    }

    fn sound(&self) -> bool {
        self.links.iter().all(|(name, (kind, to, _))| {
            let (aimed, class) = to.split_once('#').unwrap_or((to, ""));
            let caller = name.split('/').next().unwrap_or_default();
            self.sessions.contains_key(caller)
                && self
                    .sessions
                    .get(aimed)
                    .is_some_and(|classes| *kind == Kind::Service || classes.contains(class))
        })
    }

    fn change(&self, changes: &[Change]) -> Option<Self> {
        let mut moved = BTreeSet::new();
        let mut next = self.clone();
        for change in changes {
            if let Change::Retarget { link, .. } = change
                && !moved.insert(link.clone())
            {
                return None;
            }
            if !next.step(change) {
                return None;
            }
        }
        next.sound().then_some(next)
    }

    fn of(links: &Links) -> Self {
        let snapshot = links.snapshot();
        let classes =
            |s: &jackfield::router::Session| s.classes.iter().map(|class| class.name.clone()).collect();
        Self {
            sessions: snapshot.sessions().into_iter().map(|s| (s.name.to_string(), classes(s))).collect(),
            links: snapshot
                .links()
                .into_iter()
                .map(|l| {
                    let target = &l.target;
                    (l.name.to_string(), (target.kind(), target.to_string(), target.props().cloned()))
                })
                .collect(),
        }
    }
}

fn any_session() -> impl Strategy<Value = SessionName> {
    prop::sample::select(vec!["a", "b", "b@x"]).prop_map(session)
}

fn any_link() -> impl Strategy<Value = LinkName> {
    (any_session(), prop::sample::select(vec!["L", "M"]))
        .prop_map(|(session, name)| LinkName::new(session, name))
}

fn any_aim() -> impl Strategy<Value = Aim> {
    let export = prop::option::of(prop::sample::select(vec!["C", "D"]).prop_map(str::to_owned));
    (any_session(), export).prop_map(|(session, export)| Aim { session, export })
}

fn any_props() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![6 => Just(None), 2 => Just(Some(json!({ "n": 1 }))), 1 => Just(Some(json!(1)))]
}

fn any_target() -> impl Strategy<Value = Target> {
    (any_aim(), any::<bool>()).prop_map(|(aim, actor)| match (actor, &aim.export) {
        (true, Some(class)) => Target::ActorClass { session: aim.session, class: class.clone() },
        _ => Target::Entrypoint { session: aim.session, entrypoint: aim.export, props: None },
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let classes = prop::sample::subsequence(vec![class("C", "key"), class("D", "key")], 0..=2);
    prop_oneof![
        4 => (any_session(), classes).prop_map(|(session, classes)| Change::DefineSession { session, classes, exports: None }),
        4 => (any_link(), any_target()).prop_map(|(link, target)| Change::DefineLink { link, target, accepts_props: false }),
        6 => (any_link(), any_aim(), any_props()).prop_map(|(link, to, props)| Change::Retarget { link, to, props }),
        1 => any_link().prop_map(Change::DropLink),
        1 => any_session().prop_map(Change::DropSession),
    ]
}

proptest! {
    #[test]
    fn batches_do_what_the_model_does(batches in prop::collection::vec(prop::collection::vec(any_change(), 1..4), 1..24)) {
        let links = Links::new();
        let mut model = Model::default();
        for batch in batches {
            let before = links.snapshot();
            let expected = model.change(&batch);
            let result = links.change(batch, None);
            prop_assert_eq!(result.is_ok(), expected.is_some(), "{:?}", result);
            let after = links.snapshot();
            match (result, expected) {
                (Ok(revision), Some(next)) => {
                    prop_assert_eq!(after.revision, revision);
                    prop_assert!(after.revision == before.revision || after.revision == before.revision.next());
                    prop_assert!(after.revision > before.revision || next == model);
                    model = next;
                }
                _ => prop_assert!(Arc::ptr_eq(&before, &after)),
            }
            prop_assert_eq!(&Model::of(&links), &model);
            // A link keeps its revision as long as nobody touches it, so that what began on it is not taken for old.
            for link in after.links() {
                let kept = before.link(&link.name).filter(|old| old.target == link.target).map(|old| old.revision);
                let sound = kept == Some(link.revision) || link.revision == after.revision;
                prop_assert!(sound, "{:?} was {:?}", link, kept);
            }
        }
    }
}

#[test]
fn refusals_name_what_may_have_been_meant() {
    let links = table();
    let refuse = |changes| links.change(changes, None).unwrap_err().to_string();
    let cases = [
        (move_to("web/APi", "api@green"), "there is no link web/APi; did you mean web/API?"),
        (move_to("web/API", "api@gren"), "there is no session api@gren; did you mean api@green?"),
        (move_to("web/API", "zzz"), "there is no session zzz"),
        (
            move_to("web/ROOMS", "api@green#Rooms"),
            "session api@green has no Durable Object class Rooms; did you mean Room?",
        ),
        (
            move_to("web/ROOMS", "api@green"),
            "link web/ROOMS is a Durable Object namespace, so its target is a class without props: api@green#CLASS",
        ),
        (
            define_link("web/API", Kind::Actor, "api@blue#Room"),
            "link web/API is a service link and cannot become one of kind actor while its session runs",
        ),
        (
            Change::DropSession(session("api@blue")),
            "link web/API still points at session api@blue, which goes away",
        ),
    ];
    for (change, text) in cases {
        assert_eq!(refuse(vec![change]), text);
    }
    let props = Change::Retarget { link: link("web/API"), to: aim("plain"), props: Some(json!([])) };
    assert_eq!(refuse(vec![props]), "the props for link web/API are not a JSON object");
    let twice = vec![move_to("web/API", "plain"), move_to("web/API", "api@green")];
    assert_eq!(refuse(twice), "link web/API stands twice in one change");
}

#[test]
fn an_actor_link_moves_only_where_its_ids_mean_the_same() {
    let links = table();
    let other = vec![class("Room", "key"), class("Hall", "other")];
    let green = Change::DefineSession { session: session("api@green"), classes: other, exports: None };
    links.change(vec![green, move_to("web/ROOMS", "api@green#Room")], None).unwrap();
    let refused = links.change(vec![move_to("web/ROOMS", "api@green#Hall")], None).unwrap_err();
    let expected = "link web/ROOMS makes ids for stored objects with the unique key `key`, \
        and class Hall of api@green has stored objects with the unique key `other`";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn one_bad_change_spoils_the_batch() {
    let links = table();
    let before = links.snapshot();
    let batch = vec![move_to("web/API", "api@green"), move_to("web/ROOMS", "api@green#Nope")];
    assert!(matches!(links.change(batch, None), Err(ChangeError::UnknownClass { .. })));
    assert!(Arc::ptr_eq(&before, &links.snapshot()));
}

#[test]
fn an_expected_revision_guards_against_other_operators_but_not_against_restarts() {
    let links = table();
    let seen = links.snapshot().relinked;
    links.publish(&session("api@green"), up("api@green", 1));
    let moved = links.change(vec![move_to("web/API", "api@green")], Some(seen)).unwrap();
    let late = links.change(vec![move_to("web/API", "plain")], Some(seen));
    assert_eq!(late, Err(ChangeError::Stale { expected: seen, found: moved }));
}

#[test]
fn a_route_follows_the_newest_listening_generation() {
    let links = table();
    let name = link("web/API");
    let why = |links: &Links| match links.load().route(&name) {
        Route::Parked(_, why) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&links), "session api@blue is starting");
    for number in [1, 2] {
        links.publish(&session("api@blue"), up("api@blue", number));
        assert!(matches!(links.load().route(&name), Route::Ready(_, found) if found.number == number));
    }
    links.publish(&session("api@blue"), SessionState::Down { why: "it exited with status 1".to_owned() });
    assert_eq!(why(&links), "session api@blue is down: it exited with status 1");
    assert!(matches!(links.load().route(&link("web/NOPE")), Route::Gone));
    links.publish(&session("stranger"), up("stranger", 1));
    assert!(links.load().session(&session("stranger")).is_none());
}

/// Many waiters, each of which must see the one snapshot it waits for although publications race with its start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost() {
    let links = Arc::new(table());
    for round in 0..200 {
        let waiter = tokio::spawn({
            let links = links.clone();
            async move {
                links
                    .until(|snapshot| match snapshot.route(&link("web/API")) {
                        Route::Ready(_, generation) if generation.number == round => Some(()),
                        _ => None,
                    })
                    .await
            }
        });
        links.publish(&session("api@blue"), up("api@blue", round));
        tokio::time::timeout(DEADLINE, waiter).await.expect("the waiter was not woken").unwrap();
    }
}

/// Writes down what it is asked to do, in order.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Barrier for Recorder {
    fn passed(&self, revision: Revision) -> BoxFuture<'_, ()> {
        async move { self.note(format!("passed {revision}")) }.boxed()
    }
}

impl Leases for Recorder {
    fn cut(&self, link: &LinkName, before: Revision) {
        self.note(format!("cut {link} before {before}"));
    }

    fn returned(&self, link: &LinkName, before: Revision) -> BoxFuture<'_, ()> {
        let text = format!("returned {link} before {before}");
        async move { self.note(text) }.boxed()
    }
}

#[tokio::test]
async fn a_retarget_is_in_force_everywhere_before_anything_is_cut() {
    let (links, seen) = (table(), Recorder::default());
    let changes = vec![move_to("web/API", "api@green"), move_to("web/ROOMS", "api@blue#Room")];
    let moved = retarget(&links, &seen, &seen, changes, None, true).await.unwrap();
    assert_eq!(moved.revision, Revision(2));
    moved.settled(&seen).await;
    let seen = seen.0.into_inner().unwrap();
    // web/ROOMS did not move: what goes on there is not old.
    let expected = [
        "passed 2",
        "cut web/API before 2",
        "cut web/ROOMS before 1",
        "returned web/API before 2",
        "returned web/ROOMS before 1",
    ];
    assert_eq!(seen, expected);
}

fn join(name: &str) -> Change {
    Change::JoinSession(session(name), jackfield::router::Origin::Run)
}

fn leads_to(links: &Links, name: &str) -> Result<String, String> {
    match links.load().route(&link(name)) {
        Route::Ready(link, generation) => {
            assert_eq!(*link.target.session(), generation.session);
            Ok(generation.session.to_string())
        }
        Route::Parked(_, why) => Err(why),
        Route::Gone => Err("gone".to_owned()),
    }
}

#[test]
fn the_rules_lead_the_links_of_sessions_that_joined_until_somebody_else_does() {
    let links = Links::new();
    links.change(vec![join("web@main")], None).unwrap();
    links.adopt(&link("web@main/api"));
    let why = leads_to(&links, "web@main/api").unwrap_err();
    assert_eq!(why, "there is no session called api");

    let comes = |name: &str| {
        links.change(vec![join(name)], None).unwrap();
        links.publish(&session(name), up(name, 1));
    };
    comes("api@feature");
    assert_eq!(leads_to(&links, "web@main/api").unwrap(), "api@feature", "the only one");
    let by_rule = links.snapshot().link(&link("web@main/api")).unwrap().revision;
    comes("api@other");
    let why = leads_to(&links, "web@main/api").unwrap_err();
    assert!(why.contains("api@feature, api@other"), "{why}");
    comes("api@main");
    assert_eq!(leads_to(&links, "web@main/api").unwrap(), "api@main", "the same scope");
    assert!(links.snapshot().link(&link("web@main/api")).unwrap().revision > by_rule);

    links.change(vec![move_to("web@main/api", "api@feature#Admin")], None).unwrap();
    links.change(vec![Change::DropSession(session("api@other"))], None).unwrap();
    assert_eq!(leads_to(&links, "web@main/api").unwrap(), "api@feature", "as the operator said");
    // What is linked before it calls for the first time.
    links.change(vec![move_to("web@main/my-queue", "api@main")], None).unwrap();
    assert_eq!(leads_to(&links, "web@main/my-queue").unwrap(), "api@main");
}

#[test]
fn what_goes_where_it_went_keeps_its_revision_though_another_rule_says_so() {
    let links = Links::new();
    links.change(vec![join("web"), join("api")], None).unwrap();
    links.adopt(&link("web/api"));
    let first = links.snapshot().link(&link("web/api")).unwrap().clone();
    links.change(vec![join("api@x"), join("unrelated")], None).unwrap();
    assert_eq!(links.snapshot().link(&link("web/api")).unwrap().revision, first.revision);
    // A session that a rule leads to may go at any time.
    links.change(vec![Change::DropSession(session("api"))], None).unwrap();
    assert_eq!(links.snapshot().link(&link("web/api")).unwrap().target.to_string(), "api@x");
}

#[test]
fn only_sessions_that_joined_get_links_as_they_call() {
    let links = table();
    links.adopt(&link("web/other"));
    assert!(matches!(links.load().route(&link("web/other")), Route::Gone));
    let refused = links.change(vec![move_to("web/other", "plain")], None);
    assert!(matches!(refused, Err(ChangeError::UnknownLink { .. })));
}

#[test]
fn a_name_without_a_scope_means_the_only_one_of_it() {
    let links = Links::new();
    links.change(vec![join("web@main"), join("api@a"), join("api@b")], None).unwrap();
    let now = links.snapshot();
    for (name, meant) in [("web", "web@main"), ("api", "api"), ("api@a", "api@a"), ("none", "none")] {
        assert_eq!(now.meant(session(name)), session(meant));
    }
}
