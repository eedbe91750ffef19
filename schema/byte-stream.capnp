@0x8f5d14e1c273738d;

# A stream of bytes. The holder of the capability writes; the object behind it reads.

interface ByteStream {
  write @0 (bytes :Data) -> stream;
  end @1 ();

  # Path shortening: hands out a stream that leads straight to the next hop, until `limit`.
  getSubstream @2 (callback :SubstreamCallback, limit :UInt64 = 0xffffffffffffffff)
      -> (substream :ByteStream);
  startTls @3 (expectedServerHostname :Text) -> stream;

  interface SubstreamCallback {
    ended @0 (byteCount :UInt64);
    reachedLimit @1 () -> (next :ByteStream);
  }
}
