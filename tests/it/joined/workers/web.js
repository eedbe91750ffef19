/** @type {Record<string, (env: any, request: Request) => Promise<Response>>} */
const routes = {
  "/fetch": async (env) => new Response(await (await env.API.fetch("http://api/x")).text()),
  "/rpc": async (env) => Response.json(await env.API.add(1, 2)),
  "/admin": async (env) => Response.json(await env.ADMIN.who()),
  "/object": async (env) => {
    const room = env.ROOMS.get(env.ROOMS.idFromName("lobby"));
    return Response.json([await room.count(), await (await room.fetch("http://room/")).text()]);
  },
  "/socket": async (env) => {
    const { webSocket } = await env.API.fetch("http://api/socket", { headers: { upgrade: "websocket" } });
    webSocket.accept();
    webSocket.send("hello");
    const event = await new Promise((done) => webSocket.addEventListener("message", done));
    webSocket.close();
    return new Response(event.data);
  },
  "/error": async (env) => {
    try {
      await env.API.boom();
    } catch (error) {
      return Response.json([error instanceof TypeError, error.message]);
    }
    return new Response("nothing was thrown");
  },
  "/marked": async () => new Response("marked"),
  // What the tail consumer was told of the requests before this one.
  "/tailed": async (env, request) => {
    await fetch(new URL("/marked", request.url));
    return new Response(await env.API.tailed());
  },
  "/send": async (env) => {
    await env.JOBS.send("from web");
    return new Response("sent");
  },
  "/schedule": async (env) => {
    const { outcome } = await env.API.scheduled({ cron: "5 4 * * *", scheduledTime: new Date(86_400_000) });
    return new Response(outcome);
  },
  "/schedules": async (env) => Response.json(await env.API.schedules()),
  "/received": async (env) => Response.json(await env.API.received()),
};

export default {
  async fetch(request, env) {
    const route = routes[new URL(request.url).pathname];
    return route ? route(env, request) : new Response("web");
  },
};
