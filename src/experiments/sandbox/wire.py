"""Outputs as bytes, and how they are read without trusting them.

An executor writes values with `marshal` (version 2), which for plain values is canonical: equal
bytes mean equal values, and most outputs are never decoded at all. Where bytes differ, `decode`
reads them. It is a reader of our own, since `marshal.loads` is not safe on bytes of a stranger,
and it makes nothing that runs code or hashes: sets and dicts become `Items`, so a thousand
keys that share one hash value cost what any thousand keys cost.

An output that plain types cannot say is tagged: `(..., value)`, where each tuple in the value
that begins with `...` is a tag (see `worker.outputs`). Nowhere else does a tuple that begins
with `...` mean anything but itself.
"""

import marshal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from experiments.errors import printable
from experiments.sandbox.worker.protocol import MARSHAL_VERSION

DEEPEST = 200
LONGEST_NUMBER = 1 << 19
"""Digits of 15 bits; a longer number is told by its length."""

LONGEST_PART = 1 << 16
"""Bits of the numbers that make up a fraction or a range."""

_INT = struct.Struct("<i")
_LONG_DIGIT = struct.Struct("<H")
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")


class WireError(ValueError):
    """The bytes are not what an executor writes, or more than was to be read."""


@dataclass(frozen=True, slots=True)
class Items:
    """A set, frozenset or dict (`kind`), its items in the order in which they came.

    The items of a dict are pairs.
    """

    kind: str
    items: list[Any]


@dataclass(frozen=True, slots=True)
class Array:
    """A numpy array, or a numpy scalar if `shape` is None; `items` in row-major order."""

    dtype: str
    shape: tuple[int, ...] | None
    items: list[Any]


@dataclass(frozen=True, slots=True)
class Special:
    """What plain types cannot say.

    `range`, `decimal`, `fraction` with their parts; `other`, the name of a type; `digest`, the
    length and the SHA-256 of the bytes of an output that is too large to be sent; `number`, the
    bits of a whole number that is too long to be read.
    """

    kind: str
    parts: tuple[Any, ...]


def encode(value: Any) -> bytes:
    """Return a plain value of our own as bytes.

    Raises:
        ValueError: it is not plain data, or looks like a tagged output.
    """
    data = marshal.dumps(value, MARSHAL_VERSION)
    if _is_tagged(data):
        raise ValueError("a pair that begins with ...")
    return data


def decode(data: bytes, most: int | None = None) -> Any:
    """Return the value that the bytes stand for.

    Args:
        data: what an executor sent.
        most: how many values, at all depths, are read; None: all.

    Raises:
        WireError: they are damaged, nested too deeply, or hold more values.
    """
    return _read(data, len(data) if most is None else most)[0]


def count(data: bytes) -> int:
    """Return how many values, at all depths, an output holds."""
    return len(data) - _read(data, len(data))[1].left


def size(payload: bytes) -> int:
    """Return the length of an output, also if only its digest was sent."""
    if len(payload) < 200 and _is_tagged(payload):
        try:
            value = decode(payload)
        except WireError:
            return len(payload)
        if isinstance(value, Special) and value.kind == "digest":
            return int(value.parts[0])
    return len(payload)


def describe(value: Any, length: int = 200) -> str:
    """Return a decoded value as a short text for a person, fit for a terminal."""
    parts: list[str] = []
    room = _describe(value, parts, length)
    text = printable("".join(parts))
    return text if room > 0 and len(text) <= length else text[: length - 3] + "..."


_TAGGED = 6  # a tuple of two, the first of which is `...`


def _is_tagged(data: bytes) -> bool:
    return data[:_TAGGED] == b"(\x02\x00\x00\x00."


def _read(data: bytes, most: int) -> tuple[Any, "_Reader"]:
    start = _TAGGED if _is_tagged(data) else 0
    reader = _Reader(data, most, start > 0)
    try:
        value, end = reader.read(start, 0)
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise WireError(f"damaged output: {error}") from None
    if end != len(data):
        raise WireError("damaged output: more than one value")
    return value, reader


class _Reader:
    """Reads one output."""

    def __init__(self, data: bytes, most: int, is_tagged: bool) -> None:
        self.data = data
        self.left = most
        self.is_tagged = is_tagged

    def read(self, at: int, depth: int) -> tuple[Any, int]:
        data = self.data
        self.left -= 1
        if self.left < 0:
            raise WireError("more values than expected")
        kind = data[at]
        at += 1
        if kind == 0x69:  # i
            return _INT.unpack_from(data, at)[0], at + 4
        if kind == 0x75:  # u
            size = _size(data, at)
            at += 4
            return data[at : at + size].decode("utf-8", "surrogatepass"), at + size
        if kind == 0x67:  # g
            return _FLOAT.unpack_from(data, at)[0], at + 8
        if kind == 0x5B or kind == 0x28:  # [ (
            if depth == DEEPEST:
                raise WireError("nested too deeply")
            size = _size(data, at)
            at += 4
            items = []
            for _ in range(size):
                item, at = self.read(at, depth + 1)
                items.append(item)
            if kind == 0x5B:
                return items, at
            if self.is_tagged and items and items[0] is ...:
                return _special(items), at
            return tuple(items), at
        if kind == 0x4E:  # N
            return None, at
        if kind == 0x54:  # T
            return True, at
        if kind == 0x46:  # F
            return False, at
        if kind == 0x6C:  # l
            digits = _INT.unpack_from(data, at)[0]
            at += 4
            return _long(data, at, digits), at + 2 * abs(digits)
        if kind == 0x73:  # s
            size = _size(data, at)
            at += 4
            return data[at : at + size], at + size
        if kind == 0x79:  # y
            real, imaginary = _COMPLEX.unpack_from(data, at)
            return complex(real, imaginary), at + 16
        if kind == 0x3C or kind == 0x3E:  # < >
            if depth == DEEPEST:
                raise WireError("nested too deeply")
            size = _size(data, at)
            at += 4
            items = []
            for _ in range(size):
                item, at = self.read(at, depth + 1)
                items.append(item)
            return Items("set" if kind == 0x3C else "frozenset", items), at
        if kind == 0x7B:  # {
            if depth == DEEPEST:
                raise WireError("nested too deeply")
            pairs: list[tuple[Any, Any]] = []
            while data[at] != 0x30:
                key, at = self.read(at, depth + 1)
                item, at = self.read(at, depth + 1)
                pairs.append((key, item))
            return Items("dict", pairs), at + 1
        if kind == 0x2E:  # .
            return ..., at
        raise WireError(f"damaged output: no value begins with {kind:#x}")


def _size(data: bytes, at: int) -> int:
    size: int = _INT.unpack_from(data, at)[0]
    if size < 0 or size > len(data) - at - 4:
        raise WireError("damaged output: a length is wrong")
    return size


def _long(data: bytes, at: int, digits: int) -> Any:
    count = abs(digits)
    if count > (len(data) - at) // 2:
        raise WireError("damaged output: a length is wrong")
    if count > LONGEST_NUMBER:
        return Special("number", (15 * count,))
    # 15 bits a digit: joined in bits, so that long numbers take linear time
    value = 0
    if count <= 64:
        for place in range(count):
            value |= _LONG_DIGIT.unpack_from(data, at + 2 * place)[0] << (15 * place)
    else:
        found = struct.unpack_from(f"<{count}H", data, at)
        value = int("".join([f"{digit & 0x7FFF:015b}" for digit in reversed(found)]), 2)
    return -value if digits < 0 else value


def _special(items: list[Any]) -> Any:
    match items:
        case [_, "tuple", list(values)]:
            return tuple(values)
        case [_, "numpy", str(dtype), None, item] if _is_scalar(item):
            return Array(dtype[:20], None, [item])
        case [_, "numpy", str(dtype), tuple(shape), list(values)] if _is_shape(shape, len(values)):
            if all(map(_is_scalar, values)):
                return Array(dtype[:20], shape, values)
        case [_, "range", int(start), int(stop), int(step)] if step:
            if max(map(int.bit_length, (start, stop, step))) <= LONGEST_PART:
                return Special("range", (start, stop, step))
        case [_, "set-like", list(values)]:
            return Items("set", values)
        case [_, "decimal", str(text)] if len(text) < 10_000:
            return Special("decimal", (text,))
        case [_, "fraction", int(numerator), int(denominator)] if denominator > 0:
            if max(numerator.bit_length(), denominator.bit_length()) <= LONGEST_PART:
                return Special("fraction", (numerator, denominator))
        case [_, "digest", int(length), str(digest)] if 0 <= length < 1 << 63:
            return Special("digest", (length, digest[:64]))
        case [_, "other", str(name)]:
            return Special("other", (name[:100],))
    return Special("other", ("?",))


def _is_shape(shape: tuple[Any, ...], count: int) -> bool:
    """Whether an array of this shape has so many items."""
    size = 1
    for length in shape:
        if type(length) is not int or not 0 <= length < 1 << 63:
            return False
        size *= length
    return len(shape) <= 64 and size == count


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | complex | str | bytes)


_BRACKETS = {"set": ("{", "}"), "frozenset": ("frozenset({", "})"), "dict": ("{", "}")}


def _describe(value: Any, parts: list[str], room: int) -> int:
    """Append texts until `room` characters are used; return what is left."""
    if room <= 0:
        return room
    match value:
        case list():
            return _join("[", value, "]", parts, room)
        case tuple():
            return _join("(", value, ",)" if len(value) == 1 else ")", parts, room)
        case Items(kind="dict", items=pairs):
            room = _append("{", parts, room)
            for index, (key, item) in enumerate(pairs):
                if index:
                    room = _append(", ", parts, room)
                room = _describe(key, parts, room)
                room = _append(": ", parts, room)
                room = _describe(item, parts, room)
                if room <= 0:
                    return room
            return _append("}", parts, room)
        case Items(kind=kind, items=items):
            if not items:
                return _append(f"{kind}()", parts, room)
            opening, closing = _BRACKETS[kind]
            return _join(opening, items, closing, parts, room)
        case Array(dtype=dtype, shape=None, items=items):
            room = _append(f"numpy {dtype} ", parts, room)
            return _describe(items[0], parts, room)
        case Array(dtype=dtype, shape=shape, items=items):
            return _join(f"numpy {dtype} {shape} [", items, "]", parts, room)
        case Special(kind="digest", parts=(size, _)):
            return _append(f"<an output of {size / 1e6:,.0f} MB>", parts, room)
        case Special(kind="other", parts=(name,)):
            return _append(f"<{name}>", parts, room)
        case Special(kind="number", parts=(bits,)):
            return _append(f"<int of {bits} bits>", parts, room)
        case Special(kind=kind, parts=values):
            return _join(f"{kind}(", values, ")", parts, room)
        case str() | bytes():
            return _append(repr(value[: room + 1]), parts, room)
        case int() if not isinstance(value, bool) and abs(value) >= 1 << 1024:
            return _append(f"<int of {value.bit_length()} bits>", parts, room)
        case _:
            return _append(repr(value), parts, room)


def _join(opening: str, items: Iterable[Any], closing: str, parts: list[str], room: int) -> int:
    room = _append(opening, parts, room)
    for index, item in enumerate(items):
        if index:
            room = _append(", ", parts, room)
        room = _describe(item, parts, room)
        if room <= 0:
            return room
    return _append(closing, parts, room)


def _append(text: str, parts: list[str], room: int) -> int:
    parts.append(text)
    return room - len(text)
