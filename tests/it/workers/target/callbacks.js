// The target calls back: the capability lives at the caller, the call runs the other way on the same connection.
import { outcome } from "../describe.js";
import { note } from "./journal.js";

/** Kept across events on purpose; using one from another event must fail the same way through any middle. */
const kept = new Map();

export const Callbacks = (Base) => class extends Base {
  callMe(callback, ...values) {
    return callback(...values);
  }

  async callMeTimes(callback, times) {
    const answers = [];
    for (let i = 0; i < times; i += 1) answers.push(await callback(i));
    return answers;
  }

  async callAllAtOnce(callback, times) {
    return Promise.all(Array.from({ length: times }, (_, i) => callback(i)));
  }

  catchFrom(callback) {
    return outcome(() => callback());
  }

  /** Pipelines on the caller's answer before it is there. */
  callPipelined(callback) {
    return callback().inner.method("pipelined");
  }

  /** B calls A with a function of B, A calls that one with a function of A, and so on down to zero. */
  async pingPong(depth, callback) {
    if (depth === 0) return callback("bottom at target");
    return callback(`target ${depth}`, (text, back) => (back ? back(`${text} > target`) : `${text} > target end`));
  }

  descend(depth, other) {
    return depth === 0 ? "target reached the bottom" : other.descend(depth - 1, { descend: (d, o) => this.descend(d, o) });
  }

  async readProperty(object, name) {
    return object[name];
  }

  async readPath(object) {
    return [await object.a.b.c, await object.a.call(2)];
  }

  returnCallback(callback) {
    return callback;
  }

  wrapCallback(callback) {
    const own = callback.dup();
    return { original: callback.dup(), wrapped: (...values) => own(...values), [Symbol.dispose]: () => own[Symbol.dispose]() };
  }

  keep(key, callback) {
    kept.set(key, callback.dup());
  }

  useKept(key) {
    return outcome(() => kept.get(key)());
  }

  async callAfterReturn(callback, key) {
    const own = callback.dup();
    this.ctx.waitUntil((async () => {
      note(key, await outcome(() => own("after the return")));
      own[Symbol.dispose]();
    })());
    return "returned";
  }

  async compare(first, second) {
    return { same: first === second, first: await first(), second: await second() };
  }

  async relay(callback, value) {
    return { relayed: await callback(value) };
  }

  async callThenUseResult(callback) {
    const made = await callback();
    const first = await made.next();
    const second = await made.next();
    made[Symbol.dispose]();
    return [first, second];
  }
};
