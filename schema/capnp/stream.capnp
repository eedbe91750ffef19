@0x86c366a91393f3f8;

# The compiler looks for this file by this path wherever a method says `-> stream`.
# It stands here so that the bare compiler, without its development files, is enough.

struct StreamResult @0x995f9a3377c0b16e {}
