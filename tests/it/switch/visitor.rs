//! A caller of the debug-port face that is no session of ours.

use serde_json::json;

use super::cast::WEB;
use crate::support::rig::Rig;
use crate::support::running::Running;
use crate::support::talk::Talk;

/// A caller with a debug-port binding of its own, as other tools start them.
pub struct Visitor {
    running: Running,
    pub face: String,
}

impl Visitor {
    pub fn start(rig: &Rig) -> Self {
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        std::fs::write(folder.path().join("web.js"), WEB).unwrap();
        let config = r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "web", worker = (modules = [(name = "web.js", esModule = embed "web.js")],
    compatibilityDate = "2026-11-01", bindings = [(name = "PORT", workerdDebugPort = void)]))],
  sockets = [(name = "http", address = "unix:http", http = (style = proxy), service = "web")]);
"#;
        let face = rig.runtime.debug_face(&"web".parse().unwrap());
        let running = Running::start(folder, config, &["http"]);
        Visitor { running, face: format!("unix:{}", face.display()) }
    }

    pub async fn talk(&self) -> Talk {
        Talk::with(&self.running.path("http")).await
    }

    pub async fn hold_port(&self, talk: &Talk, service: &str, entrypoint: Option<&str>) {
        talk.begin("holdPort", &[json!(self.face), json!(service), json!(entrypoint)]).await.unwrap();
    }

    pub async fn hold_actor(&self, talk: &Talk, service: &str, class: &str, id: &str) {
        let args = [json!(self.face), json!(service), json!(class), json!(id)];
        talk.begin("holdActor", &args).await.unwrap();
    }
}
