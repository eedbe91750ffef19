import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

const tailed = new Set();
const received = [];
const schedules = [];

export class Admin extends WorkerEntrypoint {
  who() {
    return ["admin", this.ctx.props ?? {}];
  }
}

export class Room extends DurableObject {
  n = 0;
  count() {
    return ++this.n;
  }
  fetch() {
    return new Response(`room ${this.n}`);
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    if (request.headers.get("upgrade") === "websocket") {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener("message", (event) => server.send(`echo ${event.data}`));
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response(`api ${new URL(request.url).pathname}`);
  }
  add(a, b) {
    return a + b;
  }
  boom() {
    throw new TypeError("bad");
  }
  tail(events) {
    for (const { event } of events) {
      if (event?.request) tailed.add(`${event.request.method} ${new URL(event.request.url).pathname}`);
    }
  }
  tailed() {
    return [...tailed].join(", ");
  }
  queue(batch) {
    received.push(...batch.messages.map((message) => message.body));
  }
  scheduled({ cron, scheduledTime }) {
    schedules.push([cron, scheduledTime]);
  }
  schedules() {
    return schedules;
  }
  received() {
    return received;
  }
}
