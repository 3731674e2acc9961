"""Any value as plain data, without running code of its class.

Plain values are marshalled as they are. What they cannot say is told in a tagged output: a
tuple of `...` and a value in which every tuple that begins with `...` is a tag: a numpy scalar
or array, a range, a decimal, a fraction, another type by its name, and `(..., "tuple", items)`
for a tuple of the program's own that begins with `...`. An output of the program that looks
like a tagged one is told as a tagged one itself, so that the two cannot be mixed up.
"""

import hashlib
import marshal
import sys
from typing import Any

from .protocol import MARSHAL_VERSION

_DEEPEST = 500
_base_types = type.__dict__["__mro__"].__get__  # which no metaclass can replace


def payload_of(
    output: Any, limit: int, dumps: Any = marshal.dumps, modules: Any = sys.modules
) -> bytes:
    """Return an output in wire form; one that is longer than the limit as its digest.

    Raises:
        MemoryError: there is too little to write it.
    """
    try:
        payload: bytes = dumps(output, MARSHAL_VERSION)
        # of the tagged form, or perhaps an array of numpy, which is written as its bytes
        is_plain = payload[:6:5] != b"(." and not ("numpy" in modules and b"s" in payload)
    except MemoryError:
        raise
    except BaseException:
        is_plain = False
    if not is_plain:
        payload = _tagged_payload(output)
    if len(payload) <= limit:
        return payload
    digest = hashlib.sha256(payload).hexdigest()
    return dumps((..., (..., "digest", len(payload), digest)), MARSHAL_VERSION)  # type: ignore[no-any-return]


def _tagged_payload(output: Any) -> bytes:
    try:
        value = plain(output)
        payload = marshal.dumps(value, MARSHAL_VERSION)
        if b"." not in payload:  # there is no tag
            return payload
        return marshal.dumps((..., value), MARSHAL_VERSION)
    except MemoryError:
        raise
    except BaseException:
        return marshal.dumps((..., (..., "other", _name(type(output)))), MARSHAL_VERSION)


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` made of builtin types and tags; subclasses become their base type.

    Raises:
        RecursionError: it is nested too deeply.
    """
    kind = type(value)
    if value is None or value is ... or kind in (bool, int, float, complex, str, bytes):
        return value
    if depth > _DEEPEST:
        raise RecursionError("nested too deeply")
    below = depth + 1
    bases = _base_types(kind)
    if list in bases:
        return [plain(item, below) for item in list.__iter__(value)]
    if tuple in bases:
        items = [plain(item, below) for item in tuple.__iter__(value)]
        return (..., "tuple", items) if items and items[0] is ... else tuple(items)
    if dict in bases:
        return {plain(key, below): plain(item, below) for key, item in dict.items(value)}
    if set in bases:
        return {plain(item, below) for item in set.__iter__(value)}
    if frozenset in bases:
        return frozenset([plain(item, below) for item in frozenset.__iter__(value)])
    if bytearray in bases:
        return bytes(bytearray.__getitem__(value, slice(None)))
    numpy = sys.modules.get("numpy")
    if numpy is not None and (numpy.generic in bases or numpy.ndarray in bases):
        return _of_numpy(numpy, value, bases)
    for base, exact in _EXACT:
        if base in bases:
            return exact(value)
    return _special(value, kind, below)


_EXACT = (
    (int, int.__pos__),
    (float, float.__pos__),
    (complex, complex.__pos__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
)
"""Base types, with what makes one of a subclass."""


def _of_numpy(numpy: Any, value: Any, bases: tuple[type, ...]) -> Any:
    """A numpy scalar or array: its kind of numbers, its shape (None: a scalar), its items."""
    array = numpy.asarray(value)
    if array.dtype.kind not in "biufcUS":
        return (..., "other", _name(type(value)))
    items = array.ravel().tolist()
    if numpy.generic in bases:
        return (..., "numpy", array.dtype.str, None, items[0])
    return (..., "numpy", array.dtype.str, tuple(array.shape), items)


def _special(value: Any, kind: type, depth: int) -> Any:
    if kind is range:
        return (..., "range", value.start, value.stop, value.step)
    if kind is type({}.keys()) or kind is type({}.items()):
        return (..., "set-like", [plain(item, depth) for item in value])
    decimal = sys.modules.get("decimal")
    if decimal is not None and kind is decimal.Decimal:
        return (..., "decimal", str(value))
    fractions = sys.modules.get("fractions")
    if fractions is not None and kind is fractions.Fraction:
        return (..., "fraction", int(value.numerator), int(value.denominator))
    return (..., "other", _name(kind))


def _name(kind: type) -> str:
    """The name of a type, whatever its metaclass says."""
    return str(type.__dict__["__name__"].__get__(kind))[:100]
