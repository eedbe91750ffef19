import { digest, readAll } from "../describe.js";
import { pattern } from "../streams.js";

async function open(b, mode, init = {}) {
  const response = await b.fetch(`http://target.example/socket?mode=${mode}${init.query ?? ""}`, { headers: { upgrade: "websocket", ...init.headers } });
  const socket = response.webSocket;
  if (!socket) throw new Error(`no WebSocket: ${response.status} ${await response.text()}`);
  const events = [];
  const waiters = [];
  const add = (event) => { events.push(event); waiters.splice(0).forEach((wake) => wake()); };
  socket.addEventListener("message", ({ data }) => add({ message: show(data) }));
  socket.addEventListener("close", ({ code, reason, wasClean }) => add({ close: { code, reason, wasClean } }));
  socket.addEventListener("error", ({ message, error }) => add({ error: message ?? String(error) }));
  socket.accept();
  const until = async (count) => { while (events.length < count) await new Promise((wake) => waiters.push(wake)); return events; };
  return { socket, events, until, response };
}

const show = (data) => (typeof data === "string" ? (data.length < 200 ? data : { text: data.length }) : { bytes: data.byteLength ?? data.size, digest: data.byteLength === undefined ? null : digest(new Uint8Array(data)) });

export const cases = {
  "sockets/head": async ({ b }) => {
    const { response, socket, until } = await open(b, "close-at-once");
    await until(1);
    socket.close();
    return { status: response.status, statusText: response.statusText, headers: [...response.headers].filter(([name]) => name.startsWith("x-")) };
  },
  "sockets/echo-text": async ({ b }) => {
    const { socket, until } = await open(b, "echo");
    for (const text of ["one", "", "naïve 你好 \u{1f600}", "x".repeat(70_000)]) socket.send(text);
    const events = [...(await until(4))];
    socket.close(1000, "done");
    return events;
  },
  "sockets/echo-binary": async ({ b }) => {
    const { socket, until } = await open(b, "echo");
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 500_000]) socket.send(pattern(size));
    const events = [...(await until(7))];
    socket.close(3000, "bye");
    return events;
  },
  "sockets/kinds": async ({ b }) => {
    const { socket, until } = await open(b, "tell");
    socket.send("text");
    socket.send(new Uint8Array([1, 2]));
    socket.send(new Uint8Array([1]).buffer);
    const events = [...(await until(3))];
    socket.close();
    return events;
  },
  "sockets/greetings": async ({ b }) => {
    const { socket, until } = await open(b, "greet");
    const events = [...(await until(50))];
    socket.close(4000, "enough");
    return events;
  },
  "sockets/many-messages": async ({ b }) => {
    const { socket, until } = await open(b, "echo");
    for (let i = 0; i < 500; i += 1) socket.send(`message ${i}`);
    const events = [...(await until(500))];
    socket.close();
    return events;
  },
  "sockets/server-closes": async ({ b }) => {
    const { socket, until } = await open(b, "close-at-once");
    const events = [...(await until(1))];
    socket.close();
    return events;
  },
  "sockets/server-closes-without-code": async ({ b }) => {
    const { socket, until } = await open(b, "close-no-code");
    const events = [...(await until(1))];
    socket.close();
    return events;
  },
  "sockets/server-closes-on-message": async ({ b }) => {
    const { socket, until } = await open(b, "close-on-message");
    socket.send("trigger");
    const events = [...(await until(1))];
    socket.close();
    return events;
  },
  "sockets/client-closes": async ({ b }) => {
    const { socket, until } = await open(b, "tell-close");
    socket.close(4999, "client reason");
    return until(1);
  },
  "sockets/client-closes-without-code": async ({ b }) => {
    const { socket, until } = await open(b, "tell-close");
    socket.close();
    return until(1);
  },
  "sockets/server-throws": async ({ b }) => {
    const { socket, until } = await open(b, "throw-on-message");
    socket.send("trigger");
    return until(1);
  },
  "sockets/protocol": async ({ b }) => {
    const { response, socket, until } = await open(b, "close-at-once", { headers: { "sec-websocket-protocol": "chat" }, query: "&protocol=chat" });
    await until(1);
    socket.close();
    return response.headers.get("sec-websocket-protocol");
  },
  "sockets/no-upgrade-header": async ({ b }) => b.fetch("http://target.example/socket?mode=echo"),
  "sockets/refused": ({ b }) => b.fetch("http://target.example/status?code=403", { headers: { upgrade: "websocket" } }),
  "sockets/handler-throws": ({ b }) => b.fetch("http://target.example/throws?kind=custom", { headers: { upgrade: "websocket" } }),
  "sockets/two-at-once": async ({ b }) => {
    const [one, two] = await Promise.all([open(b, "echo"), open(b, "echo")]);
    for (let i = 0; i < 20; i += 1) (one.socket.send(`one ${i}`), two.socket.send(`two ${i}`));
    const events = [[...(await one.until(20))], [...(await two.until(20))]];
    one.socket.close();
    two.socket.close();
    return events;
  },
  // `socket.closed` is left alone: over an external's CONNECT it never settles, with nothing between either.
  "sockets/raw-connect": async ({ b }) => {
    const socket = b.connect("echo.example:7");
    const opened = await socket.opened;
    await socket.writable.getWriter().write(new TextEncoder().encode("hello socket"));
    return { opened, text: new TextDecoder().decode(await readAll(socket.readable)) };
  },
};
