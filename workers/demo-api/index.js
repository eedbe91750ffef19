// The called session of `jackfield demo`. Two of them run, blue and green: each answer says who gave it.

import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

/** How often each event was delivered here. @type {Map<string, number>} */
const delivered = new Map();

class Counter extends RpcTarget {
    #name;
    #count = 0;
    /** @param {string} name */
    constructor(name) {
        super();
        this.#name = name;
    }
    next() {
        return `${this.#name} ${++this.#count}`;
    }
}

/** An error with a name and properties of its own. */
class InsufficientFunds extends Error {
    name = "InsufficientFunds";
    code = 402;
    retry = { after: [1, 2, 3] };
    hint = new Date(0);
}

function checkBalance() {
    throw new InsufficientFunds("the account is empty");
}

export default class Api extends WorkerEntrypoint {
    /** @param {string} id */
    serve(id) {
        if (id !== "") delivered.set(id, (delivered.get(id) ?? 0) + 1);
        return this.env.NAME;
    }

    counter() {
        return new Counter(this.env.NAME);
    }

    /** Four words: the first at once, the others when somebody has called in the meantime. */
    words() {
        const { NAME } = this.env;
        let sent = 0;
        const words = new ReadableStream({
            async pull(controller) {
                if (sent > 0) await scheduler.wait(20);
                controller.enqueue(`${NAME} `);
                if (++sent === 4) controller.close();
            },
        });
        return words.pipeThrough(new TextEncoderStream());
    }

    /** Takes longer than a retarget. */
    async slow() {
        await scheduler.wait(300);
        return this.env.NAME;
    }

    /** @param {string} word */
    say(word) {
        return word;
    }

    refuse() {
        checkBalance();
    }

    async fetch(request) {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/socket") {
            const [near, far] = Object.values(new WebSocketPair());
            far.accept();
            far.addEventListener("message", () => far.send(this.env.NAME));
            far.addEventListener("close", () => far.close());
            return new Response(null, { status: 101, webSocket: near });
        }
        if (pathname === "/delivered") return Response.json([...delivered]);
        return new Response(this.serve(searchParams.get("id") ?? ""));
    }
}
