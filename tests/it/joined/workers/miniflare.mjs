// Starts a Miniflare whose worker calls another session, and prints what that answers until it is what is wanted.
// Arguments: a file beside which miniflare is installed, and the generation of its API.
import { createRequire } from "node:module";

const [, , beside, version] = process.argv;
const { Miniflare } = createRequire(beside)("miniflare");
const script = `export default {
  async fetch(request, env) { return new Response(await (await env.API.fetch("http://api/x")).text()); },
}`;
const compatibilityDate = "2026-03-01";
const older = { name: "mf", modules: true, compatibilityDate, script, serviceBindings: { API: "api" } };
const newer = {
  config: {
    name: "mf",
    compatibilityDate,
    manifest: { mainModule: "index.js", modules: { "index.js": { type: "esm", contents: script } } },
    env: { API: { type: "worker", worker: "api" } },
  },
  dev: { unsafeRegisterWorker: true },
};
const worker = version === "4" ? older : newer;
const miniflare = new Miniflare({ unsafeDevRegistryPath: process.env.MINIFLARE_REGISTRY_PATH, workers: [worker] });
let told = "";
for (let tries = 0; tries < 200 && !told.startsWith("api"); tries++) {
  told = await (await miniflare.dispatchFetch("http://mf/")).text();
  await new Promise((done) => setTimeout(done, 50));
}
console.log(told);
await miniflare.dispose();
