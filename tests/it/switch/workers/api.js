// A target. NAME is its name; its first letter fills its streams.
import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

/** Ids of the events that were served, in order. */
const seen = [];
/** Events that began and never end by themselves. */
let hanging = 0;

const CHUNK = new Uint8Array(16384).fill("NAME".charCodeAt(0));

/** `size` bytes in chunks, made when they are wanted. */
function bytes(size) {
    let left = size;
    return new ReadableStream({
        type: "bytes",
        pull(controller) {
            if (left <= 0) return controller.close();
            controller.enqueue(CHUNK.slice(0, Math.min(left, CHUNK.length)));
            left -= CHUNK.length;
        },
    });
}

/** Counts as long as somebody wants it to. */
let ticks = 0;
async function tick() {
    for (;;) {
        ticks++;
        await scheduler.wait(1);
    }
}

async function hang() {
    hanging++;
    await scheduler.wait(1e9);
}

class Counter extends RpcTarget {
    n = 0;
    inc(by = 1) { return `NAME ${(this.n += by)}`; }
}

export class Room extends DurableObject {
    n = 0;
    who() { return "room NAME"; }
    inc() { return `NAME ${++this.n}`; }
    fetch(request) { return new Response(`room NAME ${new URL(request.url).pathname}`); }
}

export class Admin extends WorkerEntrypoint {
    who() { return `admin NAME ${JSON.stringify(this.ctx.props)}`; }
    odd() { return `Date ${this.ctx.props.date.toISOString()}, Map ${this.ctx.props.map.size}`; }
    fetch() { return new Response(this.who()); }
    async connect(socket) { await socket.readable.pipeTo(socket.writable); }
}

export default class extends WorkerEntrypoint {
    async fetch(request) {
        const url = new URL(request.url);
        switch (url.pathname) {
            case "/state": return Response.json({ seen, hanging });
            case "/mark": return new Response(this.mark(url.searchParams.get("id")));
            case "/ticks": {
                const before = ticks;
                await scheduler.wait(30);
                return Response.json([before, ticks]);
            }
            case "/tick": await tick(); return new Response("never");
            case "/hang": await hang(); return new Response("never");
            case "/bytes": return new Response(bytes(Number(url.searchParams.get("size"))));
            case "/socket": {
                const [near, far] = Object.values(new WebSocketPair());
                far.accept();
                far.addEventListener("message", (event) => far.send(`NAME ${event.data}`));
                return new Response(null, { status: 101, webSocket: near });
            }
            default: return new Response(`NAME ${request.url}`);
        }
    }
    who() { return "NAME"; }
    mark(id) { seen.push(id); return "NAME"; }
    add(a, b) { return a + b; }
    take(data) { return data.length; }
    counter() { return new Counter(); }
    bytes(size) { return bytes(size); }
    echo(stream) { return stream; }
    hang() { return hang(); }
    tick() { return tick(); }
    async slow(ask) { return `NAME ${await ask("NAME")}`; }
}
