// Records what node's V8 makes of the values:
//   node tests/it/golden/node.mjs > tests/it/golden/node.jsonl

import { inspect } from "node:util";
import v8 from "node:v8";

import { values } from "./values.js";

for (const [name, make] of Object.entries(values)) {
  // Not v8.serialize: it has a form of its own for views.
  const serializer = new v8.Serializer();
  serializer.writeHeader();
  serializer.writeValue(make());
  const hex = serializer.releaseBuffer().toString("hex");
  // What the receiver has is printed, since not everything arrives.
  const received = new v8.Deserializer(Buffer.from(hex, "hex"));
  received.readHeader();
  const value = received.readValue();
  console.log(JSON.stringify({ name, hex, inspect: inspect(value), deep: inspect(value, { depth: null }), colors: inspect(value, { colors: true }) }));
}
