// The worker that calls. `/cases` lists what there is, `/case/<name>` runs one and tells all that could be observed.
import { tell } from "../describe.js";
import { cases as callbacks } from "./callbacks.js";
import { debugOnly, entrypoints } from "./entrypoints.js";
import { cases as errors } from "./errors.js";
import { cases as fetches } from "./fetch.js";
import { cases as sockets } from "./sockets.js";
import { cases as streams } from "./streams.js";
import { cases as stubs } from "./stubs.js";
import { cases as values } from "./values.js";

const everywhere = { ...errors, ...values, ...callbacks, ...stubs, ...streams, ...fetches, ...sockets, ...entrypoints };
const casesOf = (via) => (via === "debug" ? { ...everywhere, ...debugOnly } : everywhere);

/** A case that takes this long hangs, which is never right. */
const LIMIT_MS = 15_000;

/** The target as one case sees it: by link (an external service) or by debug port. */
function reach(via, key, env) {
  const names = env.NAMES;
  const connect = () => env.DEBUG.connect(env.DEBUG_ADDRESS);
  let b;
  const open = via === "debug" ? (name) => connect().getEntrypoint(...names[name]) : (name) => env[name.toUpperCase()];
  return {
    key, env, names, connect, open,
    // Opened at the first use: some cases only need an actor, and a transcript holds one connection.
    get b() {
      return (b ??= open("api"));
    },
    actor: (name, id) => connect().getActor(...names[name], id),
    // Actor ids of this run alone, so that runs against one target process do not meet.
    ids: (n) => [...`${key}/${n}`].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("").padStart(64, "0").slice(-64),
    self: async (path) => (await env.SELF.fetch(`http://caller${path}&via=${via}`)).text(),
  };
}

async function run(name, via, key, env) {
  const body = casesOf(via)[name];
  if (!body) return { missing: name };
  const limit = scheduler.wait(LIMIT_MS).then(() => ({ hangs: true }));
  return Promise.race([tell(() => body(reach(via, key, env))), limit]);
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const via = url.searchParams.get("via");
    const key = url.searchParams.get("key");
    if (url.pathname === "/cases") return Response.json(Object.keys(casesOf(via)));
    // These two leave a call running and end: the target must notice.
    if (url.pathname === "/abandon" || url.pathname === "/abandon-fetch") {
      const { b } = reach(via, key, env);
      const left = url.pathname === "/abandon" ? b.hang(key) : b.fetch(`http://target.example/hang?key=${key}`);
      left.catch(() => {});
      await b.awaitNotes(key, 1);
      return new Response("left");
    }
    const name = decodeURIComponent(url.pathname.slice("/case/".length));
    return new Response(JSON.stringify(await run(name, via, key, env), null, 1));
  },
};
