// Values of Mix in JavaScript, and the interface of a plugin.
//
// null, undefined, booleans, numbers, strings, Uint8Array (binary), arrays and plain objects (maps) are what they look
// like; refs, cases, handles and further kinds have classes of their own here. A whole number that a JavaScript number
// cannot hold exactly, from 2^53 on, is a BigInt.

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

/** What a case can be called: `some`, `calendar.date`. */
const CASE_NAME = /^[A-Za-z_$][A-Za-z0-9_.$]{0,255}$/;

/** A case with or without an argument: `some(1)` is `new Case("some", 1)`. */
export class Case {
  constructor(name, argument) {
    if (typeof name !== "string" || !CASE_NAME.test(name))
      throw new TypeError(`${JSON.stringify(name)} is no name of a case: letters, digits, _, $ and ., no digit and no . first`);
    this.name = name;
    this.hasArgument = arguments.length > 1;
    this.argument = argument;
  }
}

/** Names something that the plugin keeps, by a number of its own; programs can only pass it back. */
export class Handle {
  constructor(number) {
    this.number = number;
  }
}

/** A kind of value that is passed on untouched: tokens, numbers beyond 64 bits. */
export class Other {
  constructor(type, bytes) {
    this.type = type;
    this.bytes = bytes;
  }
}

const UNDEFINED = 1, REF = 2, CASE = 3, HANDLE = 6;
/** Most arrays, maps and cases in one another. */
const DEEPEST = 128;

/** The bytes of a text; half of a pair of units, which is no character, becomes U+FFFD. */
function toUtf8(text) {
  const bytes = new Uint8Array(3 * text.length);
  let size = 0;
  for (let at = 0; at < text.length; at++) {
    let code = text.charCodeAt(at);
    if (code >= 0xd800 && code < 0xe000) {
      const next = code < 0xdc00 ? text.charCodeAt(at + 1) : NaN;
      if (next >= 0xdc00 && next < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        at++;
      } else code = 0xfffd;
    }
    if (code < 0x80) bytes[size++] = code;
    else {
      if (code < 0x800) bytes[size++] = 0xc0 | (code >> 6);
      else {
        if (code < 0x10000) bytes[size++] = 0xe0 | (code >> 12);
        else {
          bytes[size++] = 0xf0 | (code >> 18);
          bytes[size++] = 0x80 | ((code >> 12) & 63);
        }
        bytes[size++] = 0x80 | ((code >> 6) & 63);
      }
      bytes[size++] = 0x80 | (code & 63);
    }
  }
  return bytes.subarray(0, size);
}

/** The text of bytes that are UTF-8. */
function fromUtf8(bytes) {
  let text = "", units = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++], more = () => bytes[at++] & 63;
    if (first < 0x80) units.push(first);
    else if (first < 0xe0) units.push(((first & 31) << 6) | more());
    else if (first < 0xf0) units.push(((first & 15) << 12) | (more() << 6) | more());
    else {
      const code = (((first & 7) << 18) | (more() << 12) | (more() << 6) | more()) - 0x10000;
      units.push(0xd800 | (code >> 10), 0xdc00 | (code & 1023));
    }
    if (units.length > 4000) {
      text += String.fromCharCode.apply(null, units);
      units = [];
    }
  }
  return text + String.fromCharCode.apply(null, units);
}

/** Bytes that grow. */
class Buffer {
  constructor() {
    this.bytes = new Uint8Array(64);
    this.view = new DataView(this.bytes.buffer);
    this.length = 0;
  }

  /** Room for more; gives where it begins. */
  room(size) {
    const begin = this.length;
    this.length += size;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, begin));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return begin;
  }

  // What may move comes first.
  put(bytes) { const at = this.room(bytes.length); this.bytes.set(bytes, at); }
  byte(value) { const at = this.room(1); this.bytes[at] = value; }
  number(size, write, value) { const at = this.room(size); write.call(this.view, at, value); }
  whole() { return this.bytes.slice(0, this.length); }
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
  const whole = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : big);
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
    if (type === HANDLE && size === 8) return new Handle(Number(number(8, view.getBigUint64)));
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
      case 0xcf: return whole(number(8, view.getBigUint64));
      case 0xd0: return number(1, view.getInt8);
      case 0xd1: return number(2, view.getInt16);
      case 0xd2: return number(4, view.getInt32);
      case 0xd3: return whole(number(8, view.getBigInt64));
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
  return encodeAt(value, 0);
}

/** The wire form of what stands that deep in others. */
function encodeAt(value, outside) {
  const out = new Buffer();
  const head = (size, short, limit, one, two, four) => {
    if (size < limit) out.byte(short | size);
    else if (size < 256 && one) { out.byte(one); out.byte(size); }
    else if (size < 65536) { out.byte(two); out.number(2, out.view.setUint16, size); }
    else { out.byte(four); out.number(4, out.view.setUint32, size); }
  };
  const string = (bytes) => { head(bytes.length, 0xa0, 32, 0xd9, 0xda, 0xdb); out.put(bytes); };
  const extension = (type, bytes) => { head(bytes.length, 0, 0, 0xc7, 0xc8, 0xc9); out.byte(type); out.put(bytes); };
  const integer = (big) => {
    if (BigInt.asIntN(64, big) !== big) throw new Failure("ERR_NOT_SERIALIZABLE", "the number has more than 64 bits");
    out.byte(0xd3);
    out.number(8, out.view.setBigInt64, big);
  };
  const deeper = (depth) => {
    if (depth >= DEEPEST) throw new Failure("ERR_NOT_SERIALIZABLE", `the result is nested more than ${DEEPEST} levels deep`);
    return depth + 1;
  };
  const put = (one, depth) => {
    if (one === undefined) extension(UNDEFINED, []);
    else if (one === null) out.byte(0xc0);
    else if (typeof one === "boolean") out.byte(one ? 0xc3 : 0xc2);
    else if (typeof one === "bigint") integer(one);
    else if (typeof one === "number") {
      if (!Number.isSafeInteger(one) || Object.is(one, -0)) { out.byte(0xcb); out.number(8, out.view.setFloat64, one); }
      else if (one >= 0 && one < 128) out.byte(one);
      else integer(BigInt(one));
    } else if (typeof one === "string") string(toUtf8(one));
    else if (one instanceof Uint8Array) { head(one.length, 0, 0, 0xc4, 0xc5, 0xc6); out.put(one); }
    else if (Array.isArray(one)) {
      const inner = deeper(depth);
      head(one.length, 0x90, 16, 0, 0xdc, 0xdd);
      for (const item of one) {
        if (item === undefined) throw new Failure("ERR_NOT_SERIALIZABLE", "an array has no undefined items");
        put(item, inner);
      }
    } else if (one instanceof Ref) extension(REF, toUtf8(one.id));
    else if (one instanceof Handle) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(one.number));
      extension(HANDLE, bytes);
    } else if (one instanceof Case) {
      const inner = deeper(depth), parts = new Buffer();
      parts.put(encode(one.name));
      if (one.hasArgument) parts.put(encodeAt(one.argument, inner));
      extension(CASE, parts.whole());
    } else if (one instanceof Other) extension(one.type, one.bytes);
    else if (isPlain(one)) {
      const inner = deeper(depth);
      const keys = Object.keys(one).filter((key) => one[key] !== undefined);
      const named = keys.map((key) => [key, toUtf8(key)]);
      // Keys stand in the order of their bytes.
      named.sort(([, a], [, b]) => { for (let at = 0; ; at++) { if (a[at] === b[at] && at < a.length) continue; return (a[at] ?? -1) - (b[at] ?? -1); } });
      head(named.length, 0x80, 16, 0, 0xde, 0xdf);
      for (const [key, bytes] of named) { string(bytes); put(one[key], inner); }
    } else throw new Failure("ERR_NOT_SERIALIZABLE", `${article(one)} is no value of Mix${one instanceof Promise ? ": a function that waits is `async`" : ""}`);
  };
  put(value, outside);
  return out.whole();
}

/** An object that is nothing but its members: what a Date or a Map holds would be lost. */
function isPlain(one) {
  if (typeof one !== "object") return false;
  const of = Object.getPrototypeOf(one);
  return of === null || of === Object.prototype;
}

function article(one) {
  const name = typeof one === "object" ? (one.constructor?.name ?? "object") : typeof one;
  return `a ${name}`;
}

function failure(error) {
  if (error instanceof Failure) return { code: wholeText(error.code), message: wholeText(error.message) };
  return { code: "ERR_INTERNAL", message: wholeText(error?.message ?? error) + place(error) };
}

/** A text that the interface takes: whole characters only. */
const wholeText = (text) => fromUtf8(toUtf8(String(text)));

/** Where the plugin made a mistake, for its author: the innermost line of its own files. */
function place(error) {
  const lines = String(error?.stack ?? "").match(/[\w.-]+\.js:\d+:\d+/g) ?? [];
  const own = lines.find((line) => !line.startsWith("mix.js")) ?? lines[0];
  return own ? ` (${own})` : "";
}

const kinds = (f) => Object.getPrototypeOf(f)?.constructor?.name ?? "Function";

/**
 * The interface of a plugin from its functions: `{verb: {doc, type, run}}`. The names in Mix are `$name_verb`; one that
 * begins with `$` is whole. An `async` function may wait; a generator (`*run`) gives a stream.
 */
export function plugin(name, functions) {
  const table = Object.entries(functions).map(([verb, { doc, type, run }]) => {
    const kind = kinds(run);
    return { name: verb.startsWith("$") ? verb : `$${name}_${verb}`, doc, type, run, waits: kind !== "Function", many: kind.includes("Generator") };
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
