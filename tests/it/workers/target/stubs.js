// Objects of the target that the caller holds: order of calls, copies, and when they are let go.
import { RpcStub, RpcTarget } from "cloudflare:workers";
import { journal, note } from "./journal.js";

class Counter extends RpcTarget {
  #key;
  #count = 0;

  constructor(key) {
    super();
    this.#key = key;
  }

  add(amount) {
    return (this.#count += amount);
  }

  /** Slow calls let later ones overtake in their answers, never in their start. */
  async addSlowly(amount, turns) {
    const before = this.#count;
    this.#count += amount;
    note(`${this.#key}/starts`, amount);
    for (let turn = 0; turn < turns; turn += 1) await scheduler.wait(1);
    return { before, after: before + amount };
  }

  async addFrom(callback) {
    return (this.#count += await callback());
  }

  get count() {
    return this.#count;
  }

  child(name) {
    return new Counter(`${this.#key}/${name}`);
  }

  notes() {
    return journal(this.#key);
  }

  starts() {
    return journal(`${this.#key}/starts`);
  }

  self() {
    return this;
  }

  [Symbol.dispose]() {
    note(this.#key, `disposed at ${this.#count}`);
  }
}

/**
 * Makes the things whose end is watched. It stays held meanwhile: with the last capability of a session its context ends
 * too, and then no disposer runs.
 */
class Factory extends RpcTarget {
  makeCounter(key) {
    return new Counter(key);
  }

  makePair(key) {
    const counter = new RpcStub(new Counter(key));
    return { first: counter, second: counter.dup(), label: "pair" };
  }

  makeMany(key, count) {
    return Array.from({ length: count }, (_, i) => new Counter(`${key}/${i}`));
  }

  makeFunction(key) {
    return Object.assign((x) => x * 2, { [Symbol.dispose]: () => note(key, "function disposed") });
  }

  makeWithDisposer(key) {
    return { value: 1, counter: new Counter(`${key}/inner`), [Symbol.dispose]: () => note(key, "result disposed") };
  }

  notes(key) {
    return journal(key);
  }
}

export const Stubs = (Base) => class extends Base {
  makeFactory() {
    return new Factory();
  }

  makeCounter(key) {
    return new Counter(key);
  }

  async makeCounterSlowly(key) {
    await scheduler.wait(3);
    return new Counter(key);
  }

  async relayTarget(target) {
    return target.call("relayed");
  }

  holdTarget(target, key) {
    const own = target.dup();
    return { use: (x) => own.call(x), [Symbol.dispose]: () => { own[Symbol.dispose](); note(key, "holder disposed"); } };
  }

  async keepThenAbort(target) {
    target.dup();
    this.ctx.abort(new RangeError("context aborted"));
    await new Promise(() => {});
  }

  abortable() {
    const ctx = this.ctx;
    return { ping: () => "pong", abort: () => ctx.abort(new RangeError("aborted on request")) };
  }

  async useCounter(counter) {
    return [await counter.add(1), await counter.add(10)];
  }

  /** Never returns. Adds a line for as long as it runs, and holds the callback meanwhile. */
  async hang(key, callback) {
    const own = callback?.dup();
    note(key, "started");
    for (;;) {
      await scheduler.wait(1);
      note(key, "runs");
      if (own === null) break;
    }
  }

  async hangSilently(key, callback) {
    const own = callback.dup();
    note(key, "started");
    await new Promise(() => {});
    own[Symbol.dispose]();
  }

  /** Goes through `gate` callbacks one after the other: the caller decides when each step ends. */
  async steps(gate, count) {
    const passed = [];
    for (let i = 0; i < count; i += 1) passed.push(await gate(i));
    return passed;
  }
};
