/** Bytes that differ at every offset, so that lost, doubled or swapped chunks change the digest. */
export function pattern(size, offset = 0) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = ((offset + i) * 31 + ((offset + i) >>> 8)) & 0xff;
  return bytes;
}

export function patternStream(size, chunk = 16_384) {
  let sent = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const next = Math.min(chunk, size - sent);
      if (next > 0) controller.enqueue(pattern(next, sent));
      sent += next;
      if (sent >= size) controller.close();
      // A byte stream's pending read is only answered once the request for it is.
      if (next === 0) controller.byobRequest?.respond(0);
    },
  });
}
