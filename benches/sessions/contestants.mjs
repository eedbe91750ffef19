// How each tool is started with the two workers.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { Connection } from "./load.mjs";

const PACKAGES = {
  wrangler: "4.164.0",
  "wrangler-4-83": "npm:wrangler@4.83.0",
  [`node-${process.platform}-${process.arch}`]: "24.21.0",
};

/** Installs the tools once, and says where they lie. */
function tools() {
  const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  const folder = path.join(cache, "jackfield", "bench-tools");
  const wanted = JSON.stringify({ private: true, dependencies: PACKAGES });
  const done = path.join(folder, "installed.json");
  if (!fs.existsSync(done) || fs.readFileSync(done, "utf8") !== wanted) {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, "package.json"), wanted);
    const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
    if (status !== 0) throw new Error("npm could not install the tools");
    fs.writeFileSync(done, wanted);
  }
  const module = (name) => path.join(folder, "node_modules", name);
  return {
    node: path.join(module(`node-${process.platform}-${process.arch}`), "bin/node"),
    wrangler: (name) => path.join(module(name), "bin/wrangler.js"),
    module,
  };
}

const ENVIRONMENT = {
  ...process.env,
  WRANGLER_SEND_METRICS: "false",
  CI: "1",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};

/** A port that is free now. */
const freePort = () =>
  new Promise((done) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const CONFIGS = {
  web: {
    name: "web",
    main: "web.js",
    compatibility_date: "2026-03-01",
    services: [{ binding: "API", service: "api" }],
    durable_objects: { bindings: [{ name: "ROOMS", class_name: "Room", script_name: "api" }] },
  },
  api: {
    name: "api",
    main: "api.js",
    compatibility_date: "2026-03-01",
    durable_objects: { bindings: [{ name: "ROOMS", class_name: "Room" }] },
    migrations: [{ tag: "v1", new_sqlite_classes: ["Room"] }],
  },
};

/** Processes that end together. */
class Group {
  children = [];
  constructor(log) {
    this.log = fs.openSync(log, "a");
  }
  spawn(command, args, options) {
    const stdio = ["ignore", this.log, this.log];
    const child = spawn(command, args, { stdio, ...options, env: { ...ENVIRONMENT, ...options?.env } });
    this.children.push(child);
    return child;
  }
  pids = () => this.children.filter((child) => child.exitCode === null).map((child) => child.pid);
  stop = async () => {
    const ended = this.children.map((child) => child.exitCode ?? new Promise((done) => child.once("exit", done)));
    // The tools start processes that outlive them.
    for (const child of this.children) {
      killTree(child.pid);
      child.kill("SIGTERM");
    }
    await Promise.race([Promise.all(ended), new Promise((done) => setTimeout(done, 5_000))]);
  };
}

export function contestants(here, folder) {
  const { node, wrangler, module } = tools();
  const jackfield = process.env.JACKFIELD ?? path.resolve(here, "../../target/release/jackfield");
  /** The two projects, in a place of a contestant's own. */
  const projects = (name) => {
    for (const [worker, config] of Object.entries(CONFIGS)) {
      const project = path.join(folder, name, worker);
      fs.mkdirSync(project, { recursive: true });
      fs.copyFileSync(path.join(here, `${worker}.js`), path.join(project, `${worker}.js`));
      fs.writeFileSync(path.join(project, "wrangler.jsonc"), JSON.stringify(config));
    }
    return path.join(folder, name);
  };
  const own = (base) => ({
    JACKFIELD_RUNTIME_DIR: path.join(base, "run"),
    XDG_CONFIG_HOME: path.join(base, "config"),
    XDG_STATE_HOME: path.join(base, "state"),
    CLOUDFLARE_DEV_REGISTRY_PATH: path.join(base, "registry"),
  });
  const wranglers = (name, version, before, environment) => async () => {
    const base = projects(name);
    const group = new Group(path.join(base, "log"));
    const dev = (worker, port) => {
      const command = [...before, node, wrangler(version), "dev", "--port", String(port), "--inspector-port", "0"];
      const cwd = path.join(base, worker);
      return group.spawn(command[0], command.slice(1), { cwd, env: environment(base) });
    };
    const port = await freePort();
    let api = dev("api", await freePort());
    dev("web", port);
    const takeover = async () => {
      const connection = await Connection.ready(port, "/rpc", "3");
      connection.close();
      killTree(api.pid);
      const listens = await freePort();
      api = dev("api", listens);
      (await Connection.ready(listens, "/", "api")).close();
      const began = performance.now();
      (await Connection.ready(port, "/rpc", "3")).close();
      return performance.now() - began;
    };
    return { port, pids: group.pids, stop: group.stop, takeover };
  };
  const registry = (base) => ({
    WRANGLER_REGISTRY_PATH: path.join(base, "registry"),
    MINIFLARE_REGISTRY_PATH: path.join(base, "registry"),
    CLOUDFLARE_DEV_REGISTRY_PATH: path.join(base, "registry"),
  });
  return [
    { name: "a", title: "wrangler 4.83", cannot: ["object"], start: wranglers("a", "wrangler-4-83", [], registry) },
    { name: "b", title: "wrangler 4.164", start: wranglers("b", "wrangler", [], registry) },
    {
      name: "c",
      title: "wrangler 4.164 under `jackfield run`",
      start: async () => {
        const started = await wranglers("c", "wrangler", [jackfield, "run", "--"], own)();
        const daemon = () => daemonOf(own(path.join(folder, "c")).JACKFIELD_RUNTIME_DIR);
        return { ...started, pids: () => [...started.pids(), ...daemon()], daemon };
      },
    },
    { name: "d", title: "jackfield dev", start: () => dev(projects("d"), jackfield, own) },
    { name: "e", title: "bare workerd", start: () => bare(projects("e"), path.resolve(here, "../.."), module) },
  ];
}

/** The daemon of a folder, as its lock says. */
function daemonOf(runtime) {
  const locks = fs.readdirSync(runtime).map((name) => path.join(runtime, name, "lock"));
  return locks.filter(fs.existsSync).map((lock) => Number(fs.readFileSync(lock, "utf8").split("\n")[0]));
}

/** All that was started below a process, but not that process. */
function killTree(pid) {
  const { stdout } = spawnSync("pgrep", ["-P", String(pid)], { encoding: "utf8" });
  for (const child of stdout.split("\n").filter(Boolean)) {
    const below = Number(child);
    killTree(below);
    process.kill(below, "SIGKILL");
  }
}

async function dev(base, jackfield, own) {
  const group = new Group(path.join(base, "log"));
  const port = await freePort();
  const configs = ["web", "api"].map((worker) => path.join(base, worker, "wrangler.jsonc"));
  group.spawn(jackfield, ["dev", ...configs, "--listen", `127.0.0.1:${port}`], { cwd: base, env: own(base) });
  const daemon = () => daemonOf(own(base).JACKFIELD_RUNTIME_DIR);
  /** From the kill itself: who restarts the session is measured as well. */
  const takeover = async () => {
    const env = { ...ENVIRONMENT, ...own(base) };
    const listed = spawnSync(jackfield, ["ls", "--json"], { cwd: base, env, encoding: "utf8" });
    const { pid } = JSON.parse(listed.stdout).sessions.find(({ session }) => session === "api");
    const began = performance.now();
    process.kill(pid, "SIGKILL");
    (await Connection.ready(port, "/rpc", "3")).close();
    return performance.now() - began;
  };
  return { port, pids: () => [...group.pids(), ...daemon()], daemon, stop: group.stop, takeover };
}

/** Two processes, wired by hand: a socket for services, the debug port for objects. */
async function bare(base, root, module) {
  const workerd = newestWorkerd(module);
  const group = new Group(path.join(base, "log"));
  const [port, debug] = [await freePort(), path.join(base, "debug")];
  fs.copyFileSync(path.join(root, "workers/actor-proxy/index.js"), path.join(base, "proxy.js"));
  fs.writeFileSync(path.join(base, "config.capnp"), configs(base, port, debug));
  const serve = (name, more) =>
    group.spawn(workerd, ["serve", "config.capnp", name, "--experimental", ...more], { cwd: base });
  serve("api", [`--debug-port=unix:${debug}`]);
  serve("web", []);
  return { port, pids: group.pids, stop: group.stop };
}

/** The one that the newest wrangler brings. */
function newestWorkerd(module) {
  const name = `@cloudflare/workerd-${process.platform}-${process.arch === "x64" ? "64" : process.arch}/bin/workerd`;
  const places = [module(path.join("wrangler/node_modules", name)), module(name)];
  const found = places.find(fs.existsSync);
  if (!found) throw new Error(`there is no workerd at ${places.join(" or ")}`);
  return found;
}

function configs(base, port, debug) {
  return `using Workerd = import "/workerd/workerd.capnp";
const api :Workerd.Config = (
  services = [(name = "api", worker = (
    modules = [(name = "api.js", esModule = embed "api/api.js")], compatibilityDate = "2026-03-01",
    durableObjectNamespaces = [(className = "Room", uniqueKey = "api-Room")],
    durableObjectStorage = (inMemory = void)))],
  sockets = [(name = "link", address = "unix:${base}/link", service = "api", http = (capnpConnectHost = "api"))]);
const web :Workerd.Config = (
  services = [
    (name = "web", worker = (
      modules = [(name = "web.js", esModule = embed "web/web.js")], compatibilityDate = "2026-03-01",
      bindings = [(name = "API", service = "api"),
        (name = "ROOMS", durableObjectNamespace = (className = "ActorProxy", serviceName = "rooms"))])),
    (name = "rooms", worker = (
      modules = [(name = "proxy.js", esModule = embed "proxy.js")], compatibilityDate = "2026-03-01",
      compatibilityFlags = ["experimental"],
      bindings = [(name = "PORT", workerdDebugPort = void), (name = "ADDRESS", text = "unix:${debug}"),
        (name = "LINK", text = "api"), (name = "CLASS", text = "Room")],
      durableObjectNamespaces = [(className = "ActorProxy", uniqueKey = "api-Room")],
      durableObjectStorage = (inMemory = void))),
    (name = "api", external = (address = "unix:${base}/link", http = (capnpConnectHost = "api")))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", service = "web")]);
`;
}
