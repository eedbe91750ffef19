// Stands before the main module of a session, in a process that listens nowhere, and says what that module exports.
//
// Everything is exported on, so that workerd finds fault with it as it would if the module were the main one.

import { say } from "./say.js";
import * as main from "./main.js";
import * as workers from "cloudflare:workers";

export * from "./main.js";
export default main.default ?? {};

/** What workerd takes an export for. @param {unknown} value */
function kind(value) {
  if (typeof value !== "function") return "entrypoint";
  for (let link = value; link !== null; link = Object.getPrototypeOf(link)) {
    if (link === workers.DurableObject) return "class";
    if (link === workers.WorkerEntrypoint || link === workers.WorkflowEntrypoint) return "entrypoint";
  }
  // It extends nothing of workerd's: in the beginning such classes were those of Durable Objects.
  return "class";
}

/** Events that no link carries. @param {string} name */
function handles(name) {
  const handler = typeof main.default === "function" ? main.default.prototype : main.default;
  return typeof handler?.[name] === "function";
}

const handlers = ["queue", "scheduled"].filter(handles);
const exported = Object.entries(main).map(([name, value]) => [name, kind(value)]);
say(`jackfield:exports ${JSON.stringify({ session: "SESSION", exports: exported, handlers })}`);
