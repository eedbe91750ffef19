import { RpcStub, RpcTarget } from "cloudflare:workers";
import { outcome } from "../describe.js";

class Counter extends RpcTarget {
  #n = 0;
  next() {
    return (this.#n += 1);
  }
}

class Tree extends RpcTarget {
  get a() {
    return { b: { c: "deep in the caller" }, call: (x) => x * 21 };
  }
  descend(depth, other) {
    return depth === 0 ? "caller reached the bottom" : other.descend(depth - 1, new Tree());
  }
}

export const cases = {
  "callbacks/once": ({ b }) => b.callMe((...values) => ["got", ...values], 1, "two", [3n]),
  "callbacks/async": ({ b }) => b.callMe(async () => "later"),
  "callbacks/times": ({ b }) => b.callMeTimes((i) => i * i, 10),
  "callbacks/at-once": async ({ b }) => {
    const order = [];
    const answers = await b.callAllAtOnce((i) => (order.push(i), `answer ${i}`), 30);
    return { order, answers };
  },
  "callbacks/pipelined": ({ b }) => b.callPipelined(() => ({ inner: { method: (text) => [text, text] } })),
  "callbacks/three-levels": ({ b }) => b.pingPong(3, (text, back) => (back ? back(`${text} > caller`, (again) => `${again} > caller again`) : text)),
  "callbacks/descend-even": ({ b }) => b.descend(6, new Tree()),
  "callbacks/descend-odd": ({ b }) => b.descend(7, new Tree()),
  "callbacks/property": ({ b }) => b.readProperty(new Tree(), "a"),
  "callbacks/property-path": ({ b }) => b.readPath(new Tree()),
  "callbacks/missing-property": ({ b }) => b.readProperty(new Tree(), "nothing"),
  "callbacks/returned-then-called": async ({ b }) => {
    const seen = [];
    const back = await b.returnCallback((x) => (seen.push(x), x + 1));
    return { back, first: await back(1), second: await back(41), seen };
  },
  "callbacks/returned-pipelined": async ({ b }) => {
    const back = b.returnCallback((x) => `called with ${x}`);
    return [await back("before the answer"), await (await back)("after it")];
  },
  "callbacks/returned-to-again": async ({ b }) => {
    const back = await b.returnCallback((x) => `home: ${x}`);
    const again = await b.returnCallback(back.dup());
    return [await back("once"), await again("twice"), await b.relay(again, "thrice")];
  },
  "callbacks/wrapped": async ({ b }) => {
    const back = await b.wrapCallback((x) => `wrapped ${x}`);
    return [await back.original(1), await back.wrapped(2)];
  },
  "callbacks/compare": ({ b }) => {
    const f = () => "f";
    return b.compare(f, f);
  },
  "callbacks/made-by-callback": ({ b }) => b.callThenUseResult(() => new Counter()),
  "callbacks/stub-from-target-to-target": async ({ b }) => {
    const counter = await b.makeCounter("same-target");
    return [await b.useCounter(counter.dup()), await b.useCounter(counter.dup()), await counter.add(1)];
  },
  "callbacks/pipelined-stub-as-argument": async ({ b }) => {
    const counter = b.makeCounter("pipelined-argument");
    return [await b.useCounter(counter), await outcome(() => counter.add(5))];
  },
  "callbacks/property-as-argument": ({ b }) => b.callMe(b.tree.branch.twig.call, 1, 2),
  "callbacks/promise-as-argument": async ({ b }) => b.callMe(await b.returnCallback((x) => `promised ${x}`), 5),
  "callbacks/after-return": async ({ b, key }) => {
    const stub = new RpcStub((text) => `heard ${text}`);
    const returned = await b.callAfterReturn(stub.dup(), key);
    return { returned, notes: await b.awaitNotes(key, 1) };
  },
  "callbacks/kept-for-other-event": async ({ b, key }) => {
    await b.keep(key, () => "kept alive");
    return b.useKept(key);
  },
  "callbacks/between-two-calls": async ({ b }) => {
    const log = [];
    const [one, two] = await Promise.all([
      b.callMe(async (x) => { log.push(`one ${x}`); return b.callMe((y) => { log.push(`inner ${y}`); return y; }, 10); }, 1),
      b.callMe((x) => { log.push(`two ${x}`); return x; }, 2),
    ]);
    return { one, two, log: log.sort() };
  },
  "callbacks/reenters-same-stub": async ({ b }) => {
    const counter = await b.makeCounter("reenter");
    return counter.addFrom(async () => (await counter.add(100)) && 5);
  },
};
