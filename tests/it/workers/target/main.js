// The worker that is called. One class made of a part per topic, so that every case reaches it through one link.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import { Callbacks } from "./callbacks.js";
import { Errors } from "./errors.js";
import { handleConnect } from "./connect.js";
import { handleFetch } from "./fetch.js";
import { Journal } from "./journal.js";
import { Stubs } from "./stubs.js";
import { Streams } from "./streams.js";
import { Values } from "./values.js";

export default class Api extends Journal(Streams(Stubs(Callbacks(Values(Errors(WorkerEntrypoint)))))) {
  fetch(request) {
    return handleFetch(request, this.env, this.ctx);
  }

  connect(socket) {
    return handleConnect(socket);
  }
}

/** Reached by name and with props, to see that both travel. */
export class Admin extends WorkerEntrypoint {
  whoami() {
    return { entrypoint: "Admin", props: this.ctx.props };
  }

  fetch(request) {
    return Response.json({ entrypoint: "Admin", url: request.url, props: this.ctx.props });
  }
}

/** Its constructor throws: the error surfaces at the first use, not where the stub was made. */
export class Broken extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    throw Object.assign(new RangeError("constructor refuses"), { stage: "constructor" });
  }

  ping() {
    return "unreachable";
  }
}

/** A handler object instead of a class: its functions take exactly one argument from the caller. */
export const plain = {
  fetch(request) {
    return new Response(`plain ${request.method} ${request.url}`);
  },
  async twice(value) {
    return value * 2;
  },
};

class Counting extends DurableObject {
  #count = 0;

  constructor(ctx, env) {
    super(ctx, env);
    this.label = String(ctx.id.name ?? ctx.id);
  }

  async add(amount) {
    this.#count += amount;
    return this.#count;
  }

  async whoami() {
    return { id: String(this.ctx.id.toString?.() ?? this.ctx.id), name: this.ctx.id.name ?? null, count: this.#count };
  }

  async callTwice(callback) {
    return [await callback(1), await callback(2)];
  }

  fail() {
    throw Object.assign(new TypeError("actor refuses"), { code: "E_ACTOR", nested: { deep: [1, 2, 3] } });
  }

  die(message) {
    this.ctx.abort(new RangeError(message));
  }

  async fetch(request) {
    this.#count += 1;
    return Response.json({ url: request.url, count: this.#count, body: await request.text() });
  }
}

export class Room extends Counting {
  async remember(value) {
    await this.ctx.storage.put("kept", value);
  }

  recall() {
    return this.ctx.storage.get("kept");
  }
}

export class Ephemeral extends Counting {}
