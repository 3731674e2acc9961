"""Outputs as bytes, and how they are read without trusting them.

A guest writes values with `marshal` (version 2), which for plain values is canonical: equal
bytes mean equal values, and most outputs are never decoded at all. Where bytes differ, `decode`
reads them. It is a reader of our own, since `marshal.loads` is not safe on bytes of a stranger,
and it makes nothing that runs code or hashes: sets and dicts become `Items`, so a thousand
keys that share one hash value cost what any thousand keys cost.
"""

import marshal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MARSHAL_VERSION = 2
DEEPEST = 200

_INT = struct.Struct("<i")
_LONG_DIGIT = struct.Struct("<H")
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")


class WireError(ValueError):
    """The bytes are not what a guest writes."""


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
    length and the SHA-256 of the bytes of an output that is too large to be sent.
    """

    kind: str
    parts: tuple[Any, ...]


def encode(value: Any) -> bytes:
    """Return a plain value of our own as bytes.

    Raises:
        ValueError: it is not plain data.
    """
    return marshal.dumps(value, MARSHAL_VERSION)


def decode(data: bytes) -> Any:
    """Return the value that the bytes stand for.

    Raises:
        WireError: they are damaged, or nested too deeply.
    """
    try:
        value, end = _read(data, 0, 0)
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise WireError(f"damaged output: {error}") from None
    if end != len(data):
        raise WireError("damaged output: more than one value")
    return value


def describe(value: Any, length: int = 200) -> str:
    """Return a decoded value as a short text for a person."""
    parts: list[str] = []
    room = _describe(value, parts, length)
    text = "".join(parts)
    return text if room > 0 and len(text) <= length else text[: length - 3] + "..."


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
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
            item, at = _read(data, at, depth + 1)
            items.append(item)
        if kind == 0x5B:
            return items, at
        if items and items[0] is ...:
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
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return Items("set" if kind == 0x3C else "frozenset", items), at
    if kind == 0x7B:  # {
        if depth == DEEPEST:
            raise WireError("nested too deeply")
        pairs: list[tuple[Any, Any]] = []
        while data[at] != 0x30:
            key, at = _read(data, at, depth + 1)
            item, at = _read(data, at, depth + 1)
            pairs.append((key, item))
        return Items("dict", pairs), at + 1
    if kind == 0x2E and depth:  # . (begins what plain types cannot say)
        return ..., at
    raise WireError(f"damaged output: no value begins with {kind:#x}")


def _size(data: bytes, at: int) -> int:
    size: int = _INT.unpack_from(data, at)[0]
    if size < 0 or size > len(data) - at - 4:
        raise WireError("damaged output: a length is wrong")
    return size


def _long(data: bytes, at: int, digits: int) -> int:
    count = abs(digits)
    if count > (len(data) - at) // 2:
        raise WireError("damaged output: a length is wrong")
    # 15 bits a digit: joined in bits, so that long numbers take linear time
    value = 0
    if count <= 64:
        for place in range(count):
            value |= _LONG_DIGIT.unpack_from(data, at + 2 * place)[0] << (15 * place)
    else:
        bits = [
            f"{_LONG_DIGIT.unpack_from(data, at + 2 * place)[0] & 0x7FFF:015b}"
            for place in range(count - 1, -1, -1)
        ]
        value = int("".join(bits), 2)
    return -value if digits < 0 else value


def _special(items: list[Any]) -> Any:
    match items:
        case [_, "numpy", str(dtype), None, item] if _is_scalar(item):
            return Array(dtype, None, [item])
        case [_, "numpy", str(dtype), tuple(shape), list(values)]:
            size = 1
            for length in shape:
                if type(length) is not int or length < 0:
                    break
                size *= length
            else:
                if size == len(values) and all(map(_is_scalar, values)):
                    return Array(dtype, shape, values)
        case [_, "range", int(start), int(stop), int(step)] if step:
            return Special("range", (start, stop, step))
        case [_, "set-like", list(values)]:
            return Items("set", values)
        case [_, "decimal", str(text)] if len(text) < 10_000:
            return Special("decimal", (text,))
        case [_, "fraction", int(numerator), int(denominator)] if denominator > 0:
            return Special("fraction", (numerator, denominator))
        case [_, "digest", int(size), str(digest)]:
            return Special("digest", (size, digest))
        case [_, "other", str(name)]:
            return Special("other", (name,))
    return Special("other", ("?",))


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
