// Values of Mix in JavaScript, and the interface of a plugin.
//
// null, booleans, numbers, strings, Uint8Array (binary), arrays and plain objects (maps) are what they look
// like; undefined, refs, cases and further kinds have classes of their own here.

/** A failure with a stable code; the program sees `CODE: message`. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The id of a record. */
export class Ref {
  constructor(id) {
    this.id = id;
  }
}

/** A case with or without an argument: `some(1)` is `new Case("some", 1)`. */
export class Case {
  constructor(name, argument) {
    this.name = name;
    this.hasArgument = arguments.length > 1;
    this.argument = argument;
  }
}

/** A kind of value that is passed on untouched: tokens, handles, big integers. */
export class Other {
  constructor(type, bytes) {
    this.type = type;
    this.bytes = bytes;
  }
}

const UNDEFINED = 1, REF = 2, CASE = 3;
const DEEPEST = 128;

function fromUtf8(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += "%" + byte.toString(16).padStart(2, "0");
  return decodeURIComponent(escaped);
}

function toUtf8(text) {
  const escaped = encodeURIComponent(text), bytes = [];
  for (let at = 0; at < escaped.length; at++) {
    if (escaped[at] === "%") {
      bytes.push(parseInt(escaped.slice(at + 1, at + 3), 16));
      at += 2;
    } else bytes.push(escaped.charCodeAt(at));
  }
  return bytes;
}

/** One value from its wire form. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const number = (size, read) => {
    const value = read.call(view, at);
    at += size;
    return value;
  };
  const u8 = () => number(1, view.getUint8), u16 = () => number(2, view.getUint16);
  const u32 = () => number(4, view.getUint32);
  const take = (size) => {
    if (at + size > bytes.length) throw new Failure("ERR_INTERNAL", "the arguments are cut off");
    return bytes.subarray(at, (at += size));
  };
  const list = (count, depth) => Array.from({ length: count }, () => value(depth));
  const map = (count, depth) => {
    const object = {};
    for (let left = count; left > 0; left--) {
      const key = value(depth);
      Object.defineProperty(object, key, { value: value(depth), enumerable: true, configurable: true, writable: true });
    }
    return object;
  };
  const extension = (size, depth) => {
    const type = u8(), end = at + size;
    if (type === UNDEFINED) return undefined;
    if (type === REF) return new Ref(fromUtf8(take(size)));
    if (type === CASE) {
      const name = value(depth);
      return at < end ? new Case(name, value(depth)) : new Case(name);
    }
    return new Other(type, take(size).slice());
  };
  function value(depth) {
    if (depth > DEEPEST) throw new Failure("ERR_INTERNAL", "the arguments are nested too deeply");
    const inner = depth + 1, marker = u8();
    if (marker < 0x80) return marker;
    if (marker < 0x90) return map(marker & 15, inner);
    if (marker < 0xa0) return list(marker & 15, inner);
    if (marker < 0xc0) return fromUtf8(take(marker & 31));
    if (marker >= 0xe0) return marker - 256;
    switch (marker) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return take(u8()).slice();
      case 0xc5: return take(u16()).slice();
      case 0xc6: return take(u32()).slice();
      case 0xc7: return extension(u8(), inner);
      case 0xc8: return extension(u16(), inner);
      case 0xc9: return extension(u32(), inner);
      case 0xca: return number(4, view.getFloat32);
      case 0xcb: return number(8, view.getFloat64);
      case 0xcc: return u8();
      case 0xcd: return u16();
      case 0xce: return u32();
      case 0xcf: return Number(number(8, view.getBigUint64));
      case 0xd0: return number(1, view.getInt8);
      case 0xd1: return number(2, view.getInt16);
      case 0xd2: return number(4, view.getInt32);
      case 0xd3: return Number(number(8, view.getBigInt64));
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return extension(1 << (marker - 0xd4), inner);
      case 0xd9: return fromUtf8(take(u8()));
      case 0xda: return fromUtf8(take(u16()));
      case 0xdb: return fromUtf8(take(u32()));
      case 0xdc: return list(u16(), inner);
      case 0xdd: return list(u32(), inner);
      case 0xde: return map(u16(), inner);
      case 0xdf: return map(u32(), inner);
    }
    throw new Failure("ERR_INTERNAL", "the arguments are no MessagePack");
  }
  return value(0);
}

/** The wire form of a value. */
export function encode(value) {
  const out = [];
  const big = (size, number) => {
    for (let shift = size - 1; shift >= 0; shift--) out.push(Math.floor(number / 2 ** (8 * shift)) & 255);
  };
  const head = (size, short, limit, first, markers) => {
    if (size < limit) out.push(short | size);
    else if (size < 256 && first) out.push(markers[0], size);
    else if (size < 65536) { out.push(markers[1]); big(2, size); }
    else { out.push(markers[2]); big(4, size); }
  };
  const text = (string) => {
    const bytes = toUtf8(string);
    head(bytes.length, 0xa0, 32, true, [0xd9, 0xda, 0xdb]);
    for (const byte of bytes) out.push(byte);
  };
  const extension = (type, bytes) => {
    head(bytes.length, 0, 0, true, [0xc7, 0xc8, 0xc9]);
    out.push(type);
    for (const byte of bytes) out.push(byte);
  };
  const put = (one, depth) => {
    if (depth > DEEPEST) throw new Failure("ERR_NOT_SERIALIZABLE", "the result is nested too deeply");
    if (one === undefined) extension(UNDEFINED, []);
    else if (one === null) out.push(0xc0);
    else if (one === false) out.push(0xc2);
    else if (one === true) out.push(0xc3);
    else if (typeof one === "number") {
      if (Number.isSafeInteger(one) && !Object.is(one, -0)) {
        if (one >= 0 && one < 128) out.push(one);
        else { out.push(0xd3); const view = new DataView(new ArrayBuffer(8)); view.setBigInt64(0, BigInt(one)); out.push(...new Uint8Array(view.buffer)); }
      } else { out.push(0xcb); const view = new DataView(new ArrayBuffer(8)); view.setFloat64(0, one); out.push(...new Uint8Array(view.buffer)); }
    } else if (typeof one === "string") text(one);
    else if (one instanceof Uint8Array) {
      head(one.length, 0, 0, true, [0xc4, 0xc5, 0xc6]);
      for (const byte of one) out.push(byte);
    } else if (Array.isArray(one)) {
      head(one.length, 0x90, 16, false, [0, 0xdc, 0xdd]);
      for (const item of one) put(item, depth + 1);
    } else if (one instanceof Ref) extension(REF, toUtf8(one.id));
    else if (one instanceof Case) extension(CASE, one.hasArgument ? [...encode(one.name), ...encode(one.argument)] : encode(one.name));
    else if (one instanceof Other) extension(one.type, one.bytes);
    else if (typeof one === "object") {
      const keys = Object.keys(one).filter((key) => one[key] !== undefined);
      const named = keys.map((key) => [key, toUtf8(key)]);
      // Keys stand in the order of their bytes.
      named.sort(([, a], [, b]) => { for (let at = 0; ; at++) { if (a[at] === b[at] && at < a.length) continue; return (a[at] ?? -1) - (b[at] ?? -1); } });
      head(named.length, 0x80, 16, false, [0, 0xde, 0xdf]);
      for (const [key] of named) { text(key); put(one[key], depth + 1); }
    } else throw new Failure("ERR_NOT_SERIALIZABLE", `a ${typeof one} is no value of Mix`);
  };
  put(value, 0);
  return new Uint8Array(out);
}

function failure(error) {
  if (error instanceof Failure) return { code: error.code, message: error.message };
  return { code: "ERR_INTERNAL", message: String(error?.message ?? error) };
}

const kinds = (f) => Object.getPrototypeOf(f)?.constructor?.name ?? "Function";

/**
 * The interface of a plugin from its functions: `{verb: {doc, type, run}}`. The names in Mix are `$name_verb`. An
 * `async` function may wait; a generator (`*run`) gives a stream.
 */
export function plugin(name, functions) {
  const table = Object.entries(functions).map(([verb, { doc, type, run }]) => {
    const kind = kinds(run);
    return { name: `$${name}_${verb}`, doc, type, run, waits: kind !== "Function", many: kind.includes("Generator") };
  });
  const find = (number, args) => {
    const found = table[number];
    if (!found) throw new Failure("ERR_INTERNAL", `there is no function number ${number}`);
    const given = decode(args);
    if (!Array.isArray(given) || given.length !== found.run.length) {
      throw new Failure("ERR_INTERNAL", `${found.name} takes ${found.run.length} arguments`);
    }
    return [found, given];
  };
  return {
    describe: () => table.map(({ name, run, waits, doc, type }) => ({ name, params: run.length, waits, doc: `${doc}\n\nType: ${type}` })),
    call(number, args) {
      try {
        const [found, given] = find(number, args);
        return encode(found.run(...given));
      } catch (error) {
        throw failure(error);
      }
    },
    async start(number, args) {
      try {
        const [found, given] = find(number, args);
        if (!found.many) return { tag: "one", val: encode(await found.run(...given)) };
        const items = found.run(...given);
        async function* encoded() {
          try {
            for await (const item of items) yield encode(item);
          } catch (error) {
            // What fails on the way ends the stream with 0xc1 and the failure.
            yield new Uint8Array([0xc1, ...encode(failure(error))]);
          }
        }
        return { tag: "many", val: encoded() };
      } catch (error) {
        throw failure(error);
      }
    },
  };
}
