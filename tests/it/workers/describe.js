// Turns any value into JSON that keeps everything a program could observe about it. Both workers use it: the target
// to tell what arrived, the caller to tell what came back. Nothing here is random or depends on time.
import { RpcPromise, RpcProperty, RpcStub, ServiceStub } from "cloudflare:workers";

/** The one thing in what workerd says that is random by design: the number under which it logged an internal error. */
const RANDOM = /reference = [0-9a-z]{24}/g;

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** FNV-1a: megabytes of stream are compared by length and digest, so that a difference stays readable. */
export function digest(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

export function describeBytes(bytes) {
  return bytes.length <= 64 ? { hex: hex(bytes) } : { length: bytes.length, digest: digest(bytes) };
}

export async function readAll(stream) {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A stub answers to any property name by a remote call, so it must be recognised before it is looked into. */
function remoteKind(value) {
  if (value instanceof RpcStub) return "RpcStub";
  if (value instanceof RpcPromise) return "RpcPromise";
  if (value instanceof RpcProperty) return "RpcProperty";
  if (value instanceof ServiceStub) return "ServiceStub";
  return undefined;
}

export async function describe(value, seen = new Map()) {
  switch (typeof value) {
    case "undefined": return { is: "undefined" };
    case "bigint": return { is: "bigint", value: String(value) };
    case "symbol": return { is: "symbol", value: String(value) };
    case "boolean": return value;
    case "string": return value.isWellFormed() ? value.replace(RANDOM, "reference = (random)") : { is: "string", units: Array.from({ length: value.length }, (_, i) => value.charCodeAt(i)) };
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { is: "number", value: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (value === null) return null;
  if (seen.has(value)) return { same: seen.get(value) };
  const id = seen.size;
  seen.set(value, id);
  const remote = remoteKind(value);
  if (remote) return { id, is: remote, typeof: typeof value };
  if (typeof value === "function") return { id, is: "function", name: value.name, length: value.length };
  // The runtime adds a disposer to the result of every call.
  const disposable = Object.hasOwn(value, Symbol.dispose) ? { disposable: true } : {};
  if (isPlainList(value)) return { id, ...disposable, list: await each(value, seen) };
  const kind = Object.prototype.toString.call(value);
  const head = Object.getPrototypeOf(value) === Object.prototype ? { id } : { id, is: kind, class: Object.getPrototypeOf(value)?.constructor?.name ?? null };
  const special = await describeSpecial(value, seen);
  return { ...head, ...disposable, ...special?.fields, ...(special?.own === false ? {} : await ownProperties(value, special?.skip, seen)) };
}

/** Nothing but elements: no holes, no extra properties. Anything else is told property by property. */
function isPlainList(value) {
  const keys = Array.isArray(value) ? Reflect.ownKeys(value).filter((key) => key !== Symbol.dispose) : [];
  return keys.length === value.length + 1 && Object.keys(value).length === value.length;
}

async function describeSpecial(value, seen) {
  if (value instanceof Error || value instanceof DOMException) return { fields: await errorFields(value) };
  if (value instanceof Date) return { fields: { time: await describe(value.getTime(), seen) } };
  if (value instanceof RegExp) return { fields: { source: value.source, flags: value.flags, lastIndex: value.lastIndex }, skip: ["lastIndex"] };
  if (value instanceof Map) return { fields: { entries: await each([...value].flat(), seen) } };
  if (value instanceof Set) return { fields: { entries: await each([...value], seen) } };
  if (value instanceof ArrayBuffer) {
    return { fields: { bytes: describeBytes(new Uint8Array(value)), resizable: value.resizable, maxByteLength: value.maxByteLength } };
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { fields: { offset: value.byteOffset, length: value.length, bytes: describeBytes(bytes), buffer: await describe(value.buffer, seen) }, own: false };
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt) {
    return { fields: { primitive: await describe(value.valueOf(), seen) } };
  }
  if (value instanceof Headers) return { fields: { entries: [...value], cookies: value.getSetCookie() } };
  if (value instanceof Request) return { fields: await requestFields(value, seen) };
  if (value instanceof Response) return { fields: await responseFields(value, seen) };
  if (value instanceof ReadableStream) return { fields: { locked: value.locked, body: await attemptRead(value) } };
  if (value instanceof WritableStream) return { fields: { locked: value.locked } };
  if (value instanceof Blob) return { fields: { type: value.type, name: value.name ?? null, body: await attemptRead(value.stream()) } };
  return undefined;
}

async function each(values, seen) {
  const described = [];
  for (const value of values) described.push(await describe(value, seen));
  return described;
}

async function errorFields(error) {
  return {
    name: await describe(error.name),
    message: await describe(error.message),
    stack: await describe(error.stack),
    text: await describe(String(error)),
    isError: error instanceof Error,
    code: error instanceof DOMException ? error.code : undefined,
  };
}

/** Own properties with their attributes, holes in arrays included (a hole has no property). */
async function ownProperties(value, skip = [], seen) {
  const own = {};
  for (const key of Reflect.ownKeys(value)) {
    if (key === Symbol.dispose || skip.includes(key) || (value instanceof String && key !== "extra")) continue;
    const property = Object.getOwnPropertyDescriptor(value, key);
    // Of what an error already told (stack, message) only the attributes matter.
    const told = value instanceof Error && (key === "stack" || key === "message");
    const described = told ? "as above" : await describe(value[key], seen);
    const plain = property.enumerable && (property.writable ?? true) && property.configurable;
    own[String(key)] = plain ? described : { enumerable: property.enumerable, writable: property.writable, accessor: !("value" in property), described };
  }
  return Object.keys(own).length > 0 ? { own } : {};
}

async function attemptRead(stream) {
  if (stream === null) return null;
  try {
    return describeBytes(await readAll(stream));
  } catch (error) {
    return { failed: await describe(error) };
  }
}

async function requestFields(request, seen) {
  return {
    method: request.method, url: request.url, headers: [...request.headers], redirect: request.redirect,
    cf: await describe(request.cf, seen), keepalive: request.keepalive, integrity: request.integrity, cache: request.cache ?? null,
    aborted: request.signal?.aborted ?? null, body: await attemptRead(request.body),
  };
}

async function responseFields(response, seen) {
  return {
    status: response.status, statusText: response.statusText, ok: response.ok, redirected: response.redirected, url: response.url,
    type: response.type, headers: [...response.headers], cookies: response.headers.getSetCookie(), cf: await describe(response.cf, seen),
    webSocket: response.webSocket !== null, body: await attemptRead(response.body),
  };
}

/** Awaits what `run` gives and describes either the value or the error. The text is JSON, so that it travels unchanged. */
export async function outcome(run) {
  return JSON.stringify(await tell(run), null, 1);
}

export async function tell(run) {
  try {
    return { value: await describe(await run()) };
  } catch (error) {
    return { threw: await describe(error) };
  }
}
