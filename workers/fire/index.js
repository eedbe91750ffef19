// Stands beside a worker in its process, and sends it what no debug port carries: schedules and queue messages.

import { WorkerEntrypoint } from "cloudflare:workers";

export default class Fire extends WorkerEntrypoint {
  /**
   * @param {string} cron
   * @param {string | null} time When it was due, as a date in any form; now if nothing is said.
   */
  async cron(cron, time) {
    const scheduledTime = time === null ? new Date() : new Date(time);
    if (Number.isNaN(scheduledTime.getTime())) return { outcome: "no time", declared: null };
    if (!this.#handles("scheduled")) return { outcome: "missing", declared: null };
    const outcome = await this.env.WORKER.scheduled({ cron, scheduledTime });
    return compared(outcome, cron, this.env.CRONS);
  }

  /**
   * @param {string} queue
   * @param {unknown[]} bodies One for each message.
   */
  async queue(queue, bodies) {
    if (!this.#handles("queue")) return { outcome: "missing", declared: null };
    const timestamp = new Date();
    const messages = bodies.map((body, index) => ({ id: `${index + 1}`, timestamp, attempts: 1, body }));
    const outcome = await this.env.WORKER.queue(queue, messages);
    return compared(outcome, queue, this.env.QUEUES);
  }

  /** Where it is not known, the worker says so itself. @param {string} name */
  #handles(name) {
    return this.env.HANDLERS?.includes(name) ?? true;
  }
}

/**
 * With what the configuration declares, if that is something else than what was fired; else with null.
 * @param {object} outcome
 * @param {string} what
 * @param {string[] | null} declared Nothing where configurations do not say it.
 */
function compared(outcome, what, declared) {
  return { ...outcome, declared: declared === null || declared.includes(what) ? null : declared };
}
