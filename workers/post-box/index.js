// Takes the messages that other sessions send to a queue of this one, and gives them to the broker of the process.

export default {
  /**
   * @param {Request} request
   * @param {{ BROKER: { fetch(request: Request): Promise<Response> } }} env
   */
  fetch: (request, env) => env.BROKER.fetch(request),
};
