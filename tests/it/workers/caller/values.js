import { RpcStub, RpcTarget } from "cloudflare:workers";
import { outcome } from "../describe.js";
import { makeValue, valueKinds } from "../values.js";

export const cases = {
  "values/no-argument": ({ b }) => b.seen(),
  "values/many-arguments": ({ b }) => b.echoAll(1, undefined, null, -0, "five", [6], { seven: 7 }),
  "values/no-result": ({ b }) => b.nothing(),
  "values/trailing-undefined": ({ b }) => b.echoAll(undefined, undefined),
  "values/property": ({ b }) => b.tree,
  "values/property-path": async ({ b }) => [await b.tree.leaf, await b.tree.branch.twig.leaf, await b.tree.branch.twig.call(1, 2), await b.tree.branch.list],
  "values/property-path-list": ({ b }) => b.tree.branch.list[1].two,
  "values/two-megabytes": async ({ b }) => {
    const sent = new Uint8Array(2 << 20).map((_, i) => i * 31 + (i >> 8));
    return b.echo(sent);
  },
  "values/too-big": ({ b }) => b.echo(new Uint8Array(33 << 20)),
  "values/just-fits": async ({ b }) => (await b.echo(new Uint8Array(31 << 20))).length,
  "values/stub-in-everything": async ({ b }) => {
    const f = (label) => () => label;
    const back = await b.echo({ plain: f("object"), list: [f("list")], map: new Map([["k", f("map")]]), set: new Set([f("set")]) });
    return [await back.plain(), await back.list[0](), await back.map.get("k")(), await [...back.set][0]()];
  },
  "values/same-stub-twice": async ({ b }) => {
    let calls = 0;
    const f = () => (calls += 1);
    const back = await b.echo([f, f]);
    return [back, await back[0](), await back[1](), calls, back[0] === back[1]];
  },
  "values/rpc-target": async ({ b }) => {
    class Local extends RpcTarget {
      get property() { return { deep: "property" }; }
      method(x) { return x + 1; }
    }
    const back = await b.echo(new Local());
    return [back, await back.method(1), await back.property, await back.property.deep, await outcome(() => back.missing())];
  },
  "values/rpc-stub": async ({ b }) => {
    const stub = new RpcStub({ sum: (a, c) => a + c });
    const back = await b.echo(stub);
    return [back, await back.sum(20, 22)];
  },
  "values/function-properties": async ({ b }) => {
    const back = await b.echo(Object.assign(() => "called", { note: "own property" }));
    return [await back(), await back.note];
  },
  "values/promise-argument": ({ b }) => b.echo(b.echo("a promise as argument")),
  "values/service-as-argument": ({ b, env }) => b.echo(env.SELF),
  "values/env-as-argument": ({ b, env }) => b.echo(env),
};

for (const kind of valueKinds) {
  cases[`values/sent-${kind}`] = ({ b }) => b.seen(makeValue(kind));
  cases[`values/echo-${kind}`] = ({ b }) => b.echo(makeValue(kind));
  cases[`values/given-${kind}`] = ({ b }) => b.give_(kind);
  cases[`values/held-${kind}`] = async ({ b }) => {
    const holder = await b.hold(kind);
    return [await outcome(() => holder.value), await outcome(() => holder.read())];
  };
}
