import { RpcStub, RpcTarget } from "cloudflare:workers";
import { outcome } from "../describe.js";

/** A capability of this side that tells when it is let go. */
export function watched() {
  const { promise, resolve } = Promise.withResolvers();
  let times = 0;
  class Watched extends RpcTarget {
    call(x) {
      return `watched ${x}`;
    }
    [Symbol.dispose]() {
      times += 1;
      resolve("disposed");
    }
  }
  return { target: new Watched(), disposed: promise, times: () => times };
}

/** Runs a case with a factory of the target that stays alive until the case is over. */
const watching = (run) => async (t) => {
  using made = await t.b.makeFactory();
  return await run({ b: t.b, key: t.key, made });
};

export const ordering = {
  "order/hundred-on-one-stub": async ({ b, key }) => {
    const counter = await b.makeCounter(key);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => counter.add(i)));
    return answers;
  },
  "order/slow-calls-start-in-order": async ({ b, key }) => {
    const counter = await b.makeCounter(key);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => counter.addSlowly(i, (i * 7) % 5)));
    return { answers, starts: await counter.starts() };
  },
  "order/before-and-after-resolve": async ({ b, key }) => {
    const promise = b.makeCounter(key);
    const before = Array.from({ length: 20 }, () => promise.add(1));
    const counter = await promise;
    const after = Array.from({ length: 20 }, () => counter.add(1));
    const late = Array.from({ length: 5 }, () => promise.add(1));
    return Promise.all([...before, ...after, ...late]);
  },
  "order/before-and-after-slow-resolve": async ({ b, key }) => {
    const promise = b.makeCounterSlowly(key);
    const before = Array.from({ length: 20 }, () => promise.add(1));
    const counter = await promise;
    return Promise.all([...before, counter.add(1), promise.add(1), counter.add(1)]);
  },
  // The answer is a capability of the caller: calls made along the promise must not be overtaken by direct ones.
  "order/own-capability-through-promise": async ({ b }) => {
    const log = [];
    const promise = b.returnCallback((x) => (log.push(x), x));
    const before = Array.from({ length: 10 }, (_, i) => promise(`before ${i}`));
    const back = await promise;
    const after = Array.from({ length: 10 }, (_, i) => back(`after ${i}`));
    await Promise.all([...before, ...after]);
    return log;
  },
  "order/callback-sequence": async ({ b }) => {
    const log = [];
    await b.callAllAtOnce((i) => { log.push(i); }, 50);
    return log;
  },
  "order/pipelined-deep": async ({ b, key }) => {
    const root = b.makeCounter(key);
    const leaf = root.child("a").child("b").child("c");
    return [await leaf.add(1), await leaf.add(2), await leaf.count, await root.count];
  },
  "order/pipelined-self-chain": async ({ b, key }) => {
    const counter = b.makeCounter(key);
    return Promise.all([counter.add(1), counter.self().add(1), counter.self().self().add(1), counter.add(1).catch(String)].map((p) => p.then((v) => typeof v)));
  },
  "order/interleaved-stubs": async ({ b, key }) => {
    const [one, two] = await Promise.all([b.makeCounter(`${key}/1`), b.makeCounter(`${key}/2`)]);
    return Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? one : two).add(1)));
  },
  "order/many-events-at-once": ({ b }) => Promise.all(Array.from({ length: 50 }, (_, i) => b.echo(i))),
  "order/gates": async ({ b }) => {
    const log = [];
    const passed = await b.steps((i) => (log.push(`gate ${i}`), scheduler.wait(1).then(() => i * i)), 5);
    return { passed, log };
  },
};

export const disposal = {
  "dispose/once": watching(async ({ made, key, b }) => {
    using call = made.makeCounter(key);
    const counter = await call;
    await counter.add(3);
    counter[Symbol.dispose]();
    call[Symbol.dispose]();
    return { notes: await b.awaitNotes(key, 1), after: await outcome(() => counter.add(1)) };
  }),
  "dispose/unused": watching(async ({ made, key, b }) => {
    using call = made.makeCounter(key);
    (await call)[Symbol.dispose]();
    call[Symbol.dispose]();
    return b.awaitNotes(key, 1);
  }),
  "dispose/result-before-call": watching(async ({ made, key, b }) => {
    const call = made.makeCounter(key);
    const counter = await call;
    call[Symbol.dispose]();
    const still = [await counter.add(2), await made.notes(key)];
    counter[Symbol.dispose]();
    return { still, notes: await b.awaitNotes(key, 1) };
  }),
  "dispose/only-after-last-dup": watching(async ({ made, key, b }) => {
    using call = made.makeCounter(key);
    const counter = await call;
    const copies = [counter.dup(), counter.dup()];
    counter[Symbol.dispose]();
    call[Symbol.dispose]();
    copies[0][Symbol.dispose]();
    const still = [await copies[1].add(5), await made.notes(key)];
    copies[1][Symbol.dispose]();
    return { still, notes: await b.awaitNotes(key, 1), later: await made.notes(key) };
  }),
  "dispose/pair-from-one-target": watching(async ({ made, key, b }) => {
    using call = made.makePair(key);
    const pair = await call;
    pair.first[Symbol.dispose]();
    const still = [await pair.second.add(2), await made.notes(key)];
    pair.second[Symbol.dispose]();
    pair[Symbol.dispose]();
    call[Symbol.dispose]();
    return { still, notes: await b.awaitNotes(key, 1) };
  }),
  "dispose/whole-result": watching(async ({ made, key, b }) => {
    using call = made.makeWithDisposer(key);
    const result = await call;
    const value = await result.counter.add(1);
    result[Symbol.dispose]();
    call[Symbol.dispose]();
    return { value, outer: await b.awaitNotes(key, 1), inner: await b.awaitNotes(`${key}/inner`, 1), after: await outcome(() => result.counter.add(1)) };
  }),
  "dispose/function": watching(async ({ made, key, b }) => {
    using call = made.makeFunction(key);
    const double = await call;
    const value = await double(21);
    double[Symbol.dispose]();
    call[Symbol.dispose]();
    return { value, notes: await b.awaitNotes(key, 1) };
  }),
  "dispose/many": watching(async ({ made, key, b }) => {
    using call = made.makeMany(key, 40);
    const counters = await call;
    await Promise.all(counters.map((counter, i) => counter.add(i)));
    counters[Symbol.dispose]();
    call[Symbol.dispose]();
    const notes = [];
    for (let i = 0; i < 40; i += 1) notes.push(await b.awaitNotes(`${key}/${i}`, 1));
    return notes;
  }),
  "dispose/pipelined-child": watching(async ({ made, key, b }) => {
    using parent = made.makeCounter(key);
    using call = parent.child("x");
    const child = await call;
    await child.add(4);
    child[Symbol.dispose]();
    call[Symbol.dispose]();
    return { child: await b.awaitNotes(`${key}/x`, 1), parent: await made.notes(key) };
  }),
  "dispose/last-of-session": async ({ b, key }) => {
    using call = b.makeCounter(key);
    const counter = await call;
    await counter.add(3);
    counter[Symbol.dispose]();
    call[Symbol.dispose]();
    return { silence: await b.awaitSilence(key), notes: await b.notes(key), after: await outcome(() => counter.add(1)) };
  },
  "dispose/without-awaiting": async ({ b, key }) => {
    b.makeCounter(key)[Symbol.dispose]();
    return { silence: await b.awaitSilence(key), notes: await b.notes(key) };
  },
  "dispose/argument-after-call": async ({ b }) => {
    const mine = watched();
    const answer = await b.callMe(new RpcStub(mine.target).call, 1).catch(String);
    const other = watched();
    const [plain] = await Promise.all([b.relayTarget(other.target), other.disposed]);
    return { answer, plain, times: other.times() };
  },
  "dispose/argument-kept-by-dup": async ({ b, key }) => {
    const mine = watched();
    const holder = await b.holdTarget(mine.target, key);
    const value = await holder.use(7);
    const before = mine.times();
    holder[Symbol.dispose]();
    return { value, before, disposed: await mine.disposed, times: mine.times(), notes: await b.awaitNotes(key, 1) };
  },
  "dispose/argument-returned": async ({ b }) => {
    const mine = watched();
    const back = await b.returnCallback(mine.target);
    const value = await back.call(1);
    const before = mine.times();
    back[Symbol.dispose]();
    return { value, before, disposed: await mine.disposed, times: mine.times() };
  },
  "dispose/argument-of-failed-call": async ({ b }) => {
    const mine = watched();
    const failed = await outcome(() => b.noSuchMethod(mine.target));
    return { failed, disposed: await mine.disposed, times: mine.times() };
  },
};

export const cancellation = {
  // Disposing of a promise does not stop the call. The target finds that this one can never end, and gives up.
  "cancel/hanging-call-releases-argument": async ({ b, key }) => {
    const mine = watched();
    const call = b.hangSilently(key, mine.target);
    // Without the stack: it tells who waited at that moment.
    const failed = call.then(String, (error) => error.message);
    const started = await b.awaitNotes(key, 1);
    return { started, failed: await failed, disposed: await mine.disposed, times: mine.times() };
  },
  // The event itself ends: everything that it had under way at the target must stop.
  "cancel/caller-event-ends": async ({ b, key, self }) => {
    await self(`/abandon?key=${key}`);
    await b.awaitNotes(key, 1);
    return { silence: await b.awaitSilence(key), ran: (await b.notes(key)).length > 0 };
  },
  "cancel/caller-event-ends-fetch": async ({ b, key, self }) => {
    await self(`/abandon-fetch?key=${key}`);
    await b.awaitNotes(key, 1);
    return { silence: await b.awaitSilence(key) };
  },
  "cancel/fetch-abort": async ({ b, key }) => {
    const controller = new AbortController();
    const response = outcome(() => b.fetch(`http://target/hang?key=${key}`, { signal: controller.signal }));
    await b.awaitNotes(key, 1);
    controller.abort(new TypeError("enough"));
    return { response: await response, silence: await b.awaitSilence(key) };
  },
  "cancel/response-body": async ({ b, key }) => {
    const response = await b.fetch(`http://target/drip?key=${key}`);
    const reader = response.body.getReader();
    const first = await reader.read();
    await reader.cancel("enough");
    return { first: first.done, notes: await b.awaitNotes(`${key}/cancelled`, 1).then((n) => n.length), silence: await b.awaitSilence(key) };
  },
  "cancel/target-context-abort": async ({ b }) => {
    const mine = watched();
    const failed = await outcome(() => b.keepThenAbort(mine.target));
    return { failed, disposed: await mine.disposed, times: mine.times() };
  },
  "cancel/stub-after-context-abort": async ({ b }) => {
    const held = await b.abortable();
    return { alive: await held.ping(), aborted: await outcome(() => held.abort()), after: await outcome(() => held.ping()) };
  },
  "cancel/callback-hangs": async ({ b, key }) => {
    const call = b.callMe(() => new Promise(() => {}));
    const pending = await Promise.race([call.then(String, String), b.echo("other call went on")]);
    call[Symbol.dispose]();
    return pending;
  },
};

export const cases = { ...ordering, ...disposal, ...cancellation };
