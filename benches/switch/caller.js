// The caller. Each request makes `n` calls on each of `at` lanes, over one of the paths.
const kinds = {
    async rpc(env, path) {
        return (await env[path].add(1, 2)) === 3;
    },
    async fetch(env, path) {
        const answer = await env[path].fetch("http://b/some/path?query=1");
        return (await answer.text()) === "hello";
    },
    async connect(env, path) {
        const { address, service } = env.PORTS[path];
        return (await env.PORT.connect(address).getEntrypoint(service).add(1, 2)) === 3;
    },
    async stream(env, path) {
        let left = env.STREAM_BYTES;
        for await (const chunk of await env[path].stream(left)) left -= chunk.byteLength;
        return left === 0;
    },
};

async function lanes(at, n, call) {
    const lane = async (lane) => {
        for (let i = 0; i < n; i++) await call(lane, i);
    };
    await Promise.all(Array.from({ length: at }, (_, index) => lane(index)));
}

// Calls that each carry an id of their own, over a link that moves meanwhile.
async function marks(env, query, at, n) {
    const failures = [];
    await lanes(at, n, async (lane, i) => {
        const id = `${query.get("run")}.${lane}.${i}`;
        try {
            if ((await env.moving.mark(id)) !== id) failures.push("another answer");
        } catch (error) {
            failures.push(String(error));
        }
    });
    return Response.json({ issued: at * n, failures });
}

export default {
    async fetch(request, env) {
        const { pathname, searchParams: query } = new URL(request.url);
        const [at, n] = [Number(query.get("at")), Number(query.get("n"))];
        if (pathname === "/marks") return marks(env, query, at, n);
        const kind = kinds[pathname.slice(1)];
        await lanes(at, n, async () => {
            if (!(await kind(env, query.get("path")))) throw new Error("a wrong answer");
        });
        return new Response("done");
    },
};
