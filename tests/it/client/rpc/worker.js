import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

/** What happened, by key: calls tell it to later calls. */
const journal = new Map();
const note = (key, what) => journal.set(key, [...(journal.get(key) ?? []), what]);

class Counter extends RpcTarget {
  #value;
  #key;
  constructor(value, key) {
    super();
    this.#value = value;
    this.#key = key;
  }
  get value() { return this.#value; }
  increment(by = 1) { return (this.#value += by); }
  another(value) { return new Counter(value, this.#key); }
  fail(message) { throw new RangeError(message); }
  [Symbol.dispose]() { if (this.#key) note(this.#key, `disposed ${this.#value}`); }
}

export class PaymentError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "PaymentError";
    this.code = "E_CARD";
    this.details = { attempts: 3, amounts: [1.5, 10n] };
  }
}

const errors = {
  error: () => new Error("plain"),
  empty: () => new Error(),
  typeError: () => new TypeError("bad type"),
  rangeError: () => new RangeError("out of range"),
  syntaxError: () => new SyntaxError("bad syntax"),
  referenceError: () => new ReferenceError("no such thing"),
  evalError: () => new EvalError("bad eval"),
  custom: () => new PaymentError("declined", { cause: new TypeError("inner") }),
  colon: () => Object.assign(new Error("with: colons: in it"), { name: "Odd: name" }),
  unicode: () => new Error("naïve 你好 😀"),
  own: () => Object.assign(new Error("own"), { code: 42, nested: { a: [1, null] } }),
  flagged: () => Object.assign(new Error("pretends"), { retryable: true, overloaded: true }),
  domAbort: () => new DOMException("aborted it", "AbortError"),
  string: () => "thrown text",
  number: () => 7,
  null: () => null,
  object: () => ({ message: "an object", code: 7 }),
};

const part = new TextEncoder().encode("0123456789abcdef".repeat(4096));
const text = (length) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += part.length) bytes.set(part.subarray(0, Math.min(part.length, length - at)), at);
  return bytes;
};

const sum = async (stream) => {
  let length = 0;
  for await (const bytes of stream) length += bytes.length;
  return length;
};

export default class extends WorkerEntrypoint {
  add(a, b) { return a + b; }
  echo(value) { return value; }
  count(...values) { return values.length; }
  nothing() {}
  describe(value) {
    return `${Object.prototype.toString.call(value)} ${JSON.stringify(value, (_, part) =>
      typeof part === "bigint" ? `${part}n` : part === undefined ? "undefined" : part)}`;
  }
  get answer() { return 42; }
  get obj() { return { deep: { v: 7, method: (a) => a * 2 } }; }
  own = "not reachable";

  counter(value, key) { return new Counter(value, key); }
  func(key) { return Object.assign((a, b) => a * b, { [Symbol.dispose]: () => note(key, "disposed function") }); }
  boxed(key) { return { counter: new Counter(5, key), list: [new Counter(6, key)], plain: "p" }; }
  disposable(key) { return { plain: 1, [Symbol.dispose]: () => note(key, "disposed object") }; }
  journal(key) { return journal.get(key) ?? []; }
  async use(stub, by) { return stub.increment(by); }
  async through(stub, method, ...args) { return stub[method](...args); }
  async read(stub, property) { return stub[property]; }
  async times(stub, count) { return Promise.all(Array.from({ length: count }, () => stub.increment())); }
  noted(key) { note(key, "noted"); }

  fail(kind) { throw errors[kind](); }
  async failLater(kind) { await scheduler.wait(1); throw errors[kind](); }
  unserializable() { return { fine: 1, bad: Symbol("no") }; }
  large(bytes) { return new Uint8Array(bytes); }
  async caught(callback) {
    try { await callback(); return "nothing thrown"; } catch (error) {
      const own = Object.fromEntries(Object.entries(error));
      delete own.stack;
      return { name: error.name, message: error.message, type: error instanceof TypeError, dom: error instanceof DOMException, own,
        cause: error.cause instanceof Error ? `${error.cause}` : undefined };
    }
  }

  call(callback, ...args) { return callback(...args); }
  async twice(callback) { return [await callback(1), await callback(2)]; }
  method(object) { return object.greet("worker"); }
  async property(object) { return [await object.name, await object.a.b]; }
  pipelined(callback) { return callback().inner.method("pipelined"); }
  /** Calls with a function of its own, down to zero. */
  async pingPong(depth, callback) {
    if (depth === 0) return callback("bottom");
    return callback(`worker ${depth}`, (text, back) => (back ? back(`${text} > worker`) : `${text} > end`));
  }
  async keep(callback, key) {
    const own = callback.dup();
    this.ctx.waitUntil((async () => { note(key, await own("later")); own[Symbol.dispose](); })());
    return "kept";
  }

  give(length) { return new Response(text(length)).body; }
  giveSlowly(length) {
    let left = length;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        const bytes = text(Math.min(left, 65536));
        left -= bytes.length;
        if (bytes.length) controller.enqueue(bytes);
        if (left === 0) controller.close();
      },
    });
  }
  giveBroken() {
    let first = true;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (first) { first = false; controller.enqueue(text(10)); } else controller.error(new TypeError("broke off"));
      },
    });
  }
  take(stream) { return sum(stream); }
  async takeText(stream) { return new Response(stream).text(); }
  async takeFailing(stream) { try { return await sum(stream); } catch (error) { return `${error}`; } }
  pass(stream) { return stream; }
  async write(stream, length) {
    const writer = stream.getWriter();
    for (let left = length; left > 0; left -= 65536) await writer.write(text(Math.min(left, 65536)));
    await writer.close();
    return length;
  }
  async abortWriting(stream) {
    const writer = stream.getWriter();
    await writer.write(text(10));
    await writer.abort(new TypeError("given up"));
  }
  writable(key) {
    const { readable, writable } = new TransformStream();
    this.ctx.waitUntil((async () => note(key, await new Response(readable).text()))());
    return writable;
  }

  /** Says when the first bytes came, and reads on when that was noted. */
  writableLater(key) {
    const { readable, writable } = new TransformStream();
    this.ctx.waitUntil((async () => {
      const reader = readable.getReader();
      let length = (await reader.read()).value.byteLength;
      note(key, "began");
      while (!journal.get(`${key} open`)) await scheduler.wait(1);
      for (let part; !(part = await reader.read()).done;) length += part.value.byteLength;
      note(key, `${length}`);
    })());
    return writable;
  }

  /** Says when it began, and that it was stopped. */
  async hang(key, callback) {
    note(key, "began");
    const stop = setInterval(() => {}, 1000);
    try { if (callback) await callback(); await new Promise(() => {}); } finally { clearInterval(stop); note(key, "ended"); }
  }
  async ticks(callback) {
    for (;;) { await callback(); await scheduler.wait(1); }
  }
  props() { return this.ctx.props; }
}

export class Named extends WorkerEntrypoint {
  props() { return this.ctx.props; }
}

/** Counts in its memory, so that another object counts anew. */
class Kept extends DurableObject {
  count = 0;
  get kind() { return this.constructor.name; }
  add(by) { return (this.count += by); }
  which() { return `${this.ctx.id}`; }
  counter(value, key) { return new Counter(value, key); }
  fail(kind) { throw errors[kind](); }
  async call(callback, ...args) { return callback(...args); }
  take(stream) { return sum(stream); }
  give(length) { return new Response(text(length)).body; }
  abort() { this.ctx.abort("on purpose"); }
}
export class Room extends Kept {}
export class Draft extends Kept {}
