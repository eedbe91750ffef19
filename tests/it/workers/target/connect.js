/** Answers a raw connection by telling its first line back in upper case; the caller then sees the end. */
export async function handleConnect(socket) {
  const info = await socket.opened;
  const reader = socket.readable.getReader();
  const { value } = await reader.read();
  const writer = socket.writable.getWriter();
  const text = new TextDecoder().decode(value ?? new Uint8Array());
  await writer.write(new TextEncoder().encode(`${text.toUpperCase()} (${Object.keys(info ?? {}).sort()})`));
  await writer.close();
}
