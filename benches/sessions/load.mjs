// Requests over plain sockets: an HTTP client of Node's costs as much as what is measured.

import net from "node:net";

/** How long a session may take until it answers: wrangler misses one that was killed for 88 seconds. */
const READY_WITHIN_MS = 120_000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** One keep-alive connection, one request at a time. */
export class Connection {
  #socket;
  #text = "";
  #waiting = null;

  static open(port) {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
    return new Promise((done, failed) => {
      socket.once("error", failed);
      socket.once("connect", () => done(new Connection(socket)));
    });
  }

  /** A connection to what answers as it should; it may have to be waited for. */
  static async ready(port, path, wanted) {
    const deadline = performance.now() + READY_WITHIN_MS;
    for (;;) {
      try {
        const connection = await Connection.open(port);
        if ((await connection.get(path)) === wanted) return connection;
        connection.close();
      } catch {}
      if (performance.now() > deadline) throw new Error(`port ${port} does not answer ${path} with ${wanted}`);
      await sleep(2);
    }
  }

  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text) => {
      this.#text += text;
      const body = whole(this.#text);
      if (body === undefined) return;
      this.#text = "";
      this.#settle(body);
    });
    const broken = (why) => this.#waiting?.failed(new Error(`the connection ended: ${why}`));
    socket.on("error", broken);
    socket.on("close", () => broken("closed"));
  }

  #settle(body) {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.done(body);
  }

  get(path) {
    return new Promise((done, failed) => {
      this.#waiting = { done, failed };
      this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    });
  }

  /** Milliseconds of one request. */
  async timed(path) {
    const began = performance.now();
    await this.get(path);
    return performance.now() - began;
  }

  close() {
    this.#socket.destroy();
  }
}

/** The body, once all of an answer is there. */
function whole(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end).toLowerCase();
  const rest = text.slice(end + 4);
  const length = /content-length: (\d+)/.exec(head);
  if (length) return rest.length >= Number(length[1]) ? rest.slice(0, Number(length[1])) : undefined;
  if (!rest.endsWith("0\r\n\r\n")) return undefined;
  return rest.split("\r\n")[1];
}

/** Requests per second over several connections at once. */
export async function burst(port, path, connections, milliseconds) {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const began = performance.now();
  const until = began + milliseconds;
  let count = 0;
  const loop = async (connection) => {
    while (performance.now() < until) {
      await connection.get(path);
      count++;
    }
    connection.close();
  };
  await Promise.all(open.map(loop));
  return (count * 1000) / (performance.now() - began);
}
