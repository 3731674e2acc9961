"""Comparing: Python's equality and EvalPlus's tolerances, on bytes of a stranger."""

import marshal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.judge import compare
from experiments.judge.compare import Expected, canonical, is_right
from experiments.sandbox import wire
from experiments.sandbox.worker.outputs import payload_of

untimed = settings(deadline=None)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=5
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.lists(inner) | st.dictionaries(HASHABLE, inner) | st.tuples(inner, inner),
    max_leaves=10,
)


def decoded(value):
    return wire.decode(payload_of(value, 1 << 40))


@untimed
@given(VALUES, VALUES)
def test_canonical_bytes_are_equal_exactly_for_equal_values(one, other) -> None:
    assert (canonical(decoded(one)) == canonical(decoded(other))) == (one == other)


@untimed
@given(VALUES)
def test_a_value_equals_itself(value) -> None:
    assert canonical(decoded(value)) == canonical(decoded(value))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, True, True),
        (1, 1.0, True),
        (1, 1 + 0j, True),
        (0.0, -0.0, True),
        (10**300, 1e300, False),
        (2**70, float(2**70), True),
        ([1], (1,), False),
        ({1, 2}, frozenset([2, 1]), True),
        ({1: 2, "a": 3}, {"a": 3, 1.0: 2}, True),
        ("1", 1, False),
        ("a", b"a", False),
        (range(3), [0, 1, 2], False),
        (range(0), range(5, 1), True),
        ({1: 2}.keys(), {1}, True),
        (float("inf"), float("inf"), True),
        (float("nan"), float("nan"), True),
    ],
)
def test_equality_is_that_of_python(one, other, same) -> None:
    assert (canonical(decoded(one)) == canonical(decoded(other))) is same


@untimed
@given(st.binary(max_size=60))
def test_reading_any_bytes_gives_data_or_a_wire_error(data: bytes) -> None:
    try:
        value = wire.decode(data)
    except wire.WireError:
        return
    assert len(wire.describe(value)) <= 200


@untimed
@given(VALUES)
def test_what_is_described_is_short(value) -> None:
    assert len(wire.describe(decoded(value), 50)) <= 50


@pytest.mark.parametrize("depth", [100, 300, 1900])
def test_nesting_is_read_up_to_a_depth(depth: int) -> None:
    nested: list = []
    for _ in range(depth):
        nested = [nested]
    data = marshal.dumps(nested, 2)
    if depth < wire.DEEPEST:
        assert canonical(wire.decode(data)).count(b"[") == depth + 1
    else:
        with pytest.raises(wire.WireError):
            wire.decode(data)


def right(value, wanted, comparison="equal", atol=0.0, arguments=(0,)) -> bool:
    expected = [Expected(payload_of(wanted, 1 << 40))]
    compare.with_tolerances(expected, atol)
    return is_right(payload_of(value, 1 << 40), expected[0], comparison, wire.encode(arguments))


@pytest.mark.parametrize(
    ("value", "wanted", "passes"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.3001, 0.3, False),
        (1e9 + 50, 1e9, True),  # within 1e-7 of it
        (1e9 + 500, 1e9, False),
        ([0.1 + 0.2], [0.3], True),
        (([0.1 + 0.2]), (0.3,), False),
        (1, 1.0, True),
        (3, 3.0000001, False),  # not equal, and not of the same type
        ([0.3, 0.3], [0.3], False),
        ([], [0.3], False),
        ("0.3", 0.3, False),
        (None, 0.3, False),
        (float("nan"), 0.3, False),
        (float("inf"), float("inf"), True),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, False),  # EvalPlus has no tolerance inside dicts
    ],
)
def test_floats_are_compared_as_evalplus_does(value, wanted, passes) -> None:
    assert right(value, wanted) is passes


def test_a_float_gives_later_outputs_of_the_set_a_tolerance() -> None:
    expected = [Expected(wire.encode(value)) for value in (1, [0.5], [[1.0, 2.0]])]
    compare.with_tolerances(expected, 0.0)
    assert [each.atol for each in expected] == [0.0, 1e-6, 1e-6]


@pytest.mark.parametrize(
    ("comparison", "value", "wanted", "passes"),
    [
        ("set", {1, 2}, {2, 1}, True),
        ("set", {1, 2}, {1}, False),
        ("not_none", "a match", "another", True),
        ("not_none", None, "another", False),
        ("not_none", None, None, True),
        ("not_none", True, "another", True),
        ("not_none", False, "another", False),
        ("not_none", True, None, False),
        ("anything", None, True, True),
        ("or_zero", 0, 17, True),
        ("or_zero", 1, 17, False),
    ],
)
def test_special_rules(comparison, value, wanted, passes) -> None:
    assert right(value, wanted, comparison) is passes


def test_any_zero_of_the_polynomial_is_right_on_the_inputs_that_the_host_keeps() -> None:
    def zero(value) -> bool:
        return right(value, -9.0, "find_zero", 1e-4, ([-6, 11, -6, 1],))  # zeros: 1, 2, 3

    assert [zero(value) for value in (1.0, 2, 3.00000001, 2.5)] == [True, True, True, False]
    assert not any(zero(value) for value in (None, "1", [1.0], 1j, float("nan"), 10**400))


def test_the_other_reading_of_the_height_of_a_pyramid_is_right() -> None:
    assert right(33, 33, "surface_area", 1e-4, (3, 4))
    assert right(35, 33, "surface_area", 1e-4, (3, 4))
    assert not right(34, 33, "surface_area", 1e-4, (3, 4))


def test_digit_distance_with_padding_is_right() -> None:
    assert right(1 + 2 + 0, 6, "digit_distance", 0.0, (123, 3))
    assert not right(4, 6, "digit_distance", 0.0, (123, 3))


def test_an_output_far_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes):
        raise AssertionError("it was read")

    expected = Expected(wire.encode(1))
    payload = wire.encode([0] * 100_000)
    monkeypatch.setattr(wire, "decode", refuse)
    assert not is_right(payload, expected, "equal", b"")


def test_items_that_share_a_hash_cost_no_more_than_others() -> None:
    prime = 2**61 - 1
    data = wire.encode([number * prime for number in range(60_000)])
    hostile = b"<" + data[1:]  # a set, as no dict or set ever made it
    assert len(canonical(wire.decode(hostile))) > 60_000


def test_numpy_results_equal_plain_ones_where_numpy_says_so() -> None:
    numpy = pytest.importorskip("numpy")
    assert right(numpy.int64(5), 5)
    assert right([numpy.int64(5), numpy.True_], [5, True])
    assert right(numpy.float64(0.5), 0.5)
    assert right(numpy.array([5]), 5)
    assert not right(numpy.array([5, 6]), [5, 6])  # ambiguous for `==`, as in EvalPlus
    assert not right(numpy.float64(0.1) + numpy.float64(0.2), 0.3)  # close, of another type


def test_arrays_of_floats_have_a_tolerance() -> None:
    numpy = pytest.importorskip("numpy")
    single, sums, wanted = numpy.float32, numpy.array([0.1, 0.1]) + 0.2, numpy.array([0.3, 0.3])
    assert right(sums, wanted)
    assert right(sums.reshape(2, 1), wanted.reshape(2, 1))
    assert right(sums.astype(single), wanted.astype(single))
    assert right(numpy.float64(0.1) + numpy.float64(0.2), numpy.float64(0.3))
    assert not right(sums + 0.1, wanted)
    assert not right(sums.reshape(2, 1), wanted)
    assert not right(sums.astype(single), wanted)
    assert not right(list(sums), wanted)
    assert not right(numpy.array([3, 4]), numpy.array([3, 3]))


@pytest.mark.parametrize(
    ("value", "wanted", "passes"),
    [
        ({0.1 + 0.2, 1.0}, {1.0, 0.3}, True),
        ({0.31, 1.0}, {1.0, 0.3}, False),
        ({0.1 + 0.2}, {0.3, 1.0}, False),
        ({"0.3"}, {0.3}, False),
        ({0.3 + 1e-9j}, {0.3}, False),
        ({10**400}, {0.3}, False),
    ],
)
def test_sets_of_floats_have_a_tolerance(value, wanted, passes) -> None:
    assert right(value, wanted, "set") is passes


def test_decimals_and_fractions_are_compared_by_value() -> None:
    assert right(Decimal("0.50"), Fraction(1, 2))
    assert right(Decimal("1E+5000"), Decimal("10E+4999"))
    assert not right(Decimal("1E+5000"), Decimal("1E+5001"))
    assert not right(Decimal("sNaN"), Decimal("0"))
    assert right(Decimal("Infinity"), float("inf"))
