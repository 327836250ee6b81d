"""Values of Mix in Python, and the interface of a plugin.

None, bool, int, float, str, bytes, list and dict are what they look like; undefined, refs, cases, handles and further
kinds have classes of their own here.
"""

import contextlib
import inspect
import os
import re
import struct
import traceback

import componentize_py_async_support
import componentize_py_types
import wit_world
from wit_world import exports

try:
    # Its name where the world imports another interface `types`, for instance that of wasi:http.
    from wit_world.imports import mix_ffi_types as types
except ImportError:
    from wit_world.imports import types

# Most arrays, maps and cases in one another.
DEEPEST = 128

# What a case can be called: `some`, `calendar.date`.
CASE_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$]{0,255}")


class Failure(Exception):
    """A failure with a stable code; the program sees `CODE: message`."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message


class Undefined:
    """No value."""


class Ref:
    """The id of a record."""

    def __init__(self, id):
        self.id = id


class Case:
    """A case with its arguments, none or one: `some(1)` is `Case("some", 1)`."""

    def __init__(self, name, *arguments):
        if not isinstance(name, str) or not CASE_NAME.fullmatch(name):
            raise TypeError(
                f"{name!r} is no name of a case: letters, digits, _, $ and ., no digit and no . first"
            )
        if len(arguments) > 1:
            raise TypeError(f"case {name} has one argument at the most; several are a list")
        self.name = name
        self.arguments = arguments


class Handle:
    """Names something that the plugin keeps, by a number of its own; programs can only pass it back."""

    def __init__(self, number):
        self.number = number


class Other:
    """A kind of value that is passed on untouched: tokens, big integers."""

    def __init__(self, type, content):
        self.type = type
        self.content = content


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise Failure("ERR_INTERNAL", "the arguments are cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def text(self, size):
        return self.take(size).decode("utf-8")

    def array(self, count, depth):
        return [self.value(depth) for _ in range(count)]

    def map(self, count, depth):
        return {self.value(depth): self.value(depth) for _ in range(count)}

    def extension(self, size, depth):
        kind = self.number("B")
        end = self.at + size
        if kind == 1:
            return Undefined()
        if kind == 2:
            return Ref(self.text(size))
        if kind == 3:
            name = self.value(depth)
            return Case(name, self.value(depth)) if self.at < end else Case(name)
        if kind == 6 and size == 8:
            return Handle(self.number("Q"))
        return Other(kind, self.take(size))

    def value(self, depth=0):
        if depth > DEEPEST:
            raise Failure("ERR_INTERNAL", "the arguments are nested too deeply")
        inner = depth + 1
        marker = self.number("B")
        if marker < 0x80:
            return marker
        if marker < 0x90:
            return self.map(marker & 15, inner)
        if marker < 0xA0:
            return self.array(marker & 15, inner)
        if marker < 0xC0:
            return self.text(marker & 31)
        if marker >= 0xE0:
            return marker - 256
        if marker in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[marker]
        if marker in (0xC4, 0xC5, 0xC6):
            return self.take(self.number("BHI"[marker - 0xC4]))
        if marker in (0xC7, 0xC8, 0xC9):
            return self.extension(self.number("BHI"[marker - 0xC7]), inner)
        if 0xCA <= marker <= 0xD3:
            return self.number("fdBHIQbhiq"[marker - 0xCA])
        if 0xD4 <= marker <= 0xD8:
            return self.extension(1 << (marker - 0xD4), inner)
        if 0xD9 <= marker <= 0xDB:
            return self.text(self.number("BHI"[marker - 0xD9]))
        if marker in (0xDC, 0xDD):
            return self.array(self.number("HI"[marker - 0xDC]), inner)
        if marker in (0xDE, 0xDF):
            return self.map(self.number("HI"[marker - 0xDE]), inner)
        raise Failure("ERR_INTERNAL", "the arguments are no MessagePack")


def decode(data):
    """One value from its wire form."""
    return _Reader(data).value()


def _utf8(text):
    """Half of a pair of units, which is no character, becomes U+FFFD."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def _head(size, short, limit, markers):
    if size < limit:
        return bytes([short | size])
    for marker, form in zip(markers, "BHI"):
        if marker and size < 1 << (8 * struct.calcsize(form)):
            return bytes([marker]) + struct.pack(">" + form, size)
    raise Failure("ERR_TOO_LARGE", "the result is too large")


def encode(value, depth=0):
    """The wire form of a value that stands that deep in others."""
    inner = depth + 1
    if inner > DEEPEST and isinstance(value, (list, tuple, dict, Case)):
        raise Failure("ERR_NOT_SERIALIZABLE", f"the result is nested more than {DEEPEST} levels deep")
    if value is None:
        return b"\xc0"
    if value is False:
        return b"\xc2"
    if value is True:
        return b"\xc3"
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        if -(1 << 63) <= value < 1 << 63:
            return b"\xd3" + struct.pack(">q", value)
        size = (value.bit_length() + 8) // 8
        return _extension(5, value.to_bytes(size, "big", signed=True))
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = _utf8(value)
        return _head(len(text), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + text
    if isinstance(value, (bytes, bytearray)):
        return _head(len(value), 0, 0, (0xC4, 0xC5, 0xC6)) + bytes(value)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Undefined) for item in value):
            raise Failure("ERR_NOT_SERIALIZABLE", "an array has no undefined items")
        items = b"".join(encode(item, inner) for item in value)
        return _head(len(value), 0x90, 16, (0, 0xDC, 0xDD)) + items
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Failure("ERR_NOT_SERIALIZABLE", f"the keys of a map are strings, not {type(key).__name__}")
        # Keys stand in the order of their bytes.
        pairs = sorted((_utf8(key), key, item) for key, item in value.items())
        items = b"".join(encode(key) + encode(item, inner) for _, key, item in pairs)
        return _head(len(pairs), 0x80, 16, (0, 0xDE, 0xDF)) + items
    if isinstance(value, Undefined):
        return _extension(1, b"")
    if isinstance(value, Ref):
        return _extension(2, value.id.encode("utf-8"))
    if isinstance(value, Case):
        parts = [encode(value.name)] + [encode(one, inner) for one in value.arguments]
        return _extension(3, b"".join(parts))
    if isinstance(value, Handle):
        return _extension(6, struct.pack(">Q", value.number))
    if isinstance(value, Other):
        return _extension(value.type, value.content)
    raise Failure("ERR_NOT_SERIALIZABLE", f"{type(value).__name__} is no value of Mix")


def _extension(kind, content):
    return _head(len(content), 0, 0, (0xC7, 0xC8, 0xC9)) + bytes([kind]) + content


def _failure(error):
    if isinstance(error, Failure):
        code, message = error.code, error.message
    else:
        code, message = "ERR_INTERNAL", f"{type(error).__name__}: {error}{_place(error)}"
    # The interface takes whole characters only.
    return types.Failure(_utf8(str(code)).decode(), _utf8(str(message)).decode(), None)


def _place(error):
    """Where the plugin made a mistake, for its author: the innermost line of its own files."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        folder, name = os.path.split(frame.f_code.co_filename)
        if not place or (folder == os.path.dirname(__file__) and name != "mix.py"):
            place = f" ({name}:{line})"
    return place


def _item(failure):
    """What ends a stream that fails."""
    return b"\xc1" + encode({"code": failure.code, "message": failure.message})


async def _each(items):
    """The items of a generator of either kind."""
    if inspect.isasyncgen(items):
        async with contextlib.aclosing(items):
            async for item in items:
                yield item
    else:
        with contextlib.closing(items):
            for item in items:
                yield item


async def _feed(writer, items):
    with writer:
        try:
            async with contextlib.aclosing(_each(items)) as each:
                async for item in each:
                    if await writer.write([encode(item)]) == 0:
                        return
        except Exception as error:
            await writer.write([_item(_failure(error))])


def plugin(name, *functions, **named):
    """The interface of a plugin from its functions.

    The names in Mix are `$name_function`; others stand whole: `**{"$other_verb": function}`. What the docstring says is what programmers read, its line `Type:` the type. An
    `async` function may wait; a generator, `async` or not, gives a stream.
    """

    def params(function):
        return len(inspect.signature(function).parameters)

    def many(function):
        return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)

    def waits(function):
        return many(function) or inspect.iscoroutinefunction(function)

    # Looked at once, while the component is built.
    names = [(f"${name}_{one.__name__}", one) for one in functions] + list(named.items())
    table = [(full, params(one), waits(one), many(one), inspect.getdoc(one) or "", one) for full, one in names]

    def find(number, args):
        if number >= len(table):
            raise Failure("ERR_INTERNAL", f"there is no function number {number}")
        given = decode(args)
        if not isinstance(given, list) or len(given) != table[number][1]:
            raise Failure("ERR_INTERNAL", f"{table[number][0]} takes {table[number][1]} arguments")
        return table[number], given

    class Family(exports.Family):
        def describe(self):
            return [types.Function(full, count, waiting, doc) for full, count, waiting, _, doc, _ in table]

        def call(self, function, args):
            try:
                (*_, run), given = find(function, args)
                return encode(run(*given))
            except Exception as error:
                raise componentize_py_types.Err(_failure(error))

        async def start(self, function, args):
            try:
                (_, _, waiting, streams, _, run), given = find(function, args)
                if streams:
                    writer, reader = wit_world.list_u8_stream()
                    # Keeps the task of this call alive until the stream has ended.
                    componentize_py_async_support.spawn(_feed(writer, run(*given)))
                    return types.Reply_Many(reader)
                answer = run(*given)
                return types.Reply_One(encode(await answer if waiting else answer))
            except Exception as error:
                raise componentize_py_types.Err(_failure(error))

    return Family


def needs(*names):
    """What the plugin cannot do without, as its operator grants it: `needs("folder", "env:REGION")`."""

    class Needs(exports.Needs):
        def needs(self):
            return list(names)

    return Needs
