// Calls the target in every way that a worker may, over env.DIRECT or env.LINK, and writes down what it saw.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param {Response} response */
async function seen(response) {
  const { status, statusText, body, redirected, url } = response;
  return { status, statusText, headers: [...response.headers], noBody: body === null, redirected, url, text: await response.text() };
}

/** Chunks may merge on their way, so only their bytes and the way they ended count. @param {ReadableStream} stream */
async function drained(stream) {
  let text = "";
  try {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
    return { text, ended: "cleanly" };
  } catch (error) {
    return { text, ended: String(error), retryable: error.retryable };
  }
}

/** @param {Fetcher} api @param {string} protocol */
async function socket(api, protocol = "chat") {
  const headers = { upgrade: "websocket", "sec-websocket-protocol": protocol };
  const response = await api.fetch("https://example.com/socket", { headers });
  const seen = [response.status, response.statusText, ...response.headers].filter((entry) => entry[0] !== "sec-websocket-accept");
  const ws = response.webSocket;
  ws.binaryType = "arraybuffer";
  const log = [];
  ws.addEventListener("message", ({ data }) => log.push(typeof data === "string" ? data : [...new Uint8Array(data)]));
  const closed = new Promise((resolve) => {
    ws.addEventListener("close", ({ code, reason, wasClean }) => resolve([code, reason, wasClean]));
  });
  ws.accept();
  return { ws, seen, log, closed };
}

/** Waits until the target has noted `entry`, and empties its journal. @param {Fetcher} api @param {string} entry */
async function journal(api, entry) {
  for (;;) {
    const noted = await (await api.fetch(`https://example.com/journal?until=${entry}`)).json();
    if (noted) return noted;
  }
}

/** @type {Record<string, (api: Fetcher) => Promise<unknown>>} */
const cases = {
  async everything(api) {
    return seen(await api.fetch("https://exämple.com:8443/p%20a//th?q=1`{|}^&r='<>#fragment", {
      method: "POST",
      headers: [["x-twice", "a"], ["X-Twice", "b"], ["x-bytes", "é\u00ff"], ["date", "mine"], ["host", "other.example"],
        ["te", "trailers"], ["connection", "close"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-empty", ""], ["expect", "100-continue"]],
      body: "hello",
      cf: { a: 1, nothing: null, "é": "ü" },
    }));
  },
  async plain(api) {
    return seen(await api.fetch("http://user:secret@[::1]:81/x?"));
  },
  async "many headers"(api) {
    const headers = new Headers();
    for (let index = 0; index < 1200; index++) headers.append(`x-${index}`, "value");
    return seen(await api.fetch("http://example.com/headers", { headers }));
  },
  async "a long URL"(api) {
    return seen(await api.fetch(`http://example.com/?${"q".repeat(60_000)}`));
  },
  async methods(api) {
    const all = [];
    for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"])
      all.push(await seen(await api.fetch("https://example.com/", { method })));
    return all;
  },
  async statuses(api) {
    const all = [];
    for (const status of [200, 201, 204, 205, 206, 299, 301, 304, 404, 451, 500, 503, 599])
      for (const method of ["GET", "HEAD"])
        all.push(await seen(await api.fetch(`https://example.com/status/${status}`, { method, redirect: "manual" })));
    return all;
  },
  async "empty bodies"(api) {
    const all = [];
    for (const path of ["null", "empty"])
      for (const method of ["GET", "HEAD"]) all.push(await seen(await api.fetch(`https://example.com/${path}`, { method })));
    all.push(await seen(await api.fetch("https://example.com/", { method: "POST", body: "" })));
    return all;
  },
  async redirect(api) {
    return seen(await api.fetch("https://example.com/redirect"));
  },
  async "a handler that throws"(api) {
    return seen(await api.fetch("https://example.com/throw"));
  },
  async "a stream of known length"(api) {
    const { readable, writable } = new FixedLengthStream(10);
    const writer = writable.getWriter();
    const wrote = writer.write(encoder.encode("0123456789")).then(() => writer.close());
    const answer = await seen(await api.fetch("https://example.com/echo", { method: "POST", body: readable }));
    await wrote;
    return answer;
  },
  async "streams both ways at once"(api) {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const asked = api.fetch("https://example.com/echo", { method: "POST", body: readable });
    await writer.write(encoder.encode("one"));
    const response = await asked;
    const reader = response.body.getReader();
    const log = [[...response.headers], decoder.decode((await reader.read()).value)];
    await writer.write(encoder.encode("two"));
    log.push(decoder.decode((await reader.read()).value));
    await writer.close();
    log.push((await reader.read()).done);
    return log;
  },
  async "64 MiB down"(api) {
    const response = await api.fetch("https://example.com/big");
    let length = 0;
    for await (const chunk of response.body) length += chunk.length;
    return [length, ...response.headers];
  },
  async "64 MiB up"(api) {
    const { readable, writable } = new TransformStream();
    const asked = api.fetch("https://example.com/count", { method: "POST", body: readable });
    const writer = writable.getWriter();
    const chunk = new Uint8Array(1 << 16);
    for (let index = 0; index < 1024; index++) await writer.write(chunk);
    await writer.close();
    return seen(await asked);
  },
  async "a stream that fails"(api) {
    return drained((await api.fetch("https://example.com/fails")).body);
  },
  async "a fixed body that fails"(api) {
    return drained((await api.fetch("https://example.com/fails-short")).body);
  },
  async "cancel before the head"(api) {
    const control = new AbortController();
    const asked = api.fetch("https://example.com/hang", { signal: control.signal });
    await journal(api, "hanging");
    control.abort();
    const error = await asked.catch(String);
    return [error, await journal(api, "aborted")];
  },
  async "cancel a body"(api) {
    const response = await api.fetch("https://example.com/forever");
    const reader = response.body.getReader();
    await reader.read();
    await reader.cancel();
    return journal(api, "aborted");
  },
  async "WebSocket, closed by the target"(api) {
    const { ws, seen, log, closed } = await socket(api);
    ws.send("hello");
    ws.send(new Uint8Array([0, 1, 255]));
    ws.send("x".repeat(900_000));
    ws.send("close");
    const ended = await closed;
    return [seen, ended, log.map((entry) => entry.length > 100 ? entry.length : entry), await journal(api, "closed")];
  },
  async "WebSocket, closed by the caller"(api) {
    const { ws, seen, closed } = await socket(api);
    ws.close(3999, "bye ü");
    const ended = await closed;
    return [seen, ended, await journal(api, "closed")];
  },
  async "an upgrade that the target declines"(api) {
    return seen(await api.fetch("https://example.com/", { headers: { upgrade: "websocket" } }));
  },
  async "connect event"(api) {
    const connection = api.connect("some.host:99");
    const opened = await connection.opened;
    const writer = connection.writable.getWriter();
    await writer.write(encoder.encode("raw bytes"));
    await writer.close();
    return [opened, await drained(connection.readable)];
  },
};

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const api = env[url.hostname === "direct" ? "DIRECT" : "LINK"];
    const name = decodeURIComponent(url.pathname.slice(1));
    if (name === "") return Response.json(Object.keys(cases));
    if (name === "forward") return api.fetch("https://example.com/", { headers: [...request.headers] });
    try {
      return Response.json(await cases[name](api));
    } catch (error) {
      return Response.json({ thrown: String(error), retryable: error.retryable, stack: error.stack });
    }
  },
};
