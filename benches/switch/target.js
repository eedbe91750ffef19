// The target.
import { WorkerEntrypoint } from "cloudflare:workers";

const CHUNK = 64 << 10;
let marks = [];

export default class extends WorkerEntrypoint {
    fetch(request) {
        if (new URL(request.url).pathname !== "/marks") return new Response("hello");
        const taken = marks;
        marks = [];
        return Response.json(taken);
    }

    add(a, b) {
        return a + b;
    }

    mark(id) {
        marks.push(id);
        return id;
    }

    stream(length) {
        let left = length;
        return new ReadableStream({
            type: "bytes",
            pull(controller) {
                const chunk = new Uint8Array(Math.min(CHUNK, left));
                left -= chunk.byteLength;
                controller.enqueue(chunk);
                if (left === 0) controller.close();
            },
        });
    }
}
