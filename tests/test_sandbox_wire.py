"""Outputs on their way: what a program returns is told from what only its executor may say."""

import fractions
import marshal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.errors import printable
from experiments.judge.compare import Expected, canonical, is_right
from experiments.sandbox import wire
from experiments.sandbox.worker.outputs import payload_of

LIMIT = 1 << 30
HUGE = 1 << 10_000_000
untimed = settings(deadline=None)


def tagged(value: object) -> bytes:
    return marshal.dumps((..., value), 2)


@pytest.mark.parametrize(
    "value",
    [
        (..., "fraction", 3, 1),
        (..., "decimal", "3"),
        (..., "range", 0, 3, 1),
        (..., "numpy", "<f8", None, 3.0),
        (..., "set-like", [3]),
        (..., "digest", 10**400, "x"),
        (..., "numpy", "<f8", (10**5000, 0), []),
        (..., "tuple", [1]),
        (..., 3),
        (..., (..., "fraction", 3, 1)),
        (...,),
    ],
)
def test_a_tuple_of_the_programs_own_stays_a_tuple(value: tuple[object, ...]) -> None:
    for output, inner in (
        (value, lambda decoded: decoded),
        ([value], lambda decoded: decoded[0]),
        ({1: value}, lambda decoded: decoded.items[0][1]),
        ((value, fractions.Fraction(1, 3)), lambda decoded: decoded[0]),
    ):
        payload = payload_of(output, LIMIT)
        decoded = wire.decode(payload)
        assert type(inner(decoded)) is tuple
        assert inner(decoded)[0] is ...
        assert len(inner(decoded)) == len(value)
        assert len(wire.describe(decoded)) <= 200
        for right in (3, [3], "x", fractions.Fraction(1, 3)):
            assert not is_right(payload, Expected(payload_of(right, LIMIT)), "equal", b"(\0\0\0\0")


TAGS = [
    (..., "digest", HUGE, "x"),
    (..., "digest", -1, "x"),
    (..., "numpy", "<f8", (HUGE, 0), []),
    (..., "numpy", "\x1b]0;x\x07\ud800" * 100, (1,) * 100, [1]),
    (..., "fraction", HUGE + 1, HUGE),
    (..., "range", -HUGE, HUGE, 7),
    (..., "decimal", "1e" + "9" * 9000),
    (..., "decimal", "sNaN"),
    (..., "other", "\x1b]0;x\x07\ud800" * 1000),
    (..., "tuple", [HUGE]),
    HUGE,
    (...,),
    (..., []),
]


@pytest.mark.parametrize("number", range(len(TAGS)))
def test_monstrous_tags_are_read_compared_and_described_in_no_time(number: int) -> None:
    payload = tagged(TAGS[number])
    began = time.process_time()
    decoded = wire.decode(payload)
    canonical(decoded)
    text = wire.describe([decoded, decoded])
    assert time.process_time() - began < 2
    assert len(text) <= 200
    text.encode()
    assert text == printable(text)


@untimed
@given(st.binary(max_size=200))
def test_no_tagged_bytes_break_reading_comparing_or_describing(data: bytes) -> None:
    try:
        value = wire.decode(b"(\x02\0\0\0." + data)
    except wire.WireError:
        return
    canonical(value)
    wire.describe(value).encode()


def test_no_more_values_are_read_than_can_be_right() -> None:
    payload = b"[" + (4_000_000).to_bytes(4, "little") + b"N" * 4_000_000
    began = time.process_time()
    assert not is_right(payload, Expected(wire.encode("x" * 100_000)), "equal", b"(\0\0\0\0")
    with pytest.raises(wire.WireError, match="more values"):
        wire.decode(payload, 1000)
    assert time.process_time() - began < 0.5


def test_numpy_values_are_within_what_may_be_right() -> None:
    numpy = pytest.importorskip("numpy")
    for value in (0, 1.5, True, [1, 2], [[0.5] * 10] * 10, [True] * 1000, (1, "a")):
        expected = Expected(wire.encode(value))
        output = [numpy.int64(each) for each in value] if value == [1, 2] else value
        if isinstance(value, int | float):
            output = numpy.asarray(value)[()]
        assert is_right(payload_of(output, LIMIT), expected, "equal", b"(\0\0\0\0")
    many = Expected(wire.encode([True] * 1000))
    assert is_right(payload_of([numpy.bool_(True)] * 1000, LIMIT), many, "equal", b"(\0\0\0\0")


def test_our_own_values_cannot_be_taken_for_tagged_ones() -> None:
    with pytest.raises(ValueError, match="begins with"):
        wire.encode((..., 1))


@given(st.text())
def test_printable_text_can_be_shown_and_stored(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert printable(shown) == shown


def test_what_cannot_be_printed_is_escaped() -> None:
    assert printable("\x1b]0;x\x07\ud800 a\nb\u202e") == "\\x1b]0;x\\x07\\ud800 a\nb\\u202e"
