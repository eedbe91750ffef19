// Streams as arguments and results of RPC calls.
import { describeBytes, outcome, readAll } from "../describe.js";
import { note } from "./journal.js";
import { pattern, patternStream } from "../streams.js";

export const Streams = (Base) => class extends Base {
  async readStream(stream) {
    return describeBytes(await readAll(stream));
  }

  async readStreams(...streams) {
    return Promise.all(streams.map(async (stream) => describeBytes(await readAll(stream))));
  }

  async tryReadStream(stream) {
    return outcome(async () => describeBytes(await readAll(stream)));
  }

  async readFirstThenCancel(stream, reason) {
    const reader = stream.getReader();
    const { done, value } = await reader.read();
    await reader.cancel(reason);
    return { done, got: value.length > 0 };
  }

  giveStream(size) {
    return patternStream(size);
  }

  giveStreams(...sizes) {
    return sizes.map((size) => patternStream(size));
  }

  giveFailingStream(kind, key) {
    let pulls = 0;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        pulls += 1;
        if (pulls === 1) controller.enqueue(new TextEncoder().encode("first chunk"));
        else { note(key, "failed"); controller.error(Object.assign(new TypeError("stream broke"), { kind })); }
      },
    });
  }

  giveEndlessStream(key) {
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        controller.enqueue(pattern(1024));
      },
      cancel(reason) {
        note(key, `cancelled: ${reason}`);
      },
    });
  }

  echoStream(stream) {
    return stream;
  }

  async upperCaseStream(stream) {
    const { readable, writable } = new IdentityTransformStream();
    this.ctx.waitUntil((async () => {
      const writer = writable.getWriter();
      for await (const chunk of stream) await writer.write(chunk.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)));
      await writer.close();
    })());
    return readable;
  }

  async writeTo(writable, size) {
    await patternStream(size).pipeTo(writable);
    return "written";
  }

  async writeTexts(writable, ...texts) {
    const writer = writable.getWriter();
    for (const text of texts) await writer.write(new TextEncoder().encode(text));
    await writer.close();
    return texts.length;
  }

  async abortWritable(writable, key) {
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("before the abort"));
    note(key, await outcome(() => writer.abort(new RangeError("target aborted"))));
    return "aborted";
  }

  async writeUntilError(writable) {
    const writer = writable.getWriter();
    return outcome(async () => { for (;;) await writer.write(pattern(4096)); });
  }

  giveWritable(key) {
    const { readable, writable } = new IdentityTransformStream();
    this.ctx.waitUntil(outcome(() => readAll(readable).then(describeBytes)).then((read) => note(key, read)));
    return writable;
  }

  /** A stream, a callback and a stub in one message: their capability ids must not be mixed up. */
  async mixed(stream, callback, writable) {
    const bytes = await readAll(stream);
    const answer = await callback(bytes.length);
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode(String(answer)));
    await writer.close();
    return { answer, again: patternStream(10), call: (x) => x + 1 };
  }
};
