// WebSockets: what the client asks for in the query decides how the server behaves.
export function handleWebSocket(request, query) {
  if (request.headers.get("upgrade") !== "websocket") return new Response("expected an upgrade", { status: 426 });
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  const mode = query.get("mode");
  const sent = { count: 0 };
  server.addEventListener("message", ({ data }) => {
    sent.count += 1;
    if (mode === "echo") server.send(data);
    else if (mode === "tell") server.send(typeof data === "string" ? `text ${data.length}` : `binary ${data.byteLength ?? data.size}`);
    else if (mode === "close-on-message") server.close(4321, `closed after ${data}`);
    else if (mode === "throw-on-message") throw new TypeError("server threw");
  });
  server.addEventListener("close", ({ code, reason }) => {
    if (mode === "tell-close") server.close(code, `server saw ${code} ${reason}`);
    else server.close();
  });
  if (mode === "greet") for (let i = 0; i < 50; i += 1) server.send(`greeting ${i}`);
  if (mode === "close-at-once") server.close(1001, "going away");
  if (mode === "close-no-code") server.close();
  const headers = { "x-from-server": "yes" };
  if (query.has("protocol")) headers["sec-websocket-protocol"] = query.get("protocol");
  return new Response(null, { status: 101, webSocket: client, headers });
}
