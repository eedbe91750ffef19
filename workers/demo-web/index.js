// The calling session of `jackfield demo`: every event of the demo goes through its binding API.

/**
 * @typedef {{ who: string, error?: undefined } | { who?: undefined, error: string, retryable: boolean }} Served
 */

/** @param {unknown} error @returns {Served} */
function failed(error) {
    const { message, retryable } = /** @type {any} */ (error);
    return { error: String(message), retryable: retryable === true };
}

/** One call of a method. @returns {Promise<Served>} */
async function call(env, id) {
    try {
        return { who: await env.API.serve(id) };
    } catch (error) {
        return failed(error);
    }
}

/** One fetch. @returns {Promise<Served>} */
async function get(env, id) {
    try {
        const response = await env.API.fetch(`https://api.demo/serve?id=${id}`);
        const who = await response.text();
        const refused = response.headers.get("jackfield-error");
        // A target that died after the request was delivered: the request is not sent twice, so its caller decides.
        if (refused !== null) return { error: who, retryable: refused === "broken" };
        return { who };
    } catch (error) {
        return failed(error);
    }
}

/** Opens a stub, a stream, a WebSocket and a slow call; says so; and uses them when the request's body ends. */
async function hold(request, env) {
    const { readable, writable } = new TransformStream();
    const out = writable.getWriter();
    const say = (value) => out.write(new TextEncoder().encode(JSON.stringify(value) + "\n"));
    const run = async () => {
        using stub = await env.API.counter();
        const first = await stub.next();
        const stream = (await env.API.words()).pipeThrough(new TextDecoderStream()).getReader();
        const opening = await stream.read();
        const { webSocket: socket } = await env.API.fetch("https://api.demo/socket", { headers: { upgrade: "websocket" } });
        socket.accept();
        const slow = env.API.slow();
        // It has arrived when what was sent after it comes back. Until then it would follow a retarget.
        await env.API.say("begun");
        await say({ held: [first, opening.value] });

        const command = request.body.getReader();
        while (!(await command.read()).done);

        const answer = new Promise((resolve) => socket.addEventListener("message", (event) => resolve(event.data)));
        socket.send("who?");
        // Lets the slow call end: a new event, which goes to the target of now.
        const now = await env.API.serve("");
        const rest = [];
        await env.API.say("go");
        for (let part = await stream.read(); !part.done; part = await stream.read()) rest.push(part.value);
        await say({
            now,
            stub: await stub.next(),
            stream: rest.join(""),
            websocket: await answer,
            slow_call: await slow,
        });
        socket.close();
    };
    // Not awaited: the answer has to begin while the request is still coming.
    run().catch((error) => say({ error: String(error?.stack ?? error) })).finally(() => out.close());
    return new Response(readable);
}

/** An error of a class of the other side's, as it arrives here. */
async function refuse(env) {
    try {
        await env.API.refuse();
        return { arrived: false };
    } catch (error) {
        const { name, message, code, retry, hint, remote, stack } = /** @type {any} */ (error);
        return {
            arrived: true,
            is_error: error instanceof Error,
            name,
            message,
            code,
            retry,
            hint: hint instanceof Date ? hint.toISOString() : null,
            remote,
            stack: String(stack).split("\n")[0],
        };
    }
}

export default {
    async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        const id = searchParams.get("id") ?? "";
        switch (pathname) {
            case "/call":
                return Response.json(await call(env, id));
            case "/fetch":
                return Response.json(await get(env, id));
            case "/hold":
                return hold(request, env);
            case "/refuse":
                return Response.json(await refuse(env));
            default:
                return new Response("unknown", { status: 404 });
        }
    },
};
