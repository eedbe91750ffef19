import { outcome } from "../describe.js";
import { errorKinds, makeError } from "../target/errors.js";

export const cases = {
  "errors/unknown-method": ({ b }) => b.noSuchMethod(1),
  "errors/unknown-nested": ({ b }) => b.noSuchObject.inner.method(),
  "errors/unknown-property": ({ b }) => b.noSuchProperty,
  "errors/own-instance-field": ({ b }) => b.env,
  "errors/failing-property": ({ b }) => b.failingProperty,
  "errors/rejecting-property": ({ b }) => b.rejectingProperty,
  "errors/in-wait-until": ({ b }) => b.failInWaitUntil("custom"),
  "errors/unserialisable-result": ({ b }) => b.unserialisable(),
  "errors/non-rpc-class-result": ({ b }) => b.notRpc(),
  "errors/unserialisable-argument": ({ b }) => b.echo(Symbol("no")),
  "errors/throws-live-function": ({ b }) => b.throwStub(),
  "errors/context-abort": ({ b }) => b.abortContext("custom"),
  "errors/constructor": ({ open }) => open("broken").ping(),
  "errors/constructor-fetch": ({ open }) => open("broken").fetch("http://broken/"),
  "errors/plain-handler": ({ open }) => open("plain").twice(21),
  "errors/plain-handler-no-argument": ({ open }) => open("plain").twice(),
  "errors/plain-handler-two-arguments": ({ open }) => open("plain").twice(1, 2),
  "errors/call-on-number": ({ b }) => b.echo(5).method(),
  "errors/call-on-failed": async ({ b }) => {
    const failed = b.fail("custom");
    return [await outcome(() => failed.deeper.call()), await outcome(() => failed.property), await outcome(() => failed)];
  },
  "errors/callback-pipelined": ({ b }) => b.callPipelined(() => { throw makeError("custom"); }),
  "errors/after-error-works": async ({ b }) => [await outcome(() => b.fail("rangeError")), await b.echo("still here")],
  "errors/many-in-flight": ({ b }) => Promise.all(["error", "custom", "string", "domException"].map((kind) => outcome(() => b.failLater(kind)))),
  "errors/stack-of-caller": async ({ b }) => {
    async function namedFrame() {
      return await b.fail("error");
    }
    return namedFrame();
  },
  "errors/rethrown-through-callback": ({ b }) => b.callMe(() => b.fail("custom")),
  "errors/returned-promise-of-callback": ({ b }) => b.callMe(async () => { throw makeError("causeCustom"); }),
};

// Names that every object has, that the runtime keeps for itself, or that mean something to promises.
for (const name of ["constructor", "fetch", "dup", "toString", "valueOf", "then", "alarm", "webSocketMessage", "env", "ctx", "__proto__", "hasOwnProperty", "Symbol.dispose", "", "get", "put", "0"]) {
  cases[`errors/reserved-${name || "empty"}`] = async ({ b }) => {
    const factory = await b.makeFactory();
    return [await outcome(() => b[name]()), await outcome(() => b.tree[name]()), await outcome(() => factory[name]()), await outcome(() => b.tree[name].deeper)];
  };
}

for (const kind of errorKinds) {
  cases[`errors/thrown-${kind}`] = ({ b }) => b.fail(kind);
  cases[`errors/async-${kind}`] = ({ b }) => b.failLater(kind);
  cases[`errors/given-${kind}`] = ({ b }) => b.give(kind);
  cases[`errors/by-callback-${kind}`] = ({ b }) => b.catchFrom(() => { throw makeError(kind); });
}
