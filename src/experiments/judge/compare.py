"""Whether an output is right: EvalPlus's rules, on data that never ran here.

The rules are those of EvalPlus 0.3.1 (`evalplus.eval.unsafe_execute`), restated for values
that are plain data. An output is right if it equals the expected one as Python's `==` has it
(`1 == 1.0 == True`, lists differ from tuples, dicts have no order); or, where the expected
output is made of floats or the problem has a tolerance, if it has the same type and length
and all its numbers are close: `abs(actual - expected) <= atol + 1e-7 * abs(expected)`.

Comparing takes time linear in the size of the expected output (times its logarithm, for
sets and dicts). An output that is far longer than the expected one is not read at all, and
nothing is ever hashed by a value's own hash.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from experiments.sandbox import wire

COMPARISONS: dict[str, tuple[str, ...]] = {
    "equal": (),  # all that are not named below
    "set": (  # the items are compared as sets
        "Mbpp/2",
        "Mbpp/7",
        "Mbpp/111",
        "Mbpp/140",
        "Mbpp/232",
        "Mbpp/249",
        "Mbpp/579",
        "Mbpp/769",
    ),
    "not_none": (),  # whether there is an output at all; by entry point, see NOT_NONE
    "anything": ("Mbpp/164",),  # whatever is returned
    "or_zero": ("Mbpp/295",),  # 0 is right, too
    "surface_area": ("Mbpp/581",),  # another reading of "height" is right, too
    "digit_distance": ("Mbpp/558",),  # numbers of different length may be padded with zeros
    "find_zero": ("HumanEval/32",),  # any zero of the polynomial
}
"""The rules by name, with the EvalPlus tasks that have them."""

RTOL = 1e-7
FLOAT_ATOL = 1e-6
"""Tolerance where the problem names none and the expected output is made of floats."""

MOST_VALUES_FACTOR = 8
MOST_VALUES_MARGIN = 100
"""An output of more than 8 values for each value that is expected, and 100, is not equal: the most
that one value can become is an array of numpy, with its kind, its shape and its items."""

LONGEST_DECIMAL = 1200
"""Digits of a decimal that is compared with other numbers; no float has as many."""

LONGEST_FACTOR = 64
LONGEST_MARGIN = 1 << 16
"""An output longer than 64 times the expected one and 64 kB cannot be equal to it."""


@dataclass(slots=True)
class Expected:
    """What the reference gave for one input.

    Attributes:
        payload: the output in wire form; empty if it raised.
        raises: the builtin exception type that it raised; empty if it returned.
        seconds: CPU time that it took.
        atol: absolute tolerance for this output.
    """

    payload: bytes
    raises: str = ""
    seconds: float = 0.0
    atol: float = 0.0
    _canonical: bytes = b""
    _most_values: int = 0

    @property
    def value(self) -> Any:
        """The output as decoded data."""
        return wire.decode(self.payload)

    @property
    def most_values(self) -> int:
        """How many values, at all depths, an output can hold that equals this one."""
        if not self._most_values:
            count = wire.count(self.payload)
            self._most_values = MOST_VALUES_FACTOR * count + MOST_VALUES_MARGIN
        return self._most_values

    @property
    def canonical(self) -> bytes:
        """The output in a form in which equal values are equal bytes."""
        if not self._canonical:
            self._canonical = canonical(self.value)
        return self._canonical


def with_tolerances(expected: Sequence[Expected], atol: float) -> None:
    """Set the tolerance of each expected output of one test set.

    As in EvalPlus, the first output that is made of floats gives all that follow it a
    tolerance of 1e-6, unless the problem has one of its own.
    """
    for each in expected:
        if atol == 0 and _may_be_floats(each.payload) and is_floats(each.value):
            atol = FLOAT_ATOL
        each.atol = atol


def is_right(payload: bytes, expected: Expected, comparison: str, arguments: bytes) -> bool:
    """Return whether an output in wire form is right.

    Args:
        payload: what came from the program.
        expected: what the reference gave.
        comparison: a name in `COMPARISONS`.
        arguments: the call's arguments in wire form, as the host keeps them.
    """
    if comparison == "equal" and payload == expected.payload:
        return True
    if comparison == "anything":
        return True
    if comparison == "not_none":
        exists = payload == b"T" if payload in (b"T", b"F") else payload != b"N"
        return exists == (expected.payload != b"N")
    if len(payload) > LONGEST_FACTOR * len(expected.payload) + LONGEST_MARGIN:
        return False
    try:
        value = wire.decode(payload, expected.most_values)
    except wire.WireError:
        return False
    if comparison == "find_zero":
        return _is_zero(value, arguments, expected.atol)
    if equal(value, expected):
        return True
    if comparison == "or_zero" and equal_values(value, 0):
        return True
    if comparison == "surface_area" and _is_surface_area(value, arguments, expected.atol):
        return True
    if comparison == "digit_distance" and equal_values(value, _digit_distance(arguments)):
        return True
    return expected.atol != 0 and close(value, expected.value, expected.atol)


def equal(value: Any, expected: Expected) -> bool:
    """Return whether a decoded output equals the expected one as `==` has it."""
    if isinstance(value, wire.Array) and value.shape and len(value.items) == 1:
        # numpy compares an array of one item with nearly everything item by item
        single = expected.value
        while isinstance(single, list | tuple) and len(single) == 1:
            single = single[0]
        if not isinstance(single, wire.Array):
            return equal_values(value.items[0], single)
    return canonical(value) == expected.canonical


def equal_values(one: Any, other: Any) -> bool:
    """Return whether two decoded values are equal as `==` has it."""
    return canonical(one) == canonical(other)


def canonical(value: Any) -> bytes:
    """Return bytes that are equal exactly for equal values (and for two NaNs)."""
    match value:
        case None:
            return b"N"
        case bool() | int():
            return b"n%x;" % value if value >= 0 else b"n-%x;" % -value
        case str():
            data = value.encode("utf-8", "surrogatepass")
            return b"u%d:" % len(data) + data
        case float():
            return _canonical_float(value)
        case list() | tuple():
            kind = b"[" if isinstance(value, list) else b"("
            return kind + b"".join(map(canonical, value)) + b")"
        case wire.Items(kind="dict", items=pairs):
            # as in a dict, the last of equal keys counts
            items = {canonical(key): canonical(item) for key, item in pairs}
            return b"{" + b"".join(key + item for key, item in sorted(items.items())) + b"}"
        case wire.Items(items=members):
            return b"<" + b"".join(sorted(set(map(canonical, members)))) + b">"
        case bytes():
            return b"s%d:" % len(value) + value
        case complex():
            if value.imag == 0:
                return _canonical_float(value.real)
            return b"c" + _canonical_float(value.real) + _canonical_float(value.imag)
        case wire.Array(shape=None, items=items):
            return canonical(items[0])
        case wire.Array(shape=shape, items=items):
            return b"a" + canonical(shape) + b"".join(map(canonical, items)) + b")"
        case wire.Special(kind="range", parts=(start, stop, step)):
            return b"r" + canonical(_range_identity(start, stop, step))
        case wire.Special(kind="fraction", parts=(numerator, denominator)):
            # as it came, without a gcd: one that is not in lowest terms is none of Python's
            return _canonical_ratio(numerator, denominator)
        case wire.Special(kind="decimal", parts=(text,)):
            return _canonical_decimal(text)
        case wire.Special(kind="digest", parts=(size, digest)):
            return b"h" + canonical(size) + canonical(digest)
    return b"?%d;" % id(value)  # equal to nothing


def is_floats(value: Any) -> bool:
    """Return whether EvalPlus takes a value for one made of floats."""
    match value:
        case float():
            return True
        case list() | tuple():
            return bool(value) and all(_is_float(item) for item in value)
        case wire.Items(kind="set", items=items):
            return bool(items) and all(_is_float(item) for item in items)
        case wire.Array(dtype=dtype, shape=None):
            return dtype[1:] == "f8"
        case wire.Array(dtype=dtype):
            return dtype[1:] in ("f8", "f4")
    return False


def close(value: Any, expected: Any, atol: float) -> bool:
    """Return whether two values have the same type and length and only close numbers."""
    match value, expected:
        case wire.Items(kind="set"), wire.Items(kind="set"):
            numbers, wanted = _numbers(value.items), _numbers(expected.items)
            if numbers is None or wanted is None or len(numbers) != len(wanted):
                return False
            if any(isinstance(number, complex) for number in [*numbers, *wanted]):
                return False
            return all(map(_is_close, sorted(numbers), sorted(wanted), [atol] * len(wanted)))
        case wire.Array(), wire.Array():
            if value.dtype != expected.dtype or value.shape != expected.shape:
                return False
            return close(value.items, expected.items, atol)
        case (list(), list()) | (tuple(), tuple()):
            if len(value) != len(expected):
                return False
            return all(
                _all_close(one, other, atol) for one, other in zip(value, expected, strict=True)
            )
    return type(value) is type(expected) and _all_close(value, expected, atol)


def _all_close(value: Any, expected: Any, atol: float) -> bool:
    """As `numpy.allclose` for values of the same shape; lists and tuples are alike."""
    if isinstance(value, list | tuple) and isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(
            _all_close(one, other, atol) for one, other in zip(value, expected, strict=True)
        )
    number, wanted = _number(value), _number(expected)
    return number is not None and wanted is not None and _is_close(number, wanted, atol)


def _is_close(number: Any, wanted: Any, atol: float) -> bool:
    try:
        if not math.isfinite(abs(wanted)) or not math.isfinite(abs(number)):
            return bool(number == wanted)
        return bool(abs(number - wanted) <= atol + RTOL * abs(wanted))
    except OverflowError:
        return bool(number == wanted)


def _number(value: Any) -> Any:
    """Return a number as Python's own; None if it is none."""
    if isinstance(value, bool | int | float | complex):
        return value
    if isinstance(value, wire.Array) and value.shape is None:
        return _number(value.items[0])
    return None


def _numbers(values: list[Any]) -> list[Any] | None:
    numbers = [_number(value) for value in values]
    return None if None in numbers else numbers


def _may_be_floats(payload: bytes) -> bool:
    """A glance at the first bytes, which spares decoding most outputs."""
    first, second = payload[:1], payload[5:6]
    if first in (b"[", b"(", b"<"):
        return second in (b"g", b".") or (second == b"(" and payload[10:11] == b".")
    return first == b"g"


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, wire.Array) and value.shape is None and value.dtype[1:] == "f8"
    )


def _canonical_float(value: float) -> bytes:
    if not math.isfinite(value):
        return b"f%s;" % repr(value).encode()
    return _canonical_ratio(*value.as_integer_ratio())


def _canonical_ratio(numerator: int, denominator: int) -> bytes:
    if denominator == 1:
        return canonical(numerator)
    return b"q" + canonical(numerator) + canonical(denominator)


def _canonical_decimal(text: str) -> bytes:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return b"?decimal;"
    if not number.is_finite():
        return _canonical_float(float(number)) if not number.is_snan() else b"?decimal;"
    if len(text) > LONGEST_DECIMAL or (number and abs(number.adjusted()) > LONGEST_DECIMAL):
        sign, digits, _ = number.as_tuple()
        figures = "".join(map(str, digits)).strip("0")
        return b"d%d,%s,%d;" % (sign, figures.encode(), number.adjusted())
    return canonical(0) if not number else _canonical_ratio(*number.as_integer_ratio())


def _range_identity(start: int, stop: int, step: int) -> tuple[int, int | None, int | None]:
    """Ranges are equal if they are the same sequence."""
    length = max(0, (stop - start + step - (1 if step > 0 else -1)) // step)
    if length == 0:
        return 0, None, None
    return length, start, step if length > 1 else None


def _is_zero(value: Any, arguments: bytes, atol: float) -> bool:
    """HumanEval/32: whether the value is a zero of the polynomial."""
    number = _real(value)
    if number is None:
        return False
    (coefficients,) = wire.decode(arguments)
    try:
        at_value = sum(
            coefficient * math.pow(number, power) for power, coefficient in enumerate(coefficients)
        )
    except (OverflowError, ValueError):
        return False
    return bool(abs(at_value) <= atol)


def _is_surface_area(value: Any, arguments: bytes, atol: float) -> bool:
    """Mbpp/581: the height may be that of the pyramid itself, not of its sides."""
    number = _real(value)
    if number is None:
        return False
    edge, height = wire.decode(arguments)
    area = round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))
    return bool(abs(number - area) <= atol)


def _digit_distance(arguments: bytes) -> int:
    """Mbpp/558: sum of the digits' distances, the shorter number padded with zeros."""
    one, other = (str(number) for number in wire.decode(arguments))
    width = max(len(one), len(other))
    pairs = zip(one.zfill(width), other.zfill(width), strict=True)
    return sum(abs(int(first) - int(second)) for first, second in pairs)


def _real(value: Any) -> float | int | None:
    """Return a real number as Python's own; None if it is none."""
    match value:
        case wire.Array(shape=shape, items=[item]) if shape is None or shape:
            return _real(item)
        case wire.Special(kind="fraction", parts=(numerator, denominator)):
            try:
                return float(numerator / denominator)
            except OverflowError:
                return None
        case bool() | int() | float():
            return value
    return None
