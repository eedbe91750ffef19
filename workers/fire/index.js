// Stands beside a worker in its process, and sends it what no debug port carries: schedules and queue messages.

import { WorkerEntrypoint } from "cloudflare:workers";

export default class Fire extends WorkerEntrypoint {
  /**
   * @param {string} cron
   * @param {string | null} time When it was due, as a date in any form; now if nothing is said.
   */
  cron(cron, time) {
    const scheduledTime = time === null ? new Date() : new Date(time);
    if (Number.isNaN(scheduledTime.getTime())) throw new RangeError(`"${time}" is no time`);
    return this.env.WORKER.scheduled({ cron, scheduledTime });
  }

  /**
   * @param {string} queue
   * @param {unknown[]} bodies One for each message.
   */
  queue(queue, bodies) {
    const timestamp = new Date();
    const messages = bodies.map((body, index) => ({ id: `${index + 1}`, timestamp, attempts: 1, body }));
    return this.env.WORKER.queue(queue, messages);
  }
}
