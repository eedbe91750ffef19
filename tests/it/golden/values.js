// Values whose serialized bytes are recorded: `name: () => value`. Node and workerd make them alike, except those of
// `workers.js`, which only a worker has.

function withStack(error, place = "at place (file.js:1:2)") {
  error.stack = `${error}\n    ${place}`;
  return error;
}

function cyclic(make, tie) {
  const value = make();
  tie(value);
  return value;
}

const buffer = () => Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16).buffer;

function resizable() {
  const resizable = new ArrayBuffer(8, { maxByteLength: 16 });
  new Uint8Array(resizable).set([1, 2, 3, 4, 5, 6, 7, 8]);
  return resizable;
}

function nested(levels) {
  let value = { level: 0 };
  for (let level = 1; level < levels; level++) value = { level, value };
  return value;
}

const records = (count) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `name ${id}`, tags: ["a", "b"], price: id / 4, gone: null }));

export const values = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,

  "zero": () => 0,
  "minus zero": () => -0,
  "one": () => 1,
  "minus one": () => -1,
  "63": () => 63,
  "64": () => 64,
  "2^30 - 1": () => 2 ** 30 - 1,
  "2^30": () => 2 ** 30,
  "-2^30": () => -(2 ** 30),
  "-2^30 - 1": () => -(2 ** 30) - 1,
  "2^31 - 1": () => 2 ** 31 - 1,
  "2^31": () => 2 ** 31,
  "-2^31": () => -(2 ** 31),
  "2^32": () => 2 ** 32,
  "2^53": () => 2 ** 53,
  "one and a half": () => 1.5,
  "NaN": () => NaN,
  "Infinity": () => Infinity,
  "-Infinity": () => -Infinity,
  "greatest number": () => Number.MAX_VALUE,
  "least number": () => Number.MIN_VALUE,
  "0.1 + 0.2": () => 0.1 + 0.2,
  "1e21": () => 1e21,
  "1e-7": () => 1e-7,

  "empty string": () => "",
  "ASCII": () => "hi",
  "Latin-1": () => "é ÿ \u0080",
  "Chinese": () => "你好",
  "emoji": () => "a😀",
  "lone surrogate": () => "\ud83d",
  "lone surrogate within": () => "a\udc00b😀",
  "controls": () => "\0\t\n\r\x1b\x7f\u2028",
  "single quotes": () => "it's",
  "both quotes": () => `it's "so"`,
  "all quotes": () => "it's \"so\" `here`",
  "300 letters": () => "x".repeat(300),
  "several lines": () => "the first line\nthe second line, which is longer\nthe third\n".repeat(3),
  "two-byte strings at all places": () => ["你", "a你", "", "你", { "你": "好", a: "你" }, "你".repeat(64)],

  "0n": () => 0n,
  "1n": () => 1n,
  "-1n": () => -1n,
  "2n ** 64n": () => 2n ** 64n,
  "-(2n ** 64n)": () => -(2n ** 64n),
  "large BigInt": () => 2n ** 4000n - 1n,

  "epoch": () => new Date(0),
  "date": () => new Date(1749342170815),
  "date before 1970": () => new Date(-1),
  "date in year -1": () => new Date("-000001-02-03T04:05:06.007Z"),
  "invalid date": () => new Date(NaN),

  "RegExp": () => /a\/b[/]\n/gi,
  "RegExp with all flags": () => /(?<year>\d)/dgimsuy,
  "RegExp with v": () => /[\p{L}--[a-z]]/v,
  "empty RegExp": () => new RegExp(""),
  "Chinese RegExp": () => /你/,

  "boxed true": () => Object(true),
  "boxed false": () => Object(false),
  "boxed number": () => Object(1.5),
  "boxed integer": () => Object(3),
  "boxed -0": () => Object(-0),
  "boxed string": () => Object("it's"),
  "boxed Chinese": () => Object("你"),
  "boxed BigInt": () => Object(-12n),

  "empty array": () => [],
  "integers": () => [1, 2, 3],
  "doubles": () => [1, 2.5, -0, NaN],
  "mixed array": () => [1, "a", 2.5, null, undefined, true, -0],
  "hole": () => [1, , 3],
  "hole at the end": () => [1, , ],
  "holes of objects": () => [{ a: 1 }, , , [2]],
  "only holes": () => new Array(5),
  "sparse array": () => cyclic(() => [1], (array) => { array[1e9] = "far"; array[70] = "near"; }),
  "array with properties": () => Object.assign([1, 2], { name: "n", "it's": 1 }),
  "holes and properties": () => Object.assign([1, , 2], { name: "n" }),
  "array in array": () => [[1], [[2, []]]],
  "seven numbers": () => [1, 22, 333, 4444, 55555, 666666, 7777777],
  "100 numbers": () => Array.from({ length: 100 }, (_, i) => i * i),
  "101 numbers": () => Array.from({ length: 101 }, (_, i) => i),
  "150 words": () => Array.from({ length: 150 }, (_, i) => "word".repeat(1 + (i % 3)) + i),
  "long words": () => Array.from({ length: 10 }, (_, i) => "x".repeat(i * 9)),
  "many holes": () => cyclic(() => [], (array) => { for (let i = 0; i < 250; i += 2) array[i] = i; }),

  "empty object": () => ({}),
  "object": () => ({ a: 1 }),
  "integer keys": () => ({ b: 1, 5: 2, "01": 3, 1: 4, "-1": 5, 1.5: 6 }),
  "large integer keys": () => ({ [2 ** 31]: 1, [2 ** 32 - 2]: 2, [2 ** 32 - 1]: 3, [2 ** 30]: 4 }),
  "odd keys": () => ({ "": 1, "it's": 2, "你": 3, "é": 4, a1_: 5, "1a": 6, "\ud83d": 7, "a b": 8 }),
  "__proto__": () => JSON.parse('{"__proto__": 1, "a": 2}'),
  "undefined properties": () => ({ a: undefined, b: null }),
  "getter": () => ({ get a() { return 1; } }),
  "many properties": () => Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key${i}`, i])),
  "nested": () => nested(12),
  "records": () => records(12),
  "one line or several": () => ({
    short: { a: 1, b: [1, 2, 3] },
    long: { name: "a rather long string that", other: "fills its line quite well", more: [1, 2, { a: { b: {} } }] },
    text: "first line\nsecond line which is so long that it does not fit in the eighty columns of it\n",
  }),
  "compact levels": () => ({ a: { b: { c: {} } }, d: [[[]]], e: [[[1]]], f: { g: [{ h: 1 }] } }),

  "Map": () => new Map([["a", 1], [2, { b: 3 }], [{ k: 1 }, [4]], [NaN, -0]]),
  "empty Map": () => new Map(),
  "Set": () => new Set([1, "a", { b: 2 }, [3], undefined]),
  "empty Set": () => new Set(),
  "Map of Maps": () => new Map([[new Map([[1, 2]]), new Set([new Set()])]]),
  "large Set": () => new Set(Array.from({ length: 120 }, (_, i) => `v${i}`)),

  "ArrayBuffer": () => buffer(),
  "empty ArrayBuffer": () => new ArrayBuffer(0),
  "long ArrayBuffer": () => Uint8Array.from({ length: 150 }, (_, i) => i).buffer,
  "resizable ArrayBuffer": () => resizable(),
  "Int8Array": () => new Int8Array(buffer()),
  "Uint8Array": () => Uint8Array.of(1, 2, 255),
  "empty Uint8Array": () => new Uint8Array(),
  "long Uint8Array": () => Uint8Array.from({ length: 130 }, (_, i) => i),
  "Uint8ClampedArray": () => Uint8ClampedArray.of(300, 1),
  "Int16Array": () => new Int16Array(buffer()),
  "Uint16Array": () => new Uint16Array(buffer()),
  "Int32Array": () => new Int32Array(buffer()),
  "Uint32Array": () => new Uint32Array(buffer()),
  "Float32Array": () => Float32Array.of(1.5, -0, NaN, 1e30),
  "Float64Array": () => Float64Array.of(1.5, 1e300, -Infinity),
  "BigInt64Array": () => BigInt64Array.of(-1n, 2n ** 62n),
  "BigUint64Array": () => BigUint64Array.of(2n ** 64n - 1n),
  "DataView": () => new DataView(buffer(), 3, 5),
  "part of a buffer": () => new Uint16Array(buffer(), 4, 3),
  "length-tracking view": () => new Uint8Array(resizable(), 2),
  "length-tracking DataView": () => new DataView(resizable(), 1),
  "fixed view of a resizable buffer": () => new Uint16Array(resizable(), 2, 2),
  "two views of one buffer": () => {
    const shared = buffer();
    return [new Uint8Array(shared, 0, 2), shared, new DataView(shared), new Int32Array(shared)];
  },
  "one view twice": () => {
    const view = Uint8Array.of(1);
    return { view, same: view, buffer: view.buffer };
  },

  "object in itself": () => cyclic(() => ({ a: 1 }), (object) => { object.self = object; }),
  "array in itself": () => cyclic(() => [], (array) => { array.push(array, [array]); }),
  "Map in itself": () => cyclic(() => new Map(), (map) => { map.set(map, map); }),
  "Set in itself": () => cyclic(() => new Set(), (set) => { set.add(set); }),
  "two cycles": () => {
    const a = { name: "a" };
    const b = { name: "b", a };
    a.b = b;
    b.own = b;
    return [a, b];
  },
  "shared object": () => {
    const shared = { a: 1 };
    return { first: shared, second: [shared, shared] };
  },
  "shared primitives as objects": () => {
    const [date, number, expression] = [new Date(5), Object(1), /x/];
    return [date, number, expression, date, number, expression];
  },

  "Error": () => withStack(new Error("message")),
  "Error without message": () => withStack(new Error()),
  "EvalError": () => withStack(new EvalError("m")),
  "RangeError": () => withStack(new RangeError("m")),
  "ReferenceError": () => withStack(new ReferenceError("m")),
  "SyntaxError": () => withStack(new SyntaxError("m")),
  "TypeError": () => withStack(new TypeError("m")),
  "URIError": () => withStack(new URIError("你")),
  "error with a cause": () => withStack(new Error("outer", { cause: withStack(new TypeError("inner")) })),
  "error with a plain cause": () => withStack(new Error("outer", { cause: { code: 1 } })),
  "errors within": () => ({ list: [withStack(new RangeError("m"))], message: "m" }),
  "error without places": () => cyclic(() => new TypeError("m"), (error) => { error.stack = "TypeError: m"; }),
  "error of several lines": () => withStack(new Error("first\nsecond")),
};
