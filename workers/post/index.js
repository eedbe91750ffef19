// Stands beside a worker in its process, and brings what it sends to queues to the sessions that consume them.
//
// The broker of the process keeps a message until we have handed it on. So a producer never waits for a consumer, and
// nothing is lost while there is none.

/**
 * What the configuration binds. Besides there is for each queue a binding `to QUEUE`, which writes values as brokers read
 * them, and behind which stands our own `fetch`.
 * @typedef {{ PORT: DebugPortConnector, ADDRESS: string, [binding: string]: any }} Env
 * @typedef {{ connect(address: string): { getEntrypoint(service: string): any } }} DebugPortConnector
 * @typedef {{ id: string, timestamp: Date, body: unknown, ack(): void }} Message
 */

/** What became of some messages, and why. */
class Letter {
  /** @type {number | null} */
  status = null;
  /** @type {string | null} */
  why = null;

  /** @param {Message[]} messages */
  constructor(messages) {
    this.messages = messages;
  }
}

/** The letter of each queue that is on its way: the broker has one batch of a queue in flight. */
const letters = new Map();

/** Queues of which was told that their messages wait. */
const waiting = new Set();

const TOO_LARGE = 413;

export default {
  /**
   * @param {{ queue: string, messages: Message[], retryAll(): void }} batch
   * @param {Env} env
   */
  async queue(batch, env) {
    const { queue, messages } = batch;
    try {
      // Values are written anew, and may take more room than they did.
      const parts = (await post(queue, messages, env)) ? [] : messages;
      for (const message of parts) {
        if (!(await post(queue, [message], env))) {
          console.error(`queue "${queue}": a message is too large for its consumer, and is dropped`);
        }
        message.ack();
      }
      waiting.delete(queue);
    } catch (error) {
      if (!waiting.has(queue)) console.warn(`queue "${queue}": messages wait: ${error}`);
      waiting.add(queue);
      batch.retryAll();
    }
  },

  /**
   * @param {Request} request
   * @param {Env} env
   * @param {{ props: { queue: string } }} ctx
   */
  async fetch(request, env, { props: { queue } }) {
    /** @type {Letter} */
    const letter = letters.get(queue);
    try {
      const { messages } = await request.json();
      // To its consumer a message is what was sent, and when.
      const marked = messages.map((/** @type {object} */ message, /** @type {number} */ index) => {
        const { id, timestamp } = letter.messages[index];
        return { ...message, id, timestamp: timestamp.getTime() };
      });
      const broker = env.PORT.connect(env.ADDRESS).getEntrypoint(`queues:queue:${queue}`);
      const { method } = request;
      const headers = new Headers(request.headers);
      headers.delete("content-length");
      const body = JSON.stringify({ messages: marked });
      const response = await broker.fetch(request.url, { method, headers, body });
      letter.status = response.status;
      if (!response.ok) letter.why = (await response.text()) || `status ${response.status}`;
      return response.ok ? response : new Response(null, { status: response.status });
    } catch (error) {
      letter.why = error instanceof Error ? error.message : String(error);
      return new Response(null, { status: 503 });
    }
  },
};

/**
 * Returns whether they were taken; if not, they are too large.
 * @param {string} queue
 * @param {Message[]} messages
 * @param {Env} env
 */
async function post(queue, messages, env) {
  const letter = new Letter(messages);
  letters.set(queue, letter);
  try {
    await env[`to ${queue}`].sendBatch(messages.map(({ body }) => ({ body, contentType: "v8" })));
    return true;
  } catch (error) {
    if (letter.status === TOO_LARGE) return false;
    throw letter.why ?? error;
  } finally {
    letters.delete(queue);
  }
}
