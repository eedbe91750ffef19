// Every way to fail that a caller can tell from another.
export class PaymentError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "PaymentError";
    this.code = "E_CARD";
    this.details = { attempts: 3, amounts: [1.5, -0, 10n], when: new Date(86_400_000), tags: new Set(["a", "b"]) };
  }
}

class Unnamed extends Error {}

class ShoutingTypeError extends TypeError {
  get name() {
    return "SHOUTING";
  }
}

const makers = {
  error: () => new Error("plain message"),
  empty: () => new Error(),
  typeError: () => new TypeError("bad type"),
  rangeError: () => new RangeError("out of range"),
  syntaxError: () => new SyntaxError("bad syntax"),
  referenceError: () => new ReferenceError("no such thing"),
  evalError: () => new EvalError("bad eval"),
  uriError: () => new URIError("bad uri"),
  native: () => { try { null.property; } catch (error) { return error; } },
  custom: () => new PaymentError("card declined"),
  unnamed: () => new Unnamed("class without a name of its own"),
  nameGetter: () => new ShoutingTypeError("name comes from a getter"),
  nameOverride: () => Object.assign(new Error("renamed"), { name: "Renamed: with colon" }),
  newlines: () => new Error("first line\nsecond line\n    at fake (frame.js:1:1)"),
  unicode: () => new Error("naïve 你好 \u{1f600} \ud800 lone"),
  long: () => new Error("x".repeat(20_000)),
  own: () => Object.assign(new Error("with own"), { code: 42, flag: false, nothing: null, missing: undefined, nested: { a: { b: [1, , 3] } } }),
  cause: () => new Error("outer", { cause: new TypeError("inner", { cause: { why: "because", n: 1n } }) }),
  causeCustom: () => new PaymentError("outer custom", { cause: new PaymentError("inner custom") }),
  cycle: () => { const error = new Error("cyclic"); error.self = error; error.box = { error }; return error; },
  stackOverride: () => Object.assign(new Error("own stack"), { stack: "a stack of my own" }),
  noStack: () => { const error = new Error("stack deleted"); delete error.stack; return error; },
  messageOverride: () => { const error = new Error("before"); error.message = "after"; return error; },
  domException: () => new DOMException("dom message", "DataCloneError"),
  domAbort: () => new DOMException("aborted it", "AbortError"),
  domOwn: () => Object.assign(new DOMException("dom with own", "NotFoundError"), { extra: { a: 1 } }),
  aggregate: () => new AggregateError([new TypeError("one"), new PaymentError("two"), "three", 4], "several"),
  flagged: () => Object.assign(new Error("pretends"), { retryable: true, overloaded: true, remote: false, durableObjectReset: true }),
  ownMethod: () => Object.assign(new Error("carries a function"), { explain: () => "explained" }),
  unclonable: () => Object.assign(new Error("carries a symbol"), { mark: Symbol("mark") }),
  prefixed: () => new Error("jsg.TypeError: looks like an internal prefix"),
  remotePrefixed: () => new Error("remote.jsg.Error: and so does this"),
  brokenPrefix: () => new Error("broken.exceededCpu; jsg.Error: tunnelled"),
  string: () => "thrown text",
  number: () => -0,
  null: () => null,
  undefined: () => undefined,
  object: () => ({ message: "an object with a message", code: 7 }),
  bigint: () => 12345678901234567890n,
  function: () => function thrown() {},
  symbol: () => Symbol("thrown"),
};

export const errorKinds = Object.keys(makers);
export const makeError = (kind) => makers[kind]();

export const Errors = (Base) => class extends Base {
  fail(kind) {
    throw makeError(kind);
  }

  async failLater(kind) {
    await scheduler.wait(1);
    throw makeError(kind);
  }

  /** As a value, not thrown: the same error goes through the value serialiser instead. */
  give(kind) {
    return makeError(kind);
  }

  get failingProperty() {
    throw makeError("custom");
  }

  get rejectingProperty() {
    return Promise.reject(makeError("custom"));
  }

  failInWaitUntil(kind) {
    this.ctx.waitUntil(Promise.reject(makeError(kind)));
    return "returned first";
  }

  abortContext(kind) {
    this.ctx.abort(makeError(kind));
  }

  unserialisable() {
    return { fine: 1, bad: Symbol("no") };
  }

  notRpc() {
    return new (class Hidden { secret() { return 1; } })();
  }

  throwStub() {
    throw Object.assign(new Error("with a live function"), { retry: () => "retried" });
  }
};
