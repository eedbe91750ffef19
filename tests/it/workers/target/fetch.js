// HTTP as the target sees it, answered in every shape that a response can have.
import { describe, describeBytes, readAll } from "../describe.js";
import { makeError } from "./errors.js";
import { note } from "./journal.js";
import { pattern, patternStream } from "../streams.js";
import { handleWebSocket } from "./sockets.js";

const routes = {
  /** Tells the whole request back. */
  async seen(request) {
    return Response.json(await describe(request));
  },
  async echo(request) {
    return new Response(request.body, { headers: { "x-length": request.headers.get("content-length") ?? "none" } });
  },
  async digest(request) {
    return Response.json(request.body === null ? null : describeBytes(await readAll(request.body)));
  },
  status(request, query) {
    const status = Number(query.get("code"));
    const body = [101, 204, 205, 304].includes(status) ? null : `body of ${status}`;
    return new Response(body, { status, statusText: query.get("text") ?? "" });
  },
  headers() {
    const headers = new Headers([["x-one", "1"], ["x-many", "a"], ["x-many", "b"], ["set-cookie", "a=1; Path=/"], ["set-cookie", "b=2"], ["x-empty", ""], ["x-latin", "caf\u00e9"], ["etag", 'W/"abc"']]);
    return new Response("with headers", { headers });
  },
  manyHeaders() {
    return new Response("many", { headers: Array.from({ length: 200 }, (_, i) => [`x-header-${i}`, `value ${i}`]) });
  },
  redirect(request, query) {
    return new Response("moved", { status: Number(query.get("code")), headers: { location: query.get("to") } });
  },
  bytes(request, query) {
    return new Response(pattern(Number(query.get("size"))));
  },
  stream(request, query) {
    return new Response(patternStream(Number(query.get("size"))));
  },
  sized(request, query) {
    const size = Number(query.get("size"));
    const { readable, writable } = new FixedLengthStream(size);
    patternStream(size).pipeTo(writable).catch(() => {});
    return new Response(readable);
  },
  gzip() {
    return new Response("this text travels compressed ".repeat(50), { headers: { "content-encoding": "gzip" } });
  },
  raw() {
    return new Response(new Uint8Array([1, 2, 3]), { headers: { "content-encoding": "x-odd" }, encodeBody: "manual" });
  },
  throws(request, query) {
    throw makeError(query.get("kind"));
  },
  async throwsLater(request, query) {
    await request.text();
    throw makeError(query.get("kind"));
  },
  nothing() {
    return undefined;
  },
  notResponse() {
    return { status: 200 };
  },
  errorResponse() {
    return Response.error();
  },
  breaks() {
    let pulls = 0;
    return new Response(new ReadableStream({
      type: "bytes",
      pull(controller) {
        pulls += 1;
        if (pulls <= 3) controller.enqueue(pattern(1000));
        else controller.error(new TypeError("body broke"));
      },
    }));
  },
  async ignoresBody() {
    return new Response("did not read it");
  },
  async hang(request, query) {
    const key = query.get("key");
    note(key, "started");
    for (;;) {
      await scheduler.wait(1);
      note(key, "runs");
    }
  },
  /** One chunk for each read, for ever. */
  drip(request, query) {
    const key = query.get("key");
    return new Response(new ReadableStream({
      type: "bytes",
      async pull(controller) {
        await scheduler.wait(1);
        note(key, "pulled");
        controller.enqueue(pattern(100));
      },
      cancel() {
        note(`${key}/cancelled`, "cancelled");
      },
    }));
  },
  socket: handleWebSocket,
};

export async function handleFetch(request, env, ctx) {
  const url = new URL(request.url);
  const route = routes[url.pathname.slice(1)];
  return route ? route(request, url.searchParams, ctx) : Response.json({ unknown: request.url, method: request.method });
}
