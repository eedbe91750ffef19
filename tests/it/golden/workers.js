// Values that only a worker has, and errors as a worker serializes them: `name: () => value`.

import { RpcTarget } from "cloudflare:workers";

function withStack(error, place = "at place (file.js:1:2)") {
  error.stack = `${error}\n    ${place}`;
  return error;
}

class Counter extends RpcTarget {
  count = 0;
  increment() { return ++this.count; }
}

class MyError extends Error {
  name = "MyError";
}

const stream = (text) => new Response(text).body;

// In V8's form; workerd's own form cannot say it.
export const errors = {
  "error that causes itself": () => {
    const error = withStack(new Error("m"));
    error.cause = error;
    return error;
  },
};

export const values = {
  "Float16Array": () => Float16Array.of(1.5, -0, NaN, 65504, 6e-8),

  "error with properties": () => withStack(Object.assign(new Error("m"), { code: 7, details: { a: [1] } })),
  "error with a name of its own": () => withStack(new MyError("m")),
  "error whose name was set": () => withStack(Object.assign(new TypeError("m"), { name: "Other" })),
  "AggregateError": () => withStack(new AggregateError([withStack(new Error("one"))], "several")),
  "WebAssembly.CompileError": () => withStack(new WebAssembly.CompileError("m")),

  "DOMException": () => new DOMException("was aborted", "AbortError"),
  "DOMException within": () => ({ reason: new DOMException("你", "DataCloneError") }),

  "Headers": () => new Headers([["Content-Type", "text/plain"], ["X-Own", "a"], ["x-own", "b"], ["Set-Cookie", "c=1"], ["set-cookie", "d=2"]]),
  "empty Headers": () => new Headers(),
  "Latin-1 Headers": () => new Headers({ "x-own": "é" }),
  "response's Headers": () => new Response("", { headers: { etag: "1" } }).headers,

  "Request": () => new Request("https://example.com/path?q=1"),
  "Request with everything": () => new Request("https://example.com/", {
    method: "POST", headers: { accept: "*/*", "x-own": "1" }, body: "hello", redirect: "manual", cf: { cacheTtl: 5, list: [1] },
  }),
  "Response": () => new Response(null),
  "Response with everything": () => new Response("hello", { status: 201, statusText: "Made", headers: { "x-own": "1" } }),
  "Response.json": () => Response.json({ a: 1 }),

  "Blob": () => new Blob(["hello"], { type: "text/plain" }),
  "empty Blob": () => new Blob([]),

  "function": () => () => 1,
  "RpcTarget": () => new Counter(),
  "stubs within": () => ({ first: () => 1, list: [new Counter(), 2], last: () => 3 }),
  "one function twice": () => {
    const same = () => 1;
    return [same, same];
  },
  "ReadableStream": () => stream("hello"),
  "WritableStream": () => new IdentityTransformStream().writable,
  "streams and stubs": () => ({ readable: stream("hello"), writable: new IdentityTransformStream().writable, call: () => 1 }),
};
