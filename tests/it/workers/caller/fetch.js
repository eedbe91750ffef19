import { describe, describeBytes, outcome, readAll } from "../describe.js";
import { patternStream } from "../streams.js";

const base = "http://target.example";
const seen = async ({ b }, url, init) => (await b.fetch(url, init)).json();

export const cases = {
  "fetch/plain": (t) => seen(t, `${base}/seen`),
  "fetch/query-and-escapes": (t) => seen(t, `${base}/seen?a=%20b&c=%2F&d=${encodeURIComponent("é你")}&e`),
  "fetch/port-and-userinfo": (t) => seen(t, "http://user:pass@other.example:8081/seen?x#fragment"),
  "fetch/https": (t) => seen(t, "https://secure.example/seen"),
  "fetch/headers": (t) => seen(t, `${base}/seen`, { headers: [["x-a", "1"], ["x-a", "2"], ["X-Mixed-Case", "Kept?"], ["cookie", "a=1; b=2"], ["host", "spoofed.example"], ["x-empty", ""], ["accept-encoding", "br"], ["cf-ray", "abc"], ["connection", "close"], ["x-latin", "caf\u00e9"]] }),
  "fetch/many-headers": (t) => seen(t, `${base}/seen`, { headers: Array.from({ length: 200 }, (_, i) => [`x-header-${i}`, `value ${i}`]) }),
  "fetch/long-header": (t) => seen(t, `${base}/seen`, { headers: { "x-long": "y".repeat(8000) } }),
  "fetch/long-url": (t) => seen(t, `${base}/seen?${"z".repeat(4000)}`),
  "fetch/cf": (t) => seen(t, `${base}/seen`, { cf: { colo: "TEST", nested: { list: [1, null, "é"] } } }),
  "fetch/cf-empty": (t) => seen(t, `${base}/seen`, { cf: {} }),
  "fetch/body-text": (t) => seen(t, `${base}/seen`, { method: "POST", body: "text body" }),
  "fetch/body-empty": (t) => seen(t, `${base}/seen`, { method: "POST", body: "" }),
  "fetch/body-none": (t) => seen(t, `${base}/seen`, { method: "POST" }),
  "fetch/body-bytes": (t) => seen(t, `${base}/seen`, { method: "PUT", body: new Uint8Array([0, 1, 255]) }),
  "fetch/body-stream": (t) => seen(t, `${base}/seen`, { method: "POST", body: patternStream(100_000) }),
  "fetch/body-form": (t) => seen(t, `${base}/seen`, { method: "POST", body: new URLSearchParams({ a: "1", b: "ü" }) }),
  "fetch/body-fixed": async (t) => {
    const { readable, writable } = new FixedLengthStream(70_000);
    const written = patternStream(70_000).pipeTo(writable);
    const [answer] = await Promise.all([seen(t, `${base}/seen`, { method: "POST", body: readable }), written]);
    return answer;
  },
  "fetch/body-fails": ({ b }) => {
    let pulls = 0;
    const body = new ReadableStream({ type: "bytes", pull(c) { pulls += 1; if (pulls < 3) c.enqueue(new Uint8Array(1000)); else c.error(new TypeError("upload broke")); } });
    return b.fetch(`${base}/digest`, { method: "POST", body }).then((r) => r.status);
  },
  // A short body: a long one races with the target closing the connection, with nothing between either.
  "fetch/body-ignored": async ({ b }) => (await b.fetch(`${base}/ignoresBody`, { method: "POST", body: "short" })).text(),
  "fetch/upload-5MiB": async ({ b }) => (await b.fetch(`${base}/digest`, { method: "POST", body: patternStream(5 << 20) })).json(),
  "fetch/request-object": (t) => seen(t, new Request(`${base}/seen`, { method: "PATCH", body: "from a request", headers: { "content-type": "x/y" } })),
  "fetch/response-headers": ({ b }) => b.fetch(`${base}/headers`),
  "fetch/response-many-headers": ({ b }) => b.fetch(`${base}/manyHeaders`),
  "fetch/gzip": ({ b }) => b.fetch(`${base}/gzip`),
  "fetch/odd-encoding": ({ b }) => b.fetch(`${base}/raw`),
  "fetch/head": ({ b }) => b.fetch(`${base}/bytes?size=5000`, { method: "HEAD" }),
  "fetch/head-stream": ({ b }) => b.fetch(`${base}/stream?size=5000`, { method: "HEAD" }),
  "fetch/redirect-manual": ({ b }) => b.fetch(`${base}/redirect?code=302&to=/seen`, { redirect: "manual" }),
  "fetch/redirect-follow": ({ b }) => b.fetch(`${base}/redirect?code=302&to=/seen%3Ffollowed`),
  "fetch/redirect-post-303": ({ b }) => b.fetch(`${base}/redirect?code=303&to=/seen`, { method: "POST", body: "x" }),
  "fetch/redirect-post-307": ({ b }) => b.fetch(`${base}/redirect?code=307&to=/seen`, { method: "POST", body: "kept" }),
  "fetch/redirect-other-host": ({ b }) => b.fetch(`${base}/redirect?code=301&to=https://elsewhere.example/seen`),
  "fetch/redirect-error": ({ b }) => b.fetch(`${base}/redirect?code=302&to=/seen`, { redirect: "error" }),
  "fetch/returns-nothing": ({ b }) => b.fetch(`${base}/nothing`),
  "fetch/returns-no-response": ({ b }) => b.fetch(`${base}/notResponse`),
  "fetch/returns-error-response": ({ b }) => b.fetch(`${base}/errorResponse`),
  "fetch/body-breaks": async ({ b }) => {
    const response = await b.fetch(`${base}/breaks`);
    return { status: response.status, body: await outcome(() => readAll(response.body)) };
  },
  "fetch/throws-after-body": ({ b }) => b.fetch(`${base}/throwsLater?kind=custom`, { method: "POST", body: "x" }),
  "fetch/concurrent": ({ b }) => Promise.all(Array.from({ length: 40 }, async (_, i) => (await b.fetch(`${base}/echo`, { method: "POST", body: `body ${i}` })).text())),
  "fetch/two-bodies-interleaved": async ({ b }) => {
    const [one, two] = await Promise.all([b.fetch(`${base}/stream?size=200000`), b.fetch(`${base}/stream?size=300000`)]);
    return Promise.all([one, two].map(async (response) => describeBytes(await readAll(response.body))));
  },
  "fetch/echo-chunk-by-chunk": async ({ b }) => {
    // Each chunk is sent only when the one before came back: shows that nothing on the way waits for more.
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const response = b.fetch(`${base}/echo`, { method: "POST", body: readable });
    const back = [];
    const first = writer.write(new TextEncoder().encode("chunk 0"));
    const reader = (await response).body.getReader();
    await first;
    for (let i = 0; i < 5; i += 1) {
      back.push(new TextDecoder().decode((await reader.read()).value));
      if (i < 4) await writer.write(new TextEncoder().encode(`chunk ${i + 1}`));
    }
    await writer.close();
    return { back, end: (await reader.read()).done };
  },
  "fetch/then-rpc": async ({ b }) => [await (await b.fetch(`${base}/bytes?size=3`)).text().then((s) => s.length), await b.echo("rpc works too")],
  "fetch/response-passed-on-by-rpc": async ({ b }) => describe(await b.echo(await b.fetch(`${base}/stream?size=20000`))),
};

for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "QUERY", "PURGE", "get", "TRACE"]) {
  cases[`fetch/method-${method}`] = ({ b }) => b.fetch(`${base}/seen`, { method });
}
for (const [code, text] of [[200, "Fine By Me"], [201, ""], [204, ""], [205, ""], [206, "Some"], [304, ""], [400, "caf"], [404, ""], [418, "I'm a teapot"], [500, "Custom Reason"], [503, ""], [599, "Odd"], [299, "Unknown But Good"]]) {
  cases[`fetch/status-${code}`] = ({ b }) => b.fetch(`${base}/status?code=${code}&text=${encodeURIComponent(text)}`);
}
for (const size of [0, 1, 65_536, 5 << 20]) {
  cases[`fetch/bytes-${size}`] = ({ b }) => b.fetch(`${base}/bytes?size=${size}`);
  cases[`fetch/stream-${size}`] = ({ b }) => b.fetch(`${base}/stream?size=${size}`);
  cases[`fetch/sized-${size}`] = ({ b }) => b.fetch(`${base}/sized?size=${size}`);
  cases[`fetch/echo-${size}`] = async ({ b }) => describe(await b.fetch(`${base}/echo`, { method: "POST", body: patternStream(size) }));
}
for (const kind of ["error", "custom", "string", "domException", "flagged", "causeCustom", "null"]) {
  cases[`fetch/throws-${kind}`] = ({ b }) => b.fetch(`${base}/throws?kind=${kind}`);
}
