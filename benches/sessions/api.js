import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

export class Room extends DurableObject {
  add(a, b) {
    return a + b;
  }
}

export default class extends WorkerEntrypoint {
  fetch() {
    return new Response("api");
  }
  add(a, b) {
    return a + b;
  }
}
