// Says what it was asked, and answers in every way that a worker may.

const encoder = new TextEncoder();
let journal = [];

/** @param {Request} request */
async function mirror(request) {
  const { method, url, cf, body } = request;
  // The only header that differs each time.
  const headers = [...request.headers].filter(([name]) => name !== "sec-websocket-key");
  return Response.json(
    { method, url, cf: cf === undefined ? "undefined" : cf, headers, noBody: body === null, text: await request.text() },
    { headers: [["x-twice", "1"], ["x-twice", "2"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["date", "mine"], ["server", "me"], ["x-bytes", "é"]] },
  );
}

function talk() {
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.binaryType = "arraybuffer";
  server.send("at once");
  server.addEventListener("message", ({ data }) => {
    if (data === "close") server.close(4321, "bye é");
    else server.send(data);
  });
  server.addEventListener("close", ({ code, reason, wasClean }) => journal.push(["closed", code, reason, wasClean]));
  return new Response(null, { status: 101, webSocket: client, headers: { "x-socket": "yes", "sec-websocket-protocol": "chat" } });
}

/** @type {Record<string, (request: Request, url: URL, ctx: ExecutionContext) => Response | Promise<Response>>} */
const answers = {
  socket: talk,
  status(_, url) {
    const status = Number(url.pathname.split("/")[2]);
    const body = [204, 205, 304].includes(status) ? null : `body of ${status}`;
    return new Response(body, { status, statusText: status === 299 ? "My Own Reason" : undefined });
  },
  null: () => new Response(null),
  empty: () => new Response(""),
  redirect: () => new Response(null, { status: 302, headers: { location: "https://example.com/status/200" } }),
  throw() {
    throw new Error("the handler threw");
  },
  headers: (request) => Response.json([...request.headers], { headers: [...request.headers] }),
  echo: (request) => new Response(request.body, { headers: { "x-length": String(request.headers.get("content-length")) } }),
  big(_, __, ctx) {
    const { readable, writable } = new FixedLengthStream(64 << 20);
    const writer = writable.getWriter();
    const chunk = new Uint8Array(1 << 16);
    ctx.waitUntil((async () => {
      for (let index = 0; index < 1024; index++) await writer.write(chunk);
      await writer.close();
    })());
    return new Response(readable);
  },
  async count(request) {
    let length = 0;
    for await (const chunk of request.body) length += chunk.length;
    return new Response(String(length));
  },
  fails() {
    let turn = 0;
    return new Response(new ReadableStream({
      async pull(controller) {
        await scheduler.wait(10);
        if (turn++ < 3) controller.enqueue(encoder.encode(`piece ${turn}, `));
        else controller.error(new Error("no more"));
      },
    }));
  },
  "fails-short"(_, __, ctx) {
    const { readable, writable } = new FixedLengthStream(100);
    const writer = writable.getWriter();
    ctx.waitUntil((async () => {
      await writer.write(encoder.encode("only this"));
      await scheduler.wait(10);
      await writer.abort(new Error("no more"));
    })().catch(() => {}));
    return new Response(readable);
  },
  async hang(request) {
    request.signal.addEventListener("abort", () => journal.push("aborted"));
    journal.push("hanging");
    await scheduler.wait(600_000);
    return new Response("too late");
  },
  forever(request) {
    request.signal.addEventListener("abort", () => journal.push("aborted"));
    return new Response(new ReadableStream({
      async pull(controller) {
        await scheduler.wait(5);
        controller.enqueue(encoder.encode("tick "));
      },
    }));
  },
  journal(_, url) {
    if (!journal.flat().includes(url.searchParams.get("until"))) return Response.json(null);
    const noted = journal;
    journal = [];
    return Response.json(noted);
  },
};

export default {
  fetch(request, _env, ctx) {
    const url = new URL(request.url);
    return (answers[url.pathname.split("/")[1]] ?? mirror)(request, url, ctx);
  },
  async connect(socket) {
    const opened = await socket.opened;
    const writer = socket.writable.getWriter();
    await writer.write(encoder.encode(`welcome ${JSON.stringify(opened)}\n`));
    writer.releaseLock();
    await socket.readable.pipeTo(socket.writable);
  },
};
