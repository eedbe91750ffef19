// A caller. It is told what to do, a JSON line a command, within one request of its own: so it can hold stubs,
// streams and sockets from one command to the next.

/** What an error looks like here. */
function failure(error) {
    const { name, message, retryable = false, overloaded = false } = error;
    return { failure: { name, message, retryable, overloaded } };
}

async function attempt(action) {
    try {
        return { value: (await action()) ?? null };
    } catch (error) {
        return failure(error);
    }
}

/** `size` bytes off a reader, and which letters were in them. */
async function letters(reader, size) {
    const found = new Set();
    for (let got = 0; got < size; ) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the stream ended");
        got += value.length;
        for (const byte of value) found.add(String.fromCharCode(byte));
    }
    return [...found].join("");
}

async function count(stream) {
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.length;
    return bytes;
}

async function text(response) {
    return [response.status, await response.text()];
}

async function openSocket(held, target) {
    const response = await target.fetch("http://api/socket", { headers: { upgrade: "websocket" } });
    held.socket = response.webSocket;
    held.socket.accept();
    held.closed = new Promise((resolve) => {
        held.socket.addEventListener("close", (event) => resolve(event.code));
        held.socket.addEventListener("error", () => resolve("error"));
    });
    return commands.useSocket({ held });
}

const commands = {
    who: ({ env }) => env.API.who(),
    mark: ({ env }, id) => env.API.mark(id),
    markFetch: async ({ env }, id) => text(await env.API.fetch(`http://api/mark?id=${id}`)),
    fetch: async ({ env }, path = "/") => text(await env.API.fetch(`https://api.test${path}`)),
    hang: ({ env }) => env.API.hang(),
    tick: ({ env }) => env.API.tick(),
    take: ({ env }, size) => env.API.take(new Uint8Array(size)),
    room: ({ env }) => env.ROOMS.get("x").inc(),
    roomFetch: async ({ env }) => text(await env.ROOMS.get("x").fetch("http://room/path")),
    connect: async ({ env }, address) => {
        const socket = env.API.connect(address);
        await socket.opened;
        return "opened";
    },

    holdStub: async ({ env, held }) => { held.counter = await env.API.counter(); return held.counter.inc(); },
    useStub: ({ held }) => held.counter.inc(),
    dropStub: ({ held }) => { held.counter[Symbol.dispose](); },
    holdBytes: async ({ env, held }) => {
        held.bytes = (await env.API.bytes(1e12)).getReader();
        return letters(held.bytes, 1);
    },
    useBytes: ({ held }) => letters(held.bytes, 1 << 20),
    dropBytes: async ({ held }) => { await held.bytes.cancel(); },
    holdBody: async ({ env, held }) => {
        held.body = (await env.API.fetch("http://api/bytes?size=1e12")).body.getReader();
        return letters(held.body, 1);
    },
    useBody: ({ held }) => letters(held.body, 1 << 20),
    dropBody: async ({ held }) => { await held.body.cancel(); },
    holdSocket: ({ env, held }) => openSocket(held, env.API),
    useSocket: ({ held }) => new Promise((resolve) => {
        held.socket.addEventListener("message", (event) => resolve(event.data), { once: true });
        held.socket.send("hi");
    }),
    socketEnd: ({ held }) => held.closed,
    dropSocket: async ({ held }) => { held.socket.close(1000, "enough"); await held.closed; },
    /** Answers once the call has begun over there. */
    holdCall: ({ env, held }) => new Promise((resolve, reject) => {
        const go = new Promise((go) => { held.go = go; });
        held.call = env.API.slow((name) => { resolve(name); return go; });
        held.call.catch(reject);
    }),
    useCall: ({ held }) => { held.go("went"); return held.call; },
    callEnd: ({ held }) => held.call,

    /** Reads so many bytes of an RPC stream, or of a body. */
    pull: async ({ env, held }, size) => {
        const stream = await env.API.bytes(size);
        held.pulled = count(stream);
    },
    pullBody: async ({ env, held }, size) => {
        held.pulled = count((await env.API.fetch(`http://api/bytes?size=${size}`)).body);
    },
    pulled: ({ held }) => held.pulled,

    /** An entrypoint and an object through the debug-port face, held from one event to the next. */
    holdPort: ({ env, held }, address, service, entrypoint) => {
        held.port = env.PORT.connect(address).getEntrypoint(service, entrypoint ?? undefined);
    },
    port: ({ held }) => held.port.who(),
    portSocket: ({ held }) => openSocket(held, held.port),
    /** A raw connection, there and back. */
    portConnect: async ({ held }, address) => {
        const socket = held.port.connect(address);
        const writer = socket.writable.getWriter();
        await writer.write(new TextEncoder().encode("raw"));
        await writer.close();
        return new Response(socket.readable).text();
    },
    portFetch: async ({ held }) => text(await held.port.fetch("https://far.test/x")),
    holdActor: ({ env, held }, address, service, name, id) => {
        held.actor = env.PORT.connect(address).getActor(service, name, id);
    },
    actor: ({ held }) => held.actor.who(),
    actorFetch: async ({ held }) => text(await held.actor.fetch("http://room/path")),
    withProps: ({ env }, address, service, props) =>
        env.PORT.connect(address).getEntrypoint(service, undefined, props).who(),
    withOddProps: ({ env }, address) => {
        const props = { date: new Date(0), map: new Map([[1, 2], [3, 4]]) };
        return env.PORT.connect(address).getEntrypoint("API", undefined, props).odd();
    },
    withStubProps: ({ env }, address, service) =>
        env.PORT.connect(address).getEntrypoint(service, undefined, { stub: env.PORT.connect(address) }).who(),
};

async function talk(request, env, say) {
    const context = { env, held: {} };
    const running = [];
    let rest = "";
    const obey = async (line) => {
        const [id, command, ...args] = JSON.parse(line);
        say({ id, ...(await attempt(() => commands[command](context, ...args))) });
    };
    for await (const chunk of request.body.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop();
        for (const line of lines) running.push(obey(line));
    }
    await Promise.all(running);
}

/** Many events of every kind, some at a time: how many were served, lost as retryable, or anything else. */
async function batch(env, first, size) {
    const kinds = [
        async (id) => [await env.API.mark(id)],
        async (id) => {
            const response = await env.API.fetch(`http://api/mark?id=${id}`);
            if (response.headers.get("jackfield-error") === "broken") throw Object.assign(new Error(), { retryable: true });
            return [await response.text()];
        },
        async () => {
            using counter = await env.API.counter();
            return [(await counter.inc(1)).split(" ")[0], (await counter.inc(2)).split(" ")[0]];
        },
        async () => [await letters((await env.API.bytes(40000)).getReader(), 40000)].map((letter) => ({ b: "blue", g: "green" })[letter]),
    ];
    const result = { served: 0, retryable: 0, odd: [] };
    const one = async (id) => {
        try {
            const names = new Set(await kinds[id % kinds.length](`${id}`));
            const [name] = names;
            if (names.size === 1 && ["blue", "green"].includes(name)) result.served++;
            else result.odd.push([id, ...names]);
        } catch (error) {
            if (error.retryable) result.retryable++;
            else result.odd.push([id, String(error)]);
        }
    };
    const ids = Array.from({ length: size }, (_, index) => first + index);
    const lane = async () => { while (ids.length) await one(ids.shift()); };
    await Promise.all([lane(), lane(), lane(), lane()]);
    return result;
}

export default {
    async fetch(request, env, ctx) {
        const url = new URL(request.url);
        if (url.pathname === "/batch") {
            const { first, size } = Object.fromEntries(url.searchParams);
            return Response.json(await batch(env, Number(first), Number(size)));
        }
        const { readable, writable } = new TransformStream();
        const out = writable.getWriter();
        const encoder = new TextEncoder();
        const said = talk(request, env, (answer) => out.write(encoder.encode(`${JSON.stringify(answer)}\n`)));
        ctx.waitUntil(said.catch(() => {}).finally(() => out.close().catch(() => {})));
        return new Response(readable);
    },
};
