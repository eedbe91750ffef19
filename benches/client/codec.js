// Serializes and deserializes when it is told to, and says how long it took. The first argument is where the nested
// object goes.

const fs = require("node:fs");
const v8 = require("node:v8");

// About a mebibyte of what workers send each other: records with strings, numbers, lists and objects in them.
function nested() {
  const record = (id) => ({
    id,
    name: `customer number ${id}`,
    email: `customer.${id}@example.com`,
    active: id % 3 !== 0,
    score: id / 7,
    address: { street: `${id} Long Street`, city: "Springfield", geo: { latitude: 48.1 + id / 1000, longitude: 11.5 } },
    tags: ["new", "paying", `group-${id % 17}`],
    orders: Array.from({ length: 3 }, (_, n) => ({ id: id * 10 + n, total: n * 9.99, items: [1, 2, n] })),
    notes: null,
  });
  let level = { customers: Array.from({ length: 2800 }, (_, id) => record(id)) };
  for (let depth = 0; depth < 20; depth++) level = { depth, level };
  return level;
}

const object = nested();
const objectBytes = v8.serialize(object);
const buffer = new Uint8Array(64 << 20).fill(7).buffer;
const bufferBytes = v8.serialize(buffer);
fs.writeFileSync(process.argv[2], objectBytes);

const jobs = {
  "write object": () => v8.serialize(object),
  "read object": () => v8.deserialize(objectBytes),
  "write buffer": () => v8.serialize(buffer),
  "read buffer": () => v8.deserialize(bufferBytes),
};

require("node:readline").createInterface({ input: process.stdin }).on("line", (job) => {
  const start = process.hrtime.bigint();
  const kept = jobs[job]();
  const took = process.hrtime.bigint() - start;
  console.log(String(kept === undefined ? 0 : took));
});
console.log("ready");
