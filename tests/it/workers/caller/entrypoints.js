import { outcome } from "../describe.js";

const id = (digit) => digit.repeat(64);

/** Both ways of reaching a target know these. */
export const entrypoints = {
  "entrypoints/admin-rpc": ({ open }) => open("admin").whoami(),
  "entrypoints/admin-unknown-method": ({ open }) => open("admin").echo(1),
};

/** Only the debug port names entrypoints, props and actors in the call. */
export const debugOnly = {
  "entrypoints/admin-fetch": ({ open }) => open("admin").fetch("https://admin.example/path"),
  // Who answers here knows other names than the target does, so the text is its own: that the first event fails, with
  // an ordinary error that names what was asked for, is what must be the same.
  "entrypoints/unknown-service": async ({ connect }) => {
    const failure = (error) => [error.constructor.name, error.message.includes("no-such-service"), Object.keys(error)];
    const unknown = () => connect().getEntrypoint("no-such-service");
    return [await unknown().echo(1).catch(failure), await unknown().fetch("http://x/").catch(failure)];
  },
  "entrypoints/two-on-one-connection": async ({ connect, names }) => {
    const client = connect();
    const [api, admin] = [client.getEntrypoint(...names.api), client.getEntrypoint(...names.admin)];
    return Promise.all([api.echo("api"), admin.whoami(), api.echo("api again")]);
  },
  "actors/rpc": async ({ actor, ids }) => {
    const room = actor("room", ids(1));
    return [await room.add(1), await room.add(2), await actor("room", ids(1)).add(10)];
  },
  "actors/two-ids": async ({ actor, ids }) => [await actor("room", ids(2)).add(5), await actor("room", ids(3)).add(7)],
  "actors/whoami": async ({ actor }) => (await actor("room", id("a")).whoami()).id,
  "actors/upper-case-id": async ({ actor }) => (await actor("room", id("B")).whoami()).id,
  "actors/storage": async ({ actor, ids }) => {
    const room = actor("room", ids(4));
    await room.remember(new Map([["kept", { date: new Date(0), big: 5n }]]));
    return actor("room", ids(4)).recall();
  },
  "actors/callback": ({ actor, ids }) => actor("room", ids(5)).callTwice((x) => x * 10),
  "actors/error": ({ actor }) => actor("room", id("c")).fail(),
  "actors/unknown-method": ({ actor, ids }) => actor("room", ids(7)).nothing(),
  "actors/fetch": async ({ actor, ids }) => {
    const room = actor("room", ids(8));
    await room.fetch("https://room.example/first", { method: "POST", body: "one" });
    return (await room.fetch("https://room.example/second", { method: "POST", body: "two" })).json();
  },
  "actors/abort-then-again": async ({ actor, ids }) => {
    const room = actor("room", ids(9));
    return { before: await room.add(3), died: await outcome(() => room.die("told to die")), after: await outcome(() => actor("room", ids(9)).add(1)) };
  },
  "actors/many-events": ({ actor, ids }) => {
    const room = actor("room", ids(10));
    return Promise.all(Array.from({ length: 20 }, () => room.add(1)));
  },
  "actors/ephemeral": async ({ actor, key }) => [await actor("ephemeral", key).add(1), await actor("ephemeral", key).add(1), await actor("ephemeral", `${key} other ü`).add(1)],
  "actors/ephemeral-empty-id": async ({ actor }) => typeof (await actor("ephemeral", "").add(1)),
  "actors/wrong-length-id": ({ actor }) => actor("room", "abc").add(1),
  "actors/unknown-class": ({ connect, names, ids }) => connect().getActor(names.api[0], "NoSuchClass", ids(11)).add(1),
};
