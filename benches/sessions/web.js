/** @type {Record<string, (env: any) => Promise<any>>} */
const calls = {
  fetch: async (env) => (await env.API.fetch("http://api/")).text(),
  rpc: (env) => env.API.add(1, 2),
  object: (env) => env.ROOMS.get(env.ROOMS.idFromName("lobby")).add(1, 2),
};

export default {
  // `/rpc` makes one call, `/rpc?times=1000` a thousand: a worker has no clock that moves while it computes.
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const call = calls[pathname.slice(1)];
    if (!call) return new Response("web");
    const times = Number(searchParams.get("times") ?? 1);
    for (let done = 1; done < times; done++) await call(env);
    return new Response(String(await call(env)));
  },
};
