"""The estimate from strata: against hand-worked cases, and by simulation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.stratified import LEAST, Stratum, allocate, estimate

POINTS = (1.0, 0.75, 0.5, 0.0)

# units of each stratum, and how often each of POINTS is given there
POPULATIONS = {
    "a demo run": [(30, (90, 5, 5, 0)), (10, (0, 0, 30, 70)), (20, (0, 0, 5, 95))],
    "mixed": [(100, (90, 0, 10, 0)), (30, (3, 2, 3, 2)), (60, (0, 0, 15, 85)), (20, (0, 0, 0, 1))],
    "rare mistakes": [(40, (95, 0, 0, 5))] * 5,
    "tiny strata": [(3, (5, 2, 2, 1))] * 25,
    "as uncertain as can be": [(60, (1, 0, 0, 1))] * 4,
    "mostly wrong": [(60, (0, 0, 3, 97))] * 4,
}  # fmt: skip


def coverage(spec: list[tuple[int, tuple[int, ...]]], budget: int) -> float:
    """Return how often the interval holds the true mean, over populations and samples."""
    held = tries = 0
    for number in range(12):
        chance = random.Random(number)
        population = [chance.choices(POINTS, odds, k=units) for units, odds in spec]
        everything = [value for values in population for value in values]
        truth = sum(everything) / len(everything)
        units = {key: len(values) for key, values in enumerate(population)}
        drawn = allocate(units, dict.fromkeys(units, 0.3), budget)
        for _ in range(40):
            strata = []
            for key, values in enumerate(population):
                taken = tuple(chance.sample(values, drawn[key]))
                strata.append(Stratum(len(values), len(values), taken, (1.0,) * len(taken)))
            found = estimate(strata)
            assert found is not None
            held += found.interval.low - 1e-9 <= truth <= found.interval.high + 1e-9
            tries += 1
    return held / tries


@pytest.mark.parametrize("budget", [60, 90])
@pytest.mark.parametrize("name", POPULATIONS)
def test_the_interval_covers_95_percent(name: str, budget: int) -> None:
    error = 0.015  # one and a half of 480 tries' standard error
    assert coverage(POPULATIONS[name], budget) >= 0.95 - error


def test_the_mean_is_weighted_by_the_strata() -> None:
    """Cochran, equation 5.1: 0.6 of the whole at 0.75 and 0.4 at 0.25."""
    found = estimate(
        [Stratum(60, 60, (1, 1, 1, 0), (1,) * 4), Stratum(40, 40, (0, 0, 0, 1), (1,) * 4)]
    )
    assert found is not None
    assert found.mean == pytest.approx(0.6 * 0.75 + 0.4 * 0.25)
    assert (found.drawn, found.units) == (8, 100)


def test_large_strata_have_the_variance_of_the_textbook() -> None:
    """Cochran, equation 5.6: what is added for small strata is lost in large ones."""
    first = tuple([1.0] * 300 + [0.0] * 100)
    second = tuple([1.0] * 40 + [0.0] * 160)
    found = estimate(
        [Stratum(1000, 1000, first, (1.0,) * 400), Stratum(3000, 3000, second, (1.0,) * 200)]
    )
    assert found is not None
    variances = [
        share**2 * (1 - n / units) * p * (1 - p) / (n - 1)
        for share, n, units, p in ((0.25, 400, 1000, 0.75), (0.75, 200, 3000, 0.2))
    ]
    expected = 2 * 1.959964 * sum(variances) ** 0.5
    assert found.interval.high - found.interval.low == pytest.approx(expected, rel=0.02)


def test_all_known_is_known_exactly() -> None:
    found = estimate([Stratum(2, 2, (1.0, 0.5), (1, 1)), Stratum(1, 1, (0.0,), (1,))])
    assert found is not None
    assert found.interval == (0.5, 0.5)
    assert found.to_halve == 0


def test_equal_values_of_a_few_are_no_certainty() -> None:
    found = estimate([Stratum(30, 30, (1.0,) * 5, (1,) * 5)])
    assert found is not None
    assert found.mean == found.interval.high == 1
    assert found.interval.low < 0.85


def test_a_unit_that_counts_twice_weighs_twice() -> None:
    found = estimate([Stratum(2, 3, (1.0, 0.0), (2, 1))])
    assert found is not None
    assert found.mean == pytest.approx(2 / 3)


def test_nothing_drawn_is_no_estimate() -> None:
    assert estimate([Stratum(5, 5)]) is None


def test_a_stratum_without_values_joins_its_neighbour() -> None:
    together = estimate([Stratum(10, 10, (1, 0), (1, 1)), Stratum(10, 10)])
    assert together == estimate([Stratum(20, 20, (1, 0), (1, 1))])


def test_a_stratum_without_values_is_as_expected_and_may_be_anything() -> None:
    """It joins none of another expectation: those that pass are no measure of those that fail."""
    found = estimate(
        [Stratum(10, 10, (1, 1, 1), (1, 1, 1), expected=1.0), Stratum(10, 10, expected=0.0)]
    )
    assert found is not None
    assert found.mean == 0.5
    assert found.interval.low < 0.4
    assert found.interval.high == 1


def test_so_many_more_do_halve_the_interval() -> None:
    values = (1.0, 0.0) * 5
    found = estimate([Stratum(500, 500, values, (1.0,) * 10)])
    assert found is not None
    more = values * ((10 + found.to_halve) // 10 + 1)
    wider = found.interval.high - found.interval.low
    narrower = estimate([Stratum(500, 500, more, (1.0,) * len(more))])
    assert narrower is not None
    assert (narrower.interval.high - narrower.interval.low) <= wider / 2 * 1.03
    assert 20 <= found.to_halve <= 45


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(), st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 90)
)
def test_a_larger_budget_takes_away_from_no_stratum(units: dict[int, int], budget: int) -> None:
    spreads = {key: 0.1 + key % 3 / 5 for key in units}
    small, large = allocate(units, spreads, budget), allocate(units, spreads, budget + 1)
    assert sum(small.values()) == min(budget, sum(units.values()))
    assert all(small[key] <= large[key] <= units[key] for key in units)
    if budget >= LEAST * len(units):
        assert all(small[key] >= min(LEAST, units[key]) for key in units)
