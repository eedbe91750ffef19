#!/usr/bin/env node
// How long the same two workers take under different tools, side by side:
//
//   node benches/sessions/run.mjs [--rounds N] [--only a,c,d] [--json]
//
//   a  wrangler 4.83, whose sessions are linked by a TCP proxy in Node
//   b  wrangler 4.164
//   c  wrangler 4.164 under `jackfield run`
//   d  `jackfield dev`
//   e  bare workerd, wired by hand
//
// The tools are installed with npm into the user's cache. jackfield is taken from target/release (JACKFIELD names
// another). Every round visits every tool, so that what disturbs the machine disturbs all of them; medians are told.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { contestants } from "./contestants.mjs";
import { Connection, burst } from "./load.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const rounds = Number(option("rounds", 15));
const only = option("only", "a,b,c,d,e").split(",");
const asJson = process.argv.includes("--json");
const KINDS = ["fetch", "rpc", "object"];
/** Requests of one round, one after the other. */
const IN_A_ROW = 40;
/** Calls within one request. */
const INNER = 500;
/** Connections at once, and for how long. */
const AT_ONCE = 32;
const BURST_MS = 1_500;

const median = (values) => {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : NaN;
};

/** Proportional memory of processes and, if asked for, of all that they started, in MB. */
function memory(pids, { below = true } = {}) {
  const children = new Map();
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
      const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {}
  }
  const all = new Set();
  const visit = (pid) => {
    if (all.has(pid)) return;
    all.add(pid);
    if (below) (children.get(pid) ?? []).forEach(visit);
  };
  pids.map(String).forEach(visit);
  let kilobytes = 0;
  for (const pid of all) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {}
  }
  return kilobytes / 1024;
}

async function measureRound(running, table) {
  const row = (table[running.name] ??= {});
  const note = (key, value) => (row[key] ??= []).push(value);
  const connection = await Connection.open(running.port);
  for (const kind of KINDS) {
    if (running.cannot?.includes(kind)) continue;
    await connection.get(`/${kind}`);
    for (let n = 0; n < IN_A_ROW; n++) note(`${kind}: request, ms`, await connection.timed(`/${kind}`));
    const many = await connection.timed(`/${kind}?times=${INNER}`);
    note(`${kind}: inner call, ms`, many / INNER);
  }
  connection.close();
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "jfb"));
  const chosen = contestants(here, folder).filter(({ name }) => only.includes(name));
  const table = {};
  const running = [];
  try {
    for (const contestant of chosen) {
      const began = performance.now();
      const started = await contestant.start();
      running.push({ ...contestant, ...started });
      const connection = await Connection.ready(started.port, "/rpc", "3");
      (table[contestant.name] ??= {})["start to first call, ms"] = [performance.now() - began];
      connection.close();
    }
    for (let round = 0; round < rounds; round++) {
      for (const one of running) await measureRound(one, table);
    }
    for (const one of running) {
      for (const kind of KINDS) {
        if (one.cannot?.includes(kind)) continue;
        const got = await burst(one.port, `/${kind}`, AT_ONCE, BURST_MS);
        table[one.name][`${kind}: requests/s at ${AT_ONCE}`] = [got];
      }
      table[one.name]["memory of everything, MB"] = [memory(one.pids())];
      if (one.daemon) table[one.name]["memory of the router, MB"] = [memory(one.daemon(), { below: false })];
    }
    for (const one of running.filter((one) => one.takeover)) {
      table[one.name]["takeover after kill -9, ms"] = [await one.takeover()];
    }
  } finally {
    for (const one of running) await one.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  report(table, chosen);
}

function report(table, chosen) {
  const medians = {};
  for (const [name, rows] of Object.entries(table)) {
    medians[name] = Object.fromEntries(Object.entries(rows).map(([key, values]) => [key, median(values)]));
  }
  if (asJson) {
    console.log(JSON.stringify(medians));
    return;
  }
  const keys = [...new Set(Object.values(medians).flatMap((rows) => Object.keys(rows)))];
  const names = Object.keys(medians);
  const show = (value) => (value === undefined ? "-" : value >= 100 ? value.toFixed(0) : value.toFixed(3));
  console.log(["".padEnd(28), ...names.map((name) => name.padStart(9))].join(" "));
  for (const key of keys) {
    console.log([key.padEnd(28), ...names.map((name) => show(medians[name][key]).padStart(9))].join(" "));
  }
  for (const { name, title } of chosen) console.log(`${name}  ${title}`);
}

await main();
