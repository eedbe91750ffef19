// Shows what workerd makes of the values, and what it reads of ours.

import { inspect } from "node:util";
import { WorkerEntrypoint } from "cloudflare:workers";

import { values } from "./values.js";
import { errors, values as own } from "./workers.js";

const all = { ...values, ...errors, ...own };

// Errors get a stack anew where they are received.
function withoutPlaces(value, seen = new Set()) {
  if (typeof value !== "object" || value === null || seen.has(value)) return value;
  seen.add(value);
  if (value instanceof Error) value.stack = String(value);
  for (const part of Object.values(value)) withoutPlaces(part, seen);
  return value;
}

export default class extends WorkerEntrypoint {
  // Names of values: those that everybody has, V8's errors, and those of workers.
  names() {
    return [Object.keys(values), Object.keys(errors), Object.keys(own)];
  }

  make(name) {
    return all[name]();
  }

  // How the value is printed by someone who received it.
  describe(name) {
    const value = structuredClone(all[name]());
    return [inspect(value), inspect(value, { depth: null }), inspect(value, { colors: true })];
  }

  // Whether a value that came in is what was made, or what is wrong with it.
  same(name, value) {
    // A copy, since it loses what a value that travels loses.
    const made = structuredClone(all[name]());
    const [came, wanted] = [value, made].map((one) => inspect(withoutPlaces(one), { depth: null }));
    return came === wanted || `${came}\n  is not\n${wanted}`;
  }

  // A value as it came in, sent back.
  echo(value) {
    return value;
  }

  fail(name) {
    throw all[name]();
  }
}
