//! Durable Objects behind links: one id names one object, whoever makes it and whatever process keeps it.

use serde_json::{Value, json};

use crate::support::rig::Rig;

const PROJECT: &str = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
actors = { ROOMS = "api@blue#Room" }
[sessions."api@blue"]
script = "api.js"
compatibility_date = "2026-11-01"
vars = { NAME = "blue" }
[sessions."api@blue".durable_objects]
Room = { storage = "stored", binding = "OWN" }
[sessions."api@green"]
script = "api.js"
compatibility_date = "2026-11-01"
vars = { NAME = "green" }
[sessions."api@green".durable_objects]
Room = { storage = "stored", binding = "OWN" }
"##;

const WEB: &str = r#"
const NAMES = ["x", "", "café ☕", "y".repeat(2000)];
export default {
    async fetch(request, env) {
        const ids = NAMES.map((name) => env.ROOMS.idFromName(name));
        ids.push(env.ROOMS.idFromString(ids[0].toString().toUpperCase()));
        const said = [];
        for (const id of ids) said.push([id.toString(), await env.ROOMS.get(id).add()]);
        const unique = env.ROOMS.newUniqueId();
        const fresh = await env.ROOMS.get(unique).add();
        return Response.json({ said, fresh: [fresh[0] === unique.toString(), fresh[2]] });
    },
};
"#;

const API: &str = r#"
import { DurableObject } from "cloudflare:workers";
const NAMES = ["x", "", "café ☕", "y".repeat(2000)];
export class Room extends DurableObject {
    async add() {
        const n = ((await this.ctx.storage.get("n")) ?? 0) + 1;
        await this.ctx.storage.put("n", n);
        return [this.ctx.id.toString(), this.env.NAME, n];
    }
}
export default { fetch: (_, env) => Response.json(NAMES.map((name) => env.OWN.idFromName(name).toString())) };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn stored_objects_have_one_id_everywhere() {
    let rig = Rig::start(PROJECT, &[("web.js", WEB), ("api.js", API)]).await;
    let ids: Vec<String> = serde_json::from_str(&rig.get("api@blue", "/").await).unwrap();
    assert!(ids.iter().all(|id| id.len() == 64), "{ids:?}");
    // Counts stay where they were made: each session has state of its own.
    for (round, name) in [(0, "blue"), (1, "blue"), (0, "green"), (2, "blue")] {
        rig.retarget("web/ROOMS", &format!("api@{name}#Room")).await;
        let said: Value = serde_json::from_str(&rig.get("web", "/").await).unwrap();
        // The last one is the first again, in capitals.
        let mut expected: Vec<_> = ids.iter().map(|id| json!([id, [id, name, 1 + 2 * round]])).collect();
        for one in expected.iter_mut().skip(1) {
            one[1][2] = json!(1 + round);
        }
        expected.push(json!([ids[0], [ids[0], name, 2 + 2 * round]]));
        assert_eq!(said["said"], json!(expected), "round {round} of {name}");
        assert_eq!(said["fresh"], json!([true, 1]));
        if round == 1 {
            rig.kill("api@blue").await;
        }
    }
    assert_eq!(rig.counts().failed, 0);
}
