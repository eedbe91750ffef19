import { describeBytes, outcome, readAll } from "../describe.js";
import { pattern, patternStream } from "../streams.js";

const sizes = { "0": 0, "1": 1, "1KiB": 1024, "64KiB": 65_536, "3MiB": 3 << 20 };
const text = (value) => new Blob([value]).stream();

export const cases = {
  "streams/several-in": ({ b }) => b.readStreams(patternStream(10), patternStream(0), patternStream(70_000), text("four")),
  "streams/several-out": async ({ b }) => {
    const streams = await b.giveStreams(1, 0, 100_000, 5);
    return Promise.all(streams.map(async (stream) => describeBytes(await readAll(stream))));
  },
  "streams/several-out-read-backwards": async ({ b }) => {
    const streams = await b.giveStreams(3, 40_000, 5);
    const read = [];
    for (const stream of streams.reverse()) read.push(describeBytes(await readAll(stream)));
    return read;
  },
  "streams/upper-case": async ({ b }) => new TextDecoder().decode(await readAll(await b.upperCaseStream(text("shout this")))),
  "streams/in-chunks-of-one": ({ b }) => b.readStream(patternStream(300, 1)),
  "streams/fails-at-target": async ({ b, key }) => {
    const stream = await b.giveFailingStream("custom", key);
    const reader = stream.getReader();
    const first = await reader.read();
    return { first: new TextDecoder().decode(first.value), then: await outcome(() => reader.read()), notes: await b.awaitNotes(key, 1) };
  },
  "streams/fails-at-caller": ({ b }) => {
    let pulls = 0;
    const failing = new ReadableStream({
      type: "bytes",
      pull(controller) {
        pulls += 1;
        if (pulls === 1) controller.enqueue(pattern(100));
        else controller.error(new RangeError("caller's stream broke"));
      },
    });
    return b.tryReadStream(failing);
  },
  "streams/cancel-out": async ({ b, key }) => {
    const stream = await b.giveEndlessStream(key);
    const reader = stream.getReader();
    const { value } = await reader.read();
    await reader.cancel(new TypeError("had enough"));
    return { got: value.length > 0, notes: await b.awaitNotes(key, 1) };
  },
  "streams/cancel-in": async ({ b }) => {
    const { promise, resolve } = Promise.withResolvers();
    const endless = new ReadableStream({ type: "bytes", pull: (controller) => controller.enqueue(pattern(1024)), cancel: (reason) => resolve(reason) });
    const read = await b.readFirstThenCancel(endless, "target had enough");
    return { read, reason: await outcome(() => promise) };
  },
  "streams/never-read": async ({ b, key }) => {
    const stream = await b.giveEndlessStream(key);
    await stream.cancel("never read");
    return { silence: await b.awaitSilence(key), notes: await b.notes(key) };
  },
  "streams/abort-by-target": async ({ b, key }) => {
    const { readable, writable } = new IdentityTransformStream();
    const read = outcome(() => readAll(readable).then(describeBytes));
    return { answer: await b.abortWritable(writable, key), notes: await b.awaitNotes(key, 1), read: await read };
  },
  "streams/reader-gone": async ({ b }) => {
    const { readable, writable } = new IdentityTransformStream();
    const write = b.writeUntilError(writable);
    const reader = readable.getReader();
    await reader.read();
    await reader.cancel(new RangeError("reader left"));
    return write;
  },
  "streams/writable-texts": async ({ b }) => {
    const { readable, writable } = new IdentityTransformStream();
    const [answer, bytes] = await Promise.all([b.writeTexts(writable, "one ", "", "two ", "three"), readAll(readable)]);
    return { answer, text: new TextDecoder().decode(bytes) };
  },
  "streams/writable-given": async ({ b, key }) => {
    const writable = await b.giveWritable(key);
    const writer = writable.getWriter();
    for (let i = 0; i < 20; i += 1) await writer.write(pattern(1000, i * 1000));
    await writer.close();
    return b.awaitNotes(key, 1);
  },
  "streams/writable-given-aborted": async ({ b, key }) => {
    const writable = await b.giveWritable(key);
    const writer = writable.getWriter();
    await writer.write(pattern(10));
    const aborted = await outcome(() => writer.abort(new RangeError("caller aborted")));
    return { aborted, notes: await b.awaitNotes(key, 1) };
  },
  "streams/mixed": async ({ b }) => {
    const { readable, writable } = new IdentityTransformStream();
    const [result, bytes] = await Promise.all([b.mixed(patternStream(5000), (n) => n * 2, writable), readAll(readable)]);
    return { answer: result.answer, text: new TextDecoder().decode(bytes), again: describeBytes(await readAll(result.again)), call: await result.call(41) };
  },
  "streams/relayed-own-stream": async ({ b }) => {
    // The target's own stream goes back to it as an argument: B → A → B.
    const stream = await b.giveStream(50_000);
    return b.readStream(stream);
  },
  "streams/response-as-value": async ({ b }) => {
    const response = await b.echo(new Response(patternStream(30_000), { headers: { "x-kept": "yes" } }));
    return { kept: response.headers.get("x-kept"), body: describeBytes(await readAll(response.body)) };
  },
};

for (const [name, size] of Object.entries(sizes)) {
  cases[`streams/in-${name}`] = ({ b }) => b.readStream(patternStream(size));
  cases[`streams/out-${name}`] = async ({ b }) => describeBytes(await readAll(await b.giveStream(size)));
  cases[`streams/echo-${name}`] = async ({ b }) => describeBytes(await readAll(await b.echoStream(patternStream(size))));
  cases[`streams/writable-${name}`] = async ({ b }) => {
    const { readable, writable } = new IdentityTransformStream();
    const [answer, bytes] = await Promise.all([b.writeTo(writable, size), readAll(readable)]);
    return { answer, bytes: describeBytes(bytes) };
  };
}
