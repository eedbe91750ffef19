use super::*;
use crate::router::switch::Settings;
use crate::router::{Face, Router};
use crate::session::Services;

const RUN: Source = Source::Run(1);

struct Stage {
    table: Arc<Links>,
    members: Members,
    news: mpsc::Receiver<News>,
    folder: tempfile::TempDir,
    /// A debug port as any other, whoever is behind it.
    _port: (Arc<Router>, Face),
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        let router = Router::start(Arc::new(Links::new()), Settings::default()).unwrap();
        let face = router.serve_sessions(&folder.path().join("port")).unwrap();
        let (table, (tell, news)) = (Arc::new(Links::new()), mpsc::channel(8));
        let members = Members::new(table.clone(), table.clone(), tell);
        Self { table, members, news, folder, _port: (router, face) }
    }

    fn look(&mut self, source: &Source, workers: &[&str]) {
        let entry = Entry {
            debug_port: self.folder.path().join("port").into(),
            services: Services::alike("worker".to_owned()),
            queues: Vec::new(),
            instance: None,
        };
        let entries = workers.iter().map(|worker| ((*worker).to_owned(), entry.clone())).collect();
        let found = Listing { entries, ..Listing::default() };
        assert_eq!(self.members.look(source, found, &Called::default()), 0);
    }

    async fn learn(&mut self) {
        let news = self.news.recv().await.unwrap();
        self.members.learn(vec![news]);
    }

    fn sessions(&self) -> Vec<(String, bool)> {
        let now = self.table.snapshot();
        let is_up = |state: &SessionState| matches!(state, SessionState::Up(_));
        now.sessions().iter().map(|session| (session.name.to_string(), is_up(&session.state))).collect()
    }
}

fn rows(all: &[(&str, bool)]) -> Vec<(String, bool)> {
    all.iter().map(|(name, is_up)| ((*name).to_owned(), *is_up)).collect()
}

#[tokio::test]
async fn what_lies_in_a_registry_is_a_session_once_it_listens() {
    let mut stage = Stage::new();
    let plain = Source::Registry("/registry".into());
    stage.look(&plain, &["api"]);
    assert_eq!(stage.sessions(), []);
    stage.look(&RUN, &["web"]);
    assert_eq!(stage.sessions(), rows(&[("web", false)]));
    stage.learn().await;
    stage.learn().await;
    let now = stage.sessions();
    assert!(now.len() == 2 && now.iter().all(|(_, is_up)| *is_up), "{now:?}");
}

#[tokio::test]
async fn late_news_of_what_has_unregistered_are_nobodys_and_its_return_is_news() {
    let mut stage = Stage::new();
    stage.look(&RUN, &["api"]);
    let late = stage.news.recv().await.unwrap();
    stage.look(&RUN, &[]);
    stage.members.learn(vec![late]);
    assert_eq!(stage.sessions(), rows(&[("api", false)]));
    stage.look(&RUN, &["api"]);
    stage.learn().await;
    assert_eq!(stage.sessions(), rows(&[("api", true)]));
}

#[tokio::test]
async fn who_loses_its_name_to_the_project_gets_another_and_takes_nothing_along() {
    let mut stage = Stage::new();
    stage.look(&RUN, &["api"]);
    stage.learn().await;
    let api: SessionName = "api".parse().unwrap();
    let define = Change::DefineSession { session: api.clone(), classes: Vec::new(), exports: None };
    stage.table.change(vec![Change::DropSession(api.clone()), define], None).unwrap();
    stage.members.give_way();
    stage.learn().await;
    assert_eq!(stage.sessions(), rows(&[("api", false), ("api@2", true)]));
    stage.members.end_run(&RUN);
    age(&mut stage.members);
    stage.members.forget();
    assert_eq!(stage.sessions(), rows(&[("api", false)]));
    assert!(stage.members.all.is_empty());
}

#[tokio::test]
async fn a_session_that_somebody_else_has_dropped_is_forgotten() {
    let mut stage = Stage::new();
    stage.look(&RUN, &["api"]);
    stage.learn().await;
    stage.table.change(vec![Change::DropSession("api".parse().unwrap())], None).unwrap();
    stage.members.end_run(&RUN);
    stage.members.forget();
    assert_eq!(stage.members.all.len(), 1, "its name keeps its meaning for a while");
    age(&mut stage.members);
    stage.members.forget();
    assert!(stage.members.all.is_empty());
}

/// As if all that has ended had done so long ago.
fn age(members: &mut Members) {
    for member in &mut members.all {
        member.ended = member.ended.and_then(|ended| ended.checked_sub(crate::control::daemon::REMEMBER));
    }
}
